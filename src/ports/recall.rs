//! What GitHub still knows of the past and the present, for whoever compares it with what is stored.
//! Every question is asked so that an unchanged answer costs nothing of what GitHub allows.

use async_trait::async_trait;
use jiff::Timestamp;

use super::ForgeError;
use crate::domain::missed::OpenPull;
use crate::domain::names::{RepoName, Sha};
use crate::domain::status::StatusState;

/// GitHub's memory.
#[async_trait]
pub trait Recall: Send + Sync {
    /// Whether we speak as a GitHub App: it has one webhook for all its repositories and may post check runs.
    fn is_app(&self) -> bool;

    /// Repositories that the App was let into. Empty for a token, which does not say what it is meant for.
    async fn repositories(&self) -> Result<Vec<RepoName>, ForgeError>;

    /// Every open pull request, the one that changed last first.
    async fn open_pulls(&self, repo: &RepoName) -> Result<Vec<OpenPull>, ForgeError>;

    /// Who put labels on a pull request, oldest first.
    async fn labellings(&self, repo: &RepoName, number: u64) -> Result<Vec<Labelling>, ForgeError>;

    /// The repository's webhook that delivers to `url`; `None` where there is none.
    async fn mailbox(&self, repo: &RepoName, url: &str) -> Result<Option<Mailbox>, ForgeError>;

    /// Deliveries since then that the receiver did not take, oldest first. Some may have arrived all the same.
    async fn failed_deliveries(&self, mailbox: &Mailbox, since: Timestamp) -> Result<Vec<FailedDelivery>, ForgeError>;

    /// What a delivery carried, as JSON.
    async fn payload(&self, mailbox: &Mailbox, delivery: u64) -> Result<Vec<u8>, ForgeError>;

    /// The statuses that a commit shows, one per context.
    async fn shown(&self, repo: &RepoName, sha: &Sha) -> Result<Vec<Shown>, ForgeError>;
}

/// Somebody put a label on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelling {
    pub label: String,
    pub actor: String,
    pub at: Timestamp,
}

/// Where GitHub records what it delivered to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailbox {
    /// The GitHub App's one webhook.
    App,
    /// A repository's webhook, by GitHub's number.
    Repository(RepoName, u64),
}

/// A delivery that GitHub counts as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDelivery {
    /// GitHub's number of this try.
    pub id: u64,
    pub guid: String,
    pub event: String,
    pub delivered_at: Timestamp,
}

/// A commit status as GitHub shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub context: String,
    pub state: StatusState,
    pub description: String,
}
