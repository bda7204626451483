//! What the result files of one attempt say, merged: cases, suite events, doubts. No bytes, no paths to open.
//! The readers fill it, `verdict` judges its digest, the merged JUnit and the pages show it.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::case::{Case, CaseId, CaseOutcome, TryStatus};
use super::cause::{Blame, Cause, blame};
use super::flake::Known;
use super::text::{cut, headline};

/// Failures named in a digest; the rows hold all of them.
const NAMED_FAILURES: usize = 20;
/// Causes named in a digest.
const NAMED_CAUSES: usize = 5;
/// Characters of a failure's headline in a digest.
const HEADLINE: usize = 300;

/// Result files of one attempt, merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases that ran, or were skipped for a reason of their own, in order of appearance.
    pub cases: Vec<Case>,
    /// Cases that are only counted: those a filter ruled out, and passes beyond the limit on rows.
    pub unlisted: Counts,
    /// What went wrong outside any case.
    pub events: Vec<SuiteEvent>,
    /// What makes the files hard to believe.
    pub problems: Vec<Problem>,
    /// Files that were read as reports.
    pub files: u32,
    pub end: SuiteEnd,
    /// Nothing was executed; the report lists what would have been.
    pub dry_run: bool,
    /// Ginkgo's programmatic focus (`FIt`, `FDescribe`) was left in the suite.
    pub focused: bool,
    /// Time the suites say they took, summed over files.
    pub took: Duration,
}

/// Cases by outcome. The five kinds are disjoint and add up to `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub total: u64,
    pub passed: u64,
    pub failed: u64,
    pub errored: u64,
    pub skipped: u64,
    pub flaky: u64,
}

impl Counts {
    /// Counts one case.
    pub fn add(&mut self, outcome: CaseOutcome) {
        self.total += 1;
        *match outcome {
            CaseOutcome::Passed => &mut self.passed,
            CaseOutcome::Failed => &mut self.failed,
            CaseOutcome::Errored => &mut self.errored,
            CaseOutcome::Skipped => &mut self.skipped,
            CaseOutcome::Flaky => &mut self.flaky,
        } += 1;
    }

    /// Cases that ran, whatever came of them.
    pub fn ran(&self) -> u64 {
        self.total - self.skipped.min(self.total)
    }

    /// Cases that count against the suite.
    pub fn bad(&self) -> u64 {
        self.failed + self.errored
    }
}

/// Something outside the cases failed: a BeforeSuite, an AfterSuite, a reporter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteEvent {
    /// As the report names it, such as `[SynchronizedBeforeSuite]`.
    pub node: String,
    pub message: String,
}

/// Why a report cannot be taken at its word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub weight: Weight,
    pub text: String,
}

/// What a problem does to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Worth saying, nothing more.
    Note,
    /// Not green unless the suite's own exit status says so too.
    Doubt,
    /// Never green.
    Fatal,
}

/// How the suite came to its end, by its own account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuiteEnd {
    #[default]
    Complete,
    Interrupted,
    TimedOut,
}

/// The part of a report that a verdict needs; small enough to keep with the attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Digest {
    pub counts: Counts,
    /// Skips with a reason of their own: they were started, unlike those a filter ruled out.
    pub skipped_running: u64,
    /// The first failed cases.
    pub failures: Vec<NamedFailure>,
    /// The first flaky cases' names.
    pub flaky: Vec<String>,
    /// The first cases that failed under quarantine: they ran, are in none of `counts`, and decide nothing.
    pub quarantined: Vec<NamedFailure>,
    pub quarantined_count: u64,
    /// Bad cases by what stands behind them.
    pub behind: Behind,
    pub events: Vec<SuiteEvent>,
    pub problems: Vec<Problem>,
    pub files: u32,
    pub end: SuiteEnd,
    pub dry_run: bool,
    pub focused: bool,
    pub took_ms: u64,
}

/// A failed case and the line that says most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedFailure {
    pub class: String,
    pub name: String,
    pub headline: String,
    /// What stands behind it, if not the spec itself.
    pub cause: Option<Cause>,
    /// What was known of the spec before.
    pub known: Option<Known>,
}

impl NamedFailure {
    fn of(case: &Case) -> Self {
        Self {
            class: case.id.class.clone(),
            name: case.id.name.clone(),
            headline: cut(headline(case.message().unwrap_or("")), HEADLINE),
            cause: case.message().and_then(blame).map(|blame| blame.cause),
            known: None,
        }
    }
}

/// Bad cases by what stands behind them. A case is in one of them at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Behind {
    /// They were running when the suite was stopped or its time was up.
    pub suite_end: u64,
    /// Causes and the specs each took along, the greatest first.
    pub causes: Vec<Taken>,
}

