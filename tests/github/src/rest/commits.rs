//! Commits and trees.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{pulls, view};
use crate::call::Call;
use crate::git::{self, Entry, Folder};
use crate::reply::{Refusal, Reply};
use crate::state::World;

pub(super) fn get(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let name = call.parameter("ref");
    let sha =
        repository.resolve(name).ok_or_else(|| Refusal::unprocessable(format!("No commit found for SHA: {name}")))?;
    if call.accept.contains("vnd.github.sha") {
        return Ok(Reply::raw("application/vnd.github.sha; charset=utf-8", Bytes::from(sha)));
    }
    Ok(Reply::ok(view!(world, call).commit(repository, &sha, true)))
}

pub(super) fn git(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let sha = call.parameter("commit_sha");
    if !repository.commits.contains_key(sha) {
        return Err(Refusal::not_found());
    }
    Ok(Reply::ok(view!(world, call).git_commit(repository, sha)))
}

/// Open pull requests whose head is the commit, and the merged one that brought it in.
pub(super) fn pulls(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let sha = call.parameter("commit_sha");
    let repository = world.of(call)?;
    let found = repository
        .pulls
        .values()
        .filter(|pull| crate::view::pull_commits(repository, pull).iter().any(|own| own == sha));
    Ok(call.list(pulls::shorts(view!(world, call), call, world, found)?))
}

pub(super) fn tree(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let name = call.parameter("tree_sha");
    let found = repository
        .resolve(name)
        .map(|sha| git::folders(&repository.commits[&sha].tree))
        .map(|folders| (folders, String::new()));
    let by_id = || {
        repository.commits.values().find_map(|commit| {
            let folders = git::folders(&commit.tree);
            let path = folders.iter().find(|(_, folder)| folder.sha == name)?.0.clone();
            Some((folders, path))
        })
    };
    let (folders, root) = found.or_else(by_id).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "Not Found"))?;
    let recursive = call.query.contains_key("recursive");
    let url = format!("{}/repos/{}/git", call.api, repository.full_name());
    let mut entries = Vec::new();
    list(&folders, &root, "", recursive, &url, &mut entries);
    let sha = &folders[&root].sha;
    Ok(Reply::ok(json!({ "sha": sha, "url": format!("{url}/trees/{sha}"), "tree": entries, "truncated": false })))
}

fn list(
    folders: &BTreeMap<String, Folder>,
    folder: &str,
    prefix: &str,
    recursive: bool,
    url: &str,
    entries: &mut Vec<Value>,
) {
    for (name, entry) in &folders[folder].entries {
        let path = format!("{prefix}{name}");
        let (kind, page) = match entry {
            Entry::Blob(_) => ("blob", "blobs"),
            Entry::Folder { .. } => ("tree", "trees"),
        };
        let mut object = json!({
            "path": path, "mode": entry.mode(), "type": kind, "sha": entry.sha(),
            "url": format!("{url}/{page}/{}", entry.sha()),
        });
        if let Entry::Blob(blob) = entry {
            object["size"] = json!(blob.bytes.len());
        }
        entries.push(object);
        if recursive && matches!(entry, Entry::Folder { .. }) {
            let below = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            list(folders, &below, &format!("{path}/"), recursive, url, entries);
        }
    }
}
