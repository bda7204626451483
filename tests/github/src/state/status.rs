//! Commit statuses, kept as the full history in which they were posted.
//! The limits GitHub sets are enforced where they are posted, in `rest`.

use jiff::Timestamp;

/// GitHub keeps at most this many statuses per commit and context.
pub(crate) const MAX_PER_CONTEXT: usize = 1_000;

/// A commit status as it was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Counts every status of the stand-in from 1, so that two can be put in order.
    pub seq: u64,
    pub id: u64,
    /// Full name of the repository.
    pub repository: String,
    pub sha: String,
    pub context: String,
    pub state: StatusState,
    pub description: Option<String>,
    pub target_url: Option<String>,
    pub creator: String,
    pub created_at: Timestamp,
}

/// The four states GitHub knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusState {
    Error,
    Failure,
    Pending,
    Success,
}

impl StatusState {
    /// The state as GitHub spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Failure => "failure",
            Self::Pending => "pending",
            Self::Success => "success",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Error, Self::Failure, Self::Pending, Self::Success].into_iter().find(|state| state.as_str() == text)
    }

    /// GitHub's rule for the combined state: failure beats pending beats success; nothing yet is pending.
    pub(crate) fn combined(states: &[Self]) -> Self {
        if states.iter().any(|state| matches!(state, Self::Error | Self::Failure)) {
            Self::Failure
        } else if states.is_empty() || states.contains(&Self::Pending) {
            Self::Pending
        } else {
            Self::Success
        }
    }
}
