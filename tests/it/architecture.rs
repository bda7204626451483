//! The house's arrows, checked on the source itself: who may name whom, and where a vendor's library may appear.

use std::fs;
use std::path::{Path, PathBuf};

/// A library and the rooms that may name it.
const ROOMS: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("octocrab", &["adapters/github"]),
    ("bollard", &["adapters/docker"]),
    ("object_store", &["adapters/artifacts"]),
    ("kube", &["adapters/kube"]),
    ("k8s_openapi", &["adapters/kube"]),
    ("axum", &["web", "app.rs"]),
    ("clap", &["cli", "main.rs"]),
];

/// A room and the rooms it may not use. Every folder of `src/` is one.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("domain", &["ports", "store", "adapters", "reconcile", "web", "app", "cli", "config", "reports", "artifacts"]),
    ("ports", &["store", "adapters", "reconcile", "web", "app", "cli", "config", "reports", "artifacts"]),
    ("reports", &["ports", "store", "adapters", "reconcile", "web", "app", "cli", "config", "artifacts"]),
    ("config", &["store", "adapters", "reconcile", "web", "app", "cli", "reports", "artifacts"]),
    ("store", &["adapters", "reconcile", "web", "app", "cli", "config", "reports", "artifacts"]),
    ("adapters", &["store", "reconcile", "web", "app", "cli", "config"]),
    ("artifacts.rs", &["store", "adapters", "reconcile", "web", "app", "cli", "config"]),
    ("reconcile", &["web", "app", "cli"]),
    ("web", &["adapters", "reconcile", "app", "cli", "config", "reports"]),
    ("app.rs", &["cli"]),
    ("cli", &[]),
];

struct Source {
    /// Path below `src/`, with slashes.
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn collect(root: &Path, folder: &Path, into: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
            into.push(Source { path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), code });
        }
    }
}

fn is_in(path: &str, room: &str) -> bool {
    path == room || path.strip_prefix(room).is_some_and(|rest| rest.starts_with('/')) || path == format!("{room}.rs")
}

/// Whether `code` names `word` as a path's first segment.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + word.len()..];
        after.starts_with("::") && !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut strays = Vec::new();
    for source in sources() {
        for (library, rooms) in ROOMS {
            let allowed = rooms.iter().any(|room| is_in(&source.path, room));
            if !allowed && names(&source.code, library) {
                strays.push(format!("{} names {library}", source.path));
            }
        }
    }
    assert!(strays.is_empty(), "{strays:#?}");
}

/// A room that is misspelled here, or new and missing, would be held to nothing.
#[test]
fn every_room_exists_and_every_folder_is_one() {
    let sources = sources();
    let libraries = ROOMS.iter().flat_map(|(_, rooms)| *rooms);
    for room in FORBIDDEN.iter().map(|(room, _)| room).chain(libraries) {
        assert!(sources.iter().any(|source| is_in(&source.path, room)), "there is no room {room}");
    }
    let folders = sources.iter().filter_map(|source| source.path.split_once('/')).map(|(folder, _)| folder);
    for folder in folders {
        assert!(FORBIDDEN.iter().any(|(room, _)| *room == folder), "the folder {folder} is no listed room");
    }
}

#[test]
fn no_arrow_runs_backwards() {
    let mut strays = Vec::new();
    for source in sources() {
        if source.code.contains("crate::{") {
            strays.push(format!("{} names rooms in one group, which this test does not read", source.path));
        }
        for (room, forbidden) in FORBIDDEN.iter().filter(|(room, _)| is_in(&source.path, room)) {
            for other in *forbidden {
                if source.code.contains(&format!("crate::{other}")) {
                    strays.push(format!("{} ({room}) uses {other}", source.path));
                }
            }
        }
    }
    assert!(strays.is_empty(), "{strays:#?}");
}

#[test]
fn files_stay_short_and_say_what_they_are_for() {
    let mut strays = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for source in sources() {
        let text = fs::read_to_string(root.join(&source.path)).unwrap();
        let lines = text.lines().count();
        if lines > 500 {
            strays.push(format!("{} has {lines} lines", source.path));
        }
        let is_test = source.path.ends_with("tests.rs");
        if !is_test && !text.starts_with("//!") {
            strays.push(format!("{} does not say what it is for", source.path));
        }
    }
    assert!(strays.is_empty(), "{strays:#?}");
}
