//! Counting, digests, and attempts that follow each other.

use super::super::case::{Fold, Try};
use super::*;

fn case(name: &str, statuses: &[TryStatus], message: &str) -> Case {
    let tries: Vec<Try> = statuses
        .iter()
        .map(|&status| Try { status, lane: 0, took: None, message: status.is_bad().then(|| message.to_owned()) })
        .collect();
    let mut fold = Fold::of(statuses[0], 0);
    statuses[1..].iter().for_each(|&status| fold.add(status, 0));
    Case { id: CaseId { suite: "s".into(), class: String::new(), name: name.into() }, tries, fold }
}

fn report(cases: Vec<Case>) -> Report {
    Report { cases, files: 1, ..Report::default() }
}

#[test]
fn counts_are_disjoint_and_add_up() {
    use TryStatus::{Errored, Failed, Passed, Skipped};
    let mut report = report(vec![
        case("a", &[Passed], ""),
        case("b", &[Failed, Passed], "x"),
        case("c", &[Failed], "x"),
        case("d", &[Errored], "x"),
        case("e", &[Skipped], ""),
    ]);
    report.unlisted = Counts { total: 7, skipped: 7, ..Counts::default() };
    let counts = report.counts();
    assert_eq!(counts, Counts { total: 12, passed: 1, failed: 1, errored: 1, skipped: 8, flaky: 1 });
    assert_eq!(counts.ran(), 4);
    assert_eq!(counts.bad(), 2);
}

#[test]
fn a_digest_names_failures_with_their_telling_line() {
    let digest = report(vec![case("c", &[TryStatus::Failed], "/a/b.go:3\nexpected 1\n/a/b.go:3")]).digest();
    assert_eq!(
        digest.failures,
        [NamedFailure { name: "c".into(), headline: "expected 1".into(), ..NamedFailure::default() }]
    );
    assert_eq!(digest.behind, Behind::default());
}

#[test]
fn a_digest_tells_what_the_end_of_the_suite_broke() {
    let mut report = report(vec![
        case("a", &[TryStatus::Interrupted], "Interrupted by User"),
        case("b", &[TryStatus::TimedOut], "A suite timeout occurred"),
        case("c", &[TryStatus::Failed], "The connection to the server x:6443 was refused"),
    ]);
    report.end = SuiteEnd::TimedOut;
    let behind = report.digest().behind;
    let causes: Vec<_> = behind.causes.iter().map(|taken| (taken.cause, taken.specs)).collect();
    assert_eq!((behind.suite_end, causes), (2, vec![(Cause::ApiUnreachable, 1)]));
}

#[test]
fn a_digest_survives_being_stored() {
    let mut report = report(vec![case("c", &[TryStatus::Failed], "boom")]);
    report.doubt(Weight::Doubt, "odd");
    let digest = report.digest();
    let stored = serde_json::to_string(&digest).unwrap();
    assert_eq!(serde_json::from_str::<Digest>(&stored).unwrap(), digest);
    assert_eq!(serde_json::from_str::<Digest>("{}").unwrap(), Digest::default());
}

#[test]
fn a_rerun_of_the_failed_cases_makes_them_flaky_and_keeps_the_rest() {
    let mut first = report(vec![
        case("a", &[TryStatus::Passed], ""),
        case("b", &[TryStatus::Failed], "x"),
        case("c", &[TryStatus::Failed], "x"),
    ]);
    first.unlisted = Counts { total: 10, skipped: 10, ..Counts::default() };
    let mut again = report(vec![case("b", &[TryStatus::Passed], ""), case("c", &[TryStatus::Failed], "y")]);
    again.unlisted = Counts { total: 11, skipped: 11, ..Counts::default() };

    let both = first.followed_by(again);

    let counts = both.counts();
    assert_eq!(counts, Counts { total: 13, passed: 1, failed: 1, errored: 0, skipped: 10, flaky: 1 });
    assert_eq!(both.cases[1].tries.len(), 2);
    assert_eq!(both.cases[2].message(), Some("y"));
}
