//! Folding tries into an outcome.

use super::TryStatus::{Errored, Failed, Interrupted, Passed, Skipped, TimedOut};
use super::*;

fn one_lane(statuses: &[TryStatus]) -> CaseOutcome {
    lanes(&statuses.iter().map(|&s| (s, 0)).collect::<Vec<_>>())
}

fn lanes(tries: &[(TryStatus, u32)]) -> CaseOutcome {
    let tries: Vec<Try> = tries.iter().map(|&(status, lane)| Try { status, lane, took: None, message: None }).collect();
    fold(&tries)
}

#[test]
fn tries_of_one_lane_are_retries() {
    for (tries, expected) in [
        (&[Passed][..], CaseOutcome::Passed),
        (&[Passed, Passed], CaseOutcome::Passed),
        (&[Failed, Passed], CaseOutcome::Flaky),
        (&[Errored, Failed, Passed], CaseOutcome::Flaky),
        (&[Failed, Failed], CaseOutcome::Failed),
        (&[Passed, Failed], CaseOutcome::Failed),
        (&[Failed, Passed, Failed], CaseOutcome::Failed),
        (&[Failed, Errored], CaseOutcome::Errored),
        (&[Errored, Failed], CaseOutcome::Errored),
        (&[Failed, Skipped], CaseOutcome::Failed),
        (&[Skipped, Passed], CaseOutcome::Passed),
        (&[Passed, Skipped], CaseOutcome::Passed),
        (&[Skipped, Skipped], CaseOutcome::Skipped),
        (&[TimedOut], CaseOutcome::Failed),
        (&[Interrupted], CaseOutcome::Errored),
        (&[], CaseOutcome::Skipped),
    ] {
        assert_eq!(one_lane(tries), expected, "{tries:?}");
    }
}

#[test]
fn a_pass_in_another_lane_excuses_nothing() {
    assert_eq!(lanes(&[(Failed, 0), (Passed, 1)]), CaseOutcome::Failed);
    assert_eq!(lanes(&[(Passed, 0), (Failed, 1)]), CaseOutcome::Failed);
    assert_eq!(lanes(&[(Failed, 0), (Passed, 0), (Passed, 1)]), CaseOutcome::Flaky);
    assert_eq!(lanes(&[(Skipped, 0), (Passed, 1)]), CaseOutcome::Passed);
    assert_eq!(lanes(&[(Failed, 0), (Errored, 1), (Passed, 2)]), CaseOutcome::Errored);
}

#[test]
fn a_later_attempt_replaces_an_earlier_one() {
    let of = |status| Fold::of(status, 0);
    assert_eq!(of(Failed).followed_by(of(Passed)).outcome(), CaseOutcome::Flaky);
    assert_eq!(of(Failed).followed_by(of(Failed)).outcome(), CaseOutcome::Failed);
    assert_eq!(of(Passed).followed_by(of(Skipped)).outcome(), CaseOutcome::Passed);
    assert_eq!(of(Skipped).followed_by(of(Passed)).outcome(), CaseOutcome::Passed);
    assert_eq!(of(Passed).followed_by(of(Failed)).outcome(), CaseOutcome::Failed);
}
