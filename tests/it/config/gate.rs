//! Gate files that are right: what they mean.

use portcullis::config::skips_path;
use portcullis::domain::gate::{Checkout, Gate};
use portcullis::domain::names::SuiteName;
use portcullis::domain::suite::{Entry, FlakyPolicy, Ginkgo, Suite};

use super::{LIST, gate, gate_with};

fn suite<'g>(gate: &'g Gate, name: &str) -> &'g Suite {
    &gate.suites[&name.parse::<SuiteName>().unwrap()]
}

fn ginkgo(suite: &Suite) -> &Ginkgo {
    match &suite.entry {
        Entry::Ginkgo(ginkgo) | Entry::GoRunner(ginkgo) => ginkgo,
        Entry::Command(command) => panic!("a command: {command:?}"),
    }
}

#[test]
fn the_shortest_gate_has_every_default() {
    let gate = gate("suites: {smoke: }").unwrap();
    assert_eq!(gate.label, "ready-to-test");
    assert_eq!(gate.checkout, Checkout::Merge);
    assert_eq!((gate.cluster.nodes, gate.cluster.ready_timeout_s, gate.cluster_retries), (1, 300, 1));
    assert_eq!((gate.cluster.image, gate.setup_timeout_s, gate.upgrade), (None, 600, false));
    assert!(gate.setup.is_empty() && gate.skips.is_empty() && gate.cluster.server_args.is_empty());
    let smoke = &gate.suites[0];
    assert_eq!(smoke.entry, Entry::Command(vec!["portcullis-suite".into(), "smoke".into()]));
    assert_eq!(smoke.image, format!("portcullis/suite:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!((smoke.timeouts.suite_s, smoke.min_specs, smoke.required, smoke.flake_attempts), (600, 1, true, 1));
}

#[test]
fn suites_keep_the_order_of_the_file() {
    let gate = gate("cluster: {nodes: 2}\nsuites:\n  statefulset:\n  smoke:\n  conformance: {}\n").unwrap();
    let names: Vec<_> = gate.suites.keys().map(SuiteName::as_str).collect();
    assert_eq!(names, ["statefulset", "smoke", "conformance"]);
}

#[test]
fn a_built_in_suite_is_changed_key_by_key() {
    let text = "cluster: {nodes: 2}\nsuites: {conformance: {procs: 2, timeout: 90m, flake_attempts: 2, required: false, flaky: fail}}";
    let gate = gate(text).unwrap();
    let changed = suite(&gate, "conformance");
    assert_eq!(ginkgo(changed).procs, 2);
    assert_eq!(ginkgo(changed).focus, [r"\[Conformance\]"], "kept");
    assert_eq!(
        changed.phases.iter().map(|phase| phase.name.as_str()).collect::<Vec<_>>(),
        ["parallel", "serial"],
        "kept"
    );
    assert_eq!((changed.ginkgo(0).unwrap().procs, changed.ginkgo(1).unwrap().procs), (2, 1));
    assert_eq!((changed.min_specs, changed.rerun.rounds), (300, 1), "kept");
    assert_eq!(changed.image, "registry.k8s.io/conformance:{version}", "kept");
    assert_eq!((changed.timeouts.suite_s, changed.flake_attempts, changed.required), (5400, 2, false));
    assert_eq!(changed.flaky, FlakyPolicy::Fail);
}

#[test]
fn an_empty_list_takes_the_built_in_patterns_away() {
    let gate = gate("suites: {conformance: {focus: [], skip: [], label_filter: 'Conformance && !Serial'}}").unwrap();
    let ginkgo = ginkgo(suite(&gate, "conformance"));
    assert!(ginkgo.focus.is_empty() && ginkgo.skip.is_empty());
    assert_eq!(ginkgo.label_filter, "Conformance && !Serial");
}

#[test]
fn a_suite_may_start_from_another_or_from_nothing() {
    let text = r"
suites:
  serial: {uses: conformance, focus: ['\[Serial\]'], skip: [], procs: 1}
  mine:
    image: ghcr.io/acme/e2e:1
    command: [run, --all]
    focus: [ingress, 'dns$']
    env: {MODE: full, LEVEL: 3}
    resources: {memory: 1Gi, cpu: 500m, pids: 100, disk: 100M, log: 1Mi}
  upstream: {image: ghcr.io/acme/e2e.test:2, entry: ginkgo, focus: ['\[Acme\]']}
";
    let gate = gate(text).unwrap();
    assert_eq!(ginkgo(suite(&gate, "serial")).procs, 1);
    assert_eq!(suite(&gate, "serial").limits.memory_bytes, 4 << 30, "the built-in's");
    assert_eq!(ginkgo(suite(&gate, "upstream")).focus, [r"\[Acme\]"]);
    let mine = suite(&gate, "mine");
    assert_eq!(mine.entry, Entry::Command(vec!["run".into(), "--all".into()]));
    assert_eq!((mine.env["MODE"].as_str(), mine.env["LEVEL"].as_str()), ("full", "3"));
    assert_eq!(mine.env["PORTCULLIS_FOCUS"], "ingress\ndns$");
    assert_eq!((mine.limits.memory_bytes, mine.limits.cpu_millis, mine.limits.pids), (1 << 30, 500, 100));
    assert_eq!((mine.limits.disk_bytes, mine.limits.log_bytes), (100_000_000, 1 << 20));
}

#[test]
fn anchors_spare_repetition() {
    let text = "suites:\n  smoke: &quick {timeout: 3m}\n  custom: *quick\n";
    assert_eq!(suite(&gate(text).unwrap(), "custom").timeouts.suite_s, 180);
}

#[test]
fn the_skip_list_is_found_in_either_place() {
    let inline =
        "suites: {smoke: }\nskips:\n- {match: Service, reason: r, owner: o, expires: 2027-02-19, suites: [smoke]}\n";
    assert_eq!(skips_path(inline), None);
    let entry = gate(inline).unwrap().skips.remove(0);
    assert_eq!((entry.pattern.as_str(), entry.expires.to_string().as_str()), ("Service", "2027-02-19"));
    assert_eq!(entry.suites, ["smoke".parse().unwrap()]);

    let named = format!("suites: {{smoke: }}\nskips: ./{LIST}\n");
    assert_eq!(skips_path(&named).as_deref(), Some(LIST));
    let list = "entries:\n- {match: DNS, reason: r, owner: o, issue: 'https://x/1', expires: 2025-01-01}\n";
    let entry = gate_with(&named, Some(list)).unwrap().skips.remove(0);
    assert_eq!(entry.issue.as_deref(), Some("https://x/1"));
    assert_eq!(
        entry.expires.to_string(),
        "2025-01-01",
        "an ended entry is kept: whether it applies is decided by the day of the run"
    );
}

#[test]
fn no_path_is_taken_from_a_file_that_cannot_be_read() {
    for text in ["suites: {smoke: }\nskips: ../secrets\n", "skips: a.yaml\n", "{", "suites: {smoke: }"] {
        assert_eq!(skips_path(text), None, "{text}");
    }
}

#[test]
fn set_up_is_a_list_of_steps() {
    let text = "suites: {smoke: }\nupgrade: {from: base}\nsetup_timeout: 20m\nsetup:\n- {name: crds, apply: [deploy/crds]}\n- {name: rest, apply: [./deploy/app/, chart.yaml]}\n";
    let gate = gate(text).unwrap();
    assert_eq!((gate.upgrade, gate.setup_timeout_s), (true, 1200));
    assert_eq!(gate.setup[1].apply, ["deploy/app", "chart.yaml"]);
}

#[test]
fn rules_about_people_and_files_are_read() {
    use portcullis::domain::rules::{Commenters, OnBaseMove, Rules};
    let text = "announce: false\non_base_move: rerun_before_merge\nteams: {run: [Acme/Platform], override: [acme/keepers]}\n\
        commands: {from: anyone, reruns: 2, cool_down: 5m}\nsuites:\n  smoke: {paths: ['deploy/**'], paths_ignore: ['*.md']}\n";
    let gate = super::gate_with(text, None).unwrap();
    let teams = |name: &str| vec![name.parse().unwrap()];
    assert_eq!(
        gate.rules,
        Rules {
            announce: false,
            on_base_move: OnBaseMove::RerunBeforeMerge,
            run_teams: teams("acme/platform"),
            override_teams: teams("acme/keepers"),
            commenters: Commenters::Anyone,
            reruns: 2,
            cool_down_s: 300,
        }
    );
    assert_eq!((gate.suites[0].paths.only.len(), gate.suites[0].paths.ignore.len()), (1, 1));
    for (wrong, word) in [
        ("teams: {run: [platform]}\n", "org/team"),
        ("commands: {reruns: 0}\n", "reruns"),
        ("on_base_move: sometimes\n", "sometimes"),
    ] {
        let problems = super::gate_with(&format!("{wrong}suites:\n  smoke:\n"), None).unwrap_err();
        assert!(problems.contains(word), "{problems}");
    }
    assert!(super::gate_with("suites:\n  smoke: {paths: ['a[']}\n", None).unwrap_err().contains("no glob"));
}
