//! One spec and how it came out, over all its tries. Pure: readers say what was seen, this says what it means.
//! Must not know any report format.

use std::time::Duration;

use serde::Serialize;

/// One spec that a report lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub id: CaseId,
    /// In the order in which they happened, as far as the reports tell. May be shorter than what `fold` has seen.
    pub tries: Vec<Try>,
    pub fold: Fold,
}

/// What tells one case from another: the same name in two classes is two cases.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CaseId {
    pub suite: String,
    /// JUnit's `classname`; may be empty.
    pub class: String,
    pub name: String,
}

/// One execution of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    pub status: TryStatus,
    /// Tries of one lane follow each other, so a later pass is a retry. Different lanes stand side by side
    /// (two clusters, two platforms): a pass in one excuses nothing in the other.
    pub lane: u32,
    pub took: Option<Duration>,
    /// Why it failed or was skipped; plain text, bounded by the reader.
    pub message: Option<String>,
}

/// How one execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TryStatus {
    Passed,
    /// An expectation did not hold (`<failure>`).
    Failed,
    /// It broke in an unforeseen way (`<error>`).
    Errored,
    /// Its time, or the suite's, was up.
    TimedOut,
    /// It was running when the suite was stopped.
    Interrupted,
    Skipped,
}

impl TryStatus {
    /// Whether a case cannot stay green after it.
    pub fn is_bad(self) -> bool {
        match self {
            TryStatus::Failed | TryStatus::Errored | TryStatus::TimedOut | TryStatus::Interrupted => true,
            TryStatus::Passed | TryStatus::Skipped => false,
        }
    }

    fn alone(self) -> CaseOutcome {
        match self {
            TryStatus::Passed => CaseOutcome::Passed,
            TryStatus::Failed | TryStatus::TimedOut => CaseOutcome::Failed,
            TryStatus::Errored | TryStatus::Interrupted => CaseOutcome::Errored,
            TryStatus::Skipped => CaseOutcome::Skipped,
        }
    }
}

/// What a case came to, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseOutcome {
    Skipped,
    Passed,
    /// Failed first, passed when tried again.
    Flaky,
    Failed,
    Errored,
}

impl CaseOutcome {
    /// Whether it counts against the suite.
    pub fn is_bad(self) -> bool {
        match self {
            CaseOutcome::Failed | CaseOutcome::Errored => true,
            CaseOutcome::Skipped | CaseOutcome::Passed | CaseOutcome::Flaky => false,
        }
    }
}

/// Tries folded one by one into an outcome, without keeping them.
///
/// Within a lane: all passed is passed, failed and later passed is flaky, failed last is failed.
/// Over lanes the worst decides. A skip never outweighs a try that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    settled: CaseOutcome,
    current: CaseOutcome,
    lane: u32,
}

impl Fold {
    /// The fold of one try.
    pub fn of(status: TryStatus, lane: u32) -> Self {
        Self { settled: CaseOutcome::Skipped, current: status.alone(), lane }
    }

    /// The outcome and lane of a fold that has seen a single try, or tries that leave nothing more to know.
    pub fn single(self) -> Option<(CaseOutcome, u32)> {
        (self.settled == CaseOutcome::Skipped).then_some((self.current, self.lane))
    }

    /// The fold that [`Self::single`] took apart.
    pub fn single_of(outcome: CaseOutcome, lane: u32) -> Self {
        Self { settled: CaseOutcome::Skipped, current: outcome, lane }
    }

    /// Takes the next try in.
    pub fn add(&mut self, status: TryStatus, lane: u32) {
        if lane == self.lane {
            self.current = after(self.current, status);
        } else {
            self.settled = self.outcome();
            self.current = status.alone();
            self.lane = lane;
        }
    }

    /// What the tries so far come to.
    pub fn outcome(&self) -> CaseOutcome {
        self.settled.max(self.current)
    }

    /// The outcome when `later` is a second attempt that followed this one, whatever the lanes.
    pub fn followed_by(self, later: Fold) -> Fold {
        let outcome = match (self.outcome(), later.outcome()) {
            (before, CaseOutcome::Skipped) => before,
            (CaseOutcome::Skipped, now) => now,
            (CaseOutcome::Passed, CaseOutcome::Passed) => CaseOutcome::Passed,
            (_, CaseOutcome::Passed) => CaseOutcome::Flaky,
            (_, now) => now,
        };
        Fold { settled: CaseOutcome::Skipped, current: outcome, lane: later.lane }
    }
}

/// Folds tries in order; none at all is skipped.
pub fn fold(tries: &[Try]) -> CaseOutcome {
    let mut tries = tries.iter();
    let Some(first) = tries.next() else {
        return CaseOutcome::Skipped;
    };
    let mut fold = Fold::of(first.status, first.lane);
    tries.for_each(|next| fold.add(next.status, next.lane));
    fold.outcome()
}

fn after(before: CaseOutcome, status: TryStatus) -> CaseOutcome {
    match (before, status.alone()) {
        (before, CaseOutcome::Skipped) => before,
        (CaseOutcome::Skipped | CaseOutcome::Passed, now) => now,
        (_, CaseOutcome::Passed) => CaseOutcome::Flaky,
        (CaseOutcome::Flaky, now) => now,
        (before, now) => before.max(now),
    }
}

impl Case {
    /// What the case came to.
    pub fn outcome(&self) -> CaseOutcome {
        self.fold.outcome()
    }

    /// Why it counts against the suite, was skipped, or failed before it passed: the last such try's message.
    pub fn message(&self) -> Option<&str> {
        let telling = |t: &&Try| t.message.is_some() && (t.status.is_bad() || !self.outcome().is_bad());
        self.tries.iter().rev().find(telling).and_then(|t| t.message.as_deref())
    }

    /// The status of the last try that ran, or `Skipped`.
    pub fn last_ran(&self) -> TryStatus {
        let ran = self.tries.iter().rev().find(|t| t.status != TryStatus::Skipped);
        ran.map_or(TryStatus::Skipped, |t| t.status)
    }

    /// Time over all tries.
    pub fn took(&self) -> Duration {
        self.tries.iter().filter_map(|t| t.took).fold(Duration::ZERO, Duration::saturating_add)
    }
}

#[cfg(test)]
#[path = "case_tests.rs"]
mod tests;
