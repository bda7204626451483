//! From a payload's fields to what they mean: which actions count, and what on a closed pull request still does.
//! How the fields are spelled is the business of `payload`.

use super::payload::{
    self, CheckKind, CommentKind, InstallationKind, MergeKind, PullKind, RepositoriesKind, User, login,
};
use super::{
    BadPayload, CheckEvent, CommentEvent, Event, InstallationChange, InstallationEvent, MergeGroupAction,
    MergeGroupEvent, PullRequestAction, PullRequestEvent, PushEvent, StatusEvent,
};
use crate::domain::command::may_hold_commands;

const UNUSED_ACTION: Event = Event::Ignored("no use for this action");
pub(super) const CLOSED: Event = Event::Ignored("the pull request is closed");

pub(super) fn pull_request(body: &[u8]) -> Result<Event, BadPayload> {
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
    // What ends work counts on a closed pull request too: nothing is lost by it.
    if pr.state == "closed" && !action.only_ends() {
        return Ok(CLOSED);
    }
    // The pull request may show a head that was pushed after the one the event is about.
    let is_of_head = action == PullRequestAction::Synchronize && read.after.as_ref() == Some(&pr.head.sha);
    Ok(Event::PullRequest(PullRequestEvent {
        action,
        repo: read.repository.full_name,
        number: pr.number,
        head: pr.head.sha,
        base: pr.base.sha,
        base_ref: pr.base.branch,
        draft: pr.draft,
        author: login(pr.user),
        pusher: is_of_head.then(|| read.sender.login.clone()),
        sender_is_bot: read.sender.is_bot(),
        sender: read.sender.login,
        labels: pr.labels.into_iter().map(|label| label.name).collect(),
        at: pr.updated_at,
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

pub(super) fn comment(body: &[u8]) -> Result<Event, BadPayload> {
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
    if !may_hold_commands(&read.comment.body) {
        return Ok(Event::Ignored("a comment without a command"));
    }
    Ok(Event::Comment(CommentEvent {
        repo: read.repository.full_name,
        number: read.issue.number,
        comment: read.comment.id,
        author: login(read.comment.user),
        body: read.comment.body,
        at: read.comment.created_at,
    }))
}

pub(super) fn push(body: &[u8]) -> Result<Event, BadPayload> {
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

pub(super) fn merge_group(body: &[u8]) -> Result<Event, BadPayload> {
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
        head_ref: group.head_ref.strip_prefix("refs/heads/").unwrap_or(&group.head_ref).to_owned(),
        base: group.base_sha,
        base_ref: group.base_ref.strip_prefix("refs/heads/").unwrap_or(&group.base_ref).to_owned(),
    }))
}

pub(super) fn check_run(body: &[u8]) -> Result<Event, BadPayload> {
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

pub(super) fn check_suite(body: &[u8]) -> Result<Event, BadPayload> {
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

pub(super) fn status(body: &[u8]) -> Result<Event, BadPayload> {
    let read: payload::Status = payload::read(body)?;
    Ok(Event::Status(StatusEvent {
        repo: read.repository.full_name,
        sha: read.sha,
        context: read.context,
        state: read.state,
        description: read.description.unwrap_or_default(),
        target_url: read.target_url.unwrap_or_default(),
        at: read.created_at,
    }))
}

pub(super) fn installation(body: &[u8]) -> Result<Event, BadPayload> {
    let change = match payload::action(body)? {
        InstallationKind::Created => InstallationChange::Created,
        InstallationKind::Deleted => InstallationChange::Deleted,
        InstallationKind::Suspend => InstallationChange::Suspended,
        InstallationKind::Unsuspend => InstallationChange::Unsuspended,
        InstallationKind::Unused => return Ok(UNUSED_ACTION),
    };
    let read: payload::Installation = payload::read(body)?;
    Ok(installed(read.installation, change))
}

fn installed(installation: payload::Installed, change: InstallationChange) -> Event {
    let account = installation.account.and_then(|account| account.login).unwrap_or_default();
    Event::Installation(InstallationEvent { installation: installation.id, account, change })
}

pub(super) fn installation_repositories(body: &[u8]) -> Result<Event, BadPayload> {
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
    Ok(installed(read.installation, change))
}
