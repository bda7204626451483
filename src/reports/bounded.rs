//! Keeps a reader's memory bounded whatever a file holds: long runs of text reach the XML reader only up to a limit.
//! Must not change the structure of a document: only characters inside text, values, comments and CDATA are dropped.

use std::io::{self, BufRead, Read};

use super::xmltext::find;

const BUFFER: usize = 64 * 1024;
/// Bytes of one run of text, one attribute value, one CDATA section or one comment that are let through.
pub(super) const RUN: usize = 64 * 1024;
/// Bytes of one tag, long values already cut.
const TAG: usize = 1024 * 1024;
/// Bytes of a document type declaration; reports have none or a short one.
const DOCTYPE: usize = 64 * 1024;

/// A buffered reader that cuts long runs inside XML.
pub(super) struct Bounded<R> {
    inner: R,
    lexer: Lexer,
    /// Bytes from the inner reader: handed out up to `at`, looked at up to `checked`, filled up to `end`.
    buffer: Vec<u8>,
    at: usize,
    checked: usize,
    end: usize,
    /// What happens at `checked`: this many bytes go,
    drop: usize,
    /// and this takes their place: the end of a section whose tail was dropped.
    inject: &'static [u8],
}

/// Follows the document's structure just far enough to know what may be cut.
struct Lexer {
    place: Place,
    /// Bytes of the run (text, value, section) that were let through.
    run: usize,
    /// Bytes of the tag that were let through.
    tag: usize,
}

/// Where in the document the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    /// After `<`, with the bytes that followed so far, at most 8.
    Opening([u8; 8], u8),
    Tag,
    EndTag,
    /// In an attribute value that ends with this quote.
    Value(u8),
    /// In a comment, section or instruction; holds how many bytes of its end were just seen.
    Section(Section, u8),
    /// In a document type declaration, this many `<` deep.
    Doctype(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Comment,
    Cdata,
    Instruction,
}

impl Section {
    fn end(self) -> &'static [u8] {
        match self {
            Section::Comment => b"-->",
            Section::Cdata => b"]]>",
            Section::Instruction => b"?>",
        }
    }
}

/// What to do with the bytes just looked at.
enum Step {
    Pass(usize),
    Drop(usize),
    /// Drop these, then hand out the section's end.
    Close(usize, &'static [u8]),
}

impl<R: Read> Bounded<R> {
    pub(super) fn new(inner: R) -> Self {
        Self::with_capacity(BUFFER, inner)
    }

    fn with_capacity(capacity: usize, inner: R) -> Self {
        let lexer = Lexer { place: Place::Text, run: 0, tag: 0 };
        Self { inner, lexer, buffer: vec![0; capacity], at: 0, checked: 0, end: 0, drop: 0, inject: b"" }
    }

    /// What comes next, where nothing that was looked at is left and no element is half read; as much of it as is in the buffer.
    pub(super) fn ahead(&self) -> Option<&[u8]> {
        let is_settled = self.at == self.checked && self.drop == 0 && self.inject.is_empty() && self.lexer.is_between();
        is_settled.then(|| &self.buffer[self.checked..self.end])
    }

    /// Leaves out so much of what is ahead: whole elements.
    pub(super) fn skip(&mut self, length: usize) {
        self.checked = (self.checked + length).min(self.end);
        self.at = self.checked;
    }

    /// Looks at what is in the buffer, up to the first bytes that must go; reads more when all was handed out.
    /// False at the end of input.
    fn look(&mut self) -> io::Result<bool> {
        self.checked += std::mem::take(&mut self.drop);
        self.at = self.checked;
        if self.at == self.end {
            self.end = self.inner.read(&mut self.buffer)?;
            (self.at, self.checked) = (0, 0);
            if self.end == 0 {
                return Ok(false);
            }
        }
        while self.checked < self.end {
            match self.lexer.step(&self.buffer[self.checked..self.end])? {
                Step::Pass(length) => {
                    self.checked += length;
                    // Not beyond a tag: what follows may be taken by `skip`.
                    if self.lexer.is_between() {
                        break;
                    }
                }
                Step::Drop(length) => {
                    self.drop = length;
                    break;
                }
                Step::Close(length, end) => {
                    self.drop = length;
                    self.inject = end;
                    break;
                }
            }
        }
        Ok(true)
    }
}

impl Lexer {
    /// Right behind a tag or section.
    fn is_between(&self) -> bool {
        self.place == Place::Text && self.run == 0
    }

    fn step(&mut self, bytes: &[u8]) -> io::Result<Step> {
        match self.place {
            Place::Text => Ok(self.text(bytes)),
            Place::Opening(seen, len) => Ok(self.opening(seen, len, bytes[0])),
            Place::Tag => self.tag(bytes),
            Place::EndTag => self.end_tag(bytes),
            Place::Value(quote) => Ok(self.value(quote, bytes)),
            Place::Section(section, matched) => Ok(self.section(section, matched, bytes)),
            Place::Doctype(depth) => self.doctype(depth, bytes[0]),
        }
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.run = 0;
    }

