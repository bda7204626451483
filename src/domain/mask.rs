//! Secrets taken out of text that people see: every place that holds a secret, a line of one, or one of the usual ways to write it
//! becomes `***`. Pure. It guards against accidents; a program that wants to tell a secret finds a way of writing it.

use std::collections::BTreeSet;
use std::fmt;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::case::CaseId;
use super::report::Report;
use super::secret::SHORTEST;

/// What stands in place of a secret.
pub const MASK: &str = "***";
/// Fewer characters of base64 would be found where no secret is.
const SHORTEST_BASE64: usize = 8;
/// Bytes of all patterns up to which the fastest automaton is worth its memory: up to half a kilobyte for each of them.
const FAST: usize = 8 << 10;
/// What stands for a double and a single quote: in text, in attributes, as HTML has it, as Go writes it.
const QUOTES: [[&str; 2]; 7] = [
    ["\"", "'"],
    ["&quot;", "'"],
    ["&quot;", "&apos;"],
    ["&quot;", "&#39;"],
    ["&quot;", "&#x27;"],
    ["&#34;", "'"],
    ["&#34;", "&#39;"],
];
/// And for a tab and a carriage return.
const BLANKS: [[&str; 2]; 4] = [["\t", "\r"], ["&#x9;", "&#xD;"], ["&#9;", "&#13;"], ["&#09;", "&#13;"]];

/// Finds secrets and covers them. The default finds none.
#[derive(Clone, Default)]
pub struct Masker {
    automaton: Option<AhoCorasick>,
    /// What is looked for, whole.
    patterns: Vec<String>,
    /// Bytes of the longest pattern.
    longest: usize,
}

/// Says nothing of what it looks for.
impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("patterns", &self.patterns.len()).finish()
    }
}

impl Masker {
    /// A masker of these values.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let values: Vec<&str> = values.into_iter().collect();
        let mut patterns: Vec<String> =
            values.iter().flat_map(|value| ways_to_write(value)).filter(|way| !way.is_empty()).collect();
        patterns.sort_unstable();
        patterns.dedup();
        let longest = patterns.iter().map(String::len).max().unwrap_or(0);
        let folded: BTreeSet<String> = values.iter().flat_map(|value| in_folded_base64(value.trim())).collect();
        let all = || patterns.iter().chain(&folded);
        let fast = all().map(String::len).sum::<usize>() <= FAST;
        let kind = if fast { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let automaton = (longest > 0).then(|| {
            let built = AhoCorasick::builder().kind(Some(kind)).build(all());
            built.expect("secrets are far smaller than what an automaton can hold")
        });
        Self { automaton, patterns, longest }
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// The text without secrets.
    pub fn text(&self, text: String) -> String {
        self.covered(text, 0)
    }

    /// The same for a text whose end was cut off: the secret that it may have been cut in begins at its end.
    pub fn cut_text(&self, text: String) -> String {
        let begun =
            |pattern: &String| (1..pattern.len()).rev().find(|n| text.as_bytes().ends_with(&pattern.as_bytes()[..*n]));
        let begun = self.patterns.iter().filter_map(begun).max().unwrap_or(0);
        self.covered(text, begun)
    }

    /// In everything of a report that people see.
    pub fn report(&self, report: &mut Report) {
        if self.is_empty() {
            return;
        }
        let cases = report.cases.iter_mut().flat_map(|case| {
            let CaseId { suite, class, name } = &mut case.id;
            [suite, class, name].into_iter().chain(case.tries.iter_mut().filter_map(|one| one.message.as_mut()))
        });
        let events = report.events.iter_mut().flat_map(|event| [&mut event.node, &mut event.message]);
        let problems = report.problems.iter_mut().map(|problem| &mut problem.text);
        cases.chain(events).chain(problems).for_each(|text| *text = self.text(std::mem::take(text)));
    }

    /// For text that comes in pieces.
    pub fn stream(&self) -> Stream<'_> {
        Stream { masker: self, held: Vec::new(), covered: 0 }
    }

    fn covered(&self, text: String, begun: usize) -> String {
        let mut spans = self.spans(text.as_bytes(), 0);
        if begun > 0 {
            spans.push((text.len() - begun, text.len()));
            spans = joined(spans);
        }
        if spans.is_empty() {
            return text;
        }
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for (start, end) in spans {
            // Text and patterns are UTF-8, so a pattern's bounds are a character's; a begun one may end within.
            out.push_str(text.get(at..start).unwrap_or_default());
            out.push_str(MASK);
            at = end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }

    /// Where secrets stand, those that overlap as one. The first `known` bytes are part of one already.
    fn spans(&self, bytes: &[u8], known: usize) -> Vec<(usize, usize)> {
        let known = (known > 0).then_some((0, known));
        let Some(automaton) = self.automaton.as_ref().filter(|automaton| automaton.is_match(bytes)) else {
            return known.into_iter().collect();
        };
        let found = automaton.find_overlapping_iter(bytes).map(|found| (found.start(), found.end()));
        joined(known.into_iter().chain(found).collect())
    }
}

/// Spans that overlap as one; those that only touch stay two, wherever a stream was cut into pieces.
fn joined(mut spans: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    spans.sort_unstable();
    let mut all: Vec<(usize, usize)> = Vec::with_capacity(spans.len());
    for (start, end) in spans {
        match all.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => all.push((start, end)),
        }
    }
    all
}

