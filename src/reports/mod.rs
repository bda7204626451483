//! Result files into a `Report`: JUnit of any dialect and Ginkgo's JSON, of files and folders, merged.
//! Bytes in, cases out: never panics, never follows a file's instructions, keeps what it could read and says what it could not.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

mod bounded;
mod bounded_json;
mod collect;
mod find;
mod ginkgo;
mod ginkgo_names;
mod ginkgo_spec;
mod index;
mod junit;
mod junit_case;
mod merged;
mod plain_case;
mod rows;
mod source;
mod suite;
mod suite_tag;
mod xmltext;

pub use merged::write_merged;

use collect::Collector;
use find::{Candidate, Kind, find, is_process_file, reason};

use crate::domain::report::{Report, Weight};

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one file, unpacked.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 1 << 30, total_bytes: 4 << 30, files: 10_000 }
    }
}

/// Reads result files and folders of them into one report.
///
/// In a folder, `*.xml` and `*.json` (also gzipped) that are no test results are passed over; a file named in `paths`
/// must be one. A case that appears twice in a suite was tried twice; twice in different files it was only then,
/// when their names say so (`attempt-1`, `rerun`), else both stand and the worse decides.
pub fn read_paths(paths: &[PathBuf], limits: &Limits) -> Report {
    let mut collector = Collector::new();
    let mut problems = Vec::new();
    let groups = find(paths, limits, &mut problems);
    problems.iter().for_each(|text| collector.problem(Weight::Fatal, text));

    let mut left = limits.total_bytes;
    let mut passed_over = Vec::new();
    let mut took = Duration::ZERO;
    // Ginkgo's JSON first: what it tells about a suite is more than its JUnit does.
    for wanted in [true, false] {
        for group in &groups {
            let lane = (group.len() > 1).then(|| collector.new_lane());
            let mut times = Vec::new();
            for candidate in group.iter().filter(|candidate| (candidate.kind == Kind::Ginkgo) == wanted) {
                let most = limits.file_bytes.min(left);
                left -= read_candidate(candidate, lane, most, &mut collector, &mut passed_over).min(left);
                times.push(collector.take_took());
            }
            took = took.saturating_add(group_time(group, &times));
        }
    }
    let mut report = collector.finish(took);
    if report.files == 0 {
        passed_over.into_iter().take(10).for_each(|text| report.doubt(Weight::Note, text));
    }
    report
}

/// Reads one JUnit document from memory or a stream; for benches and for callers that hold the bytes.
pub fn read_junit(source: impl std::io::BufRead, name: &str) -> Report {
    let mut collector = Collector::new();
    let file = File { name, lane: None };
    settle(junit::read(source, &file, &mut collector), &file, true, &mut collector);
    let took = collector.take_took();
    collector.finish(took)
}

/// Processes run side by side, rounds one after the other.
fn group_time(group: &[Candidate], times: &[Duration]) -> Duration {
    if group.iter().all(|candidate| is_process_file(&candidate.path)) {
        return times.iter().copied().max().unwrap_or_default();
    }
    times.iter().fold(Duration::ZERO, |sum, &time| sum.saturating_add(time))
}

/// A file on its way through a reader.
struct File<'a> {
    /// As shown in problems.
    name: &'a str,
    /// Shared with the other rounds of the same suite; `None` gives every suite in the file its own.
    lane: Option<u32>,
}

impl File<'_> {
    fn problem(&self, into: &mut Collector, weight: Weight, text: &str) {
        into.problem(weight, &format!("{}: {text}", self.name));
    }
}

/// What a file turned out to be.
#[derive(Debug)]
enum Found {
    Report,
    /// Well-formed, but something else; the text says what.
    Other(String),
    /// It may have been meant as a report.
    Unreadable(String),
}

/// Reads one file and returns how many bytes that took.
fn read_candidate(
    candidate: &Candidate,
    lane: Option<u32>,
    most: u64,
    into: &mut Collector,
    passed_over: &mut Vec<String>,
) -> u64 {
    let name = shown(&candidate.path);
    let file = File { name: &name, lane };
    let (source, count): (_, Rc<Cell<u64>>) = match source::open(&candidate.path, most) {
        Ok(opened) => opened,
        Err(error) => {
            file.problem(into, Weight::Fatal, &reason(&error));
            return 0;
        }
    };
    let found = match candidate.kind {
        Kind::Ginkgo => ginkgo::read(source, &file, into),
        Kind::Unknown if is_json(&candidate.path) && candidate.explicit => Found::Other(ginkgo::refusal(source)),
        Kind::Unknown if is_json(&candidate.path) => Found::Other("not a Ginkgo report".to_owned()),
        Kind::Xml | Kind::Unknown => junit::read(source, &file, into),
    };
    if let Some(text) = settle(found, &file, candidate.explicit, into) {
        passed_over.push(text);
    }
    count.get()
}

/// Turns what was found into a problem, if it is one; returns what was passed over.
fn settle(found: Found, file: &File<'_>, must_be_report: bool, into: &mut Collector) -> Option<String> {
    match found {
        Found::Report => None,
        Found::Other(what) if must_be_report => {
            file.problem(into, Weight::Fatal, &what);
            None
        }
        Found::Other(what) => Some(format!("{}: {what}", file.name)),
        Found::Unreadable(what) => {
            file.problem(into, Weight::Fatal, &what);
            None
        }
    }
}

fn is_json(path: &Path) -> bool {
    path.to_string_lossy().to_ascii_lowercase().trim_end_matches(".gz").ends_with(".json")
}

/// A path as problems name it: long ones by their last two parts, so that a status still has room for the problem.
fn shown(path: &Path) -> String {
    let whole = path.to_string_lossy();
    if whole.chars().count() <= 50 {
        return whole.into_owned();
    }
    let mut ends = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect::<Vec<_>>();
    ends.reverse();
    format!("…/{}", ends.join("/"))
}

#[cfg(test)]
#[path = "reports_tests.rs"]
mod tests;
