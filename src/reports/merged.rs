//! Writes a merged report as JUnit XML: one `<testcase>` per case, its failed tries as `flakyFailure` or `rerunFailure`.
//! Cases that were only counted are not listed; each suite says how many there are.

use std::collections::HashMap;
use std::io;

use indexmap::IndexMap;
use quick_junit::{NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestRerun, TestSuite};

use crate::domain::case::{Case, CaseId, CaseOutcome, Try, TryStatus};
use crate::domain::report::Report;
use crate::domain::text::headline;

/// Writes `report` under `name`. Suite-level failures become a case of that name with an `<error>`.
///
/// # Errors
/// Those of the writer.
pub fn write_merged(report: &Report, name: &str, out: impl io::Write) -> io::Result<()> {
    let mut suites: IndexMap<(&str, u32), TestSuite> = IndexMap::new();
    let mut before: HashMap<&CaseId, u32> = HashMap::new();
    for case in &report.cases {
        // Two cases of one name (two browsers, two files) in one suite would read as one that was tried twice: each gets its own.
        let nth = before.entry(&case.id).and_modify(|nth| *nth += 1).or_default();
        let suite = suites.entry((&case.id.suite, *nth)).or_insert_with(|| TestSuite::new(&*case.id.suite));
        suite.add_test_case(test_case(case));
    }
    let mut document = Document::new(name);
    document.set_time(report.took);
    document.add_test_suites(suites.into_values());
    if !report.events.is_empty() || report.unlisted.total > 0 {
        document.add_test_suite(beside(report, name));
    }
    document.serialize(out).map_err(io::Error::other)
}

/// What stands beside the cases: failed suite nodes, and the number of cases that are not listed.
fn beside(report: &Report, name: &str) -> TestSuite {
    let mut suite = TestSuite::new(name);
    for event in &report.events {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(headline(&event.message)).set_description(&event.message).set_type("suite");
        suite.add_test_case(TestCase::new(&event.node, status));
    }
    if report.unlisted.total > 0 {
        suite.add_property(Property::new("unlisted.total", report.unlisted.total.to_string()));
        suite.add_property(Property::new("unlisted.skipped", report.unlisted.skipped.to_string()));
    }
    suite
}

fn test_case(case: &Case) -> TestCase {
    let mut written = TestCase::new(&*case.id.name, status(case));
    if !case.id.class.is_empty() {
        written.set_classname(&*case.id.class);
    }
    written.set_time(case.took());
    written
}

fn status(case: &Case) -> TestCaseStatus {
    let mut bad = case.tries.iter().filter(|t| t.status.is_bad());
    match case.outcome() {
        CaseOutcome::Passed => TestCaseStatus::success(),
        CaseOutcome::Flaky => {
            let mut status = TestCaseStatus::success();
            status.add_reruns(bad.map(rerun));
            status
        }
        CaseOutcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            if let Some(message) = case.message() {
                status.set_message(message);
            }
            status
        }
        CaseOutcome::Failed | CaseOutcome::Errored => {
            let first = bad.next();
            let what = first.map_or(TryStatus::Failed, |t| t.status);
            let mut status = TestCaseStatus::non_success(kind(what));
            status.set_type(word(what));
            if let Some(message) = first.and_then(|t| t.message.as_deref()) {
                status.set_message(headline(message)).set_description(message);
            }
            status.add_reruns(bad.map(rerun));
            status
        }
    }
}

fn rerun(t: &Try) -> TestRerun {
    let mut rerun = TestRerun::new(kind(t.status));
    rerun.set_type(word(t.status));
    if let Some(took) = t.took {
        rerun.set_time(took);
    }
    if let Some(message) = &t.message {
        rerun.set_message(headline(message)).set_stack_trace(message);
    }
    rerun
}

fn kind(status: TryStatus) -> NonSuccessKind {
    match status {
        TryStatus::Errored | TryStatus::Interrupted => NonSuccessKind::Error,
        TryStatus::Failed | TryStatus::TimedOut | TryStatus::Passed | TryStatus::Skipped => NonSuccessKind::Failure,
    }
}

/// What Surefire's schema wants said of every failure.
fn word(status: TryStatus) -> &'static str {
    match status {
        TryStatus::Errored => "errored",
        TryStatus::Interrupted => "interrupted",
        TryStatus::TimedOut => "timed out",
        TryStatus::Failed | TryStatus::Passed | TryStatus::Skipped => "failed",
    }
}

#[cfg(test)]
#[path = "merged_tests.rs"]
mod tests;
