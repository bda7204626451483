//! The rule book of verdicts, rule by rule.

use super::super::cause::Cause;
use super::super::report::{Counts, Problem};
use super::*;

/// Evidence of a suite in which `passed` cases passed.
fn green(passed: u64) -> Evidence {
    let counts = Counts { total: passed, passed, ..Counts::default() };
    Evidence { exit: Exit::Code(0), digest: Digest { counts, files: 1, ..Digest::default() }, ..Evidence::default() }
}

/// Evidence of a suite in which `failed` of `total` cases failed.
fn red(failed: u64, total: u64) -> Evidence {
    let mut evidence = green(total - failed);
    evidence.exit = Exit::Code(1);
    evidence.digest.counts.total = total;
    evidence.digest.counts.failed = failed;
    evidence.digest.failures = (0..failed)
        .map(|n| NamedFailure {
            name: format!("spec {n}"),
            headline: "expected 1 to equal 2".into(),
            ..NamedFailure::default()
        })
        .collect();
    evidence
}

fn judged(evidence: &Evidence) -> (Verdict, Reason, String) {
    let judgement = judge(evidence, &Policy::default());
    (judgement.verdict, judgement.reason, judgement.description)
}

#[track_caller]
fn expect(evidence: &Evidence, verdict: Verdict, reason: Reason, description: &str) {
    assert_eq!(judged(evidence), (verdict, reason, description.to_owned()));
}

#[test]
fn green_cases_and_a_clean_exit_pass() {
    let mut evidence = green(311);
    evidence.took_ms = Some(5_040_000);
    expect(&evidence, Verdict::Success, Reason::Passed, "311 passed · 1h24m");
    evidence.digest.counts.flaky = 1;
    evidence.digest.counts.total += 1;
    expect(&evidence, Verdict::Success, Reason::Passed, "311 passed, 1 flaky · 1h24m");
    evidence.exit = Exit::Unknown;
    assert_eq!(judged(&evidence).0, Verdict::Success);
}

#[test]
fn failed_cases_fail_whatever_the_exit_status() {
    expect(&red(2, 311), Verdict::Failure, Reason::CasesFailed, "2 of 311 failed: spec 0: expected 1 to equal 2");
    let mut evidence = red(1, 3);
    evidence.exit = Exit::Code(0);
    assert_eq!(judged(&evidence).0, Verdict::Failure);
    evidence.exit = Exit::OutOfMemory;
    expect(
        &evidence,
        Verdict::Failure,
        Reason::CasesFailed,
        "1 of 3 failed, then out of memory: spec 0: expected 1 to equal 2",
    );
}

#[test]
fn nothing_that_ran_is_an_error_even_after_a_clean_exit() {
    expect(&green(0), Verdict::Error, Reason::NothingRan, "no spec ran");
    let mut evidence = green(0);
    evidence.digest.counts = Counts { total: 7144, skipped: 7144, ..Counts::default() };
    expect(&evidence, Verdict::Error, Reason::NothingRan, "no spec ran, 7144 skipped");
    let mut dry = green(424);
    dry.digest.dry_run = true;
    expect(&dry, Verdict::Error, Reason::NothingRan, "no spec ran: a dry run that lists 424 specs");
}

#[test]
fn a_missing_report_is_an_error() {
    let mut evidence = Evidence::default();
    expect(&evidence, Verdict::Error, Reason::ReportsUnusable, "no result file found");
    evidence.exit = Exit::Code(0);
    expect(&evidence, Verdict::Error, Reason::ReportsUnusable, "exited with status 0 without a result file");
    evidence.exit = Exit::Code(137);
    expect(
        &evidence,
        Verdict::Error,
        Reason::ReportsUnusable,
        "killed (exit status 137, out of memory or stopped) without a result file",
    );
}

#[test]
fn an_exit_status_that_contradicts_green_cases_is_an_error() {
    let mut evidence = green(10);
    evidence.exit = Exit::Code(1);
    expect(&evidence, Verdict::Error, Reason::ExitContradicts, "exited with status 1 although none of 10 specs failed");
    evidence.exit = Exit::Code(197);
    assert_eq!(judged(&evidence).1, Reason::ProgrammaticFocus);
}

#[test]
fn a_failed_before_suite_is_an_error_with_its_message() {
    let mut evidence = green(0);
    evidence.exit = Exit::Code(1);
    evidence.digest.events.push(SuiteEvent {
        node: "BeforeSuite".into(),
        message: "/src/e2e.go:76\nError waiting for all pods to be running and ready\n/src/e2e.go:76".into(),
    });
    expect(
        &evidence,
        Verdict::Error,
        Reason::SuiteNodeFailed,
        "BeforeSuite failed: Error waiting for all pods to be running and ready",
    );
}

