//! Phases side by side and specs run again: counts, names, and what is not believed.

use super::*;
use crate::domain::attempt::Spec;
use crate::domain::report::{Counts, NamedFailure, Problem, Weight};
use crate::domain::suite::Phase;
use crate::domain::verdict::Verdict;

fn evidence(passed: u64, failed: &[&str], skipped: u64) -> Evidence {
    let bad = failed.len() as u64;
    let counts = Counts { total: passed + bad + skipped, passed, failed: bad, skipped, ..Counts::default() };
    let failures = failed
        .iter()
        .map(|name| NamedFailure { name: (*name).into(), headline: "boom".into(), ..NamedFailure::default() })
        .collect();
    Evidence {
        exit: Exit::Code(i64::from(bad > 0)),
        digest: Digest { counts, failures, files: 1, ..Digest::default() },
        announced: Some(passed + bad),
        took_ms: Some(1000),
    }
}

fn specs(names: &[&str]) -> Part {
    Part::Specs(names.iter().map(|name| Spec { class: String::new(), name: (*name).into() }).collect())
}

fn suite(phases: &[u64]) -> Suite {
    let phase = |(n, min_specs): (usize, &u64)| Phase {
        name: format!("p{n}"),
        focus: vec![],
        skip: vec![],
        label_filter: String::new(),
        procs: None,
        min_specs: *min_specs,
    };
    Suite { phases: phases.iter().enumerate().map(phase).collect(), ..Suite::plain("i") }
}

fn judged(phases: &[(&Part, &Evidence)], reruns: &[(&Part, &Evidence)], suite: &Suite) -> (Verdict, String) {
    let pieces = |all: &[(&Part, &Evidence)]| -> Vec<(Part, Evidence)> {
        all.iter().map(|(part, evidence)| ((*part).clone(), (*evidence).clone())).collect()
    };
    let (phases, reruns) = (pieces(phases), pieces(reruns));
    fn views(all: &[(Part, Evidence)]) -> Vec<Piece<'_>> {
        all.iter().map(|(part, evidence)| Piece { part, evidence }).collect()
    }
    let all = combine(&views(&phases), &views(&reruns), suite).unwrap();
    let judgement = judge(&all, &suite.policy());
    (judgement.verdict, judgement.description)
}

const WHOLE: Part = Part::Phase(0);

#[test]
fn phases_add_up() {
    let (parallel, serial) = (evidence(395, &[], 6749), evidence(28, &["slow"], 7115));
    let suite = Suite { min_specs: 424, ..suite(&[300, 10]) };
    let (verdict, text) = judged(&[(&WHOLE, &parallel), (&Part::Phase(1), &serial)], &[], &suite);
    assert_eq!((verdict, text.as_str()), (Verdict::Failure, "1 of 424 failed: slow: boom"));
    let serial = evidence(29, &[], 7115);
    let (verdict, text) = judged(&[(&WHOLE, &parallel), (&Part::Phase(1), &serial)], &[], &suite);
    assert_eq!((verdict, text.as_str()), (Verdict::Success, "424 passed · 2s"));
}

#[test]
fn an_empty_phase_is_passed_over_only_where_it_may_be_empty() {
    let (some, none) = (evidence(3, &[], 7141), evidence(0, &[], 7144));
    let both = [(&WHOLE, &some), (&Part::Phase(1), &none)];
    assert_eq!(judged(&both, &[], &suite(&[0, 0])).0, Verdict::Success);
    let strict = suite(&[1, 1]);
    assert_eq!(Piece { part: &Part::Phase(1), evidence: &none }.judge(&strict).verdict, Verdict::Error);
    assert!(!Piece { part: &Part::Phase(1), evidence: &none }.is_empty_phase(&strict));
    assert_eq!(judged(&[(&WHOLE, &none), (&Part::Phase(1), &none)], &[], &suite(&[0, 0])).0, Verdict::Error);
}

#[test]
fn what_passes_when_run_again_is_flaky() {
    let (first, again) = (evidence(98, &["a", "b"], 10), evidence(2, &[], 106));
    let (verdict, text) = judged(&[(&WHOLE, &first)], &[(&specs(&["a", "b"]), &again)], &suite(&[]));
    assert_eq!((verdict, text.as_str()), (Verdict::Success, "98 passed, 2 flaky · 2s"));
    let forbidden = Suite { flaky: crate::domain::suite::FlakyPolicy::Fail, ..suite(&[]) };
    assert_eq!(judged(&[(&WHOLE, &first)], &[(&specs(&["a", "b"]), &again)], &forbidden).0, Verdict::Failure);
}

#[test]
fn what_fails_again_failed_and_the_rest_is_flaky() {
    let (first, again) = (evidence(98, &["a", "b"], 10), evidence(1, &["b"], 106));
    let (verdict, text) = judged(&[(&WHOLE, &first)], &[(&specs(&["a", "b"]), &again)], &suite(&[]));
    assert_eq!((verdict, text.as_str()), (Verdict::Failure, "1 of 100 failed: b: boom"));
    let third = evidence(1, &[], 107);
    let rounds = [(&specs(&["a", "b"]), &again), (&specs(&["b"]), &third)];
    assert_eq!(judged(&[(&WHOLE, &first)], &rounds, &suite(&[])).1, "98 passed, 2 flaky · 3s");
}

#[test]
fn of_more_failures_than_are_named_the_counts_are_right() {
    let names: Vec<String> = (0..25).map(|n| format!("spec {n}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let (first, mut again) = (evidence(75, &all, 0), evidence(2, &all[..23], 75));
    again.digest.failures.truncate(NAMED);
    let (whole, part) = (Piece { part: &WHOLE, evidence: &first }, specs(&all));
    let joined = combine(&[whole], &[Piece { part: &part, evidence: &again }], &suite(&[])).unwrap().digest;
    assert_eq!((joined.counts.passed, joined.counts.failed, joined.counts.flaky), (75, 23, 2));
    assert_eq!(joined.flaky, [""; 0], "which of them recovered is not known");
}

#[test]
fn a_whole_suite_run_again_counts_each_spec_once() {
    let (first, again) = (evidence(9, &["a"], 0), evidence(10, &[], 0));
    assert_eq!(judged(&[(&WHOLE, &first)], &[(&specs(&["a"]), &again)], &suite(&[])).1, "9 passed, 1 flaky · 2s");
    let other = evidence(9, &["c"], 0);
    let (verdict, text) = judged(&[(&WHOLE, &first)], &[(&specs(&["a"]), &other)], &suite(&[]));
    assert_eq!((verdict, text.as_str()), (Verdict::Failure, "1 of 10 failed: c: boom"));
}

#[test]
fn a_rerun_that_ran_less_than_it_was_asked_for_changes_nothing() {
    let first = evidence(98, &["a", "b"], 10);
    let mut partial = evidence(1, &[], 107);
    let text = "only 1 of 2 specs that were to run again ran; not `b`";
    partial.digest.problems.push(Problem { weight: Weight::Fatal, text: text.into() });
    let asked = specs(&["a", "b"]);
    let alone = Piece { part: &asked, evidence: &partial }.judge(&suite(&[]));
    assert_eq!((alone.verdict, alone.description.as_str()), (Verdict::Error, text));
    assert_eq!(judged(&[(&WHOLE, &first)], &[(&asked, &partial)], &suite(&[])).0, Verdict::Failure);
    let mut interrupted = evidence(2, &[], 106);
    interrupted.digest.end = SuiteEnd::Interrupted;
    assert_eq!(judged(&[(&WHOLE, &first)], &[(&asked, &interrupted)], &suite(&[])).0, Verdict::Failure);
}
