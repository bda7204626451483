//! Progress on standard output: one flushed line per event, for people and for programs that follow the log.
//! Decides nothing; the words at the start of the lines are described in `suites/README.md`.

use std::cell::RefCell;
use std::io::{self, Write};
use std::time::Duration;

use crate::run::{End, Outcome, Record, Try};

/// Lines of a failure's text that are printed; the report has all of them.
const LINES_SHOWN: usize = 12;

pub(crate) struct Progress {
    out: RefCell<Box<dyn Write>>,
}

impl Progress {
    pub(crate) fn stdout() -> Self {
        Self { out: RefCell::new(Box::new(io::stdout())) }
    }

    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { out: RefCell::new(Box::new(io::sink())) }
    }

    /// A reader that went away must not end the suite: its report still counts.
    pub(crate) fn text(&self, text: &str) {
        let mut out = self.out.borrow_mut();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    pub(crate) fn plan(&self, to_run: usize, skipped: usize) {
        self.text(&format!("plan {to_run} to run, {skipped} skipped"));
    }

    pub(crate) fn started(&self, name: &str) {
        self.text(&format!("run  {name}"));
    }

    pub(crate) fn retry(&self, name: &str, number: u32, of: u32, tried: &Try) {
        let took = seconds(tried.took);
        self.text(&format!("again {name} (attempt {number} of {of} failed after {took})"));
        self.details(&tried.end);
    }

    pub(crate) fn ended(&self, record: &Record) {
        let Some(last) = record.tries.last() else { return };
        let (name, took) = (&record.name, seconds(last.took));
        match record.outcome() {
            Outcome::Passed => self.text(&format!("ok   {name} ({took})")),
            Outcome::Flaky => {
                let number = record.tries.len();
                self.text(&format!("ok   {name} ({took}, flaky: passed on attempt {number})"));
            }
            Outcome::Failed | Outcome::Errored => {
                self.text(&format!("FAIL {name} ({took})"));
                self.details(&last.end);
            }
            Outcome::Skipped => {
                self.text(&format!("skip {name} ({took})"));
                self.details(&last.end);
            }
        }
    }

    pub(crate) fn done(&self, records: &[Record], took: Duration) {
        let count = |outcome| records.iter().filter(|record| record.outcome() == outcome).count();
        self.text(&format!(
            "done {} passed ({} flaky), {} failed, {} errors, {} skipped in {}",
            count(Outcome::Passed) + count(Outcome::Flaky),
            count(Outcome::Flaky),
            count(Outcome::Failed),
            count(Outcome::Errored),
            count(Outcome::Skipped),
            seconds(took),
        ));
    }

    /// Indented, so that nothing a pod has logged can pass for a line of ours.
    fn details(&self, end: &End) {
        match end {
            End::Passed => {}
            End::Failed(text) | End::Errored(text) | End::Skipped(text) | End::Interrupted(text) => {
                for line in text.lines().take(LINES_SHOWN) {
                    self.text(&format!("     {line}"));
                }
            }
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}
