//! Recorded reports of Ginkgo 1.11 to 2.21 and of Kubernetes' own suites: counts and verdicts as the runs had them.

use super::{fixture, report, report_on};

/// (folder, verdict, [total, passed, failed, errored, skipped, flaky])
type Expected = (&'static str, &'static str, [u64; 6]);

#[track_caller]
fn check(folder: &str, expected: &[Expected]) {
    for (name, verdict, cases) in expected {
        let said = report_on(&format!("{folder}/{name}"));
        assert_eq!((said.verdict(), said.cases()), (*verdict, *cases), "{name}: {}", said.json);
    }
}

#[test]
fn a_small_suite_under_three_generations_of_ginkgo() {
    check(
        "ginkgo",
        &[
            ("v1-mixed", "failure", [8, 1, 3, 0, 4, 0]),
            ("v1-mixed-flake-attempts", "failure", [8, 1, 2, 0, 4, 1]),
            ("v1-only-flake", "success", [8, 0, 0, 0, 7, 1]),
            ("v1-zero", "error", [8, 0, 0, 0, 8, 0]),
            ("v1-dryrun", "error", [8, 3, 0, 0, 5, 0]),
            ("v1-beforesuite-failed", "error", [0; 6]),
            ("v2.1.4-mixed", "failure", [8, 1, 2, 1, 4, 0]),
            ("v2.1.4-mixed-flake-attempts", "failure", [8, 1, 1, 1, 4, 1]),
            ("v2.1.4-only-flake", "success", [8, 0, 0, 0, 7, 1]),
            ("v2.1.4-parallel2", "failure", [8, 1, 2, 1, 4, 0]),
            ("v2.1.4-interrupt-sigterm", "error", [8, 1, 0, 1, 6, 0]),
            ("v2.1.4-timeout", "error", [8, 0, 0, 1, 7, 0]),
            ("v2.1.4-zero", "error", [8, 0, 0, 0, 8, 0]),
            ("v2.1.4-dryrun", "error", [8, 3, 0, 0, 5, 0]),
            ("v2.13.0-mixed", "failure", [8, 1, 2, 1, 4, 0]),
            ("v2.13.0-mixed-flake-attempts", "failure", [8, 1, 1, 1, 4, 1]),
            ("v2.13.0-only-flake", "success", [8, 0, 0, 0, 7, 1]),
            ("v2.13.0-interrupt-sigterm", "error", [8, 1, 0, 1, 6, 0]),
            ("v2.13.0-timeout", "error", [8, 0, 1, 0, 7, 0]),
            ("v2.13.0-zero", "error", [8, 0, 0, 0, 8, 0]),
            ("v2.13.0-dryrun", "error", [8, 3, 0, 0, 5, 0]),
            ("v2.13.0-beforesuite-failed", "error", [0; 6]),
        ],
    );
}

#[test]
fn kubernetes_1_20() {
    check(
        "e2e",
        &[
            ("01-smoke", "success", [5667, 15, 0, 0, 5652, 0]),
            ("02-statefulset-basic", "success", [5667, 11, 0, 0, 5656, 0]),
            ("04-provoked-flake", "success", [5667, 9, 0, 0, 5657, 1]),
        ],
    );
    check(
        "ginkgo",
        &[
            ("v1.20.2-apiserver-unreachable", "error", [0; 6]),
            ("v1.20.2-dryrun-statefulset", "error", [5667, 11, 0, 0, 5656, 0]),
        ],
    );
}

