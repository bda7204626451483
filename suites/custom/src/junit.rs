//! Records → `junit.xml`. Writes nothing else and decides nothing: a retry that passed becomes `flakyFailure`,
//! one that did not `rerunFailure`, as Maven Surefire writes them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use crate::run::{End, Outcome, Record, Try};

const FILE: &str = "junit.xml";

/// Makes the results folder, so that an unwritable one is known before anything runs.
pub(crate) fn prepare(results: Option<&Path>) -> anyhow::Result<()> {
    let Some(folder) = results else { return Ok(()) };
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let probe = folder.join(".writable");
    fs::write(&probe, "").and_then(|()| fs::remove_file(&probe)).with_context(|| format!("in {}", folder.display()))
}

/// Writes the report under another name first: whoever finds `junit.xml` finds all of it.
pub(crate) fn write(folder: &Path, suite: &str, started: Timestamp, records: &[Record]) -> anyhow::Result<()> {
    let text = render(suite, started, records)?;
    let (unfinished, finished) = (folder.join(".junit.xml.part"), folder.join(FILE));
    fs::write(&unfinished, text).with_context(|| format!("writing {}", unfinished.display()))?;
    fs::rename(&unfinished, &finished).with_context(|| format!("writing {}", finished.display()))
}

fn render(suite: &str, started: Timestamp, records: &[Record]) -> anyhow::Result<String> {
    let took = Timestamp::now().duration_since(started).unsigned_abs();
    let mut test_suite = TestSuite::new(suite);
    test_suite.timestamp = started.to_string().parse().ok();
    test_suite.set_time(took);
    test_suite.add_test_cases(records.iter().map(|record| test_case(suite, record)));
    let mut report = Report::new("portcullis-suite");
    report.timestamp = test_suite.timestamp;
    report.set_time(took).add_test_suite(test_suite);
    report.to_string().context("rendering the report")
}

/// The deciding try makes the case, the others its reruns: the passed one, or the first that did not pass.
fn test_case(suite: &str, record: &Record) -> TestCase {
    let (mut status, reruns) = match record.outcome() {
        Outcome::Passed | Outcome::Flaky => (TestCaseStatus::success(), &record.tries[..record.tries.len() - 1]),
        Outcome::Skipped => (skipped(&record.tries[0].end), &[][..]),
        Outcome::Failed | Outcome::Errored => (not_passed(&record.tries[0].end), &record.tries[1..]),
    };
    status.add_reruns(reruns.iter().map(rerun));
    let mut case = TestCase::new(&record.name, status);
    case.set_classname(suite);
    case.timestamp = record.tries[0].started.to_string().parse().ok();
    case.set_time(record.tries.iter().map(|tried| tried.took).sum::<Duration>());
    case
}

fn skipped(end: &End) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(first_line(text(end)));
    status
}

fn not_passed(end: &End) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind(end));
    status.set_message(first_line(text(end))).set_type(type_name(end)).set_description(text(end));
    status
}

fn rerun(tried: &Try) -> TestRerun {
    let mut rerun = TestRerun::new(kind(&tried.end));
    rerun.timestamp = tried.started.to_string().parse().ok();
    rerun
        .set_time(tried.took)
        .set_message(first_line(text(&tried.end)))
        .set_type(type_name(&tried.end))
        .set_description(text(&tried.end));
    rerun
}

/// Anything that is not a plain failure counts as an error, never as passed.
fn kind(end: &End) -> NonSuccessKind {
    match end {
        End::Failed(_) => NonSuccessKind::Failure,
        End::Passed | End::Errored(_) | End::Skipped(_) | End::Interrupted(_) => NonSuccessKind::Error,
    }
}

fn type_name(end: &End) -> &'static str {
    match end {
        End::Passed => "passed",
        End::Failed(_) => "failed",
        End::Errored(_) => "error",
        End::Skipped(_) => "skipped",
        End::Interrupted(_) => "interrupted",
    }
}

fn text(end: &End) -> &str {
    match end {
        End::Passed => "",
        End::Failed(text) | End::Errored(text) | End::Skipped(text) | End::Interrupted(text) => text,
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, ends: &[End]) -> Record {
        let one = |end: &End| Try { started: Timestamp::UNIX_EPOCH, took: Duration::from_secs(1), end: end.clone() };
        Record { name: name.into(), tries: ends.iter().map(one).collect() }
    }

    fn read_back(records: &[Record]) -> TestSuite {
        let xml = render("custom", Timestamp::now(), records).unwrap();
        let report = Report::deserialize_from_str(&xml).unwrap();
        report.test_suites.into_iter().next().unwrap()
    }

    #[test]
    fn every_outcome_reads_back_as_it_was() {
        let failed = || End::Failed("expected 200\nsaw 500".into());
        let suite = read_back(&[
            record("passed", &[End::Passed]),
            record("flaky", &[failed(), End::Passed]),
            record("failed twice", &[failed(), failed()]),
            record("lost", &[End::Errored("connection refused".into())]),
            record("cut short", &[End::Interrupted("SIGTERM".into())]),
            record("not here", &[End::Skipped("no folder".into())]),
        ]);
        assert_eq!((suite.tests, suite.failures, suite.errors, suite.skipped), (6, 1, 2, 1));
        let status = |place: usize| &suite.test_cases[place].status;
        assert!(matches!(status(0), TestCaseStatus::Success { flaky_runs } if flaky_runs.is_empty()));
        let TestCaseStatus::Success { flaky_runs } = status(1) else { panic!("{:?}", status(1)) };
        assert_eq!(flaky_runs[0].message.as_deref(), Some("expected 200"));
        assert_eq!(flaky_runs[0].description.as_deref(), Some("expected 200\nsaw 500"));
        let TestCaseStatus::NonSuccess { reruns, message, .. } = status(2) else { panic!("{:?}", status(2)) };
        assert_eq!((reruns.runs.len(), message.as_deref()), (1, Some("expected 200")));
        let TestCaseStatus::NonSuccess { kind, ty, .. } = status(4) else { panic!("{:?}", status(4)) };
        assert_eq!((*kind, ty.as_deref()), (NonSuccessKind::Error, Some("interrupted")));
        assert_eq!(suite.test_cases[2].time, Some(Duration::from_secs(2)), "a case takes what its tries took");
    }

    #[test]
    fn hostile_log_lines_stay_text() {
        let text = "]]></failure><testcase name=\"forged\"/>\u{1b}[31m\u{0}";
        let suite = read_back(&[record("spec", &[End::Failed(text.into())])]);
        assert_eq!(suite.test_cases.len(), 1);
        assert_eq!(suite.failures, 1);
    }

    #[test]
    fn an_empty_suite_is_written_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        prepare(Some(folder.path())).unwrap();
        write(folder.path(), "smoke", Timestamp::now(), &[]).unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [FILE], "nothing is left beside the report");
        assert!(fs::read_to_string(folder.path().join(FILE)).unwrap().contains("tests=\"0\""));
    }
}
