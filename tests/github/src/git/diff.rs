//! The difference of two trees, file by file, with one hunk per file.
//! Not a minimal diff: common lines at both ends are dropped, what lies between counts as changed.

use super::{Blob, Tree};

/// What happened to one file.
#[derive(Debug)]
pub(crate) struct FileDiff {
    pub(crate) path: String,
    pub(crate) status: &'static str,
    pub(crate) sha: String,
    pub(crate) additions: usize,
    pub(crate) deletions: usize,
    pub(crate) patch: String,
}

/// Files that differ, sorted by path.
pub(crate) fn between(old: &Tree, new: &Tree) -> Vec<FileDiff> {
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    paths.into_iter().filter_map(|path| file(path, old.get(path), new.get(path))).collect()
}

fn file(path: &str, old: Option<&Blob>, new: Option<&Blob>) -> Option<FileDiff> {
    let (status, sha) = match (old, new) {
        (None, Some(new)) => ("added", &new.sha),
        (Some(old), None) => ("removed", &old.sha),
        (Some(old), Some(new)) if old != new => ("modified", &new.sha),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let before = text(old);
    let after = text(new);
    let change = Changed::between(&lines(&before), &lines(&after));
    let removed = &lines(&before)[change.start..change.old_end];
    let added = &lines(&after)[change.start..change.new_end];
    let mut patch = format!("@@ -{},{} +{},{} @@", change.start + 1, removed.len(), change.start + 1, added.len());
    for line in removed {
        patch.push_str(&format!("\n-{}", line.trim_end_matches('\n')));
    }
    for line in added {
        patch.push_str(&format!("\n+{}", line.trim_end_matches('\n')));
    }
    Some(FileDiff {
        path: path.to_owned(),
        status,
        sha: sha.clone(),
        additions: added.len(),
        deletions: removed.len(),
        patch,
    })
}

/// The range of lines in which two texts differ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changed {
    pub(crate) start: usize,
    pub(crate) old_end: usize,
    pub(crate) new_end: usize,
}

impl Changed {
    pub(crate) fn between(old: &[&str], new: &[&str]) -> Self {
        let start = old.iter().zip(new).take_while(|(left, right)| left == right).count();
        let room = old.len().min(new.len()) - start;
        let tail = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(left, right)| left == right).count();
        Self { start, old_end: old.len() - tail, new_end: new.len() - tail }
    }
}

/// A blob as text; what is not UTF-8 is replaced, which is good enough to count lines.
pub(crate) fn text(blob: Option<&Blob>) -> String {
    blob.map(|blob| String::from_utf8_lossy(&blob.bytes).into_owned()).unwrap_or_default()
}

/// Lines with their ends, so that joining them gives the text again.
pub(crate) fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}
