//! Observations, rates and what they suggest.

use std::time::Duration;

use super::super::case::{Case, CaseId, Fold, Try};
use super::*;

fn case(name: &str, statuses: &[TryStatus], message: Option<&str>) -> Case {
    let tries = |status: &TryStatus| Try {
        status: *status,
        lane: 1,
        took: Some(Duration::from_secs(1)),
        message: message.map(str::to_owned),
    };
    let mut fold = Fold::of(statuses[0], 1);
    statuses[1..].iter().for_each(|status| fold.add(*status, 1));
    let id = CaseId { suite: "s".into(), class: "c".into(), name: name.into() };
    Case { id, tries: statuses.iter().map(tries).collect(), fold }
}

fn history(days: &[(i64, u64, u64, u64)]) -> SpecHistory {
    let day = |&(day, passed, flaky, failed): &(i64, u64, u64, u64)| Day {
        day,
        tally: Tally { passed, flaky, failed, flips: 0 },
    };
    SpecHistory {
        repo: "acme/infra".parse().unwrap(),
        suite: "smoke".parse().unwrap(),
        class: String::new(),
        name: "dns".into(),
        seen_at: Timestamp::UNIX_EPOCH,
        bad_at: Some(Timestamp::UNIX_EPOCH),
        clean: 0,
        base_failing: 0,
        failed_in: vec![],
        days: days.iter().map(day).collect(),
    }
}

#[test]
fn only_what_a_spec_did_on_its_own_account_is_observed() {
    use TryStatus::{Failed, Interrupted, Passed, Skipped};
    let gone = "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?";
    let report = Report {
        cases: vec![
            case("z passes", &[Passed], None),
            case("flakes", &[Failed, Passed], Some("x")),
            case("fails", &[Failed, Failed], Some("expected 1 to equal 2")),
            case("was running", &[Interrupted], None),
            case("lost its cluster", &[Failed], Some(gone)),
            case("skipped", &[Skipped], None),
        ],
        ..Report::default()
    };
    let seen = observations(&report, Reason::CasesFailed);
    let names: Vec<_> = seen.iter().map(|seen| (seen.name.as_str(), seen.mark)).collect();
    assert_eq!(names, [("fails", Mark::Failed), ("flakes", Mark::Flaky), ("z passes", Mark::Passed)]);
    for reason in [Reason::Infrastructure, Reason::Cancelled, Reason::OutOfMemory, Reason::SuiteNodeFailed] {
        assert!(observations(&report, reason).is_empty(), "{reason:?}");
    }
}

#[test]
fn wilsons_interval_is_wide_with_few_observations_and_stays_within_bounds() {
    let near = |a: f64, b: f64| (a - b).abs() < 0.001;
    let rate = wilson(1, 10);
    assert!(near(rate.low, 0.0179) && near(rate.high, 0.4042), "{rate:?}");
    let rate = wilson(50, 100);
    assert!(near(rate.low, 0.4038) && near(rate.high, 0.5962), "{rate:?}");
    for total in [1, 2, 10, 1000, u64::MAX] {
        for hits in [0, 1, total] {
            let Rate { share, low, high } = wilson(hits, total);
            assert!((0.0..=1.0).contains(&low) && low <= share && share <= high && high <= 1.0, "{hits}/{total}");
        }
    }
    assert_eq!(wilson(0, 0), Rate { share: 0.0, low: 0.0, high: 1.0 });
}

#[test]
fn a_rate_needs_ten_observations() {
    assert_eq!(history(&[(10, 8, 1, 0)]).tally(0, 20).flake_rate(), None);
    assert!(history(&[(10, 8, 1, 1)]).tally(0, 20).flake_rate().is_some());
}

#[test]
fn health_looks_at_two_weeks_and_at_the_branch() {
    let today = 100;
    assert_eq!(history(&[(today, 90, 1, 5)]).health(today), Health::Healthy, "one flake is none");
    assert_eq!(history(&[(today, 90, 2, 0)]).health(today), Health::Flaky);
    assert_eq!(history(&[(today, 900, 2, 0)]).health(today), Health::Healthy, "rare enough");
    assert_eq!(history(&[(today - 14, 10, 5, 0)]).health(today), Health::Healthy, "long ago");
    let broken = SpecHistory { base_failing: 3, ..history(&[(today, 5, 2, 3)]) };
    assert_eq!((broken.health(today), broken.advice(today)), (Health::Broken, None));
}

#[test]
fn trends_compare_two_weeks_with_the_two_before() {
    let today = 100;
    assert_eq!(history(&[(80, 100, 0, 0), (95, 90, 10, 0)]).trend(today), Trend::Rising);
    assert_eq!(history(&[(80, 90, 5, 5), (95, 100, 0, 0)]).trend(today), Trend::Falling);
    assert_eq!(history(&[(80, 90, 5, 5), (95, 90, 5, 5)]).trend(today), Trend::Steady);
}

#[test]
fn advice_is_to_quarantine_what_flakes_and_to_lift_what_recovered() {
    let flaky = history(&[(100, 90, 5, 0)]);
    assert_eq!(flaky.advice(100), Some(Advice::Quarantine));
    assert_eq!(SpecHistory { clean: 10, ..flaky.clone() }.advice(100), Some(Advice::Lift));
    assert_eq!(SpecHistory { clean: 10, bad_at: None, ..history(&[]) }.advice(100), None);
}

#[test]
fn what_is_known_takes_blame_off_a_change() {
    let today = 100;
    let healthy = history(&[(today, 100, 0, 1)]);
    assert_eq!(healthy.known(Some(7), today), None);
    let on_base = SpecHistory { base_failing: 1, ..history(&[(today, 90, 9, 1)]) };
    assert_eq!(on_base.known(Some(7), today), Some(Known::FailsOnBase));
    assert_eq!(history(&[(today, 90, 10, 0)]).known(Some(7), today), Some(Known::Flake { percent: 10 }));
    let failed = |pr, day| FailedIn { pr, day };
    let elsewhere =
        SpecHistory { failed_in: vec![failed(7, 100), failed(8, 99), failed(9, 94), failed(10, 93)], ..healthy };
    assert_eq!(elsewhere.known(Some(7), today), Some(Known::FailsElsewhere { pull_requests: 2 }));
    assert_eq!(elsewhere.known(Some(8), 107), None, "long ago");
    assert_eq!(Known::FailsElsewhere { pull_requests: 2 }.text(), "also failed in 2 other pull requests this week");
}
