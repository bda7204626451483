//! What a change touches, and what a commit holds. Read page by page by number: GitHub's `next` links are not followed.

use super::answers::{ChangedFile, GitCommit};
use super::api::{Api, Call};
use super::traffic::CallKind;
use crate::domain::names::{RepoName, Sha};
use crate::ports::{Commit, ForgeError};

const PER_PAGE: usize = 100;
/// GitHub lists 3,000 files of a pull request and not one more.
const MOST_PAGES: usize = 30;

/// `None` where GitHub may have left some out.
pub(super) async fn files(api: &Api, repo: &RepoName, number: u64) -> Result<Option<Vec<String>>, ForgeError> {
    let mut all = Vec::new();
    for page in 1..=MOST_PAGES {
        let path = format!("/repos/{repo}/pulls/{number}/files?per_page={PER_PAGE}&page={page}");
        let what = format!("the files of #{number} of {repo}");
        let found: Vec<ChangedFile> = api.call(repo, &Call::get(CallKind::Change, what, path)).await?.json()?;
        let is_last = found.len() < PER_PAGE;
        all.extend(found.into_iter().flat_map(paths));
        if is_last {
            return Ok(Some(all));
        }
    }
    Ok(None)
}

fn paths(file: ChangedFile) -> impl Iterator<Item = String> {
    std::iter::once(file.filename).chain(file.previous_filename)
}

pub(super) async fn commit(api: &Api, repo: &RepoName, sha: &Sha) -> Result<Commit, ForgeError> {
    let what = format!("the commit {} of {repo}", sha.short());
    let call = Call::get(CallKind::Change, what, format!("/repos/{repo}/git/commits/{sha}"));
    let found: GitCommit = api.call(repo, &call).await?.json()?;
    Ok(Commit { tree: found.tree.sha, parents: found.parents.into_iter().map(|parent| parent.sha).collect() })
}
