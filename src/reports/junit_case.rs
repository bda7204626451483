//! One `<testcase>`: its attributes and outcome elements, and what they add up to in tries.
//! Buffers are reused from case to case: most cases of a large report are passes that leave nothing behind.

use std::time::Duration;

use quick_xml::events::BytesStart;

use super::collect::{Collector, Seen, Sighting};
use super::ginkgo_names::{spec_name, suite_node};
use super::suite::SuiteFrame;
use super::suite_tag::seconds;
use super::xmltext::{CAPTURE, Encoding};
use crate::domain::case::TryStatus;

/// Outcome elements of one case that are kept.
const OUTCOMES: usize = 50;

/// What an element inside a case says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Failure,
    Error,
    Skipped,
    /// Surefire and nextest: an earlier try failed.
    Earlier(TryStatus),
    /// A later try failed too.
    Later(TryStatus),
}

impl Outcome {
    /// By element name; `None` for what is not an outcome.
    pub(super) fn of_element(name: &[u8], warnings_fail: bool) -> Option<Self> {
        Some(match name {
            b"failure" => Outcome::Failure,
            b"error" => Outcome::Error,
            b"skipped" | b"skip" | b"ignored" | b"disabled" | b"pending" => Outcome::Skipped,
            b"flakyFailure" => Outcome::Earlier(TryStatus::Failed),
            b"flakyError" => Outcome::Earlier(TryStatus::Errored),
            b"rerunFailure" => Outcome::Later(TryStatus::Failed),
            b"rerunError" => Outcome::Later(TryStatus::Errored),
            b"warning" if warnings_fail => Outcome::Failure,
            _ => return None,
        })
    }
}

impl Outcome {
    /// Whether it stands for a try of its own. Surefire counts those in its header.
    fn is_other_try(self) -> bool {
        match self {
            Outcome::Earlier(_) | Outcome::Later(_) => true,
            Outcome::Failure | Outcome::Error | Outcome::Skipped => false,
        }
    }
}

/// The open case.
#[derive(Debug, Default)]
pub(super) struct CaseFrame {
    name: String,
    class: String,
    source: String,
    status: String,
    result: String,
    time: String,
    took: Option<Duration>,
    outcomes: Vec<(Outcome, String)>,
    /// Outcome elements beyond the limit are dropped, their text with them.
    overflow: bool,
}

impl CaseFrame {
    /// Starts a case from its tag.
    pub(super) fn open(&mut self, tag: &BytesStart<'_>, encoding: Encoding) {
        self.clear();
        for attribute in tag.html_attributes().with_checks(false).flatten() {
            self.attribute(attribute.key.local_name().as_ref(), &attribute.value, encoding);
        }
        self.attributes_end();
    }

    /// Takes one attribute of the case.
    pub(super) fn attribute(&mut self, key: &[u8], value: &[u8], encoding: Encoding) {
        let into = match key {
            b"name" => &mut self.name,
            b"classname" | b"class" => &mut self.class,
            b"file" => &mut self.source,
            b"status" => &mut self.status,
            b"result" => &mut self.result,
            b"time" => &mut self.time,
            _ => return,
        };
        into.clear();
        encoding.unescape(value, into);
    }

    /// All attributes were taken.
    pub(super) fn attributes_end(&mut self) {
        self.took = seconds(&self.time);
    }

    pub(super) fn clear(&mut self) {
        let texts =
            [&mut self.name, &mut self.class, &mut self.source, &mut self.status, &mut self.result, &mut self.time];
        for text in texts {
            text.clear();
        }
        self.outcomes.clear();
        self.overflow = false;
        self.took = None;
    }

    /// An outcome element opens. Its `message` and `type` come before its text.
    pub(super) fn outcome(&mut self, outcome: Outcome, tag: &BytesStart<'_>, encoding: Encoding) {
        let (mut message, mut kind) = (String::new(), String::new());
        for attribute in tag.html_attributes().with_checks(false).flatten() {
            match attribute.key.local_name().as_ref() {
                b"message" => encoding.unescape(&attribute.value, &mut message),
                b"type" => encoding.unescape(&attribute.value, &mut kind),
                _ => {}
            }
        }
        self.begin_outcome(outcome, message, kind);
    }

    /// An outcome begins with this message, or type where it has none.
    pub(super) fn begin_outcome(&mut self, outcome: Outcome, mut message: String, kind: String) {
        self.overflow = self.outcomes.len() >= OUTCOMES;
        if self.overflow {
            return;
        }
        if message.is_empty() && outcome != Outcome::Skipped && kind.contains('.') {
            message = kind;
        }
        if !message.is_empty() {
            // The text follows on its own line; `tidy` drops what it repeats.
            message.push('\n');
        }
        self.outcomes.push((outcome, message));
    }

