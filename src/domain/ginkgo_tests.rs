//! Command lines word for word, and exact selection checked against the names of a real suite.

use regex::Regex;

use super::*;

fn ginkgo() -> Ginkgo {
    Ginkgo {
        focus: vec![r"\[Conformance\]".into(), "StatefulSet Basic".into()],
        skip: vec![r"\[Serial\]".into()],
        label_filter: "Conformance && !Serial".into(),
        procs: 4,
        extra_args: vec!["--allowed-not-ready-nodes=-1".into()],
    }
}

fn call<'a>(generation: Generation, ginkgo: &'a Ginkgo, skips: &'a [String], mode: Mode) -> Call<'a> {
    Call { generation, ginkgo, skips, flake_attempts: 2, timeout_s: 7200, mode }
}

const OF_THE_SUITE: [&str; 7] = [
    "/usr/local/bin/e2e.test",
    "--",
    "--provider=skeleton",
    "--kubeconfig=/run/portcullis/kubeconfig",
    "--report-dir=/results",
    "--disable-log-dump",
    "--allowed-not-ready-nodes=-1",
];

#[test]
fn every_pattern_is_one_argument_of_its_own() {
    let (ginkgo, skips) = (ginkgo(), ["should be; odd $(x)".to_owned()]);
    let mut expected = vec![
        "--no-color",
        "-v",
        "--procs=4",
        r"--focus=\[Conformance\]",
        "--focus=StatefulSet Basic",
        r"--skip=\[Serial\]",
        "--skip=should be; odd $(x)",
        "--label-filter=Conformance && !Serial",
        "--flake-attempts=2",
        "--timeout=7200s",
        "--poll-progress-after=120s",
        "--poll-progress-interval=60s",
        "--json-report=report.json",
        "--output-dir=/results",
    ];
    expected.extend(OF_THE_SUITE);
    assert_eq!(arguments(&call(Generation::Two, &ginkgo, &skips, Mode::Run)), expected);
}

#[test]
fn the_first_generation_gets_one_pattern_of_a_kind_in_its_own_words() {
    let (ginkgo, skips) = (ginkgo(), ["odd".to_owned()]);
    let mut expected = vec![
        "--noColor",
        "-v",
        "--nodes=4",
        r"--focus=(?:\[Conformance\])|(?:StatefulSet Basic)",
        r"--skip=(?:\[Serial\])|(?:odd)",
        "--flakeAttempts=2",
        "--timeout=7200s",
    ];
    expected.extend(OF_THE_SUITE);
    assert_eq!(arguments(&call(Generation::One, &ginkgo, &skips, Mode::Run)), expected);
    assert_eq!(Generation::of("v1.24.17"), Generation::One);
    assert_eq!((Generation::of("v1.25.0"), Generation::of("unknown")), (Generation::Two, Generation::Two));
}

#[test]
fn a_list_is_a_serial_dry_run() {
    let ginkgo = ginkgo();
    let argv = arguments(&call(Generation::Two, &ginkgo, &[], Mode::List));
    assert!(argv.contains(&"--dry-run".to_owned()) && argv.contains(&"--procs=1".to_owned()), "{argv:?}");
    assert!(!argv.iter().any(|arg| arg.starts_with("--timeout")), "{argv:?}");
}

#[test]
fn what_is_not_asked_for_is_not_said() {
    let plain = Ginkgo::default();
    let argv = arguments(&Call { flake_attempts: 0, ..call(Generation::Two, &plain, &[], Mode::Run) });
    assert!(!argv.iter().any(|arg| ["--focus", "--skip", "--label-filter"].iter().any(|flag| arg.starts_with(flag))));
    assert!(argv.contains(&"--procs=1".to_owned()) && argv.contains(&"--flake-attempts=1".to_owned()));
}

/// 424 names, as the suite itself lists them.
fn conformance() -> Vec<&'static str> {
    let names = include_str!("../../tests/fixtures/reports/e2e/conformance-specs-v1.34.4.txt");
    names.lines().filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_name_selects_its_spec_and_no_other_in_both_generations() {
    let all = conformance();
    assert_eq!(all.len(), 424);
    for wanted in all.iter().step_by(7) {
        let patterns = exactly([*wanted]);
        let regex = Regex::new(&patterns[0]).unwrap();
        for prefix in ["Kubernetes e2e suite ", "Kubernetes e2e suite [Top Level] "] {
            let hit: Vec<_> = all.iter().filter(|name| regex.is_match(&format!("{prefix}{name}"))).collect();
            assert_eq!(hit, [wanted]);
        }
    }
}

#[test]
fn many_names_are_split_below_the_limit_of_an_argument() {
    let all = conformance();
    let many: Vec<&str> = all.iter().copied().cycle().take(2000).collect();
    let patterns = exactly(many);
    assert!(patterns.len() > 1 && patterns.iter().all(|pattern| pattern.len() < 131_000), "{}", patterns.len());
    let chosen: Vec<Regex> = exactly(all.iter().copied().take(100)).iter().map(|p| Regex::new(p).unwrap()).collect();
    let hits =
        all.iter().filter(|name| chosen.iter().any(|regex| regex.is_match(&format!("Kubernetes e2e suite {name}"))));
    assert_eq!(hits.count(), 100);
    assert!(exactly([]).is_empty());
}

#[test]
fn the_go_runner_is_told_the_same_by_variables() {
    let (ginkgo, skips) = (ginkgo(), ["odd".to_owned()]);
    let all = go_runner(&call(Generation::Two, &ginkgo, &skips, Mode::Run));
    let value = |key: &str| all.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
    assert_eq!(value("E2E_FOCUS"), Some(r"(?:\[Conformance\])|(?:StatefulSet Basic)"));
    assert_eq!(value("E2E_SKIP"), Some(r"(?:\[Serial\])|(?:odd)"));
    let extra = value("E2E_EXTRA_GINKGO_ARGS").unwrap();
    assert!(extra.starts_with("-v;;--procs=4;;--label-filter=Conformance && !Serial;;"), "{extra}");
    assert_eq!(value("E2E_EXTRA_ARGS"), Some("--allowed-not-ready-nodes=-1"));
}
