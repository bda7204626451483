//! Webhook payloads as what they mean to the gate. Parsing is pure and reads only the fields that are used;
//! it must never fail on events, actions or fields that GitHub adds later.

mod payload;

use super::names::{RepoName, Sha};
use payload::{CheckKind, CommentKind, InstallationKind, MergeKind, PullKind, RepositoriesKind, User, login};

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
    pub sender_is_bot: bool,
    pub labels: Vec<String>,
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

/// A change to where the GitHub App is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationEvent {
    pub installation: u64,
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
    /// Reads the body of the webhook event that the header `X-GitHub-Event` names.
    ///
    /// # Errors
    /// The body is not JSON, or a field that the event's meaning depends on is missing or wrong.
    pub fn parse(event_name: &str, body: &[u8]) -> Result<Self, BadPayload> {
        match event_name {
            "pull_request" => pull_request(body),
            "issue_comment" => comment(body),
            "push" => push(body),
            "merge_group" => merge_group(body),
            "check_run" => check_run(body),
            "check_suite" => check_suite(body),
            "installation" => installation(body),
            "installation_repositories" => installation_repositories(body),
            "ping" => payload::check(body).map(|()| Event::Ping),
            _ => payload::check(body).map(|()| Event::Ignored("no use for this event")),
        }
    }
}

const UNUSED_ACTION: Event = Event::Ignored("no use for this action");
const CLOSED: Event = Event::Ignored("the pull request is closed");

fn pull_request(body: &[u8]) -> Result<Event, BadPayload> {
    let kind: PullKind = payload::action(body)?;
    if kind == PullKind::Unused {
        return Ok(UNUSED_ACTION);
    }
    let read: payload::PullRequest = payload::read(body)?;
    let base_changed = read.changes.is_some_and(|changes| changes.base.is_some());
    let Some(action) = pull_request_action(kind, read.label.map(|label| label.name), base_changed) else {
        return Ok(Event::Ignored("the label is gone"));
    };
    let pr = read.pull_request;
    if pr.state == "closed" && may_start(&action) {
        return Ok(CLOSED);
    }
    Ok(Event::PullRequest(PullRequestEvent {
        action,
        repo: read.repository.full_name,
        number: pr.number,
        head: pr.head.sha,
        base: pr.base.sha,
        base_ref: pr.base.branch,
        draft: pr.draft,
        author: login(pr.user),
        sender_is_bot: read.sender.is_bot(),
        sender: read.sender.login,
        labels: pr.labels.into_iter().map(|label| label.name).collect(),
    }))
}

/// `None` where a label is needed and absent: GitHub's schema allows that, the label may have been deleted meanwhile.
fn pull_request_action(kind: PullKind, label: Option<String>, base_changed: bool) -> Option<PullRequestAction> {
    Some(match kind {
        PullKind::Opened => PullRequestAction::Opened,
        PullKind::Reopened => PullRequestAction::Reopened,
        PullKind::Labeled => PullRequestAction::Labeled(label?),
        PullKind::Unlabeled => PullRequestAction::Unlabeled(label?),
        PullKind::Synchronize => PullRequestAction::Synchronize,
        PullKind::Edited => PullRequestAction::Edited { base_changed },
        PullKind::ReadyForReview => PullRequestAction::ReadyForReview,
        PullKind::ConvertedToDraft => PullRequestAction::ConvertedToDraft,
        PullKind::Closed => PullRequestAction::Closed,
        PullKind::Unused => return None,
    })
}

/// Whether the action could start work. What stops work counts on a closed pull request too: nothing is lost by it.
fn may_start(action: &PullRequestAction) -> bool {
    match action {
        PullRequestAction::Opened
        | PullRequestAction::Reopened
        | PullRequestAction::Labeled(_)
        | PullRequestAction::Synchronize
        | PullRequestAction::Edited { .. }
        | PullRequestAction::ReadyForReview => true,
        PullRequestAction::Unlabeled(_) | PullRequestAction::ConvertedToDraft | PullRequestAction::Closed => false,
    }
}

