//! Whether a skip list fits the suites it is for: every entry is compared with the suite's own list of specs. Pure; who gets the
//! list, and from where, is asked elsewhere.

use serde::{Deserialize, Serialize};

use super::names::SuiteName;
use super::skip::{Circumstances, SkipEntry};
use super::suite::Suite;
use super::text::counted;

/// An entry may match this part of a suite's specs, in percent.
const MOST_PERCENT: u64 = 20;
/// A single spec of a small suite is always few.
const ALWAYS_FEW: u64 = 1;
/// Names kept of what an entry matches.
const NAMED: usize = 50;

/// What was found out about a run's skip list before its cluster was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lint {
    pub suites: Vec<SuiteLint>,
}

/// One suite's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteLint {
    pub suite: SuiteName,
    /// Specs the suite runs without the list; `None` where it could not be asked.
    pub total: Option<u64>,
    /// Why it could not.
    pub problem: Option<String>,
    pub entries: Vec<EntryLint>,
}

/// What an entry means in one suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryLint {
    /// Its place in the list.
    pub entry: u32,
    pub hits: u64,
    /// The first of them.
    pub specs: Vec<String>,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It stopped applying.
    Expired { entry: u32 },
    /// No suite it is about has such a spec.
    Stale { entry: u32 },
    /// It takes too much of a suite: it does not apply there.
    TooBroad { entry: u32, suite: SuiteName, hits: u64, total: u64 },
}

impl SuiteLint {
    /// Compares the entries that are about a suite with its specs.
    pub fn of(
        name: &SuiteName,
        suite: &Suite,
        skips: &[SkipEntry],
        specs: &[String],
        here: &Circumstances<'_>,
    ) -> Self {
        let about = (0..).zip(skips).filter(|(_, entry)| entry.concerns(name, suite, here));
        let entries = about.map(|(place, entry)| {
            let matcher = entry.matcher(suite);
            let hits = || specs.iter().filter(|spec| matcher.as_ref().is_some_and(|matcher| matcher.matches(spec)));
            EntryLint { entry: place, hits: hits().count() as u64, specs: hits().take(NAMED).cloned().collect() }
        });
        Self { suite: name.clone(), total: Some(specs.len() as u64), problem: None, entries: entries.collect() }
    }

    /// A suite whose specs could not be had.
    pub fn unknown(name: &SuiteName, problem: impl Into<String>) -> Self {
        Self { suite: name.clone(), total: None, problem: Some(problem.into()), entries: vec![] }
    }

    fn is_too_broad(&self, entry: &EntryLint) -> bool {
        let most = self.total.map_or(u64::MAX, |total| (total.saturating_mul(MOST_PERCENT) / 100).max(ALWAYS_FEW));
        entry.hits > most
    }
}

impl Lint {
    /// Entries that do not apply to a suite because they would take too much of it.
    pub fn barred(&self, suite: &SuiteName) -> Vec<u32> {
        let of_suite = self.suites.iter().filter(|lint| lint.suite == *suite);
        of_suite
            .flat_map(|lint| lint.entries.iter().filter(|entry| lint.is_too_broad(entry)))
            .map(|entry| entry.entry)
            .collect()
    }

    /// Everything that is wrong, by entry. Nothing is said of an entry some of whose suites could not be asked.
    pub fn findings(&self, skips: &[SkipEntry], here: &Circumstances<'_>) -> Vec<Finding> {
        let mut found = Vec::new();
        for (place, entry) in (0_u32..).zip(skips) {
            if entry.is_expired(here.today) {
                found.push(Finding::Expired { entry: place });
                continue;
            }
            let mut hits = 0;
            let mut asked = false;
            for lint in &self.suites {
                for one in lint.entries.iter().filter(|one| one.entry == place) {
                    asked = true;
                    hits += one.hits;
                    if let Some(total) = lint.total.filter(|_| lint.is_too_broad(one)) {
                        let (suite, hits) = (lint.suite.clone(), one.hits);
                        found.push(Finding::TooBroad { entry: place, suite, hits, total });
                    }
                }
            }
            let unknown = |lint: &SuiteLint| {
                lint.total.is_none() && (entry.suites.is_empty() || entry.suites.contains(&lint.suite))
            };
            if hits == 0 && asked && !self.suites.iter().any(unknown) {
                found.push(Finding::Stale { entry: place });
            }
        }
        found
    }
}