/// Masks text in pieces: a secret that stands across two of them is found.
pub struct Stream<'m> {
    masker: &'m Masker,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
    /// So many bytes of it belong to a secret that was covered already.
    covered: usize,
}

impl Stream<'_> {
    /// Takes a piece and adds to `out` what is sure.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.masker.is_empty() {
            return out.extend_from_slice(piece);
        }
        self.held.extend_from_slice(piece);
        self.release(self.held.len().saturating_sub(self.masker.longest - 1), out);
    }

    /// Adds the rest.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.release(self.held.len(), out);
    }

    /// Whatever begins before `upto` ends in what is held.
    fn release(&mut self, upto: usize, out: &mut Vec<u8>) {
        let (mut at, mut left_over) = (0, 0);
        for (start, end) in self.masker.spans(&self.held, self.covered) {
            if start >= upto {
                break;
            }
            out.extend_from_slice(&self.held[at..start]);
            if start > 0 || self.covered == 0 {
                out.extend_from_slice(MASK.as_bytes());
            }
            at = end.min(upto);
            left_over = end - at;
        }
        out.extend_from_slice(&self.held[at..upto]);
        self.held.drain(..upto);
        self.covered = left_over;
    }
}

/// A secret as programs write it: line by line, as they are, in JSON, in XML and in addresses; and all of it in base64.
fn ways_to_write(value: &str) -> Vec<String> {
    let mut all = Vec::new();
    for line in value.lines().map(str::trim).filter(|line| line.chars().count() >= SHORTEST) {
        all.push(line.to_owned());
        all.extend(in_json(line));
        all.extend(in_xml(line));
        all.extend(in_address(line));
    }
    all.extend(in_base64(value.trim()));
    all
}

/// As most write it, and as Go does.
fn in_json(line: &str) -> [String; 2] {
    let quoted = serde_json::to_string(line).unwrap_or_default();
    let plain = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let go = plain.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    [plain, go]
}

/// Markup by its names and all else as one or another has it; or everything in figures.
fn in_xml(line: &str) -> Vec<String> {
    let named = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut all = Vec::new();
    for [tab, end] in BLANKS {
        let blank = named.replace('\t', tab).replace('\r', end);
        all.extend(QUOTES.map(|[double, single]| blank.replace('"', double).replace('\'', single)));
    }
    let is_plain = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'' | '\t' | '\r');
    let written = |figures: fn(u32) -> String| {
        line.chars().map(|c| if is_plain(c) { c.to_string() } else { figures(c.into()) }).collect::<String>()
    };
    all.extend([written(|c| format!("&#{c};")), written(|c| format!("&#x{c:X};")), written(|c| format!("&#x{c:x};"))]);
    all
}

fn in_address(line: &str) -> [String; 2] {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let written = |byte: u8, escaped: String| if plain(byte) { char::from(byte).to_string() } else { escaped };
    let upper = line.bytes().map(|byte| written(byte, format!("%{byte:02X}"))).collect();
    [upper, line.bytes().map(|byte| written(byte, format!("%{byte:02x}"))).collect()]
}

fn in_base64(value: &str) -> Vec<String> {
    let mut all = Vec::new();
    for before in 0..3_usize {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(value.bytes()).collect();
        let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        if end.saturating_sub(start) >= SHORTEST_BASE64 {
            all.extend([&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].map(|engine| engine.encode(&bytes)[start..end].to_owned()));
        }
    }
    // Alone, and to its very end.
    let alone = [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD, &STANDARD, &URL_SAFE].map(|engine| engine.encode(value));
    all.extend(alone.into_iter().filter(|_| value.len() * 8 / 6 >= SHORTEST_BASE64));
    all
}

/// For base64 in lines, however long these are: they begin and end with four letters that belong together, and fewer than eight at
/// the end of one stay uncovered.
fn in_folded_base64(value: &str) -> Vec<String> {
    let mut all = Vec::new();
    for before in 0..3_usize {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(value.bytes()).collect();
        let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        let Some(last) = end.checked_sub(SHORTEST_BASE64).filter(|last| *last >= start) else { continue };
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        let together = (0..last).step_by(4).filter(|at| *at > start);
        all.extend([start, last].into_iter().chain(together).map(|at| encoded[at..at + SHORTEST_BASE64].to_owned()));
    }
    all
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
