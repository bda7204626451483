//! The skip list: specs that are not run, each with a reason, an owner and an end.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::names::SuiteName;

/// One entry of the skip list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipEntry {
    /// Regular expression (RE2 syntax) over a spec's full name.
    pub pattern: String,
    pub reason: String,
    pub owner: String,
    pub issue: Option<String>,
    /// The last day on which the entry applies.
    pub expires: Date,
    /// Suites it applies to; empty means every suite.
    pub suites: Vec<SuiteName>,
}

impl SkipEntry {
    /// Whether the entry applies to a suite on a day. An expired entry stops applying.
    pub fn applies(&self, suite: &SuiteName, today: Date) -> bool {
        today <= self.expires && (self.suites.is_empty() || self.suites.contains(suite))
    }
}

/// The patterns that apply to a suite today, in the list's order.
pub fn patterns(entries: &[SkipEntry], suite: &SuiteName, today: Date) -> Vec<String> {
    entries.iter().filter(|entry| entry.applies(suite, today)).map(|entry| entry.pattern.clone()).collect()
}

/// Entries whose end has passed and that would otherwise apply to the suite.
pub fn expired<'a>(entries: &'a [SkipEntry], suite: &SuiteName, today: Date) -> Vec<&'a SkipEntry> {
    let names = |entry: &SkipEntry| entry.suites.is_empty() || entry.suites.contains(suite);
    entries.iter().filter(|entry| entry.expires < today && names(entry)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pattern: &str, expires: &str, suites: &[&str]) -> SkipEntry {
        SkipEntry {
            pattern: pattern.into(),
            reason: "broken upstream".into(),
            owner: "@net".into(),
            issue: None,
            expires: expires.parse().unwrap(),
            suites: suites.iter().map(|name| name.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn an_entry_ends_after_its_last_day() {
        let entries =
            [entry("a", "2026-11-20", &[]), entry("b", "2026-11-21", &[]), entry("c", "2027-01-01", &["smoke"])];
        let (custom, today) = ("custom".parse().unwrap(), "2026-11-21".parse().unwrap());
        assert_eq!(patterns(&entries, &custom, today), ["b"]);
        assert_eq!(patterns(&entries, &"smoke".parse().unwrap(), today), ["b", "c"]);
        assert_eq!(expired(&entries, &custom, today).len(), 1);
    }
}
