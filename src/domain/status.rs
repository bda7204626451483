//! A commit status as we want it to be. What was published is a separate fact.

use jiff::Timestamp;
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
}

/// Writes per suite and run, the final one included.
pub const WRITE_BUDGET: u32 = 12;

/// When a desired state may be sent: final ones and the first at once, further pendings ever more rarely, and none
/// that would leave the final one without a place in the budget.
pub fn send_at(desired: StatusState, published: Published, now: Timestamp) -> Option<Timestamp> {
    let Some(last) = published.at.filter(|_| !desired.is_final() && published.writes > 0) else { return Some(now) };
    let pause_s = match published.writes {
        1..=3 => 3,
        4..=6 => 20,
        7..=8 => 180,
        9..WRITE_BUDGET => 900,
        _ => return None,
    };
    (published.writes + 1 < WRITE_BUDGET)
        .then(|| last.saturating_add(jiff::SignedDuration::from_secs(pause_s)).unwrap_or(last).max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_suite_of_any_length_stays_within_the_budget() {
        let mut published = Published::default();
        for second in 0..200_000 {
            if send_at(StatusState::Pending, published, at(second)) == Some(at(second)) {
                published =
                    Published { state: Some(StatusState::Pending), at: Some(at(second)), writes: published.writes + 1 };
            }
        }
        assert_eq!(published.writes, WRITE_BUDGET - 1);
        assert_eq!(send_at(StatusState::Pending, published, at(300_000)), None);
        assert_eq!(send_at(StatusState::Success, published, at(300_000)), Some(at(300_000)));
    }
}
