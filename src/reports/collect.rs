//! Gathers what readers see into one `Report`: folds tries of a case, keeps rows for what people ask about, counts the rest.
//! Holds every limit on memory; must not know a file format.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::time::Duration;

use crate::domain::case::{Case, CaseId, Fold, Try, TryStatus};
use crate::domain::report::{Counts, Report, SuiteEnd, SuiteEvent, Weight};
use crate::domain::text::{cut, plain, plain_line};

/// Cases kept as rows. More are counted; bad ones get room beyond that.
const ROWS: usize = 100_000;
const BAD_ROWS: usize = 110_000;
/// Distinct cases that are told apart at all.
const CASES: usize = 2_000_000;
/// Tries of one case that are kept; all are folded.
const TRIES: usize = 50;
/// Characters of a name and of a message, and bytes of all messages after which only the first line's worth is kept.
const NAME: usize = 2000;
const MESSAGE: usize = 8000;
const ALL_MESSAGES: usize = 32 * 1024 * 1024;
const SHORT_MESSAGE: usize = 300;
/// Cases of one name in one suite that are told apart.
const SAME_NAME: u32 = 100;
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
    index: HashMap<u64, Slot, BuildHasherDefault<Hashed>>,
    hasher: RandomState,
    /// Where each row was last seen, see `Sighting::listed_once_in`.
    row_seen_in: Vec<u32>,
    lanes: u32,
    took: Duration,
    message_bytes: usize,
    /// Suites (name, seed) that a complete Ginkgo JSON report has told about already: their JUnit says less.
    told: HashSet<(String, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Row(u32),
    /// Only counted so far; with where it was last seen.
    Light(Fold, u32),
}

/// Keys of the index are keyed hashes already; hashing them again would only cost time.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Collector {
    pub(super) fn new() -> Self {
        Self {
            report: Report::default(),
            index: HashMap::default(),
            hasher: RandomState::new(),
            row_seen_in: Vec::new(),
            lanes: 0,
            took: Duration::ZERO,
            message_bytes: 0,
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
        let full = self.index.len() >= CASES;
        match self.index.get_mut(&hash) {
            None if full => self.too_many(),
            None => {
                let mut fold = Fold::of(first.status, lane);
                tries[1..].iter().for_each(|seen| fold.add(seen.status, lane));
                let row = self.row(who, lane, tries, fold, noteworthy);
                self.index.insert(hash, row.map_or(Slot::Light(fold, who.listed_once_in), Slot::Row));
            }
            Some(Slot::Row(row)) => {
                let row = *row;
                self.extend(row, who, lane, tries);
            }
            Some(Slot::Light(fold, seen_in)) => {
                tries.iter().for_each(|seen| fold.add(seen.status, lane));
                *seen_in = who.listed_once_in;
                let fold = *fold;
                if let Some(row) = self.row(who, lane, tries, fold, noteworthy) {
                    self.index.insert(hash, Slot::Row(row));
                }
            }
        }
    }

    fn identity(&self, who: Sighting<'_>) -> u64 {
        let Sighting { suite, class, name, apart, listed_once_in } = who;
        let mut hash = self.hasher.hash_one((suite, class, name, apart));
        if listed_once_in == 0 {
            return hash;
        }
        // Bounded: a file cannot name one case so often that looking for its number costs more than reading it.
        for number in 1..SAME_NAME {
            let seen_in = match self.index.get(&hash) {
                Some(Slot::Row(row)) => self.row_seen_in[*row as usize],
                Some(Slot::Light(_, seen_in)) => *seen_in,
                None => break,
            };
            if seen_in != listed_once_in {
                break;
            }
            hash = self.hasher.hash_one((hash, number));
        }
        hash
    }

    /// Makes a row for a case, if it deserves one and there is room.
    fn row(&mut self, who: Sighting<'_>, lane: u32, tries: &[Seen<'_>], fold: Fold, noteworthy: bool) -> Option<u32> {
        let ran = tries.iter().any(|seen| seen.status != TryStatus::Skipped);
        let rows = self.report.cases.len();
        let room = rows < if fold.outcome().is_bad() { BAD_ROWS } else { ROWS };
        if !(ran || noteworthy) || !room {
            return None;
        }
        let id = CaseId { suite: shown(who.suite), class: shown(who.class), name: shown(who.name) };
        let tries = tries.iter().take(TRIES).map(|seen| self.try_of(seen, lane)).collect();
        self.report.cases.push(Case { id, tries, fold });
        self.row_seen_in.push(who.listed_once_in);
        Some(u32::try_from(rows).expect("rows are limited"))
    }

    fn extend(&mut self, row: u32, who: Sighting<'_>, lane: u32, tries: &[Seen<'_>]) {
        self.row_seen_in[row as usize] = who.listed_once_in;
        for seen in tries {
            let next = self.try_of(seen, lane);
            let case = &mut self.report.cases[row as usize];
            case.fold.add(seen.status, lane);
            if case.tries.len() < TRIES {
                case.tries.push(next);
            }
        }
    }

    fn try_of(&mut self, seen: &Seen<'_>, lane: u32) -> Try {
        let message = (!seen.message.is_empty()).then(|| self.message(seen.message));
        Try { status: seen.status, lane, took: seen.took, message }
    }

    /// A message fit to keep.
    fn message(&mut self, raw: &str) -> String {
        let most = if self.message_bytes < ALL_MESSAGES { MESSAGE } else { SHORT_MESSAGE };
        let message = cut(plain(raw).trim(), most);
        self.message_bytes += message.len();
        message
    }

    fn too_many(&mut self) {
        let text = format!("more than {CASES} cases: the rest was not counted");
        if !self.report.problems.iter().any(|problem| problem.text == text) {
            self.report.doubt(Weight::Fatal, text);
        }
    }

    /// Something failed outside the cases.
    pub(super) fn event(&mut self, node: &str, raw: &str) {
        if self.report.events.len() < EVENTS {
            let message = self.message(raw);
            self.report.events.push(SuiteEvent { node: shown(node), message });
        }
    }

    /// Something makes the files hard to believe.
    pub(super) fn problem(&mut self, weight: Weight, text: &str) {
        if self.report.problems.len() < PROBLEMS || (weight == Weight::Fatal && !self.has_fatal()) {
            self.report.doubt(weight, cut(&plain_line(text), MESSAGE));
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
        for slot in self.index.values() {
            match slot {
                Slot::Light(fold, _) => unlisted.add(fold.outcome()),
                Slot::Row(_) => {}
            }
        }
        self.report.unlisted = unlisted;
        self.report
    }
}

/// A name fit to show.
fn shown(name: &str) -> String {
    cut(&plain_line(name), NAME)
}