    fn text(&mut self, bytes: &[u8]) -> Step {
        let until = find(b'<', bytes);
        let length = until.unwrap_or(bytes.len());
        let room = RUN.saturating_sub(self.run);
        match until {
            _ if length > room && room == 0 => Step::Drop(length),
            _ if length > room => {
                self.run += room;
                Step::Pass(room)
            }
            Some(at) => {
                self.enter(Place::Opening([0; 8], 0));
                self.tag = 1;
                Step::Pass(at + 1)
            }
            None => {
                self.run += length;
                Step::Pass(length)
            }
        }
    }

    /// Finds out what `<` opened, byte by byte: at most eight are needed.
    fn opening(&mut self, mut seen: [u8; 8], len: u8, byte: u8) -> Step {
        seen[usize::from(len)] = byte;
        let so_far = &seen[..=usize::from(len)];
        let next = match so_far {
            b"?" => Place::Section(Section::Instruction, 0),
            b"!--" => Place::Section(Section::Comment, 0),
            b"![CDATA[" => Place::Section(Section::Cdata, 0),
            _ if b"!--".starts_with(so_far) || b"![CDATA[".starts_with(so_far) => Place::Opening(seen, len + 1),
            [b'!', ..] if byte == b'>' => Place::Text,
            [b'!', ..] => Place::Doctype(1),
            b">" => Place::Text,
            b"/" => Place::EndTag,
            // A quote as the first byte is malformed; the XML reader takes it for a quote too.
            [b'"' | b'\''] => Place::Value(byte),
            _ => Place::Tag,
        };
        self.enter(next);
        self.tag += 1;
        Step::Pass(1)
    }

    fn tag(&mut self, bytes: &[u8]) -> io::Result<Step> {
        let until = memchr::memchr3(b'>', b'"', b'\'', bytes);
        let length = until.map_or(bytes.len(), |at| at + 1);
        self.tag += length;
        if self.tag > TAG {
            return Err(refuse("a tag is longer than 1 MiB"));
        }
        match until.map(|at| bytes[at]) {
            Some(b'>') => self.enter(Place::Text),
            Some(quote) => self.enter(Place::Value(quote)),
            None => {}
        }
        Ok(Step::Pass(length))
    }

    fn end_tag(&mut self, bytes: &[u8]) -> io::Result<Step> {
        let until = find(b'>', bytes);
        let length = until.map_or(bytes.len(), |at| at + 1);
        self.tag += length;
        if self.tag > TAG {
            return Err(refuse("a tag is longer than 1 MiB"));
        }
        if until.is_some() {
            self.enter(Place::Text);
        }
        Ok(Step::Pass(length))
    }

    fn value(&mut self, quote: u8, bytes: &[u8]) -> Step {
        let until = find(quote, bytes);
        let length = until.unwrap_or(bytes.len());
        let room = RUN.saturating_sub(self.run);
        if length > room {
            self.run += room;
            self.tag += room;
            return if room == 0 { Step::Drop(length) } else { Step::Pass(room) };
        }
        self.run += length;
        self.tag += length;
        if until.is_some() {
            self.enter(Place::Tag);
            return Step::Pass(length + 1);
        }
        Step::Pass(length)
    }

    /// Walks to the section's end. Beyond the limit everything goes, the end included, and a fresh end is handed out.
    fn section(&mut self, section: Section, matched: u8, bytes: &[u8]) -> Step {
        let end = section.end();
        let (stop, repeated) = (end.len() - 1, end[0]);
        let mut matched = usize::from(matched);
        let dropping = self.run >= RUN;
        let most = if dropping { bytes.len() } else { bytes.len().min(RUN - self.run) };
        let mut at = 0;
        while at < most {
            if matched == 0 {
                // Nothing of the end was seen: go straight to where it may begin.
                at += find(repeated, &bytes[at..most]).unwrap_or(most - at);
            }
            let Some(&byte) = bytes[..most].get(at) else {
                break;
            };
            if byte == repeated {
                // `]]]>` ends a section too: more of the repeated byte keeps the match full.
                matched = (matched + 1).min(stop);
            } else if byte == b'>' && matched == stop {
                self.enter(Place::Text);
                return if dropping { Step::Close(at + 1, end) } else { Step::Pass(at + 1) };
            } else {
                matched = 0;
            }
            at += 1;
        }
        self.place = Place::Section(section, u8::try_from(matched).unwrap_or(2));
        self.run += if dropping { 0 } else { most };
        if dropping { Step::Drop(most) } else { Step::Pass(most) }
    }

    fn doctype(&mut self, depth: u32, byte: u8) -> io::Result<Step> {
        self.tag += 1;
        if self.tag > DOCTYPE {
            return Err(refuse("a document type declaration is longer than 64 KiB"));
        }
        let depth = match byte {
            b'<' => depth + 1,
            b'>' => depth - 1,
            _ => depth,
        };
        if depth == 0 {
            self.enter(Place::Text);
        } else {
            self.place = Place::Doctype(depth);
        }
        Ok(Step::Pass(1))
    }
}

fn refuse(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.checked && self.inject.is_empty() {
            if !self.look()? {
                return Ok(&[]);
            }
        }
        Ok(if self.at < self.checked { &self.buffer[self.at..self.checked] } else { self.inject })
    }

    fn consume(&mut self, amount: usize) {
        if self.at < self.checked {
            self.at = (self.at + amount).min(self.checked);
        } else {
            self.inject = &self.inject[amount.min(self.inject.len())..];
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(into.len());
        into[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
#[path = "bounded_tests.rs"]
mod tests;
