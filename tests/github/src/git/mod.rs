//! Git's objects as far as the stand-in needs them: blobs, trees and commits with their true object ids.
//! No transport and no storage; repositories keep the commits.

pub(crate) mod diff;
pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod merge;

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use sha1::{Digest, Sha1};

/// A snapshot of files by path. Folders exist only through their files, as in git.
pub(crate) type Tree = BTreeMap<String, Blob>;

/// A commit with the whole snapshot it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) tree_sha: String,
    pub(crate) tree: Tree,
    pub(crate) parents: Vec<String>,
    pub(crate) message: String,
    pub(crate) author: String,
    pub(crate) at: Timestamp,
}

impl Commit {
    /// Makes the object and computes its id the way git does.
    pub(crate) fn new(tree: Tree, parents: Vec<String>, message: &str, author: &str, at: Timestamp) -> Self {
        let tree_sha = folders(&tree).remove("").expect("every tree has a root").sha;
        let mut body = format!("tree {tree_sha}\n");
        for parent in &parents {
            body.push_str(&format!("parent {parent}\n"));
        }
        let signature = format!("{author} <{}> {} +0000", email(author), at.as_second());
        body.push_str(&format!("author {signature}\ncommitter {signature}\n\n{message}\n"));
        let sha = object_id("commit", body.as_bytes());
        Self { sha, tree_sha, tree, parents, message: message.to_owned(), author: author.to_owned(), at }
    }
}

/// The address under which a user commits.
pub(crate) fn email(login: &str) -> String {
    format!("{login}@users.noreply.github.com")
}

/// What a tree entry is, by git's modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    File,
    Executable,
    Symlink,
}

impl Mode {
    pub(crate) fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
        }
    }
}

/// A file's contents. A symbolic link's contents are its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) mode: Mode,
    pub(crate) bytes: Bytes,
    pub(crate) sha: String,
}

impl Blob {
    pub(crate) fn new(mode: Mode, bytes: Bytes) -> Self {
        let sha = object_id("blob", &bytes);
        Self { mode, bytes, sha }
    }
}

/// One folder of a tree: its id and its direct entries.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    pub(crate) sha: String,
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// An entry of a folder.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Blob(Blob),
    Folder { sha: String },
}

impl Entry {
    pub(crate) fn sha(&self) -> &str {
        match self {
            Self::Blob(blob) => &blob.sha,
            Self::Folder { sha } => sha,
        }
    }

    pub(crate) fn mode(&self) -> &'static str {
        match self {
            Self::Blob(blob) => blob.mode.octal(),
            Self::Folder { .. } => "040000",
        }
    }
}

/// Every folder of the tree by path, the root as the empty path.
pub(crate) fn folders(tree: &Tree) -> BTreeMap<String, Folder> {
    let mut folders: BTreeMap<String, Folder> = BTreeMap::from([(String::new(), Folder::default())]);
    for (path, blob) in tree {
        let (folder, name) = split(path);
        let mut parent = folder;
        while !parent.is_empty() {
            folders.entry(parent.to_owned()).or_default();
            parent = split(parent).0;
        }
        let entries = &mut folders.entry(folder.to_owned()).or_default().entries;
        entries.insert(name.to_owned(), Entry::Blob(blob.clone()));
    }
    // Deepest first: a folder's id needs the ids of the folders in it.
    let mut paths: Vec<String> = folders.keys().cloned().collect();
    paths.sort_by_key(|path| std::cmp::Reverse(depth(path)));
    for path in paths {
        let sha = tree_id(&folders[&path].entries);
        folders.get_mut(&path).expect("taken from the map").sha.clone_from(&sha);
        if !path.is_empty() {
            let (parent, name) = split(&path);
            let entries = &mut folders.get_mut(parent).expect("parents were added").entries;
            entries.insert(name.to_owned(), Entry::Folder { sha });
        }
    }
    folders
}

fn depth(path: &str) -> usize {
    if path.is_empty() { 0 } else { path.matches('/').count() + 1 }
}

/// Folder and name of a path.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn tree_id(entries: &BTreeMap<String, Entry>) -> String {
    // Git sorts folders as if their names ended in a slash.
    let mut sorted: Vec<(String, &String, &Entry)> = entries
        .iter()
        .map(|(name, entry)| match entry {
            Entry::Blob(_) => (name.clone(), name, entry),
            Entry::Folder { .. } => (format!("{name}/"), name, entry),
        })
        .collect();
    sorted.sort_by(|left, right| left.0.cmp(&right.0));
    let mut body = Vec::new();
    for (_, name, entry) in sorted {
        let mode = entry.mode().trim_start_matches('0');
        body.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        body.extend_from_slice(&hex::decode(entry.sha()).expect("object ids are hexadecimal"));
    }
    object_id("tree", &body)
}

fn object_id(kind: &str, body: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("{kind} {}\0", body.len()).as_bytes());
    hash.update(body);
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ids_are_those_git_computes() {
        // `printf 'hello\n' | git hash-object --stdin`, and the well-known empty tree.
        assert_eq!(object_id("blob", b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(folders(&Tree::new())[""].sha, "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }
    /// The expected ids come from `git write-tree` and `git commit-tree` on the same files.
    #[test]
    fn trees_and_commits_have_the_ids_git_gives_them() {
        let tree = files::Files::new()
            .file("a/b.txt", "one\n")
            .file("a/c/d", "two\n")
            .file("a.txt", "three\n")
            .executable("a-b", "#!/bin/sh\n")
            .symlink("link", "a.txt")
            .applied_to(&Tree::new());
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let commit = Commit::new(tree.clone(), Vec::new(), "A message", "acme", at);
        assert_eq!(commit.tree_sha, "f45f4b2368a72fddd879943728bed3f9735beb8e");
        assert_eq!(commit.sha, "6bbf81b11fb3f55bce3a5cc428285b996d6fe80f");
        let child = Commit::new(tree, vec![commit.sha], "A message", "acme", at);
        assert_eq!(child.sha, "20c319573a9a0502c1e8db2b439cca72d99b2441");
    }
}