/// All but 25 filtered specs were cut from these, `conf-parallel-3` excepted.
#[test]
fn kubernetes_1_34() {
    check(
        "e2e",
        &[
            ("a-pass-parallel", "success", [35, 10, 0, 0, 25, 0]),
            ("a2-pass-serial-v", "success", [30, 5, 0, 0, 25, 0]),
            ("b-spec-failures-parallel", "failure", [35, 6, 4, 0, 25, 0]),
            ("c-flake-attempts-parallel", "success", [30, 3, 0, 0, 25, 2]),
            ("conf-parallel-3", "failure", [7144, 394, 1, 0, 6749, 0]),
            ("conf-serial", "failure", [54, 28, 1, 0, 25, 0]),
            ("conf-two-nodes", "success", [27, 2, 0, 0, 25, 0]),
            ("d-sigint-group", "error", [36, 8, 0, 3, 25, 0]),
            ("f-apiserver-unreachable", "error", [0; 6]),
            ("f3-kubeconfig-missing", "error", [0; 6]),
            ("g-focus-matches-nothing", "error", [25, 0, 0, 0, 25, 0]),
            ("i2-gorunner-fail", "failure", [30, 3, 2, 0, 25, 0]),
            ("i4-init-group-sigint", "error", [37, 9, 0, 3, 25, 0]),
            ("k-dryrun-conformance", "error", [449, 424, 0, 0, 25, 0]),
            ("n-runtime-skips", "success", [29, 2, 0, 0, 27, 0]),
            ("statefulset-basic", "success", [40, 15, 0, 0, 25, 0]),
        ],
    );
}

#[test]
fn flakes_of_version_2_come_from_json_alone() {
    let junit = report(vec![fixture("ginkgo/v2.13.0-only-flake/junit_01.xml")], None);
    assert_eq!(junit.cases(), [8, 1, 0, 0, 7, 0], "JUnit shows a plain pass");
    let both = report_on("ginkgo/v2.13.0-only-flake");
    assert_eq!(both.cases(), [8, 0, 0, 0, 7, 1]);
    assert_eq!(both.description(), "0 passed, 1 flaky");
}

#[test]
fn both_formats_tell_the_same_about_everything_else() {
    for run in ["v2.1.4-mixed", "v2.13.0-mixed", "v2.1.4-interrupt-sigterm", "v2.13.0-timeout", "v2.13.0-beforesuite-failed"] {
        let junit = report(vec![fixture(&format!("ginkgo/{run}/junit_01.xml"))], None);
        let json = report(vec![fixture(&format!("ginkgo/{run}/report.json"))], None);
        assert_eq!(junit.verdict(), json.verdict(), "{run}");
        assert_eq!(junit.cases(), json.cases(), "{run}");
        assert_eq!(junit.description(), json.description(), "{run}");
        assert_eq!(junit.failures(), json.failures(), "{run}");
    }
}

#[test]
fn names_and_messages_are_what_a_reader_looks_for() {
    let said = report_on("ginkgo/v2.13.0-mixed");
    assert!(said.failures().contains(&"[sig-apps] StatefulSet should fail [Conformance]"), "{:?}", said.failures());
    let at = said.failures().iter().position(|name| name.contains("should fail")).unwrap();
    assert!(said.message(at).starts_with("expected 1 to equal 2"), "{}", said.message(at));

    let said = report_on("e2e/f-apiserver-unreachable");
    assert_eq!(said.description(), "API server 127.0.0.1:1 unreachable: connection refused");
    let said = report_on("ginkgo/v1.20.2-apiserver-unreachable");
    assert_eq!(said.description(), "API server 127.0.0.1:1 unreachable: connection refused");
    let said = report_on("ginkgo/v1-beforesuite-failed");
    assert_eq!(said.description(), "BeforeSuite failed: Error waiting for all pods to be running and ready");
}

#[test]
fn an_exit_status_takes_part_in_the_verdict() {
    let pass = vec![fixture("e2e/a-pass-parallel")];
    assert_eq!(report(pass.clone(), Some(0)).status, 0);
    assert_eq!(report(pass.clone(), Some(1)).status, 2);
    let focus = report(pass, Some(197));
    assert!(focus.status == 2 && focus.description().contains("FIt"), "{}", focus.description());
    assert_eq!(report(vec![fixture("ginkgo/v1-zero")], Some(0)).status, 2);
    assert_eq!(report(vec![fixture("ginkgo/v1-mixed")], Some(0)).status, 1);
}
