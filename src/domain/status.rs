//! A commit status as we want it to be. What was published is a separate fact.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::names::{RepoName, Sha};

/// GitHub counts characters of a description and refuses more (422).
pub const MAX_DESCRIPTION: usize = 140;

/// One context on one commit, as it should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    pub repo: RepoName,
    pub sha: Sha,
    pub context: String,
    pub state: StatusState,
    /// At most [`MAX_DESCRIPTION`] characters.
    pub description: String,
    /// The run's page.
    pub target_url: String,
    pub report: Report,
}

/// As what GitHub is told how a suite stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Commit statuses.
    #[default]
    Statuses,
    /// Check runs, which only a GitHub App may post; anybody else posts statuses all the same.
    Checks,
}

/// The four states GitHub knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    Pending,
    Success,
    /// Tests failed.
    Failure,
    /// Infrastructure, cancelled, nothing ran, broken policy.
    Error,
}

impl StatusState {
    /// GitHub's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            StatusState::Pending => "pending",
            StatusState::Success => "success",
            StatusState::Failure => "failure",
            StatusState::Error => "error",
        }
    }

    /// Whether a later pending would be a lie.
    pub fn is_final(self) -> bool {
        self != StatusState::Pending
    }
}

/// What GitHub was told last of one context on one commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    pub state: Option<StatusState>,
    pub at: Option<Timestamp>,
    /// Writes on behalf of the run that holds the context now.
    pub writes: u32,
    /// Writes on behalf of every run that ever held it.
    pub total: u32,
}

/// Why GitHub will never be told of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenUp {
    /// The commit, the repository or the App's installation is gone.
    Gone,
    /// GitHub refuses the status as such.
    Refused,
    /// We were not let in for a long time.
    Forbidden,
    /// Somebody else keeps overwriting it.
    Contested,
}

impl GivenUp {
    /// For the run's page.
    pub fn text(self) -> &'static str {
        match self {
            GivenUp::Gone => "given up: GitHub does not know the commit, or the repository is out of our reach",
            GivenUp::Refused => "given up: GitHub refuses it",
            GivenUp::Forbidden => "given up: GitHub has not let us post it for a day",
            GivenUp::Contested => "given up: somebody else keeps overwriting it",
        }
    }
}

/// How much it matters that GitHub shows a status soon. Most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A merge waits for it.
    Final,
    /// Somebody waits to see that it began.
    First,
    Progress,
}

/// What GitHub still allows the account or installation that we speak as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests left until the reset.
    pub remaining: u64,
    /// Requests per hour in all.
    pub limit: u64,
    pub reset: Timestamp,
}

impl Allowance {
    /// Whether so little is left that only what must be said may be said.
    pub fn is_scarce(self) -> bool {
        self.remaining < self.limit / 10
    }
}

/// How often one run puts one context right that somebody else overwrote. Whoever does it more often means it.
const MAX_REPAIRS: u32 = 3;

/// What is done about a context that somebody else overwrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwritten {
    ToldAgain,
    LeftToThem,
}

impl Overwritten {
    /// After so many times that it was told again.
    pub fn after(repairs: u32) -> Self {
        if repairs < MAX_REPAIRS { Overwritten::ToldAgain } else { Overwritten::LeftToThem }
    }
}

/// Writes per suite and run, the final one included.
pub const WRITE_BUDGET: u32 = 12;

/// GitHub keeps 1,000 statuses per commit and context and refuses any more. Past this many, progress is not told.
pub const NO_PROGRESS_AFTER: u32 = 800;

/// Past this many a new run is not announced either, so that what runs come to has a place.
pub const ONLY_FINAL_AFTER: u32 = 950;

/// How urgent a desired state is.
pub fn urgency(desired: StatusState, published: Published) -> Urgency {
    match (desired.is_final(), published.writes) {
        (true, _) => Urgency::Final,
        (false, 0) => Urgency::First,
        (false, _) => Urgency::Progress,
    }
}

