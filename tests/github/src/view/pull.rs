//! Pull requests, whole as one and short as in lists.

use serde_json::{Value, json};

use super::View;
use super::commit::totals;
use crate::clock::stamp;
use crate::git::diff::{self, FileDiff};
use crate::git::history;
use crate::state::pull::{Pull, PullState, TestMerge};
use crate::state::repository::Repository;
use crate::state::user::Permission;

impl View<'_> {
    /// A `pull-request`.
    pub(crate) fn pull(&self, repository: &Repository, pull: &Pull) -> Value {
        let mut object = self.pull_short(repository, pull);
        let changes = changes(repository, pull);
        let (additions, deletions) = totals(&changes);
        let commits = commits(repository, pull).len();
        let comments = repository.comments.values().filter(|comment| comment.issue == pull.number).count();
        let computed = repository.merge_reads.get(&pull.number).is_none_or(|reads| *reads == 0);
        let (mergeable, state) = match (&pull.state, &pull.merge) {
            (PullState::Merged { .. }, _) => (Value::Null, "unknown"),
            (PullState::Open | PullState::Closed { .. }, _) if !computed => (Value::Null, "unknown"),
            (PullState::Open | PullState::Closed { .. }, TestMerge::Conflict) => (json!(false), "dirty"),
            (PullState::Open | PullState::Closed { .. }, TestMerge::Clean { .. }) if pull.draft => {
                (json!(true), "draft")
            }
            (PullState::Open | PullState::Closed { .. }, TestMerge::Clean { .. }) => (json!(true), "clean"),
        };
        let merged_by = match &pull.state {
            PullState::Merged { by, .. } => self.account(by),
            PullState::Open | PullState::Closed { .. } => Value::Null,
        };
        let more = json!({
            "merged": matches!(pull.state, PullState::Merged { .. }), "mergeable": mergeable, "rebaseable": mergeable,
            "mergeable_state": state, "merged_by": merged_by, "comments": comments, "review_comments": 0,
            "maintainer_can_modify": pull.head_repository != repository.full_name(), "commits": commits,
            "additions": additions, "deletions": deletions, "changed_files": changes.len(),
        });
        extend(&mut object, more);
        object
    }

    /// A `pull-request-simple`.
    pub(crate) fn pull_short(&self, repository: &Repository, pull: &Pull) -> Value {
        let url = self.repository_url(&repository.full_name());
        let html = format!("{}/{}/pull/{}", self.html(), repository.full_name(), pull.number);
        let merged_at = match &pull.state {
            PullState::Merged { at, .. } => json!(stamp(*at)),
            PullState::Open | PullState::Closed { .. } => Value::Null,
        };
        let mut object = json!({
            "id": pull.id, "node_id": format!("PR_{}", pull.id), "number": pull.number, "state": pull.state.as_str(),
            "locked": false, "title": pull.title, "user": self.account(&pull.author), "body": pull.body,
            "created_at": stamp(pull.created_at), "updated_at": stamp(pull.updated_at),
            "closed_at": pull.state.closed_at().map(stamp), "merged_at": merged_at,
            "merge_commit_sha": merge_commit(repository, pull), "assignee": null, "assignees": [],
            "requested_reviewers": [], "requested_teams": [], "labels": self.labels(repository, &pull.labels),
            "milestone": null, "draft": pull.draft,
            "head": self.side(&pull.head_repository, &pull.head_ref, &pull.head_sha),
            "base": self.side(&repository.full_name(), &pull.base_ref, &pull.base_sha),
            "author_association": association(repository, &pull.author), "auto_merge": null,
            "active_lock_reason": null,
        });
        extend(&mut object, links(&url, &html, pull));
        object
    }

    fn side(&self, full_name: &str, branch: &str, sha: &str) -> Value {
        // A fork may be gone; GitHub then shows no repository.
        let repository = self.world.repository(full_name);
        let owner = full_name.split('/').next().unwrap_or_default();
        json!({
            "label": format!("{owner}:{branch}"), "ref": branch, "sha": sha, "user": self.account(owner),
            "repo": repository.map(|repository| self.repository(repository)),
        })
    }

    /// The pull request as the `issue` that comments belong to.
    pub(crate) fn issue(&self, repository: &Repository, pull: &Pull) -> Value {
        let url = format!("{}/issues/{}", self.repository_url(&repository.full_name()), pull.number);
        let html = format!("{}/{}/pull/{}", self.html(), repository.full_name(), pull.number);
        let comments = repository.comments.values().filter(|comment| comment.issue == pull.number).count();
        json!({
            "url": url, "repository_url": self.repository_url(&repository.full_name()),
            "labels_url": format!("{url}/labels{{/name}}"), "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"), "html_url": html, "id": pull.id + 500_000_000,
            "node_id": format!("PR_{}", pull.id), "number": pull.number, "title": pull.title,
            "user": self.account(&pull.author), "labels": self.labels(repository, &pull.labels),
            "state": pull.state.as_str(), "locked": false, "assignee": null, "assignees": [], "milestone": null,
            "comments": comments, "created_at": stamp(pull.created_at), "updated_at": stamp(pull.updated_at),
            "closed_at": pull.state.closed_at().map(stamp),
            "author_association": association(repository, &pull.author), "active_lock_reason": null,
            "draft": pull.draft, "body": pull.body, "performed_via_github_app": null,
            "pull_request": {
                "url": format!("{}/pulls/{}", self.repository_url(&repository.full_name()), pull.number),
                "html_url": html, "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
                "merged_at": null,
            },
        })
    }
}