#[test]
fn an_unreachable_api_server_is_infrastructure() {
    let mut before = green(0);
    let message = r#"Get "https://127.0.0.1:1/api/v1/nodes?x=1": dial tcp 127.0.0.1:1: connect: connection refused"#;
    before.digest.events.push(SuiteEvent { node: "[SynchronizedBeforeSuite]".into(), message: message.into() });
    let text = "API server 127.0.0.1:1 unreachable: connection refused";
    expect(&before, Verdict::Error, Reason::Infrastructure, text);

    expect(
        &taken(7, 7, Cause::ApiUnreachable, "API server a:1 unreachable: EOF"),
        Verdict::Error,
        Reason::Infrastructure,
        "API server a:1 unreachable: EOF, 7 specs failed by it",
    );
}

/// Of 20 specs `failed` failed, `by` of them by this cause.
fn taken(failed: u64, by: u64, cause: Cause, said: &str) -> Evidence {
    let mut evidence = red(failed, 20);
    evidence.digest.behind.causes = vec![Taken { cause, specs: by, said: said.into() }];
    for failure in &mut evidence.digest.failures[usize::try_from(failed - by).unwrap()..] {
        failure.cause = Some(cause);
    }
    evidence
}

#[test]
fn one_cause_is_told_as_one_with_the_specs_it_took_along() {
    let node = "node b was not ready";
    expect(
        &taken(7, 7, Cause::NodesNotReady, node),
        Verdict::Error,
        Reason::Infrastructure,
        "node b was not ready, 7 specs failed by it",
    );
    expect(
        &taken(7, 6, Cause::NodesNotReady, node),
        Verdict::Failure,
        Reason::CasesFailed,
        "7 of 20 failed, 6 by one cause: node b was not ready; spec 0: expected 1 to equal 2",
    );
    // One spec alone may have broken the node itself; only a gone API server explains a single failure.
    assert_eq!(judged(&taken(1, 1, Cause::NodesNotReady, node)).0, Verdict::Failure);
    assert_eq!(judged(&taken(1, 1, Cause::ApiUnreachable, "API server gone")).0, Verdict::Error);
    expect(
        &taken(5, 5, Cause::ImageMissing, "image app:9 cannot be pulled"),
        Verdict::Failure,
        Reason::CasesFailed,
        "5 of 20 failed by one cause: image app:9 cannot be pulled",
    );
}

#[test]
fn what_is_known_of_failed_specs_is_said_in_the_status() {
    let mut evidence = red(2, 20);
    evidence.digest.failures[0].known = Some(Known::Flake { percent: 7 });
    let text = "2 of 20 failed (1 known flake): spec 0: expected 1 to equal 2";
    expect(&evidence, Verdict::Failure, Reason::CasesFailed, text);
    evidence.digest.failures[1].known = Some(Known::FailsOnBase);
    assert!(judged(&evidence).2.contains("(1 known flake, 1 fails on base)"));
    evidence.digest.failures[0].known = Some(Known::FailsOnBase);
    assert!(judged(&evidence).2.starts_with("2 of 20 failed (fails on base): spec 0"));
}

#[test]
fn ends_are_told_apart() {
    for (exit, reason, text) in [
        (Exit::OutOfMemory, Reason::OutOfMemory, "out of memory after 83 specs"),
        (Exit::Stopped(StopReason::TimedOut), Reason::TimedOut, "timed out after 83 specs"),
        (Exit::Stopped(StopReason::Stalled), Reason::Stalled, "stalled without output after 83 specs"),
        (
            Exit::Stopped(StopReason::OutOfMemory),
            Reason::OutOfMemory,
            "out of memory: a process was killed and the suite hung after 83 specs",
        ),
        (
            Exit::Stopped(StopReason::DiskFull),
            Reason::DiskFull,
            "stopped for writing too much to its disk after 83 specs",
        ),
        (Exit::Stopped(StopReason::Cancelled), Reason::Cancelled, "cancelled after 83 specs"),
        (Exit::Stopped(StopReason::ClusterLost), Reason::Infrastructure, "the cluster was lost after 83 specs"),
        (Exit::Lost, Reason::Infrastructure, "the suite's container was taken away after 83 specs"),
        (Exit::NotStarted("image x cannot be pulled".into()), Reason::Infrastructure, "image x cannot be pulled"),
    ] {
        let mut evidence = green(83);
        evidence.exit = exit;
        expect(&evidence, Verdict::Error, reason, text);
    }
}

#[test]
fn a_cancelled_suite_is_an_error_whatever_failed() {
    let mut evidence = red(2, 80);
    evidence.exit = Exit::Stopped(StopReason::Cancelled);
    expect(&evidence, Verdict::Error, Reason::Cancelled, "cancelled after 80 specs, 2 failed");
}