/// Specs that failed by one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub cause: Cause,
    pub specs: u64,
    /// The cause in words.
    pub said: String,
}

impl Behind {
    /// Bad cases that one of the causes took along.
    pub fn explained(&self) -> u64 {
        self.causes.iter().map(|taken| taken.specs).sum()
    }

    fn add(&mut self, Blame { cause, said }: Blame) {
        // Beyond the limit the words are those of the first of its kind: what counts is the cause.
        let full = self.causes.len() >= NAMED_CAUSES;
        let same = |taken: &Taken| taken.cause == cause && (full || taken.said == said);
        let exact = self.causes.iter().position(|taken| taken.cause == cause && taken.said == said);
        match exact.or_else(|| self.causes.iter().position(same)) {
            Some(at) => self.causes[at].specs += 1,
            None => self.causes.push(Taken { cause, specs: 1, said }),
        }
    }
}

impl Report {
    /// Cases by outcome, listed or not.
    pub fn counts(&self) -> Counts {
        let mut counts = self.unlisted;
        self.cases.iter().for_each(|case| counts.add(case.outcome()));
        counts
    }

    /// Cases that count against the suite, in order of appearance.
    pub fn failures(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| case.outcome().is_bad())
    }

    /// Says that something is wrong with the files.
    pub fn doubt(&mut self, weight: Weight, text: impl Into<String>) {
        self.problems.push(Problem { weight, text: text.into() });
    }

    /// What a verdict needs.
    pub fn digest(&self) -> Digest {
        let failures = self.failures().take(NAMED_FAILURES).map(NamedFailure::of);
        let flaky = self.cases.iter().filter(|case| case.outcome() == CaseOutcome::Flaky);
        let skipped = self.cases.iter().filter(|case| case.outcome() == CaseOutcome::Skipped);
        Digest {
            counts: self.counts(),
            skipped_running: skipped.count() as u64,
            failures: failures.collect(),
            flaky: flaky.take(NAMED_FAILURES).map(|case| case.id.name.clone()).collect(),
            quarantined: vec![],
            quarantined_count: 0,
            behind: self.behind(),
            events: self.events.clone(),
            problems: self.problems.clone(),
            files: self.files,
            end: self.end,
            dry_run: self.dry_run,
            focused: self.focused,
            took_ms: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// What a verdict needs, when these cases' failures do not count.
    pub fn digest_without(&mut self, is_quarantined: impl Fn(&Case) -> bool) -> Digest {
        let aside =
            |case: &Case| (case.outcome().is_bad() || case.outcome() == CaseOutcome::Flaky) && is_quarantined(case);
        let (quarantined, counting) = std::mem::take(&mut self.cases).into_iter().partition(aside);
        self.cases = counting;
        let mut digest = self.digest();
        let quarantined: Vec<Case> = quarantined;
        digest.quarantined = quarantined.iter().take(NAMED_FAILURES).map(NamedFailure::of).collect();
        digest.quarantined_count = quarantined.len() as u64;
        self.cases.extend(quarantined);
        digest
    }

    fn behind(&self) -> Behind {
        let mut behind = Behind::default();
        for case in self.failures() {
            match (case.last_ran(), self.end) {
                (TryStatus::Interrupted, _) | (TryStatus::TimedOut, SuiteEnd::TimedOut) => behind.suite_end += 1,
                _ => case.message().and_then(blame).into_iter().for_each(|blame| behind.add(blame)),
            }
        }
        behind.causes.sort_by_key(|taken| std::cmp::Reverse(taken.specs));
        behind
    }

    /// This report and that of a later attempt which ran the failed cases again: what passed there is flaky.
    /// Cases that the later attempt filtered out keep their outcome; its doubts and events are its own.
    #[must_use]
    pub fn followed_by(mut self, later: Report) -> Report {
        let mut place: HashMap<CaseId, usize> =
            self.cases.iter().enumerate().map(|(at, case)| (case.id.clone(), at)).collect();
        for case in later.cases {
            match place.get(&case.id) {
                Some(&at) => {
                    let known = &mut self.cases[at];
                    known.fold = known.fold.followed_by(case.fold);
                    known.tries.extend(case.tries);
                }
                None => {
                    // The first attempt counted it among those it did not list.
                    let was_filtered = self.unlisted.skipped > 0;
                    self.unlisted.skipped -= u64::from(was_filtered);
                    self.unlisted.total -= u64::from(was_filtered);
                    place.insert(case.id.clone(), self.cases.len());
                    self.cases.push(case);
                }
            }
        }
        Report {
            cases: self.cases,
            unlisted: self.unlisted,
            events: later.events,
            problems: later.problems,
            files: self.files + later.files,
            end: later.end,
            dry_run: later.dry_run,
            focused: later.focused,
            took: self.took.saturating_add(later.took),
        }
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
