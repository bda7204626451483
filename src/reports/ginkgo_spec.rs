//! One entry of Ginkgo's JSON report, only the fields that matter, and what they mean.
//! Source of the meanings: Ginkgo's `types.SpecReport`, checked against recorded reports of 2.1.4, 2.13.0 and 2.21.0.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::xmltext::CAPTURE;
use crate::domain::case::TryStatus;

/// Failures of earlier attempts that are kept.
const ADDITIONAL: usize = 50;

/// One spec or suite-level node.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Spec {
    container_hierarchy_texts: Joined,
    pub(super) leaf_node_type: String,
    leaf_node_text: String,
    state: String,
    /// Nanoseconds.
    pub(super) run_time: i64,
    /// 0 for specs that a filter ruled out, 1 and more for those that were started.
    pub(super) num_attempts: i64,
    /// Missing before 2.3.
    max_flake_attempts: Option<i64>,
    max_must_pass_repeatedly: Option<i64>,
    failure: Option<Failure>,
    additional_failures: Failures,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Failure {
    message: String,
    location: Option<Location>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Location {
    file_name: String,
    line_number: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Additional {
    state: String,
    failure: Failure,
}

impl Spec {
    /// Whether it is a spec and not a suite-level node.
    pub(super) fn is_case(&self) -> bool {
        matches!(self.leaf_node_type.as_str(), "It" | "")
    }

    /// Container texts and own text, as in the JUnit report without its prefix.
    pub(super) fn name(&self) -> String {
        match (self.container_hierarchy_texts.0.as_str(), self.leaf_node_text.as_str()) {
            ("", own) => own.to_owned(),
            (around, "") => around.to_owned(),
            (around, own) => format!("{around} {own}"),
        }
    }

    pub(super) fn status(&self) -> TryStatus {
        status(&self.state)
    }

    /// The failure's or skip's message, with its place.
    pub(super) fn message(&self) -> String {
        self.failure.as_ref().map_or(String::new(), Failure::text)
    }

    /// Failed attempts before the one that decided: Ginkgo keeps only their messages.
    pub(super) fn earlier_tries(&self) -> Vec<(TryStatus, String)> {
        let repeated = self.max_must_pass_repeatedly.unwrap_or(0) > 1;
        let may_retry = self.max_flake_attempts.is_none_or(|most| most > 1);
        if repeated || !may_retry {
            return Vec::new();
        }
        (1..self.num_attempts.min(ADDITIONAL as i64)).map(|attempt| self.earlier_try(attempt)).collect()
    }

    fn earlier_try(&self, attempt: i64) -> (TryStatus, String) {
        let title = format!("Failure recorded during attempt {attempt}:");
        let told = self.additional_failures.0.iter().find_map(|additional| {
            let text = additional.failure.text();
            text.strip_prefix(&title).map(|rest| (status(&additional.state), rest.trim_start().to_owned()))
        });
        match told {
            Some((status, text)) if status.is_bad() => (status, text),
            Some((_, text)) => (TryStatus::Failed, text),
            None => (TryStatus::Failed, format!("attempt {attempt} failed; the report does not say why")),
        }
    }
}

impl Failure {
    fn text(&self) -> String {
        match &self.location {
            Some(place) if !place.file_name.is_empty() && !self.message.is_empty() => {
                format!("{}\n{}:{}", self.message, place.file_name, place.line_number)
            }
            _ => self.message.clone(),
        }
    }
}

/// Ginkgo's states; one we do not know is no pass.
fn status(state: &str) -> TryStatus {
    match state {
        "passed" => TryStatus::Passed,
        "failed" => TryStatus::Failed,
        "timedout" => TryStatus::TimedOut,
        "interrupted" => TryStatus::Interrupted,
        "skipped" | "pending" => TryStatus::Skipped,
        _ => TryStatus::Errored,
    }
}

/// An array of texts joined by blanks, without holding the array.
#[derive(Debug, Default)]
struct Joined(String);

impl<'de> Deserialize<'de> for Joined {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Joined;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of texts")
            }

            fn visit_unit<E: Error>(self) -> Result<Joined, E> {
                Ok(Joined::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Joined, A::Error> {
                let mut joined = String::new();
                while let Some(text) = texts.next_element::<String>()? {
                    if !joined.is_empty() && !text.is_empty() {
                        joined.push(' ');
                    }
                    if joined.len() < CAPTURE {
                        joined.push_str(&text);
                    }
                }
                Ok(Joined(joined))
            }
        }
        json.deserialize_any(Texts)
    }
}

/// The first failures of an array.
#[derive(Debug, Default)]
struct Failures(Vec<Additional>);

impl<'de> Deserialize<'de> for Failures {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = Failures;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of failures")
            }

            fn visit_unit<E: Error>(self) -> Result<Failures, E> {
                Ok(Failures::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut failures: A) -> Result<Failures, A::Error> {
                let mut kept = Vec::new();
                while let Some(failure) = failures.next_element::<Additional>()? {
                    if kept.len() < ADDITIONAL {
                        kept.push(failure);
                    }
                }
                Ok(Failures(kept))
            }
        }
        json.deserialize_any(First)
    }
}
