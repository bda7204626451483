//! A commit status as we want it to be. What was published is a separate fact.

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