fn comment(body: &[u8]) -> Result<Event, BadPayload> {
    match payload::action(body)? {
        CommentKind::Created => {}
        CommentKind::Unused => return Ok(Event::Ignored("only new comments count")),
    }
    let read: payload::IssueComment = payload::read(body)?;
    if read.issue.pull_request.is_none() {
        return Ok(Event::Ignored("a comment on an issue"));
    }
    if read.issue.state == "closed" {
        return Ok(CLOSED);
    }
    if read.sender.is_bot() || read.comment.user.as_ref().is_some_and(User::is_bot) {
        return Ok(Event::Ignored("a bot's comment"));
    }
    Ok(Event::Comment(CommentEvent {
        repo: read.repository.full_name,
        number: read.issue.number,
        comment: read.comment.id,
        author: login(read.comment.user),
        body: read.comment.body,
    }))
}

fn push(body: &[u8]) -> Result<Event, BadPayload> {
    let read: payload::Push = payload::read(body)?;
    let Some(branch) = read.name.strip_prefix("refs/heads/") else {
        return Ok(Event::Ignored("not a branch"));
    };
    if read.deleted {
        return Ok(Event::Ignored("the branch was deleted"));
    }
    Ok(Event::Push(PushEvent {
        repo: read.repository.full_name,
        branch: branch.to_owned(),
        after: read.after,
        sender: read.sender.login,
    }))
}

fn merge_group(body: &[u8]) -> Result<Event, BadPayload> {
    let action = match payload::action(body)? {
        MergeKind::ChecksRequested => MergeGroupAction::ChecksRequested,
        MergeKind::Destroyed => MergeGroupAction::Destroyed,
        MergeKind::Unused => return Ok(UNUSED_ACTION),
    };
    let read: payload::Merge = payload::read(body)?;
    let group = read.merge_group;
    Ok(Event::MergeGroup(MergeGroupEvent {
        action,
        repo: read.repository.full_name,
        head: group.head_sha,
        base: group.base_sha,
        base_ref: group.base_ref.strip_prefix("refs/heads/").unwrap_or(&group.base_ref).to_owned(),
    }))
}

fn check_run(body: &[u8]) -> Result<Event, BadPayload> {
    match payload::action(body)? {
        CheckKind::Rerequested => {}
        CheckKind::Unused => return Ok(UNUSED_ACTION),
    }
    let read: payload::CheckRun = payload::read(body)?;
    Ok(Event::CheckRequested(CheckEvent {
        repo: read.repository.full_name,
        head: read.check_run.head_sha,
        check: Some(read.check_run.name),
        sender: read.sender.login,
    }))
}

fn check_suite(body: &[u8]) -> Result<Event, BadPayload> {
    match payload::action(body)? {
        CheckKind::Rerequested => {}
        CheckKind::Unused => return Ok(UNUSED_ACTION),
    }
    let read: payload::CheckSuite = payload::read(body)?;
    Ok(Event::CheckRequested(CheckEvent {
        repo: read.repository.full_name,
        head: read.check_suite.head_sha,
        check: None,
        sender: read.sender.login,
    }))
}

fn installation(body: &[u8]) -> Result<Event, BadPayload> {
    let change = match payload::action(body)? {
        InstallationKind::Created => InstallationChange::Created,
        InstallationKind::Deleted => InstallationChange::Deleted,
        InstallationKind::Suspend => InstallationChange::Suspended,
        InstallationKind::Unsuspend => InstallationChange::Unsuspended,
        InstallationKind::Unused => return Ok(UNUSED_ACTION),
    };
    let read: payload::Installation = payload::read(body)?;
    Ok(Event::Installation(InstallationEvent { installation: read.installation.id, change }))
}

fn installation_repositories(body: &[u8]) -> Result<Event, BadPayload> {
    let kind: RepositoriesKind = payload::action(body)?;
    if kind == RepositoriesKind::Unused {
        return Ok(UNUSED_ACTION);
    }
    let read: payload::InstallationRepositories = payload::read(body)?;
    let names = |list: Vec<payload::Repository>| list.into_iter().map(|repo| repo.full_name).collect();
    let change = match kind {
        RepositoriesKind::Added => InstallationChange::RepositoriesAdded(names(read.repositories_added)),
        RepositoriesKind::Removed => InstallationChange::RepositoriesRemoved(names(read.repositories_removed)),
        RepositoriesKind::Unused => return Ok(UNUSED_ACTION),
    };
    Ok(Event::Installation(InstallationEvent { installation: read.installation.id, change }))
}

#[cfg(test)]
mod tests;