    /// Where text of the open outcome element goes.
    pub(super) fn message(&mut self) -> Option<&mut String> {
        if self.overflow {
            return None;
        }
        self.outcomes.last_mut().map(|(_, message)| message).filter(|message| message.len() < CAPTURE)
    }

    /// The first outcome's message.
    pub(super) fn first_message(&self) -> String {
        self.outcomes.first().map_or(String::new(), |(_, message)| tidy(message).to_owned())
    }

    /// Whether the case has failed, whatever else it may hold.
    pub(super) fn is_bad(&self) -> bool {
        self.outcomes.iter().any(|(outcome, _)| matches!(outcome, Outcome::Failure | Outcome::Error))
    }

    /// The case ends: hands it to the collector.
    pub(super) fn close(&mut self, suite: &mut SuiteFrame, into: &mut Collector) {
        let main = self.main_status();
        let bad = self.outcomes.iter().filter(|(outcome, _)| *outcome != Outcome::Skipped).count() as u64;
        suite.seen.bad += bad.max(u64::from(main.is_bad()));
        match main {
            TryStatus::Skipped => suite.seen.skipped += 1,
            _ => {
                let retries = self.outcomes.iter().filter(|(outcome, _)| outcome.is_other_try()).count() as u64;
                suite.seen.ran += 1 + retries;
                suite.idle &= self.time == "0" && self.class == suite.name && self.status.is_empty();
            }
        }
        suite.seen.run_words += u64::from(self.status == "run");
        if self.is_unsure() {
            suite.seen.unsure += 1;
        }
        if suite.told {
            return;
        }
        match suite_node(&self.name, &self.class, &suite.name) {
            Some(node) if main.is_bad() => {
                suite.seen.events += 1;
                into.event(node, tidy(self.message_of(main)));
            }
            Some(_) => {}
            None => self.hand_over(main, suite, into),
        }
    }

    fn hand_over(&self, main: TryStatus, suite: &mut SuiteFrame, into: &mut Collector) {
        let listed_once_in = if suite.ginkgo.succeeded.is_some() { suite.number } else { 0 };
        // Without a name nothing says that two cases are one.
        let number = if self.name.is_empty() { suite.next_nameless() } else { String::new() };
        let (name, apart) = match (self.name.is_empty(), self.class.is_empty()) {
            (false, _) => (spec_name(&self.name), self.source.as_str()),
            (true, false) => (self.class.as_str(), number.as_str()),
            (true, true) => ("(no name)", number.as_str()),
        };
        let who =
            Sighting { suite: &suite.path, class: &self.class, name, apart: [&suite.apart, apart], listed_once_in };
        let noteworthy = self.is_noteworthy_skip(main);
        if self.outcomes.is_empty() {
            return into.case(who, suite.lane, &[Seen { status: main, took: self.took, message: "" }], noteworthy);
        }
        if !self.outcomes.iter().any(|(outcome, _)| outcome.is_other_try()) {
            let seen = Seen { status: main, took: self.took, message: tidy(self.message_of(main)) };
            return into.case(who, suite.lane, &[seen], noteworthy);
        }
        into.case(who, suite.lane, &self.tries(main), noteworthy);
    }