fn links(url: &str, html: &str, pull: &Pull) -> Value {
    let number = pull.number;
    let href = |target: String| json!({ "href": target });
    let own = format!("{url}/pulls/{number}");
    let statuses = format!("{url}/statuses/{}", pull.head_sha);
    json!({
        "url": own, "html_url": html, "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
        "issue_url": format!("{url}/issues/{number}"), "commits_url": format!("{own}/commits"),
        "review_comments_url": format!("{own}/comments"),
        "review_comment_url": format!("{url}/pulls/comments{{/number}}"),
        "comments_url": format!("{url}/issues/{number}/comments"), "statuses_url": statuses,
        "_links": {
            "self": href(own.clone()), "html": href(html.to_owned()), "issue": href(format!("{url}/issues/{number}")),
            "comments": href(format!("{url}/issues/{number}/comments")),
            "review_comments": href(format!("{own}/comments")),
            "review_comment": href(format!("{url}/pulls/comments{{/number}}")),
            "commits": href(format!("{own}/commits")), "statuses": href(statuses),
        },
    })
}

/// The test merge's commit, or the real one of a merged pull request.
fn merge_commit(repository: &Repository, pull: &Pull) -> Option<String> {
    let computed = repository.merge_reads.get(&pull.number).is_none_or(|reads| *reads == 0);
    match &pull.state {
        PullState::Merged { sha, .. } => Some(sha.clone()),
        PullState::Open | PullState::Closed { .. } if computed => pull.merge.sha().map(str::to_owned),
        PullState::Open | PullState::Closed { .. } => None,
    }
}

/// Files a pull request changes, against the commit it grew from.
pub(crate) fn changes(repository: &Repository, pull: &Pull) -> Vec<FileDiff> {
    let base = history::merge_base(&repository.commits, &pull.base_sha, &pull.head_sha);
    let before = base.map(|sha| repository.commits[&sha].tree.clone()).unwrap_or_default();
    diff::between(&before, &repository.commits[&pull.head_sha].tree)
}

/// Commits of a pull request, oldest first.
pub(crate) fn commits(repository: &Repository, pull: &Pull) -> Vec<String> {
    history::ahead(&repository.commits, &pull.base_sha, &pull.head_sha)
}

/// What the author is to the repository.
pub(crate) fn association(repository: &Repository, login: &str) -> &'static str {
    match repository.permission_of(login) {
        Permission::Admin if login.eq_ignore_ascii_case(&repository.owner) => "OWNER",
        Permission::Admin | Permission::Maintain | Permission::Write | Permission::Triage => "COLLABORATOR",
        Permission::Read | Permission::None => "NONE",
    }
}

fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
