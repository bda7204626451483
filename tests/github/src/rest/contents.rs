//! Files and archives of a commit.

use base64::Engine;
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::call::Call;
use crate::git::{self, Blob, Entry, Mode};
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::repository::{ArchiveTicket, Repository};

/// Above this GitHub gives a file's contents only raw.
const MAX_JSON: usize = 1024 * 1024;

pub(super) fn get(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let reference = call.query.get("ref").filter(|name| !name.is_empty()).map_or("HEAD", String::as_str);
    let sha = repository
        .resolve(reference)
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("No commit found for the ref {reference}")))?;
    let path = call.parameter("path").trim_matches('/');
    let place = Place { call, repository, reference };
    let tree = &repository.commits[&sha].tree;
    if let Some(blob) = tree.get(path) {
        return Ok(place.file(path, followed(tree, path, blob)));
    }
    let folders = git::folders(tree);
    let folder = folders.get(path).ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(folder.entries.iter().map(|(name, entry)| place.entry(path, name, entry)).collect()))
}

/// A symbolic link to a file of the repository is answered with that file, as GitHub does.
fn followed<'t>(tree: &'t git::Tree, path: &str, blob: &'t Blob) -> &'t Blob {
    if blob.mode != Mode::Symlink {
        return blob;
    }
    let target = String::from_utf8_lossy(&blob.bytes);
    let mut parts: Vec<&str> = git::split(path).0.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    tree.get(&parts.join("/")).unwrap_or(blob)
}

struct Place<'a> {
    call: &'a Call,
    repository: &'a Repository,
    reference: &'a str,
}

impl Place<'_> {
    fn file(&self, path: &str, blob: &Blob) -> Reply {
        if self.call.accept.contains("raw") {
            return Reply::raw("application/vnd.github.raw+json; charset=utf-8", blob.bytes.clone());
        }
        let mut object = self.common(path, &blob.sha);
        object["size"] = json!(blob.bytes.len());
        if blob.mode == Mode::Symlink {
            object["type"] = json!("symlink");
            object["target"] = json!(String::from_utf8_lossy(&blob.bytes));
            return Reply::ok(object);
        }
        object["type"] = json!("file");
        let small = blob.bytes.len() <= MAX_JSON;
        object["encoding"] = json!(if small { "base64" } else { "none" });
        object["content"] = json!(if small { wrapped_base64(&blob.bytes) } else { String::new() });
        Reply::ok(object)
    }

    fn entry(&self, folder: &str, name: &str, entry: &Entry) -> Value {
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let mut object = self.common(&path, entry.sha());
        match entry {
            Entry::Blob(blob) => {
                object["type"] = json!(if blob.mode == Mode::Symlink { "symlink" } else { "file" });
                object["size"] = json!(blob.bytes.len());
            }
            Entry::Folder { .. } => {
                object["type"] = json!("dir");
                object["size"] = json!(0);
                object["download_url"] = Value::Null;
            }
        }
        object
    }

    fn common(&self, path: &str, sha: &str) -> Value {
        let name = self.repository.full_name();
        let api = format!("{}/repos/{name}", self.call.api);
        let root = self.call.api.trim_end_matches("/api/v3");
        let own = format!("{api}/contents/{path}?ref={}", self.reference);
        let blob = format!("{api}/git/blobs/{sha}");
        let page = format!("{root}/{name}/blob/{}/{path}", self.reference);
        json!({
            "name": git::split(path).1, "path": path, "sha": sha, "url": own, "git_url": blob, "html_url": page,
            "download_url": format!("{root}/{name}/raw/{}/{path}", self.reference),
            "_links": { "self": own, "git": blob, "html": page },
        })
    }
}

/// Base64 in lines of sixty characters, each with its end, as GitHub sends it.
fn wrapped_base64(bytes: &[u8]) -> String {
    let flat = base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut wrapped = String::with_capacity(flat.len() + flat.len() / 60 + 1);
    for line in flat.as_bytes().chunks(60) {
        wrapped.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        wrapped.push('\n');
    }
    wrapped
}

/// Sends the caller on to where archives are made, with a ticket for one commit and five minutes.
pub(super) fn tarball(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let name = Some(call.parameter("ref")).filter(|name| !name.is_empty()).unwrap_or("HEAD");
    let sha = repository.resolve(name).ok_or_else(Refusal::not_found)?;
    let full_name = repository.full_name();
    let expires_at = world.clock.now() + SignedDuration::from_mins(5);
    let ticket = uuid::Uuid::now_v7().simple().to_string();
    let location = format!("{}/_codeload/{full_name}/legacy.tar.gz/{sha}?token={ticket}", world.url);
    world.tickets.insert(ticket, ArchiveTicket { repository: full_name, sha, expires_at });
    Ok(Reply::found(location))
}