    /// Earlier failed tries, the case itself, later failed tries.
    fn tries(&self, main: TryStatus) -> Vec<Seen<'_>> {
        let mut tries = Vec::with_capacity(self.outcomes.len() + 1);
        let mut later = Vec::new();
        for (outcome, message) in &self.outcomes {
            let seen = |&status| Seen { status, took: None, message: tidy(message) };
            match outcome {
                Outcome::Earlier(status) => tries.push(seen(status)),
                // A rerun that failed before the case passed in the end is an earlier try.
                Outcome::Later(status) if main.is_bad() => later.push(seen(status)),
                Outcome::Later(status) => tries.push(seen(status)),
                Outcome::Failure | Outcome::Error | Outcome::Skipped => {}
            }
        }
        tries.push(Seen { status: main, took: self.took, message: tidy(self.message_of(main)) });
        tries.append(&mut later);
        tries
    }

    /// The message of the element that decided.
    fn message_of(&self, main: TryStatus) -> &str {
        let wanted = |outcome: Outcome| match outcome {
            Outcome::Error => matches!(main, TryStatus::Errored | TryStatus::Interrupted | TryStatus::TimedOut),
            Outcome::Failure => matches!(main, TryStatus::Failed | TryStatus::TimedOut | TryStatus::Interrupted),
            Outcome::Skipped => main == TryStatus::Skipped,
            Outcome::Earlier(_) | Outcome::Later(_) => false,
        };
        self.outcomes.iter().find(|(outcome, _)| wanted(*outcome)).map_or("", |(_, message)| message)
    }

    /// How the case itself ended: by its elements, and without any by its attributes.
    fn main_status(&self) -> TryStatus {
        let has = |wanted| self.outcomes.iter().any(|(outcome, _)| *outcome == wanted);
        let word = self.status_word();
        match (has(Outcome::Error), has(Outcome::Failure), has(Outcome::Skipped)) {
            (true, _, _) if word == Some(TryStatus::Interrupted) => TryStatus::Interrupted,
            (_, true, _) | (true, _, _) if word == Some(TryStatus::TimedOut) => TryStatus::TimedOut,
            (true, _, _) => TryStatus::Errored,
            (false, true, _) => TryStatus::Failed,
            (false, false, true) => TryStatus::Skipped,
            (false, false, false) => word.unwrap_or(TryStatus::Passed),
        }
    }

    /// What `status` and `result` say, the worse of the two.
    fn status_word(&self) -> Option<TryStatus> {
        match (word(&self.status), word(&self.result)) {
            (Some(a), Some(b)) if b.is_bad() || (!a.is_bad() && b == TryStatus::Skipped) => Some(b),
            (Some(a), _) => Some(a),
            (None, b) => b,
        }
    }

    fn is_unsure(&self) -> bool {
        [&self.status, &self.result]
            .iter()
            .any(|word| ["inconclusive", "warning"].iter().any(|unsure| word.eq_ignore_ascii_case(unsure)))
    }

    /// A skip that says why, or that took time: it was started. Filtered specs only say `skipped` or nothing.
    fn is_noteworthy_skip(&self, main: TryStatus) -> bool {
        main == TryStatus::Skipped
            && (self.took.is_some_and(|took| took > Duration::ZERO)
                || !matches!(self.message_of(main).trim(), "" | "skipped" | "pending"))
    }
}

/// The words that test runners put into `status` and `result`.
fn word(text: &str) -> Option<TryStatus> {
    const WORDS: [(&str, TryStatus); 22] = [
        ("passed", TryStatus::Passed),
        ("failed", TryStatus::Failed),
        ("failure", TryStatus::Failed),
        ("fail", TryStatus::Failed),
        ("error", TryStatus::Errored),
        ("errored", TryStatus::Errored),
        ("broken", TryStatus::Errored),
        ("panicked", TryStatus::Errored),
        ("aborted", TryStatus::Errored),
        ("crashed", TryStatus::Errored),
        ("interrupted", TryStatus::Interrupted),
        ("timedout", TryStatus::TimedOut),
        ("timeout", TryStatus::TimedOut),
        ("skipped", TryStatus::Skipped),
        ("ignored", TryStatus::Skipped),
        ("disabled", TryStatus::Skipped),
        ("notrun", TryStatus::Skipped),
        ("not_run", TryStatus::Skipped),
        ("notexecuted", TryStatus::Skipped),
        ("pending", TryStatus::Skipped),
        ("inconclusive", TryStatus::Skipped),
        ("suppressed", TryStatus::Skipped),
    ];
    if text.is_empty() {
        return None;
    }
    WORDS.iter().find(|(word, _)| text.trim().eq_ignore_ascii_case(word)).map(|&(_, status)| status)
}

/// A `message` that only repeats that it failed.
fn says_nothing(message: &str) -> bool {
    ["failed", "failure", "error", "test failed", "null"].iter().any(|empty| message.trim().eq_ignore_ascii_case(empty))
}

/// A message with what is said twice said once: runners repeat the attribute at the start of the text, and Ginkgo
/// opens with a marker and closes with the place.
fn tidy(message: &str) -> &str {
    let message = message.trim();
    let message = match message.split_once('\n') {
        Some((first, rest)) if says_nothing(first) || repeats(rest, first) => rest.trim_start(),
        _ => message,
    };
    ["[FAILED] ", "[PANICKED] ", "[TIMEDOUT] ", "[INTERRUPTED] ", "[ABORTED] ", "skipped - "]
        .iter()
        .find_map(|marker| message.strip_prefix(marker))
        .unwrap_or(message)
}

fn repeats(text: &str, line: &str) -> bool {
    text.trim_start().lines().next().is_some_and(|first| first.contains(line.trim()))
}
