//! Gathers what readers see into one `Report`: folds tries of a case, keeps rows for what people ask about, counts the rest.
//! Memory is limited here and in `rows`; must not know a file format.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::index::{Index, Slot};
use super::rows::{Rows, shown};
use crate::domain::case::{Fold, TryStatus};
use crate::domain::report::{Counts, Report, SuiteEnd, SuiteEvent, Weight};

/// Distinct cases that are told apart at all.
const CASES: usize = 2_000_000;
/// Cases of one name in one suite that are told apart.
const SAME_NAME: u32 = 100;
/// Characters of a node's name or a problem.
const TEXT: usize = 1000;
const EVENTS: usize = 100;
const PROBLEMS: usize = 100;

/// What identifies a case, as a reader saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting<'a> {
    pub(super) suite: &'a str,
    pub(super) class: &'a str,
    pub(super) name: &'a str,
    /// Whatever else tells cases of the same names apart: a source file, a second host.
    pub(super) apart: [&'a str; 2],
    /// Formats that list every case once, retries and all, number their suites here: the same name again in one
    /// suite is another case then. 0 for all others.
    pub(super) listed_once_in: u32,
}

/// One try as a reader saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) status: TryStatus,
    pub(super) took: Option<Duration>,
    /// Raw: terminal codes and all.
    pub(super) message: &'a str,
}

/// Where the result is put together.
pub(super) struct Collector {
    report: Report,
    index: Index,
    hasher: RandomState,
    rows: Rows,
    is_full: bool,
    lanes: u32,
    took: Duration,
    /// Suites (name, seed) that a complete Ginkgo JSON report has told about already: their JUnit says less.
    told: HashSet<(String, String)>,
}

impl Collector {
    pub(super) fn new() -> Self {
        Self {
            report: Report::default(),
            index: Index::default(),
            hasher: RandomState::new(),
            rows: Rows::default(),
            is_full: false,
            lanes: 0,
            took: Duration::ZERO,
            told: HashSet::new(),
        }
    }

    /// A lane nobody else has.
    pub(super) fn new_lane(&mut self) -> u32 {
        self.lanes = self.lanes.saturating_add(1);
        self.lanes
    }

    /// Takes tries of one case in, in order. `noteworthy` is a skip with a reason of its own; others are only counted.
    pub(super) fn case(&mut self, who: Sighting<'_>, lane: u32, tries: &[Seen<'_>], noteworthy: bool) {
        let Some(first) = tries.first() else {
            return;
        };
        let hash = self.identity(who);
        let fold = match self.index.get(hash) {
            Some(Slot::Row(row)) => return self.rows.extend(row, who, lane, tries),
            None if self.index.len() >= CASES => return self.too_many(),
            None => {
                let mut fold = Fold::of(first.status, lane);
                tries[1..].iter().for_each(|seen| fold.add(seen.status, lane));
                fold
            }
            Some(Slot::Light(mut fold, _)) => {
                tries.iter().for_each(|seen| fold.add(seen.status, lane));
                fold
            }
        };
        let row = self.rows.keep(who, lane, tries, fold, noteworthy);
        self.index.put(hash, row.map_or(Slot::Light(fold, who.listed_once_in), Slot::Row));
    }

    fn identity(&self, who: Sighting<'_>) -> u64 {
        let Sighting { suite, class, name, apart, listed_once_in } = who;
        let mut hash = self.hasher.hash_one((suite, class, name, apart));
        if listed_once_in == 0 {
            return hash;
        }
        // Bounded: a file cannot name one case so often that looking for its number costs more than reading it.
        for number in 1..SAME_NAME {
            let seen_in = match self.index.get(hash) {
                Some(Slot::Row(row)) => self.rows.seen_in(row),
                Some(Slot::Light(_, seen_in)) => seen_in,
                None => break,
            };
            if seen_in != listed_once_in {
                break;
            }
            hash = self.hasher.hash_one((hash, number));
        }
        hash
    }

    /// Said once: a file that goes on has millions more.
    fn too_many(&mut self) {
        if !std::mem::replace(&mut self.is_full, true) {
            self.report.doubt(Weight::Fatal, format!("more than {CASES} cases: the rest was not counted"));
        }
    }

    /// Something failed outside the cases.
    pub(super) fn event(&mut self, node: &str, raw: &str) {
        if self.report.events.len() < EVENTS {
            let message = self.rows.message(raw).unwrap_or_default();
            self.report.events.push(SuiteEvent { node: shown(node, TEXT), message });
        }
    }

    /// Something makes the files hard to believe.
    pub(super) fn problem(&mut self, weight: Weight, text: &str) {
        if self.report.problems.len() < PROBLEMS || (weight == Weight::Fatal && !self.has_fatal()) {
            self.report.doubt(weight, shown(text, TEXT));
        }
    }

    fn has_fatal(&self) -> bool {
        self.report.problems.iter().any(|problem| problem.weight == Weight::Fatal)
    }

    /// A file turned out to be a report.
    pub(super) fn count_file(&mut self) {
        self.report.files = self.report.files.saturating_add(1);
    }

    /// How a suite ended, in Ginkgo's own words; true when the words explain that it did not succeed.
    pub(super) fn ended(&mut self, special_reason: &str) -> bool {
        let end = if special_reason.contains("Timeout") {
            SuiteEnd::TimedOut
        } else if special_reason.contains("Interrupted by User") {
            SuiteEnd::Interrupted
        } else {
            return false;
        };
        self.report.end = end;
        true
    }

    pub(super) fn dry_run(&mut self) {
        self.report.dry_run = true;
    }

    pub(super) fn focused(&mut self) {
        self.report.focused = true;
    }

    pub(super) fn took(&mut self, took: Duration) {
        self.took = self.took.saturating_add(took);
    }

    /// Time of the suites since this was last asked.
    pub(super) fn take_took(&mut self) -> Duration {
        std::mem::take(&mut self.took)
    }

    /// Remembers that this suite needs no second telling.
    pub(super) fn tell(&mut self, suite: &str, seed: String) {
        if self.told.len() < EVENTS {
            self.told.insert((suite.to_owned(), seed));
        }
    }

    pub(super) fn was_told(&self, suite: &str, seed: &str) -> bool {
        !self.told.is_empty() && self.told.contains(&(suite.to_owned(), seed.to_owned()))
    }

    /// The report, with the cases that have no row counted.
    pub(super) fn finish(mut self, took: Duration) -> Report {
        self.report.took = took;
        let mut unlisted = Counts::default();
        self.index.light().for_each(|outcome| unlisted.add(outcome));
        self.report.unlisted = unlisted;
        self.report.cases = self.rows.into_cases();
        self.report
    }
}
