//! How reliable a spec is: what counts as an observation, rates with their uncertainty, and what they suggest.
//! Pure: the store keeps counts per day, everything said of them is computed here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::case::{CaseOutcome, TryStatus};
use super::cause::cause_of;
use super::names::{RepoName, SuiteName};
use super::report::Report;
use super::text::counted;
use super::verdict::Reason;

/// Observations taken of one attempt, bad ones first: the transaction that fixes it must stay short.
const MOST_OBSERVED: usize = 10_000;
/// Fewer observations than this give no rate.
const FEWEST: u64 = 10;
/// Days that a spec's health is judged by, and that its trend compares with as many before.
const RECENT_DAYS: i64 = 14;
/// Days in which another pull request's failure still says something.
const ELSEWHERE_DAYS: i64 = 7;
/// A spec is flaky from this many flakes and this rate on.
const FLAKES: u64 = 2;
const FLAKE_RATE: f64 = 0.02;
/// Failures in a row on a branch that make a spec broken.
const BROKEN: u64 = 3;
/// Passes at the first try in a row after which a quarantine can be lifted.
const CLEAN: u64 = 10;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// How a spec came out of one passage over the same code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// At the first try.
    Passed,
    /// It failed and passed on the same code.
    Flaky,
    Failed,
}

/// One spec as one attempt showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub class: String,
    pub name: String,
    pub mark: Mark,
}

/// What an attempt teaches about its specs. Nothing where the cluster, the machine or a person ended it, and nothing of
/// specs whose failure has another cause than themselves. Sorted, so that two writers never wait for each other.
pub fn observations(report: &Report, reason: Reason) -> Vec<Observation> {
    if !teaches(reason) {
        return vec![];
    }
    let mut seen: Vec<Observation> = report
        .cases
        .iter()
        .filter_map(|case| {
            let mark = match case.outcome() {
                CaseOutcome::Skipped => return None,
                CaseOutcome::Passed => Mark::Passed,
                CaseOutcome::Flaky => Mark::Flaky,
                CaseOutcome::Failed | CaseOutcome::Errored => {
                    let own = case.last_ran() != TryStatus::Interrupted && case.message().and_then(cause_of).is_none();
                    own.then_some(Mark::Failed)?
                }
            };
            Some(Observation { class: case.id.class.clone(), name: case.id.name.clone(), mark })
        })
        .collect();
    seen.sort_by_key(|observation| observation.mark == Mark::Passed);
    seen.truncate(MOST_OBSERVED);
    seen.sort_by(|a, b| (&a.class, &a.name).cmp(&(&b.class, &b.name)));
    seen.dedup_by(|a, b| (&a.class, &a.name) == (&b.class, &b.name));
    seen
}

fn teaches(reason: Reason) -> bool {
    match reason {
        Reason::Passed
        | Reason::CasesFailed
        | Reason::FlakyForbidden
        | Reason::TimedOut
        | Reason::TooFewRan
        | Reason::ExitContradicts => true,
        Reason::Cancelled
        | Reason::Infrastructure
        | Reason::SuiteNodeFailed
        | Reason::Stalled
        | Reason::OutOfMemory
        | Reason::DiskFull
        | Reason::ReportsUnusable
        | Reason::NothingRan
        | Reason::ProgrammaticFocus => false,
    }
}

/// The day of a moment, counted from 1970.
pub fn day_of(at: Timestamp) -> i64 {
    at.as_millisecond().div_euclid(MILLIS_PER_DAY)
}

/// The first of the days that health and trend look at.
pub fn month(today: i64) -> i64 {
    today - 2 * RECENT_DAYS + 1
}

/// The moment at which a day begins, in milliseconds since 1970.
pub fn start_of(day: i64) -> i64 {
    day.saturating_mul(MILLIS_PER_DAY)
}

/// A spec over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecHistory {
    pub repo: RepoName,
    pub suite: SuiteName,
    /// JUnit's class; may be empty.
    pub class: String,
    pub name: String,
    pub seen_at: Timestamp,
    /// When it last failed or flaked.
    pub bad_at: Option<Timestamp>,
    /// Passes at the first try in a row.
    pub clean: u64,
    /// Failures in a row on a branch, where no pull request is to blame.
    pub base_failing: u64,
    /// Pull requests that it failed in, newest first.
    pub failed_in: Vec<FailedIn>,
    /// Oldest first; days without an observation are absent.
    pub days: Vec<Day>,
}

/// A pull request in which a spec failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedIn {
    pub pr: u64,
    pub day: i64,
}

/// Observations of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Day {
    pub day: i64,
    pub tally: Tally,
}

/// Counted observations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub passed: u64,
    pub flaky: u64,
    pub failed: u64,
    /// How often it came out other than the time before.
    pub flips: u64,
}

/// A share with the interval that holds the true one 19 times out of 20.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

impl Tally {
    /// Observations in all.
    pub fn total(&self) -> u64 {
        self.passed + self.flaky + self.failed
    }

    /// How much of it was flaky; nothing with too few observations to say.
    pub fn flake_rate(&self) -> Option<Rate> {
        (self.total() >= FEWEST).then(|| wilson(self.flaky, self.total()))
    }