/// When a desired state may be sent: final ones and the first at once, further pendings ever more rarely and not while
/// GitHub allows little, and none that would leave the final one without a place. `None`: never.
pub fn send_at(
    desired: StatusState,
    published: Published,
    allowance: Option<Allowance>,
    now: Timestamp,
) -> Option<Timestamp> {
    match urgency(desired, published) {
        Urgency::Final => return Some(now),
        Urgency::First => return (published.total < ONLY_FINAL_AFTER).then_some(now),
        Urgency::Progress if published.total >= NO_PROGRESS_AFTER => return None,
        Urgency::Progress => {}
    }
    let pause_s = match published.writes {
        1..=3 => 3,
        4..=6 => 20,
        7..=8 => 180,
        9..WRITE_BUDGET => 900,
        _ => return None,
    };
    let last = published.at.unwrap_or(now);
    let turn = last.saturating_add(SignedDuration::from_secs(pause_s)).unwrap_or(last).max(now);
    let scarce_until = allowance.filter(|allowance| allowance.is_scarce()).map(|allowance| allowance.reset);
    (published.writes + 1 < WRITE_BUDGET).then(|| scarce_until.map_or(turn, |reset| reset.max(turn)))
}

/// How long to wait after so many failures in a row: 1 s, 2 s, 4 s … up to a minute, and up to half as long again, by
/// `name`, so that what failed together does not come back together.
pub fn back_off(tries: u32, name: &str) -> SignedDuration {
    let pause = SignedDuration::from_secs(1 << tries.min(6)).min(SignedDuration::from_mins(1));
    let spread = name.bytes().fold(tries, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 512;
    pause + pause * i32::try_from(spread).unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(writes: u32, total: u32) -> Published {
        Published { state: Some(StatusState::Pending), at: Some(at(0)), writes, total }
    }

    #[test]
    fn a_suite_of_any_length_stays_within_the_budget() {
        let mut published = Published::default();
        for second in 0..200_000 {
            if send_at(StatusState::Pending, published, None, at(second)) == Some(at(second)) {
                let writes = published.writes + 1;
                published =
                    Published { state: Some(StatusState::Pending), at: Some(at(second)), writes, total: writes };
            }
        }
        assert_eq!(published.writes, WRITE_BUDGET - 1);
        assert_eq!(send_at(StatusState::Pending, published, None, at(300_000)), None);
        assert_eq!(send_at(StatusState::Success, published, None, at(300_000)), Some(at(300_000)));
    }

    #[test]
    fn what_runs_come_to_has_a_place_among_a_thousand() {
        assert_eq!(send_at(StatusState::Pending, told(1, 799), None, at(9)), Some(at(9)));
        assert_eq!(send_at(StatusState::Pending, told(1, 800), None, at(9)), None);
        assert_eq!(send_at(StatusState::Pending, told(0, 949), None, at(9)), Some(at(9)));
        assert_eq!(send_at(StatusState::Pending, told(0, 950), None, at(9)), None);
        assert_eq!(send_at(StatusState::Failure, told(0, 999), None, at(9)), Some(at(9)));
    }

    #[test]
    fn little_allowance_is_kept_for_what_must_be_said() {
        let allowance = |remaining| Some(Allowance { remaining, limit: 5000, reset: at(1000) });
        assert_eq!(send_at(StatusState::Pending, told(1, 1), allowance(500), at(9)), Some(at(9)));
        assert_eq!(send_at(StatusState::Pending, told(1, 1), allowance(499), at(9)), Some(at(1000)));
        assert_eq!(send_at(StatusState::Pending, told(0, 1), allowance(1), at(9)), Some(at(9)));
        assert_eq!(send_at(StatusState::Error, told(5, 5), allowance(1), at(9)), Some(at(9)));
    }

    #[test]
    fn pauses_grow_to_a_minute_and_spread() {
        let pause = |tries| back_off(tries, "portcullis/smoke").as_secs_f64();
        assert!((1.0..1.5).contains(&pause(0)) && (8.0..12.0).contains(&pause(3)) && (60.0..90.0).contains(&pause(40)));
        let all: std::collections::BTreeSet<_> = (0..50).map(|n| back_off(5, &format!("suite {n}"))).collect();
        assert!(all.len() > 10, "{all:?}");
    }
}
