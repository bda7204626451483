//! The cases that are kept with their names and messages, and every limit on how much of that there is.
//! Knows nothing of how cases are told apart.

use crate::domain::case::{Case, CaseId, Fold, Try, TryStatus};
use crate::domain::text::{cut, plain, plain_line};

use super::collect::{Seen, Sighting};

/// Cases that are kept, and bytes of their names. Bad ones get a little room beyond that.
const ROWS: usize = 100_000;
const BAD_ROWS: usize = 110_000;
const NAMES: usize = 48 * 1024 * 1024;
const BAD_NAMES: usize = 56 * 1024 * 1024;
/// Tries of one case that are kept; all are folded.
const TRIES: usize = 50;
/// Characters of a case's name, and of its suite's or class's.
const NAME: usize = 2000;
const AROUND: usize = 500;
/// Characters of a message. Once all messages together have `MANY` bytes, only their beginnings are kept; at `MOST`, none.
const MESSAGE: usize = 8000;
const BEGINNING: usize = 300;
const MANY: usize = 32 * 1024 * 1024;
const MOST: usize = 40 * 1024 * 1024;

/// Kept cases, in order of appearance.
#[derive(Default)]
pub(super) struct Rows {
    cases: Vec<Case>,
    /// Where each was last seen, see `Sighting::listed_once_in`.
    seen_in: Vec<u32>,
    name_bytes: usize,
    message_bytes: usize,
}

impl Rows {
    /// Keeps a case, if it deserves that and there is room; its number then.
    pub(super) fn keep(
        &mut self,
        who: Sighting<'_>,
        lane: u32,
        tries: &[Seen<'_>],
        fold: Fold,
        noteworthy: bool,
    ) -> Option<u32> {
        let ran = tries.iter().any(|seen| seen.status != TryStatus::Skipped);
        let (rows, names) = if fold.outcome().is_bad() { (BAD_ROWS, BAD_NAMES) } else { (ROWS, NAMES) };
        if !(ran || noteworthy) || self.cases.len() >= rows || self.name_bytes >= names {
            return None;
        }
        let number = u32::try_from(self.cases.len()).expect("rows are limited");
        let id =
            CaseId { suite: shown(who.suite, AROUND), class: shown(who.class, AROUND), name: shown(who.name, NAME) };
        self.name_bytes += id.suite.len() + id.class.len() + id.name.len();
        let tries = tries.iter().take(TRIES).map(|seen| self.try_of(seen, lane)).collect();
        self.cases.push(Case { id, tries, fold });
        self.seen_in.push(who.listed_once_in);
        Some(number)
    }

    /// Adds tries to a kept case.
    pub(super) fn extend(&mut self, row: u32, who: Sighting<'_>, lane: u32, tries: &[Seen<'_>]) {
        let row = row as usize;
        self.seen_in[row] = who.listed_once_in;
        for seen in tries {
            self.cases[row].fold.add(seen.status, lane);
            if self.cases[row].tries.len() < TRIES {
                let next = self.try_of(seen, lane);
                self.cases[row].tries.push(next);
            }
        }
    }

    /// Where a kept case was last seen.
    pub(super) fn seen_in(&self, row: u32) -> u32 {
        self.seen_in[row as usize]
    }

    fn try_of(&mut self, seen: &Seen<'_>, lane: u32) -> Try {
        let message = if seen.message.is_empty() { None } else { self.message(seen.message) };
        Try { status: seen.status, lane, took: seen.took, message }
    }

    /// A message fit to keep, while there is room for messages.
    pub(super) fn message(&mut self, raw: &str) -> Option<String> {
        let most = match self.message_bytes {
            ..MANY => MESSAGE,
            MANY..MOST => BEGINNING,
            _ => return None,
        };
        let message = cut(plain(raw).trim(), most);
        self.message_bytes += message.len();
        Some(message)
    }

    pub(super) fn into_cases(self) -> Vec<Case> {
        self.cases
    }
}

/// A name fit to show.
pub(super) fn shown(name: &str, most: usize) -> String {
    if name.len() <= most && name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return name.to_owned();
    }
    cut(&plain_line(name), most)
}