    /// How much of it failed.
    pub fn failure_rate(&self) -> Option<Rate> {
        (self.total() >= FEWEST).then(|| wilson(self.failed, self.total()))
    }

    fn add(mut self, other: &Tally) -> Tally {
        self.passed += other.passed;
        self.flaky += other.flaky;
        self.failed += other.failed;
        self.flips += other.flips;
        self
    }

    /// The share that was not a plain pass.
    fn trouble(&self) -> f64 {
        if self.total() == 0 { 0.0 } else { ratio(self.flaky + self.failed, self.total()) }
    }
}

/// Wilson's score interval at 95 %: honest with few observations, never outside 0 to 1.
pub fn wilson(hits: u64, total: u64) -> Rate {
    const Z: f64 = 1.96;
    if total == 0 {
        return Rate { share: 0.0, low: 0.0, high: 1.0 };
    }
    let (share, n) = (ratio(hits, total), as_float(total));
    let scale = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / scale;
    let reach = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Rounding must not leave a bound on the wrong side of the share itself.
    Rate { share, low: (middle - reach).clamp(0.0, share), high: (middle + reach).clamp(share, 1.0) }
}

fn ratio(part: u64, whole: u64) -> f64 {
    as_float(part) / as_float(whole)
}

/// Counts of observations are far below 2^32; beyond it a rate would not change any more.
fn as_float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// How a spec stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Healthy,
    Flaky,
    /// It fails on the branch itself, again and again.
    Broken,
}

/// Where its trouble is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    Rising,
    Steady,
    Falling,
}

/// What its numbers suggest to whoever owns it. Nothing acts on it by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Quarantine it until somebody mends it.
    Quarantine,
    /// Lift a quarantine or a skip, if it has one.
    Lift,
}

impl SpecHistory {
    /// Observations from `from` up to and including `to`.
    pub fn tally(&self, from: i64, to: i64) -> Tally {
        let within = self.days.iter().filter(|day| (from..=to).contains(&day.day));
        within.fold(Tally::default(), |sum, day| sum.add(&day.tally))
    }

    fn recent(&self, today: i64) -> Tally {
        self.tally(today - RECENT_DAYS + 1, today)
    }

    /// How it stands today.
    pub fn health(&self, today: i64) -> Health {
        let recent = self.recent(today);
        if self.base_failing >= BROKEN {
            Health::Broken
        } else if recent.flaky >= FLAKES && ratio(recent.flaky, recent.total()) >= FLAKE_RATE {
            Health::Flaky
        } else {
            Health::Healthy
        }
    }

    /// The last two weeks against the two before.
    pub fn trend(&self, today: i64) -> Trend {
        let before = self.tally(today - 2 * RECENT_DAYS + 1, today - RECENT_DAYS).trouble();
        let change = self.recent(today).trouble() - before;
        match change {
            change if change > FLAKE_RATE => Trend::Rising,
            change if change < -FLAKE_RATE => Trend::Falling,
            _ => Trend::Steady,
        }
    }

    /// What its numbers suggest.
    pub fn advice(&self, today: i64) -> Option<Advice> {
        match self.health(today) {
            _ if self.bad_at.is_some() && self.clean >= CLEAN => Some(Advice::Lift),
            Health::Flaky => Some(Advice::Quarantine),
            Health::Healthy | Health::Broken => None,
        }
    }

    /// What was known of it before it failed in `pr`, if that takes blame off the change.
    pub fn known(&self, pr: Option<u64>, today: i64) -> Option<Known> {
        let recent = self.recent(today);
        let fresh = |failed: &&FailedIn| Some(failed.pr) != pr && failed.day > today - ELSEWHERE_DAYS;
        let elsewhere = self.failed_in.iter().filter(fresh).count() as u64;
        if self.base_failing > 0 {
            return Some(Known::FailsOnBase);
        }
        if self.health(today) == Health::Flaky {
            let percent = (ratio(recent.flaky, recent.total()) * 100.0).round();
            return Some(Known::Flake { percent: percent.clamp(1.0, 100.0) as u8 });
        }
        (elsewhere > 1).then_some(Known::FailsElsewhere { pull_requests: elsewhere })
    }
}

/// What was known of a spec before it failed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Its last run on the branch failed as well.
    FailsOnBase,
    Flake {
        percent: u8,
    },
    FailsElsewhere {
        pull_requests: u64,
    },
}

impl Known {
    /// In words, behind the name of the spec.
    pub fn text(self) -> String {
        match self {
            Known::FailsOnBase => "also fails on the base branch".to_owned(),
            Known::Flake { percent } => format!("known flake: {percent} % of its runs in two weeks"),
            Known::FailsElsewhere { pull_requests } => {
                format!("also failed in {} this week", counted(pull_requests, "other pull request"))
            }
        }
    }

    /// In a word or two, for a status.
    pub fn short(self) -> &'static str {
        match self {
            Known::FailsOnBase => "fails on base",
            Known::Flake { .. } => "known flake",
            Known::FailsElsewhere { .. } => "fails elsewhere",
        }
    }
}

#[cfg(test)]
#[path = "flake_tests.rs"]
mod tests;