impl Finding {
    /// The entry's place in the list.
    pub fn entry(&self) -> u32 {
        match self {
            Finding::Expired { entry } | Finding::Stale { entry } | Finding::TooBroad { entry, .. } => *entry,
        }
    }

    /// For people; `entry` is the one it is about.
    pub fn text(&self, entry: &SkipEntry) -> String {
        let pattern = &entry.pattern;
        match self {
            Finding::Expired { .. } => {
                format!(
                    "skip entry `{pattern}` expired on {} and no longer applies; {} sees to it",
                    entry.expires, entry.owner
                )
            }
            Finding::Stale { .. } => format!("skip entry `{pattern}` matches no spec; it can go"),
            Finding::TooBroad { suite, hits, total, .. } => format!(
                "skip entry `{pattern}` matches {} of {total} in {suite}, more than {MOST_PERCENT} %: it does not apply",
                counted(*hits, "spec")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::skip::{Action, MatchBy};

    fn entry(pattern: &str, expires: &str) -> SkipEntry {
        SkipEntry {
            pattern: pattern.into(),
            by: MatchBy::Pattern,
            action: Action::Skip,
            reason: "r".into(),
            owner: "@net".into(),
            issue: None,
            expires: expires.parse().unwrap(),
            suites: vec![],
            kubernetes: None,
            providers: vec![],
        }
    }

    #[test]
    fn every_entry_is_compared_with_what_the_suite_runs() {
        let names = include_str!("../../tests/fixtures/reports/e2e/conformance-specs-v1.34.4.txt");
        let specs: Vec<String> = names.lines().map(str::to_owned).collect();
        let skips = [
            entry("hostPort but different hostIP", "2027-01-01"),
            entry("does not exist anywhere", "2027-01-01"),
            entry(r"\[sig-", "2027-01-01"),
            entry("DNS", "2026-01-01"),
        ];
        let suite = Suite {
            entry: crate::domain::suite::Entry::Ginkgo(crate::domain::suite::Ginkgo::default()),
            ..Suite::plain("i")
        };
        let name: SuiteName = "conformance".parse().unwrap();
        let here = Circumstances { today: "2026-11-21".parse().unwrap(), kubernetes: None, provider: "docker" };
        let lint = Lint { suites: vec![SuiteLint::of(&name, &suite, &skips, &specs, &here)] };
        assert_eq!(lint.suites[0].entries[0].hits, 1);
        assert_eq!(lint.barred(&name), [2]);
        let found = lint.findings(&skips, &here);
        let texts: Vec<_> = found.iter().map(|finding| finding.text(&skips[finding.entry() as usize])).collect();
        assert_eq!(
            texts,
            [
                "skip entry `does not exist anywhere` matches no spec; it can go",
                "skip entry `\\[sig-` matches 424 specs of 424 in conformance, more than 20 %: it does not apply",
                "skip entry `DNS` expired on 2026-01-01 and no longer applies; @net sees to it",
            ]
        );
        let blind = Lint { suites: vec![SuiteLint::unknown(&name, "the image cannot be pulled")] };
        assert_eq!(blind.findings(&skips[..2], &here), [], "nothing is known, nothing is said");
    }

    #[test]
    fn one_spec_of_a_small_suite_is_not_too_much() {
        let (name, suite) = ("smoke".parse().unwrap(), Suite::plain("i"));
        let here = Circumstances { today: "2026-11-21".parse().unwrap(), kubernetes: None, provider: "docker" };
        let specs = ["a DNS", "a node"].map(str::to_owned);
        let lint = SuiteLint::of(&name, &suite, &[entry("DNS", "2027-01-01")], &specs, &here);
        assert_eq!(Lint { suites: vec![lint] }.barred(&name), Vec::<u32>::new());
    }
}
