//! Webhook payloads as what they mean to the gate. Parsing is pure and reads only the fields that are used;
//! it must never fail on events, actions or fields that GitHub adds later.

mod payload;
mod read;

use jiff::Timestamp;

use super::names::{RepoName, Sha};
use super::status::StatusState;

/// What a webhook says, as far as the gate cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// GitHub asks whether the webhook works.
    Ping,
    PullRequest(PullRequestEvent),
    /// A person wrote a comment on an open pull request.
    Comment(CommentEvent),
    /// A branch was created or moved.
    Push(PushEvent),
    MergeGroup(MergeGroupEvent),
    /// Somebody pressed "re-run".
    CheckRequested(CheckEvent),
    /// Somebody, perhaps ourselves, posted a commit status.
    Status(StatusEvent),
    /// What the GitHub App may see has changed.
    Installation(InstallationEvent),
    /// Nothing to do, and why.
    Ignored(&'static str),
}

/// A change to a pull request, with the pull request as it was right after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestEvent {
    pub action: PullRequestAction,
    pub repo: RepoName,
    pub number: u64,
    pub head: Sha,
    /// The base branch's commit as the pull request knew it; the branch may have moved since.
    pub base: Sha,
    pub base_ref: String,
    pub draft: bool,
    pub author: String,
    /// Who caused the event.
    pub sender: String,
    /// Who pushed the head, where the event tells.
    pub pusher: Option<String>,
    pub sender_is_bot: bool,
    pub labels: Vec<String>,
    /// When the pull request was changed, by GitHub's clock.
    pub at: Option<Timestamp>,
}

/// What happened to a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullRequestAction {
    Opened,
    Reopened,
    Labeled(String),
    Unlabeled(String),
    /// The head moved.
    Synchronize,
    Edited {
        /// Whether the pull request now goes into another branch.
        base_changed: bool,
    },
    ReadyForReview,
    ConvertedToDraft,
    /// Merged or not.
    Closed,
}

impl PullRequestAction {
    /// Whether it only ever ends work.
    pub fn only_ends(&self) -> bool {
        match self {
            Self::Unlabeled(_) | Self::ConvertedToDraft | Self::Closed => true,
            Self::Opened
            | Self::Reopened
            | Self::Labeled(_)
            | Self::Synchronize
            | Self::Edited { .. }
            | Self::ReadyForReview => false,
        }
    }
}

/// A comment on a pull request's conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentEvent {
    pub repo: RepoName,
    /// The pull request's number.
    pub number: u64,
    /// GitHub's id of the comment, for reactions.
    pub comment: u64,
    pub author: String,
    /// Markdown.
    pub body: String,
    /// When it was written, by GitHub's clock.
    pub at: Option<Timestamp>,
}

/// A branch and the commit it points at now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushEvent {
    pub repo: RepoName,
    pub branch: String,
    pub after: Sha,
    pub sender: String,
}

/// A group of a merge queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeGroupEvent {
    pub action: MergeGroupAction,
    pub repo: RepoName,
    pub head: Sha,
    /// The queue's branch, which names the pull request.
    pub head_ref: String,
    pub base: Sha,
    /// The branch the group is to be merged into.
    pub base_ref: String,
}

/// What happened to a merge group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeGroupAction {
    ChecksRequested,
    Destroyed,
}

/// A request to run checks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckEvent {
    pub repo: RepoName,
    pub head: Sha,
    /// The check's name; `None` asks for all checks of the commit.
    pub check: Option<String>,
    pub sender: String,
}

/// A commit status that was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEvent {
    pub repo: RepoName,
    pub sha: Sha,
    pub context: String,
    pub state: StatusState,
    pub description: String,
    /// Empty where there is none.
    pub target_url: String,
    /// When it was posted, by GitHub's clock.
    pub at: Option<Timestamp>,
}

/// A change to where the GitHub App is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationEvent {
    pub installation: u64,
    /// Whose repositories it is about.
    pub account: String,
    pub change: InstallationChange,
}

/// What changed about an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallationChange {
    Created,
    Deleted,
    Suspended,
    Unsuspended,
    RepositoriesAdded(Vec<RepoName>),
    RepositoriesRemoved(Vec<RepoName>),
}

/// A body that is not JSON, or lacks what its event must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("payload field `{path}`: {problem}")]
pub struct BadPayload {
    /// Where in the payload, such as `pull_request.head.sha`; `.` for the whole.
    pub path: String,
    pub problem: String,
}

impl Event {
    /// The events of which some delivery may need something done, as the header `X-GitHub-Event` names them.
    pub const USED: [&str; 9] = [
        "check_run",
        "check_suite",
        "installation",
        "installation_repositories",
        "issue_comment",
        "merge_group",
        "pull_request",
        "push",
        "status",
    ];

    /// Whether any delivery of this event may need something done.
    pub fn has_use(event_name: &str) -> bool {
        Self::USED.contains(&event_name)
    }

    /// Whether a lost delivery of this event is worth fetching one by one. Busy repositories have many statuses, and what they show
    /// is compared anyway.
    pub fn is_missed(event_name: &str) -> bool {
        Self::has_use(event_name) && event_name != "status"
    }

    /// The one repository that it is about.
    pub fn repo(&self) -> Option<&RepoName> {
        match self {
            Event::PullRequest(event) => Some(&event.repo),
            Event::Comment(event) => Some(&event.repo),
            Event::Push(event) => Some(&event.repo),
            Event::MergeGroup(event) => Some(&event.repo),
            Event::CheckRequested(event) => Some(&event.repo),
            Event::Status(event) => Some(&event.repo),
            Event::Installation(_) | Event::Ping | Event::Ignored(_) => None,
        }
    }

    /// Whether it stops work on a pull request, which is wrong when it comes too late.
    pub fn stops(&self) -> bool {
        match self {
            Event::PullRequest(event) => event.action.only_ends(),
            Event::Ping
            | Event::Comment(_)
            | Event::Push(_)
            | Event::MergeGroup(_)
            | Event::CheckRequested(_)
            | Event::Status(_)
            | Event::Installation(_)
            | Event::Ignored(_) => false,
        }
    }

    /// Reads the body of the webhook event that the header `X-GitHub-Event` names.
    ///
    /// # Errors
    /// The body is not JSON, or a field that the event's meaning depends on is missing or wrong.
    pub fn parse(event_name: &str, body: &[u8]) -> Result<Self, BadPayload> {
        match event_name {
            "pull_request" => read::pull_request(body),
            "issue_comment" => read::comment(body),
            "push" => read::push(body),
            "merge_group" => read::merge_group(body),
            "check_run" => read::check_run(body),
            "check_suite" => read::check_suite(body),
            "status" => read::status(body),
            "installation" => read::installation(body),
            "installation_repositories" => read::installation_repositories(body),
            "ping" => payload::check(body).map(|()| Event::Ping),
            _ => payload::check(body).map(|()| Event::Ignored("no use for this event")),
        }
    }
}

#[cfg(test)]
mod tests;
