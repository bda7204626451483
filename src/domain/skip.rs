//! The skip list: specs that are not run, or that run and decide nothing; each entry with a reason, an owner and an end.

use jiff::civil::Date;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::ginkgo;
use super::names::SuiteName;
use super::suite::{Entry, Suite};
use super::versions::VersionRange;

/// What Ginkgo puts before a spec's name when it matches patterns: they may match that as well.
const SUITE_NAME: &str = "Kubernetes e2e suite ";

/// One entry of the skip list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipEntry {
    /// Regular expression (RE2 syntax) over a spec's full name, or the name itself.
    pub pattern: String,
    pub by: MatchBy,
    pub action: Action,
    pub reason: String,
    pub owner: String,
    pub issue: Option<String>,
    /// The last day on which the entry applies.
    pub expires: Date,
    /// Suites it applies to; empty means every suite.
    pub suites: Vec<SuiteName>,
    /// Kubernetes versions it applies to.
    pub kubernetes: Option<VersionRange>,
    /// Providers of clusters it applies to; empty means every one.
    pub providers: Vec<String>,
}

/// How an entry says which specs it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchBy {
    Pattern,
    /// The whole name.
    Name,
}

/// What becomes of a spec that an entry matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is not run.
    Skip,
    /// It runs, and its failure does not count.
    Quarantine,
}

/// What an entry's conditions are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    pub today: Date,
    /// Such as `v1.34.4`, where it is known.
    pub kubernetes: Option<&'a str>,
    pub provider: &'a str,
}

impl SkipEntry {
    /// Whether the entry is about a suite here, were it not for its end. What is handed in for certification skips nothing.
    pub fn concerns(&self, name: &SuiteName, suite: &Suite, here: &Circumstances<'_>) -> bool {
        let version = || here.kubernetes.zip(self.kubernetes.as_ref()).is_none_or(|(v, range)| range.contains(v));
        !suite.submission
            && (self.suites.is_empty() || self.suites.contains(name))
            && (self.providers.is_empty() || self.providers.iter().any(|provider| provider == here.provider))
            && version()
    }

    /// Whether its last day is over. It then stops applying.
    pub fn is_expired(&self, today: Date) -> bool {
        self.expires < today
    }

    /// The pattern as a suite is told it.
    pub fn for_suite(&self, suite: &Suite) -> String {
        match (self.by, &suite.entry) {
            (MatchBy::Pattern, _) => self.pattern.clone(),
            (MatchBy::Name, Entry::Ginkgo(_) | Entry::GoRunner(_)) => {
                ginkgo::exactly([self.pattern.as_str()]).pop().unwrap_or_default()
            }
            (MatchBy::Name, Entry::Command(_)) => format!("^{}$", regex::escape(&self.pattern)),
        }
    }

    /// Finds the specs it means among names from a report or a list. `None` for a pattern that does not compile, which the
    /// configuration's reader refuses.
    pub fn matcher(&self, suite: &Suite) -> Option<Matcher> {
        let prefix = match suite.entry {
            Entry::Ginkgo(_) | Entry::GoRunner(_) => SUITE_NAME,
            Entry::Command(_) => "",
        };
        Some(Matcher { regex: Regex::new(&self.for_suite(suite)).ok()?, prefix })
    }
}

/// An entry's pattern, ready to be compared with names.
pub struct Matcher {
    regex: Regex,
    prefix: &'static str,
}

impl Matcher {
    /// Whether the runner itself would match a spec of this name.
    pub fn matches(&self, name: &str) -> bool {
        match self.prefix {
            "" => self.regex.is_match(name),
            prefix => self.regex.is_match(&format!("{prefix}{name}")),
        }
    }
}

/// A spec that an entry hit, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The entry's place in the run's skip list.
    pub entry: u32,
    pub spec: String,
    pub outcome: HitOutcome,
}

/// What became of a spec that is on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HitOutcome {
    NotRun,
    Passed,
    Failed,
}

/// Places of the entries that hold for a suite now.
pub fn holding(entries: &[SkipEntry], name: &SuiteName, suite: &Suite, here: &Circumstances<'_>) -> Vec<u32> {
    let holds = |entry: &SkipEntry| entry.concerns(name, suite, here) && !entry.is_expired(here.today);
    (0..).zip(entries).filter(|(_, entry)| holds(entry)).map(|(place, _)| place).collect()
}

/// The entries at these places, with the places.
pub fn at<'a>(entries: &'a [SkipEntry], places: &'a [u32]) -> impl Iterator<Item = (u32, &'a SkipEntry)> {
    places.iter().filter_map(|place| Some((*place, entries.get(usize::try_from(*place).ok()?)?)))
}

/// The patterns that a suite is told to leave out.
pub fn patterns(entries: &[SkipEntry], places: &[u32], suite: &Suite) -> Vec<String> {
    let skipped = at(entries, places).filter(|(_, entry)| entry.action == Action::Skip);
    skipped.map(|(_, entry)| entry.for_suite(suite)).collect()
}

/// The end of the first expired entry that would have taken one of these failed specs out.
pub fn missed(entries: &[SkipEntry], name: &SuiteName, suite: &Suite, failed: &[&str], today: Date) -> Option<Date> {
    let here = Circumstances { today, kubernetes: None, provider: "" };
    let expired = entries.iter().filter(|entry| entry.is_expired(today));
    let mut about =
        expired.filter(|entry| SkipEntry { providers: vec![], ..(*entry).clone() }.concerns(name, suite, &here));
    let hit = about
        .find(|entry| entry.matcher(suite).is_some_and(|matcher| failed.iter().any(|name| matcher.matches(name))))?;
    Some(hit.expires)
}

#[cfg(test)]
#[path = "skip_tests.rs"]
mod tests;
