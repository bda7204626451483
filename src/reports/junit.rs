//! Reads JUnit XML of any dialect as a stream: bytes in, sightings of cases out to the collector.
//! Never panics, never expands entities, keeps what it read when a file breaks off, and says that it did.

use std::collections::HashMap;
use std::io::{BufRead, ErrorKind};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Error, Reader};

use super::bounded::Bounded;
use super::collect::Collector;
use super::junit_case::{CaseFrame, Outcome};
use super::plain_case;
use super::suite::SuiteFrame;
use super::suite_tag::SuiteTag;
use super::xmltext::{Encoding, push, reference};
use super::{File, Found};
use crate::domain::report::Weight;

/// Elements inside each other; real reports have about six.
const DEPTH: usize = 100;
/// Suites of one file whose hosts are told apart.
const HOSTS: usize = 10_000;

/// Reads one file into the collector and says what it was.
pub(super) fn read(source: impl BufRead, file: &File<'_>, into: &mut Collector) -> Found {
    let mut xml = Reader::from_reader(Bounded::new(source));
    let config = xml.config_mut();
    config.allow_dangling_amp = true;
    let mut reader = JUnit {
        into,
        file,
        encoding: Encoding::Utf8,
        open: Vec::new(),
        suites: Vec::new(),
        case: CaseFrame::default(),
        hosts: HashMap::new(),
        found: None,
        is_text: false,
    };
    let mut buffer = Vec::new();
    let broken = loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer) {
            Ok(Event::Eof) => break reader.open.last().map(|element| element.cut_short()),
            Ok(event) => {
                // Right behind a tag the XML reader waits for text: elements can be taken from under it.
                let behind_tag = matches!(event, Event::Start(_) | Event::End(_) | Event::Empty(_));
                if let Err(refusal) = reader.event(&event) {
                    break Some(refusal);
                }
                if behind_tag {
                    reader.plain_cases(xml.get_mut());
                }
            }
            Err(Error::Io(limit)) if limit.kind() == ErrorKind::FileTooLarge => break Some(limit.to_string()),
            Err(error) => break Some(format!("broken at byte {}: {error}", xml.error_position())),
        }
    };
    reader.finish(broken)
}

struct JUnit<'a> {
    into: &'a mut Collector,
    file: &'a File<'a>,
    encoding: Encoding,
    open: Vec<Element>,
    suites: Vec<SuiteFrame>,
    /// The open case; there is one at most.
    case: CaseFrame,
    /// Hosts by suite: Playwright tells its browsers apart by them.
    hosts: HashMap<String, Vec<String>>,
    found: Option<Found>,
    /// Whether there is anything but space in the file.
    is_text: bool,
}

/// What an open element is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Suite,
    Case,
    /// A child of a case that says how it came out; its text is the message.
    Outcome,
    /// The same directly in a suite.
    SuiteOutcome,
    Properties,
    /// Not ours, and nothing inside it is.
    Other,
}

impl Element {
    fn cut_short(self) -> String {
        let what = match self {
            Element::Suite => "a suite is not closed",
            Element::Case | Element::Outcome => "a case is not closed",
            Element::SuiteOutcome | Element::Properties | Element::Other => "an element is not closed",
        };
        format!("cut short: {what}")
    }
}

