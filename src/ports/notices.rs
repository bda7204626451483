//! What GitHub shows beside commit statuses: check runs and one comment on a pull request.

use async_trait::async_trait;

use super::ForgeError;
use crate::domain::names::{RepoName, Sha};
use crate::domain::notice::{Annotation, Check};

/// GitHub's notice boards.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Whether we may post check runs: GitHub lets only Apps.
    fn takes_checks(&self) -> bool;

    /// Posts a check run, or changes the one with this number, adding at most 50 annotations. Gives its number.
    async fn put_check(&self, check: &Check, id: Option<u64>, add: &[Annotation]) -> Result<u64, ForgeError>;

    /// The newest check run of this name on a commit.
    async fn find_check(&self, repo: &RepoName, sha: &Sha, name: &str) -> Result<Option<FoundCheck>, ForgeError>;

    /// Writes a comment on a pull request, or changes the one with this number. Gives its number.
    async fn put_comment(&self, repo: &RepoName, pr: u64, id: Option<u64>, body: &str) -> Result<u64, ForgeError>;

    /// The oldest comment on a pull request that contains `mark`.
    async fn find_comment(&self, repo: &RepoName, pr: u64, mark: &str) -> Result<Option<u64>, ForgeError>;
}

/// A check run that exists already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCheck {
    pub id: u64,
    /// What we called it by when we posted it: the run's id.
    pub external_id: String,
    pub is_completed: bool,
    /// How many annotations it has.
    pub annotations: usize,
}