#[test]
fn interrupted_specs_are_no_failures_and_no_pass() {
    let mut evidence = red(3, 11);
    evidence.digest.behind.suite_end = 3;
    evidence.digest.end = SuiteEnd::Interrupted;
    expect(&evidence, Verdict::Error, Reason::Cancelled, "interrupted after 8 specs, during: spec 0");
    evidence.digest.end = SuiteEnd::TimedOut;
    expect(&evidence, Verdict::Error, Reason::TimedOut, "timed out after 8 specs, during: spec 0");
    evidence.digest.behind.suite_end = 2;
    assert_eq!(judged(&evidence).0, Verdict::Failure, "one of them failed before the end");
}

#[test]
fn broken_reports_are_never_green() {
    let mut evidence = green(10);
    evidence.digest.problems.push(Problem { weight: Weight::Note, text: "odd".into() });
    assert_eq!(judged(&evidence).0, Verdict::Success);
    evidence.digest.problems.push(Problem { weight: Weight::Doubt, text: "two cases are missing".into() });
    assert_eq!(judged(&evidence).0, Verdict::Success, "the clean exit speaks for it");
    evidence.exit = Exit::Unknown;
    expect(&evidence, Verdict::Error, Reason::ReportsUnusable, "two cases are missing");
    evidence.exit = Exit::Code(0);
    evidence.digest.problems.push(Problem { weight: Weight::Fatal, text: "a.xml: cut short".into() });
    expect(&evidence, Verdict::Error, Reason::ReportsUnusable, "a.xml: cut short");
    let mut failed = red(1, 2);
    failed.digest.problems = evidence.digest.problems.clone();
    assert_eq!(judged(&failed).0, Verdict::Failure, "what failed has failed");
}

#[test]
fn policies_are_kept() {
    let policy = Policy { min_specs: 200, flaky: FlakyPolicy::Fail };
    let mut evidence = green(199);
    let judgement = judge(&evidence, &policy);
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Error, Reason::TooFewRan));
    assert_eq!(judgement.description, "only 199 specs ran, at least 200 are required");
    evidence.digest.counts = Counts { total: 201, passed: 200, flaky: 1, ..Counts::default() };
    evidence.digest.flaky = vec!["dns".into()];
    let judgement = judge(&evidence, &policy);
    assert_eq!((judgement.verdict, judgement.reason), (Verdict::Failure, Reason::FlakyForbidden));
    assert!(judgement.description.ends_with("dns"), "{}", judgement.description);
}

#[test]
fn announced_specs_must_have_run() {
    let mut evidence = green(8);
    evidence.announced = Some(10);
    expect(&evidence, Verdict::Error, Reason::TooFewRan, "only 8 of 10 announced specs ran");
    evidence.digest.skipped_running = 2;
    assert_eq!(judged(&evidence).0, Verdict::Success);
}

#[test]
fn descriptions_fit_a_status() {
    let mut evidence = red(1, 2);
    evidence.digest.failures[0].name = "[sig-storage] ßpec ".repeat(40);
    let text = judged(&evidence).2;
    assert!(text.chars().count() <= MAX_DESCRIPTION && text.ends_with('…'), "{text}");
}

#[test]
fn an_error_is_the_first_problem() {
    let mut evidence = green(10);
    evidence.exit = Exit::Code(3);
    evidence.digest.problems.push(Problem { weight: Weight::Note, text: "odd".into() });
    let problems = judge(&evidence, &Policy::default()).problems;
    assert_eq!(problems, ["exited with status 3 although none of 10 specs failed", "odd"]);
}

#[test]
fn what_fails_under_quarantine_decides_nothing() {
    let mut evidence = green(10);
    (evidence.exit, evidence.announced) = (Exit::Code(1), Some(12));
    evidence.digest.quarantined_count = 2;
    let (verdict, _, text) = judged(&evidence);
    assert_eq!((verdict, text.as_str()), (Verdict::Success, "10 passed, 2 failed in quarantine"));
    evidence.exit = Exit::Code(139);
    assert_eq!(judged(&evidence).0, Verdict::Error, "a crash is no failed spec");
}

#[test]
fn evidence_survives_being_stored() {
    let mut evidence = red(1, 2);
    evidence.exit = Exit::Stopped(StopReason::Stalled);
    let stored = serde_json::to_string(&evidence).unwrap();
    assert_eq!(serde_json::from_str::<Evidence>(&stored).unwrap(), evidence);
    assert_eq!(serde_json::from_str::<Evidence>("{}").unwrap(), Evidence::default());
}
