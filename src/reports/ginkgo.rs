//! Reads Ginkgo v2's JSON report as a stream, spec by spec: most of its thousands of entries were filtered out and leave only a count.
//! The only place where v2 tells about flakes; its JUnit shows them as plain passes.

use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::bounded_json::BoundedJson;
use super::collect::{Collector, Seen, Sighting};
use super::ginkgo_spec::Spec;
use super::{File, Found};
use crate::domain::case::TryStatus;
use crate::domain::report::Weight;

/// Reads one file into the collector and says what it was.
pub(super) fn read(source: impl BufRead, file: &File<'_>, into: &mut Collector) -> Found {
    let lane = file.lane.unwrap_or_else(|| into.new_lane());
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(BoundedJson::new(source)));
    into.count_file();
    let mut reading = Reading { into, file, lane };
    let result = (&mut reading).deserialize(&mut json).and_then(|()| json.end());
    if let Err(error) = result {
        let what = match error.io_error_kind() {
            Some(ErrorKind::FileTooLarge) => error.to_string(),
            _ => format!("cut short or malformed: {error}"),
        };
        file.problem(into, Weight::Fatal, &what);
    }
    Found::Report
}

/// Why a JSON file that does not begin as a report does is none.
pub(super) fn refusal(source: impl BufRead) -> String {
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(BoundedJson::new(source)));
    match IgnoredAny::deserialize(&mut json).and_then(|_| json.end()) {
        Ok(()) => "not a Ginkgo report: JSON of another kind".to_owned(),
        Err(error) => format!("not a Ginkgo report: {error}"),
    }
}

/// One file being read.
struct Reading<'a, 'f> {
    into: &'a mut Collector,
    file: &'a File<'f>,
    lane: u32,
}

/// The file: an array of suites, or one suite.
impl<'de> DeserializeSeed<'de> for &mut Reading<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reading<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Ginkgo report")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut suites: A) -> Result<(), A::Error> {
        while suites.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut suite = Suite { number: self.into.new_lane(), ..Suite::default() };
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "SuiteDescription" => suite.name = fields.next_value::<Option<String>>()?.unwrap_or_default(),
                "SuiteSucceeded" => suite.succeeded = fields.next_value()?,
                "SuiteHasProgrammaticFocus" => suite.focused = fields.next_value::<Option<bool>>()? == Some(true),
                "SpecialSuiteFailureReasons" => {
                    suite.reasons = fields.next_value::<Option<Vec<String>>>()?.unwrap_or_default();
                }
                "SuiteConfig" => suite.config = fields.next_value::<Option<Config>>()?.unwrap_or_default(),
                "RunTime" => suite.run_time = fields.next_value::<Option<i64>>()?.unwrap_or(0),
                "SpecReports" => fields.next_value_seed(Specs { reading: self, suite: &mut suite })?,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        self.close(suite);
        Ok(())
    }
}

/// What a suite says about itself.
#[derive(Default)]
struct Suite {
    /// See `Sighting::listed_once_in`.
    number: u32,
    name: String,
    succeeded: Option<bool>,
    focused: bool,
    reasons: Vec<String>,
    config: Config,
    /// Nanoseconds.
    run_time: i64,
    bad: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    random_seed: Option<i64>,
    dry_run: bool,
}

impl Reading<'_, '_> {
    fn close(&mut self, suite: Suite) {
        if suite.focused {
            self.into.focused();
        }
        if suite.config.dry_run {
            self.into.dry_run();
        }
        let mut explained = false;
        for reason in &suite.reasons {
            explained |= self.into.ended(reason);
        }
        if suite.succeeded == Some(false) && suite.bad == 0 && !explained {
            let reasons =
                if suite.reasons.is_empty() { String::new() } else { format!(": {}", suite.reasons.join(", ")) };
            let text = format!("suite `{}` says that it did not succeed{reasons}, but no case failed", suite.name);
            self.file.problem(self.into, Weight::Fatal, &text);
        }
        self.into.took(nanoseconds(suite.run_time));
        if let Some(seed) = suite.config.random_seed {
            self.into.tell(&suite.name, seed.to_string());
        }
    }

    fn spec(&mut self, suite: &mut Suite, spec: &Spec) {
        let status = spec.status();
        suite.bad += u64::from(status.is_bad());
        if !spec.is_case() {
            if status.is_bad() {
                self.into.event(&format!("[{}]", spec.leaf_node_type), &spec.message());
            }
            return;
        }
        let name = spec.name();
        let who = Sighting {
            suite: &suite.name,
            class: &suite.name,
            name: &name,
            apart: ["", ""],
            listed_once_in: suite.number,
        };
        let took = Some(nanoseconds(spec.run_time));
        if status == TryStatus::Skipped {
            let noteworthy = spec.num_attempts > 0 || spec.run_time > 0;
            let seen = Seen { status, took, message: &spec.message() };
            return self.into.case(who, self.lane, &[seen], noteworthy);
        }
        let earlier = spec.earlier_tries();
        let message = spec.message();
        let mut tries: Vec<Seen<'_>> =
            earlier.iter().map(|(status, message)| Seen { status: *status, took: None, message }).collect();
        tries.push(Seen { status, took, message: &message });
        self.into.case(who, self.lane, &tries, false);
    }
}

/// The `SpecReports` array.
struct Specs<'s, 'a, 'f> {
    reading: &'s mut Reading<'a, 'f>,
    suite: &'s mut Suite,
}

impl<'de> DeserializeSeed<'de> for Specs<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Specs<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of specs")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut specs: A) -> Result<(), A::Error> {
        while let Some(spec) = specs.next_element::<Spec>()? {
            self.reading.spec(self.suite, &spec);
        }
        Ok(())
    }
}

fn nanoseconds(number: i64) -> Duration {
    Duration::from_nanos(u64::try_from(number).unwrap_or(0))
}
