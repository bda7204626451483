//! Finds result files: walks folders without following links, and works out which files are rounds of one another.
//! Looks at names and the first bytes only; reading is the readers' business.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::{Limits, source};

/// Folders inside each other.
const DEPTH: usize = 32;

/// A file that may be a report.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// Named by the caller, not found in a folder: it must be a report.
    pub(super) explicit: bool,
    pub(super) kind: Kind,
    /// `2026-11-20T21:24:23`, from the first suite that says when it ran.
    started: Option<String>,
}

/// What the first bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Xml,
    Ginkgo,
    /// Neither; for a file with a report's ending only the reader can tell.
    Unknown,
}

/// All candidates below `paths`, grouped: the files of one group are rounds of the same suite, in order.
/// `problems` gets what could not be looked at.
pub(super) fn find(paths: &[PathBuf], limits: &Limits, problems: &mut Vec<String>) -> Vec<Vec<Candidate>> {
    let mut found = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                let mut inside = Vec::new();
                walk(path, 0, limits.files, &mut inside, problems);
                inside.sort_by_cached_key(|path| natural(&path.with_extension("").to_string_lossy()));
                found.extend(inside.into_iter().map(|path| (path, false)));
            }
            Ok(meta) if meta.is_file() => found.push((path.clone(), true)),
            Ok(_) => problems.push(format!("{}: neither a file nor a folder", path.display())),
            Err(error) => problems.push(format!("{}: {}", path.display(), reason(&error))),
        }
    }
    let mut known = std::collections::HashSet::new();
    found.retain(|(path, _)| known.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    if found.len() > limits.files {
        problems.push(format!("more than {} files: the rest was not read", limits.files));
        found.truncate(limits.files);
    }
    let candidates = found.into_iter().filter_map(|(path, explicit)| match look(&path, limits) {
        Ok((kind, started)) => Some(Candidate { path, explicit, kind, started }),
        Err(error) => {
            problems.push(format!("{}: {}", path.display(), reason(&error)));
            None
        }
    });
    let candidates: Vec<Candidate> = candidates.collect();
    group(candidates)
}

/// An IO error in words that do not change between systems, where there are such.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn walk(folder: &Path, depth: usize, most: usize, found: &mut Vec<PathBuf>, problems: &mut Vec<String>) {
    if depth >= DEPTH {
        problems.push(format!("{}: more than {DEPTH} folders inside each other", folder.display()));
        return;
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return problems.push(format!("{}: {}", folder.display(), reason(&error))),
    };
    for entry in entries.flatten() {
        // `file_type` does not follow links: one could lead out of the folder, or round in circles.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), depth + 1, most, found, problems),
            Ok(kind) if kind.is_file() && has_report_ending(&entry.path()) && found.len() <= most => {
                found.push(entry.path());
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn has_report_ending(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.ends_with(".xml") || name.ends_with(".json")
}

fn look(path: &Path, limits: &Limits) -> io::Result<(Kind, Option<String>)> {
    let (mut source, _) = source::open(path, limits.file_bytes)?;
    let head = String::from_utf8_lossy(source.fill_buf()?).into_owned();
    let kind = match head.trim_start().bytes().next() {
        Some(b'<') => Kind::Xml,
        Some(b'[' | b'{') if is_ginkgo(&head) => Kind::Ginkgo,
        _ => Kind::Unknown,
    };
    Ok((kind, started(&head)))
}

/// Ginkgo writes the suite's path first; a file that was sorted or reformatted still has these near its start.
fn is_ginkgo(head: &str) -> bool {
    ["\"SuitePath\"", "\"SuiteDescription\"", "\"SpecReports\"", "\"SuiteSucceeded\""].iter().any(|key| head.contains(key))
}

fn started(head: &str) -> Option<String> {
    static TIMESTAMP: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"timestamp=["'](\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"#).expect("the pattern is constant and compiles")
    });
    TIMESTAMP.captures(head).map(|found| found[1].to_owned())
}

/// Files whose paths differ only in what names a round (`attempt-2`, `rerun`), or in the process number that
/// Ginkgo v1 puts into `junit_01.xml`, belong together. All others stand alone.
fn group(candidates: Vec<Candidate>) -> Vec<Vec<Candidate>> {
    let mut groups: Vec<Vec<Candidate>> = Vec::new();
    let mut by_key: HashMap<String, usize> = HashMap::new();
    for candidate in candidates {
        let key = round_key(&candidate.path);
        match by_key.get(&key) {
            Some(&at) => groups[at].push(candidate),
            None => {
                by_key.insert(key, groups.len());
                groups.push(vec![candidate]);
            }
        }
    }
    for group in groups.iter_mut().filter(|group| group.len() > 1) {
        group.sort_by_cached_key(|candidate| natural(&candidate.path.with_extension("").to_string_lossy()));
        if group.iter().all(|candidate| candidate.started.is_some()) {
            group.sort_by(|a, b| a.started.cmp(&b.started));
        }
    }
    groups
}

/// The path without what names a round.
fn round_key(path: &Path) -> String {
    static ROUND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(^|/|[-_. ])(attempt|retry|retries|rerun|re-run|round|try)[-_. ]?\d*(/|[-_. ]|$)")
            .expect("the pattern is constant and compiles")
    });
    let whole = path.to_string_lossy();
    let (stem, ending) = split_ending(&whole);
    let stem = ROUND.replace_all(stem, "$3");
    let stem = PROCESS.replace(&stem, "${1}junit_${2}");
    format!("{}.{ending}", stem.trim_end_matches(['-', '_', '.', ' ']))
}

/// Ginkgo v1 numbers one file a parallel process: `junit_<prefix>01.xml`.
static PROCESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(/|^)junit_((?:[^/]*[^/\d])?)\d\d$").expect("the pattern is constant and compiles"));

/// Whether a file is one parallel process's share.
pub(super) fn is_process_file(path: &Path) -> bool {
    PROCESS.is_match(split_ending(&path.to_string_lossy()).0)
}

fn split_ending(path: &str) -> (&str, &str) {
    let folder = path.rfind('/').map_or(0, |at| at + 1);
    match path[folder..].find(".xml").or_else(|| path[folder..].find(".json")) {
        Some(at) => (&path[..folder + at], &path[folder + at + 1..]),
        None => (path, ""),
    }
}

/// Orders `junit_2` before `junit_10`: numbers compare as numbers.
fn natural(text: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (before, after) = rest.split_at(letters);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        parts.push((before.to_owned(), after[..digits].parse().unwrap_or(0)));
        rest = &after[digits..];
    }
    parts
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
