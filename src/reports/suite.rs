//! What a `<testsuite>` says about itself, and whether that agrees with the cases in it.

use std::time::Duration;

use super::suite_tag::Header;
use crate::domain::report::Weight;
use crate::domain::text::counted;

/// An open `<testsuite>` or `<testsuites>`.
#[derive(Debug, Default)]
pub(super) struct SuiteFrame {
    /// Names of this suite and those around it, as identity.
    pub(super) path: String,
    pub(super) name: String,
    /// See `Sighting::apart`.
    pub(super) apart: String,
    pub(super) lane: u32,
    /// This element's number, unlike any other's.
    pub(super) number: u32,
    /// `<testsuites>`: its counters are sums, and some tools sum oddly.
    pub(super) is_root: bool,
    pub(super) header: Header,
    pub(super) seen: SeenHere,
    pub(super) ginkgo: GinkgoProperties,
    /// A Ginkgo JSON report told about this suite already.
    pub(super) told: bool,
    /// Looks like Ginkgo v1 so far, and like a dry run of it.
    pub(super) idle: bool,
    /// Cases without a name so far.
    pub(super) nameless: u64,
    /// Time of the suites inside, for suites that do not give their own.
    pub(super) inner_took: Duration,
}

/// What was seen inside, nested suites included.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct SeenHere {
    /// Cases that were not skipped, each try counted.
    pub(super) ran: u64,
    pub(super) skipped: u64,
    /// Cases that say `status="run"`.
    pub(super) run_words: u64,
    /// `<failure>`, `<error>` and the like.
    pub(super) bad: u64,
    /// NUnit's inconclusive cases, which some converters count as errors.
    pub(super) unsure: u64,
    /// Suite-level failures.
    pub(super) events: u64,
}

/// Ginkgo v2 writes its configuration and its own opinion into properties.
#[derive(Debug, Default)]
pub(super) struct GinkgoProperties {
    pub(super) succeeded: Option<bool>,
    pub(super) special_reason: String,
}

impl SuiteFrame {
    /// Time the suite says it took, or its suites do.
    pub(super) fn took(&self) -> Duration {
        self.header.took.unwrap_or(self.inner_took)
    }

    /// What tells the next case without a name from all others.
    pub(super) fn next_nameless(&mut self) -> String {
        self.nameless += 1;
        format!("{}.{}", self.number, self.nameless)
    }

    /// Adds what was seen in a suite that closes inside this one.
    pub(super) fn absorb(&mut self, inner: &SeenHere) {
        self.seen.ran += inner.ran;
        self.seen.skipped += inner.skipped;
        self.seen.bad += inner.bad;
        self.seen.unsure += inner.unsure;
        self.seen.events += inner.events;
    }

    /// Where the suite's own words and its cases disagree.
    pub(super) fn contradictions(&self) -> Vec<(Weight, String)> {
        let mut found = Vec::new();
        // A BeforeSuite that failed stands for every spec it kept from running.
        if self.told || self.seen.events > 0 {
            return found;
        }
        let announced_bad = self.header.failures.saturating_add(self.header.errors);
        if announced_bad > self.seen.bad + self.seen.unsure {
            let text = format!(
                "suite `{}` says that {} failed, but the report shows {}",
                self.name,
                counted(announced_bad, "case"),
                self.seen.bad
            );
            // gotestsum counts every line on stderr as an error of the whole; the exit status knows better.
            let only_root_errors = self.is_root && self.header.failures <= self.seen.bad;
            found.push((if only_root_errors { Weight::Doubt } else { Weight::Fatal }, text));
        }
        // Not every tool that lists skipped cases counts them apart: cases are missing only when both sums say so.
        let tests = self.header.tests.unwrap_or(0);
        let announced_ran = tests.saturating_sub(self.header.not_run);
        let seen_ran = self.seen.ran + self.seen.unsure;
        let missing = announced_ran > seen_ran && tests > self.seen.ran + self.seen.skipped;
        if missing && !self.is_root && !self.counts_more_than_cases() {
            let text = format!(
                "suite `{}` says that {} ran, but the report shows {}",
                self.name,
                counted(announced_ran, "case"),
                self.seen.ran
            );
            found.push((Weight::Doubt, text));
        }
        if self.ginkgo.succeeded == Some(false) && self.seen.bad == 0 {
            let reason = if self.ginkgo.special_reason.is_empty() { "" } else { ": " };
            let text = format!(
                "suite `{}` says that it did not succeed{reason}{}, but no case failed",
                self.name, self.ginkgo.special_reason
            );
            found.push((Weight::Fatal, text));
        }
        found
    }

    /// pytest counts subtests, mocha the tests that its filter left out, Catch2 (which writes `tbd` for the host) and
    /// doctest (which writes four attributes) every assertion; none of them lists those.
    fn counts_more_than_cases(&self) -> bool {
        let doctest = self.header.only_four && self.seen.run_words > 0;
        matches!(self.name.as_str(), "pytest" | "Mocha Tests") || self.header.host_unknown || doctest
    }

    /// A dry run of Ginkgo v1 leaves no other trace than times that are exactly zero.
    pub(super) fn is_idle_v1(&self) -> bool {
        self.idle
            && self.seen.skipped > 0
            && self.seen.bad == 0
            && self.seen.ran > 0
            && self.header.tests == Some(self.seen.ran)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_knows_of_more_failures_is_never_green() {
        let mut frame = SuiteFrame { name: "s".into(), ..SuiteFrame::default() };
        frame.header.failures = 2;
        frame.seen.bad = 2;
        assert_eq!(frame.contradictions(), []);
        frame.header.errors = 1;
        assert_eq!(frame.contradictions().len(), 1);
        assert_eq!(frame.contradictions()[0].0, Weight::Fatal);
        frame.seen.events = 1;
        assert_eq!(frame.contradictions(), [], "one suite event may stand for many");
    }

    #[test]
    fn cases_that_are_announced_and_missing_are_a_doubt() {
        let mut frame = SuiteFrame { name: "s".into(), ..SuiteFrame::default() };
        frame.header.tests = Some(10);
        frame.header.not_run = 4;
        frame.seen.ran = 6;
        assert_eq!(frame.contradictions(), []);
        frame.seen.ran = 5;
        frame.seen.skipped = 4;
        assert_eq!(frame.contradictions()[0].0, Weight::Doubt);
        frame.header.not_run = 0;
        frame.seen.skipped = 5;
        assert_eq!(frame.contradictions(), [], "skipped cases that the header does not count apart");
        frame.seen.skipped = 4;
        frame.name = "pytest".into();
        assert_eq!(frame.contradictions(), []);
    }
}
