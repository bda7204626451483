//! The forge: code, pull requests, permissions, commit statuses, and talk on pull requests.

use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::message::Reaction;
use crate::domain::names::{RepoName, Sha};
use crate::domain::rules::Team;
use crate::domain::status::{Allowance, CommitStatus};

/// Where code and statuses live: GitHub.
#[async_trait]
pub trait Forge: Send + Sync {
    /// The pull request as it is now; its base is the tip of the base branch.
    async fn pull_request(&self, repo: &RepoName, number: u64) -> Result<PullRequest, ForgeError>;

    /// What a user may do in the repository. Somebody without any access has [`Permission::None`].
    async fn permission(&self, repo: &RepoName, login: &str) -> Result<Permission, ForgeError>;

    /// A file of at most 1 MiB at a commit; `None` where the commit has no such file.
    async fn file(&self, repo: &RepoName, sha: &Sha, path: &str) -> Result<Option<Vec<u8>>, ForgeError>;

    /// Writes the commit's files as a gzipped tar to `into`, replacing it only when complete. Refuses more than `max_bytes`.
    async fn archive(&self, repo: &RepoName, sha: &Sha, into: &Path, max_bytes: u64) -> Result<(), ForgeError>;

    /// The commit a branch points at; `None` where there is no such branch (any more).
    async fn tip(&self, repo: &RepoName, branch: &str) -> Result<Option<Sha>, ForgeError>;

    /// Paths of the files a pull request touches; `None` where there are more than GitHub lists.
    async fn changed_files(&self, repo: &RepoName, pr: u64) -> Result<Option<Vec<String>>, ForgeError>;

    /// What a commit holds and what it stands on.
    async fn commit(&self, repo: &RepoName, sha: &Sha) -> Result<Commit, ForgeError>;

    /// Whether somebody belongs to a team. Asked as whoever may speak for the repository.
    async fn is_member(&self, repo: &RepoName, team: &Team, login: &str) -> Result<bool, ForgeError>;

    /// Posts a commit status. Posting the same twice adds a line to GitHub's history and changes nothing else.
    async fn set_status(&self, status: &CommitStatus) -> Result<(), ForgeError>;

    /// What GitHub still allows whoever we speak as in the repository, as far as it has told. Asks nobody.
    fn allowance(&self, repo: &RepoName) -> Option<Allowance>;
}

/// Talk on pull requests. Whatever is done twice is done once, except a comment.
#[async_trait]
pub trait Conversation: Send + Sync {
    /// Writes a comment.
    async fn comment(&self, repo: &RepoName, pr: u64, body: &str) -> Result<(), ForgeError>;

    /// Whether a comment that holds this text was written since then.
    async fn has_comment(&self, repo: &RepoName, pr: u64, text: &str, since: Timestamp) -> Result<bool, ForgeError>;

    /// Reacts to a comment.
    async fn react(&self, repo: &RepoName, comment: u64, reaction: Reaction) -> Result<(), ForgeError>;

    /// Takes a label off. One that is not there is success.
    async fn unlabel(&self, repo: &RepoName, pr: u64, label: &str) -> Result<(), ForgeError>;
}

/// The way to the forge.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// An HTTP proxy that https goes through; secret because it may hold a password.
    pub proxy: Option<SecretString>,
    /// Hosts that are reached without it, as in `NO_PROXY`.
    pub no_proxy: String,
    /// Certificates, in PEM, of authorities that are trusted beside those the machine trusts.
    pub extra_ca: Option<Vec<u8>>,
}

/// A pull request as far as the gate cares.
#[derive(Debug, Clone)]
pub struct PullRequest {
    pub number: u64,
    pub is_open: bool,
    pub is_draft: bool,
    pub author: String,
    pub head: Sha,
    pub base: Sha,
    pub base_ref: String,
    pub labels: Vec<String>,
    pub mergeability: Mergeability,
}

/// A commit as git knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Equal trees are equal files.
    pub tree: Sha,
    /// A merge's first is what was merged into.
    pub parents: Vec<Sha>,
}

/// What GitHub says of merging head into base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mergeability {
    /// The test merge's commit. It may still be that of an earlier head or base.
    Merges(Sha),
    Conflicts,
    /// GitHub has not computed it yet; ask again shortly.
    Unknown,
}

/// A user's role in a repository, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    None,
    Read,
    Write,
    Admin,
}

#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The thing is gone or was never visible to us. Asking again does not help.
    #[error("not found: {0}")]
    NotFound(String),
    /// Credentials are missing, wrong or too weak. An operator must act.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// Ask again after this.
    #[error("rate limited until {until}")]
    RateLimited { until: Timestamp },
    /// GitHub refuses the request as such. Asking again does not help.
    #[error("rejected: {0}")]
    Rejected(String),
    /// Network trouble or a server error. Ask again with back-off.
    #[error("GitHub did not answer as it should")]
    Transient(#[source] anyhow::Error),
}
