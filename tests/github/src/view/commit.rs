//! Commits, their files, and git's own view of them.

use serde_json::{Value, json};

use super::View;
use crate::clock::stamp;
use crate::git::diff::FileDiff;
use crate::git::{self, Commit, diff};
use crate::state::repository::Repository;

impl View<'_> {
    /// A `commit`. `files` adds what it changed, as `GET /commits/{ref}` does and lists do not.
    pub(crate) fn commit(&self, repository: &Repository, sha: &str, files: bool) -> Value {
        let commit = &repository.commits[sha];
        let url = self.repository_url(&repository.full_name());
        let html = format!("{}/{}/commit", self.html(), repository.full_name());
        let parents: Vec<Value> = commit
            .parents
            .iter()
            .map(|parent| {
                json!({ "sha": parent, "url": format!("{url}/commits/{parent}"), "html_url": format!("{html}/{parent}") })
            })
            .collect();
        let mut object = json!({
            "sha": sha, "node_id": format!("C_{sha}"), "url": format!("{url}/commits/{sha}"),
            "html_url": format!("{html}/{sha}"), "comments_url": format!("{url}/commits/{sha}/comments"),
            "commit": {
                "url": format!("{url}/git/commits/{sha}"), "author": signature(commit), "committer": signature(commit),
                "message": commit.message, "comment_count": 0,
                "tree": { "sha": commit.tree_sha, "url": format!("{url}/git/trees/{}", commit.tree_sha) },
                "verification": verification(),
            },
            "author": self.account(&commit.author), "committer": self.account(&commit.author), "parents": parents,
        });
        if files {
            let before =
                commit.parents.first().map(|parent| repository.commits[parent].tree.clone()).unwrap_or_default();
            let changes = diff::between(&before, &commit.tree);
            let (additions, deletions) = totals(&changes);
            object["stats"] = json!({ "total": additions + deletions, "additions": additions, "deletions": deletions });
            object["files"] = changes.iter().map(|change| self.file(repository, sha, change)).collect();
        }
        object
    }

    /// A `git-commit`.
    pub(crate) fn git_commit(&self, repository: &Repository, sha: &str) -> Value {
        let commit = &repository.commits[sha];
        let url = self.repository_url(&repository.full_name());
        let html = format!("{}/{}/commit", self.html(), repository.full_name());
        let parents: Vec<Value> = commit
            .parents
            .iter()
            .map(|parent| {
                json!({
                    "sha": parent, "url": format!("{url}/git/commits/{parent}"), "html_url": format!("{html}/{parent}"),
                })
            })
            .collect();
        json!({
            "sha": sha, "node_id": format!("C_{sha}"), "url": format!("{url}/git/commits/{sha}"),
            "html_url": format!("{html}/{sha}"), "author": signature(commit), "committer": signature(commit),
            "message": commit.message, "parents": parents, "verification": verification(),
            "tree": { "sha": commit.tree_sha, "url": format!("{url}/git/trees/{}", commit.tree_sha) },
        })
    }

    /// A `diff-entry`: one file that a commit or a pull request changes.
    pub(crate) fn file(&self, repository: &Repository, sha: &str, change: &FileDiff) -> Value {
        let page = format!("{}/{}", self.html(), repository.full_name());
        json!({
            "sha": change.sha, "filename": change.path, "status": change.status, "additions": change.additions,
            "deletions": change.deletions, "changes": change.additions + change.deletions,
            "blob_url": format!("{page}/blob/{sha}/{}", change.path),
            "raw_url": format!("{page}/raw/{sha}/{}", change.path),
            "contents_url": format!(
                "{}/contents/{}?ref={sha}", self.repository_url(&repository.full_name()), change.path
            ),
            "patch": change.patch,
        })
    }
}

/// Lines added and deleted.
pub(crate) fn totals(changes: &[FileDiff]) -> (usize, usize) {
    changes.iter().fold((0, 0), |(added, deleted), change| (added + change.additions, deleted + change.deletions))
}

fn signature(commit: &Commit) -> Value {
    json!({ "name": commit.author, "email": git::email(&commit.author), "date": stamp(commit.at) })
}

fn verification() -> Value {
    json!({ "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null })
}
