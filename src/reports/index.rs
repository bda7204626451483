//! Which cases were seen, in as little memory as telling two million of them apart can take: twelve bytes a case.
//! Knows outcomes and places, neither names nor messages.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::domain::case::{CaseOutcome, Fold};

/// The table grows piece by piece, so that no moment holds it twice.
const PIECES: usize = 128;
/// In a packed entry: a row's number follows. Else an outcome, and the number of a place.
const ROW: u32 = 1 << 31;
const PLACE_BITS: u32 = 28;

/// A case as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Kept with its names, under this number.
    Row(u32),
    /// Only counted so far; with where it was last seen, see `Sighting::listed_once_in`.
    Light(Fold, u32),
}

/// Cases by the keyed hash of what identifies them.
#[derive(Default)]
pub(super) struct Index {
    pieces: Vec<HashMap<Key, u32, BuildHasherDefault<Hashed>>>,
    len: usize,
    /// Lane and suite of cases that were seen once, shared by neighbours.
    places: Vec<(u32, u32)>,
    /// Cases that were seen again and have no row: few, but for files made to be difficult.
    again: HashMap<u64, (Fold, u32)>,
}

/// A hash in two halves: twelve bytes with the entry, where one whole would make it sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key([u32; 2]);

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.whole());
    }
}

impl Key {
    fn new(hash: u64) -> Self {
        let bytes = hash.to_le_bytes();
        let half = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self([half(0), half(4)])
    }

    fn whole(self) -> u64 {
        u64::from(self.0[0]) | u64::from(self.0[1]) << 32
    }
}

/// Keys are keyed hashes already; hashing them again would only cost time.
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

impl Index {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, hash: u64) -> Option<Slot> {
        let packed = *self.pieces.get(piece(hash))?.get(&Key::new(hash))?;
        Some(self.unpacked(hash, packed))
    }

    /// Remembers a case, new or known.
    pub(super) fn put(&mut self, hash: u64, slot: Slot) {
        if self.pieces.is_empty() {
            self.pieces.resize_with(PIECES, HashMap::default);
        }
        let packed = match slot {
            Slot::Row(number) => ROW | number,
            Slot::Light(fold, seen_in) => match fold.single() {
                Some((outcome, lane)) => self.packed(outcome, (lane, seen_in)),
                None => self.packed(fold.outcome(), (0, seen_in)),
            },
        };
        let known = self.pieces[piece(hash)].insert(Key::new(hash), packed).is_some();
        self.len += usize::from(!known);
        match slot {
            Slot::Light(fold, seen_in) if fold.single().is_none() => {
                self.again.insert(hash, (fold, seen_in));
            }
            Slot::Light(..) | Slot::Row(_) if known && !self.again.is_empty() => {
                self.again.remove(&hash);
            }
            Slot::Light(..) | Slot::Row(_) => {}
        }
    }

    /// Outcomes of the cases that have no row.
    pub(super) fn light(&self) -> impl Iterator<Item = CaseOutcome> {
        let all = self.pieces.iter().flatten().map(|(key, packed)| self.unpacked(key.whole(), *packed));
        all.filter_map(|slot| match slot {
            Slot::Light(fold, _) => Some(fold.outcome()),
            Slot::Row(_) => None,
        })
    }

    fn packed(&mut self, outcome: CaseOutcome, place: (u32, u32)) -> u32 {
        if self.places.last() != Some(&place) {
            self.places.push(place);
        }
        let place = u32::try_from(self.places.len() - 1).expect("there are fewer places than cases");
        (outcome_number(outcome) << PLACE_BITS) | place
    }

    fn unpacked(&self, hash: u64, packed: u32) -> Slot {
        if packed & ROW != 0 {
            return Slot::Row(packed & !ROW);
        }
        if !self.again.is_empty()
            && let Some((fold, seen_in)) = self.again.get(&hash)
        {
            return Slot::Light(*fold, *seen_in);
        }
        let (lane, seen_in) = self.places[(packed & ((1 << PLACE_BITS) - 1)) as usize];
        Slot::Light(Fold::single_of(outcome_of(packed >> PLACE_BITS), lane), seen_in)
    }
}

fn piece(hash: u64) -> usize {
    // Not the bits that the pieces themselves go by.
    (hash >> 40) as usize % PIECES
}

const OUTCOMES: [CaseOutcome; 5] =
    [CaseOutcome::Skipped, CaseOutcome::Passed, CaseOutcome::Flaky, CaseOutcome::Failed, CaseOutcome::Errored];

fn outcome_number(outcome: CaseOutcome) -> u32 {
    match outcome {
        CaseOutcome::Skipped => 0,
        CaseOutcome::Passed => 1,
        CaseOutcome::Flaky => 2,
        CaseOutcome::Failed => 3,
        CaseOutcome::Errored => 4,
    }
}

fn outcome_of(number: u32) -> CaseOutcome {
    OUTCOMES[number as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::TryStatus;

    #[test]
    fn what_is_put_is_what_is_found() {
        let mut index = Index::default();
        let passed = Fold::of(TryStatus::Passed, 7);
        let mut twice = Fold::of(TryStatus::Failed, 7);
        twice.add(TryStatus::Passed, 7);
        let slots = [
            (1, Slot::Light(passed, 0)),
            (u64::MAX, Slot::Row(99_999)),
            (1 << 40, Slot::Light(twice, 3)),
            (2, Slot::Light(Fold::of(TryStatus::Errored, u32::MAX), u32::MAX)),
        ];
        for (hash, slot) in slots {
            assert_eq!(index.get(hash), None);
            index.put(hash, slot);
        }
        slots.iter().for_each(|(hash, slot)| assert_eq!(index.get(*hash), Some(*slot)));
        assert_eq!(index.len(), 4);
        index.put(1, Slot::Light(twice, 9));
        assert_eq!(index.get(1), Some(Slot::Light(twice, 9)));
        index.put(1, Slot::Row(5));
        assert_eq!((index.get(1), index.len()), (Some(Slot::Row(5)), 4));
        let mut light: Vec<_> = index.light().collect();
        light.sort();
        assert_eq!(light, [CaseOutcome::Flaky, CaseOutcome::Errored]);
    }
}