impl JUnit<'_> {
    /// Takes one event. An error ends the reading of this file.
    fn event(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::Empty(tag) => {
                self.start(tag)?;
                self.end();
                Ok(())
            }
            Event::End(_) => {
                self.end();
                Ok(())
            }
            Event::Text(text) => {
                self.is_text |= self.open.is_empty() && !text.iter().all(u8::is_ascii_whitespace);
                self.text(text);
                Ok(())
            }
            Event::CData(text) => {
                self.text(text);
                Ok(())
            }
            Event::GeneralRef(name) => {
                self.general_reference(name);
                Ok(())
            }
            Event::Decl(declaration) => {
                if let Some(Ok(name)) = declaration.encoding() {
                    self.encoding = Encoding::named(&name);
                }
                Ok(())
            }
            Event::DocType(text) if text.contains(&b'[') => Err("refused: it declares entities of its own".to_owned()),
            Event::DocType(_) | Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    /// Reads plain cases as long as one follows the other.
    fn plain_cases<R: std::io::Read>(&mut self, bytes: &mut Bounded<R>) {
        while self.open.last() == Some(&Element::Suite)
            && let Some(ahead) = bytes.ahead()
            && let Some(length) = plain_case::read(ahead, self.encoding, &mut self.case)
        {
            bytes.skip(length);
            self.close_case();
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        if self.open.len() >= DEPTH {
            return Err(format!("refused: more than {DEPTH} elements inside each other"));
        }
        let local = tag.local_name();
        let name = local.as_ref();
        let element = match self.open.last() {
            None => self.root(name, tag)?,
            Some(Element::Suite) => self.in_suite(name, tag),
            Some(Element::Properties) => {
                self.property(tag);
                Element::Other
            }
            Some(Element::Case) if name == b"testcase" => {
                self.file.problem(self.into, Weight::Fatal, "a case stands inside another and was not read");
                Element::Other
            }
            Some(Element::Case) => self.in_case(name, tag),
            // `<flakyFailure><stackTrace>…`: the trace is the message.
            Some(Element::Outcome) if name == b"stackTrace" => Element::Outcome,
            Some(Element::Outcome | Element::SuiteOutcome | Element::Other) => Element::Other,
        };
        self.open.push(element);
        Ok(())
    }

    fn root(&mut self, name: &[u8], tag: &BytesStart<'_>) -> Result<Element, String> {
        if !matches!(name, b"testsuites" | b"testsuite") {
            let name = String::from_utf8_lossy(name).chars().take(60).collect::<String>();
            if self.found.is_none() {
                self.found = Some(Found::Other(format!("not a JUnit report: its root element is <{name}>")));
            }
            return Err(format!("<{name}> stands where a suite is expected"));
        }
        if self.found.is_none() {
            self.found = Some(Found::Report);
            self.into.count_file();
        }
        self.open_suite(tag);
        Ok(Element::Suite)
    }

    fn in_suite(&mut self, name: &[u8], tag: &BytesStart<'_>) -> Element {
        match name {
            b"testsuite" | b"testsuites" => {
                self.open_suite(tag);
                Element::Suite
            }
            b"testcase" | b"testCase" => {
                self.case.open(tag, self.encoding);
                Element::Case
            }
            b"properties" => Element::Properties,
            b"failure" | b"error" => {
                self.case.clear();
                self.case.outcome(Outcome::Error, tag, self.encoding);
                Element::SuiteOutcome
            }
            _ => Element::Other,
        }
    }

    fn in_case(&mut self, name: &[u8], tag: &BytesStart<'_>) -> Element {
        let warnings_fail = self.suites.iter().any(|suite| suite.header.counts_warnings);
        match Outcome::of_element(name, warnings_fail) {
            Some(outcome) => {
                self.case.outcome(outcome, tag, self.encoding);
                Element::Outcome
            }
            None => Element::Other,
        }
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Element::Case) => self.close_case(),
            Some(Element::Suite) => self.close_suite(),
            Some(Element::SuiteOutcome) => self.close_suite_outcome(),
            Some(Element::Outcome | Element::Properties | Element::Other) | None => {}
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        if let Some(Element::Outcome | Element::SuiteOutcome) = self.open.last()
            && let Some(message) = self.case.message()
        {
            self.encoding.decode(bytes, message);
        }
    }

    fn general_reference(&mut self, name: &[u8]) {
        match reference(name) {
            Some(c) => {
                if let Some(Element::Outcome | Element::SuiteOutcome) = self.open.last()
                    && let Some(message) = self.case.message()
                {
                    push(message, c);
                }
            }
            None => {
                self.text(b"&");
                self.text(name);
                self.text(b";");
            }
        }
    }

    fn open_suite(&mut self, tag: &BytesStart<'_>) {
        let SuiteTag { name, package, host, source, header, like_ginkgo_v1 } = SuiteTag::read(tag, self.encoding);
        let is_root = tag.local_name().as_ref() == b"testsuites";
        let path = self.path_of(&name, &package, is_root);
        let host = self.host_number(&path, host);
        let apart = if host == 0 { source } else { format!("{source}\u{1f}{host}") };
        let number = self.into.new_lane();
        let lane = self.file.lane.unwrap_or(number);
        let idle = like_ginkgo_v1;
        self.suites.push(SuiteFrame {
            path,
            name,
            apart,
            lane,
            number,
            is_root,
            header,
            idle,
            ..SuiteFrame::default()
        });
    }

    /// Names from the outside in. Ant splits a class into package and name; one of its two files joins them.
    fn path_of(&self, name: &str, package: &str, is_root: bool) -> String {
        let java = !package.is_empty() && !package.contains('/') && !name.starts_with(package);
        let own = if java { format!("{package}.{name}") } else { name.to_owned() };
        match self.suites.last() {
            Some(outer) if is_root || own.is_empty() => outer.path.clone(),
            Some(outer) if !outer.path.is_empty() => format!("{} / {own}", outer.path),
            None if is_root => String::new(),
            Some(_) | None => own,
        }
    }

    /// How many other hosts this suite was seen on before in this file.
    fn host_number(&mut self, path: &str, host: String) -> usize {
        if host.is_empty() || self.hosts.len() >= HOSTS {
            return 0;
        }
        let hosts = self.hosts.entry(path.to_owned()).or_default();
        if let Some(at) = hosts.iter().position(|known| *known == host) {
            return at;
        }
        if hosts.len() < 100 {
            hosts.push(host);
        }
        hosts.len() - 1
    }

    fn property(&mut self, tag: &BytesStart<'_>) {
        let Some(suite) = self.suites.last_mut() else {
            return;
        };
        let (mut name, mut value) = (Vec::new(), String::new());
        for attribute in tag.html_attributes().with_checks(false).flatten() {
            match attribute.key.as_ref() {
                b"name" => name.extend_from_slice(&attribute.value[..attribute.value.len().min(40)]),
                b"value" => self.encoding.unescape(&attribute.value, &mut value),
                _ => {}
            }
        }
        match name.as_slice() {
            b"SuiteSucceeded" => suite.ginkgo.succeeded = value.parse().ok(),
            b"SpecialSuiteFailureReason" => suite.ginkgo.special_reason = value,
            b"SuiteHasProgrammaticFocus" if value == "true" => self.into.focused(),
            b"DryRun" if value == "true" => self.into.dry_run(),
            b"RandomSeed" => suite.told = self.into.was_told(&suite.name, &value),
            _ => {}
        }
    }

    fn close_case(&mut self) {
        if let Some(suite) = self.suites.last_mut() {
            self.case.close(suite, self.into);
        }
    }

    fn close_suite_outcome(&mut self) {
        let Some(suite) = self.suites.last_mut() else {
            return;
        };
        suite.seen.events += 1;
        suite.seen.bad += 1;
        let message = self.case.first_message();
        self.into.event(&format!("suite `{}`", suite.name), &message);
    }

    fn close_suite(&mut self) {
        let Some(suite) = self.suites.pop() else {
            return;
        };
        let explained = !suite.told && self.into.ended(&suite.ginkgo.special_reason);
        for (weight, text) in suite.contradictions() {
            if !explained {
                self.file.problem(self.into, weight, &text);
            }
        }
        if self.suites.is_empty() && suite.is_idle_v1() {
            self.into.dry_run();
        }
        match self.suites.last_mut() {
            Some(outer) => {
                outer.absorb(&suite.seen);
                outer.told |= suite.told;
                if outer.header.took.is_none() {
                    outer.inner_took = outer.inner_took.saturating_add(suite.took());
                }
            }
            None if !suite.told => self.into.took(suite.took()),
            None => {}
        }
    }

    /// The end of the file, or of what could be read of it.
    fn finish(mut self, broken: Option<String>) -> Found {
        if let (Some(what), Some(Found::Report)) = (&broken, &self.found) {
            self.file.problem(self.into, Weight::Fatal, what);
            // A case that had failed already has failed; one that had not is unknown.
            if self.open.contains(&Element::Case) && self.case.is_bad() {
                self.close_case();
            }
        }
        match (self.found, broken) {
            (Some(found), _) => found,
            (None, Some(what)) => Found::Unreadable(what),
            (None, None) if self.is_text => Found::Unreadable("text without any XML element".to_owned()),
            (None, None) => Found::Unreadable("empty: it holds no XML element".to_owned()),
        }
    }
}
