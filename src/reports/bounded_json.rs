//! Keeps the JSON reader's memory bounded: strings reach it only up to a limit, nesting only up to a depth.
//! Must not change the structure of a document: only characters inside long strings are dropped.

use std::io::{self, BufRead, Read};

/// Bytes of one string that are let through.
const RUN: usize = 64 * 1024;
/// Arrays and objects inside each other; Ginkgo's reports have about eight.
const DEPTH: usize = 100;

/// A reader that cuts long strings inside JSON.
pub(super) struct BoundedJson<R> {
    inner: R,
    place: Place,
    depth: usize,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Outside,
    InString {
        kept: usize,
        escape: Escape,
    },
    /// In a string whose rest goes; true after a backslash.
    Dropping(bool),
}

/// Progress through an escape, so that none is cut in half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    /// `\u` with this many digits so far and their value.
    Unicode(u8, u32),
    /// The first half of a surrogate pair is complete: the second must follow.
    HalfPair,
}

impl<R: BufRead> BoundedJson<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, place: Place::Outside, depth: 0 }
    }

    /// Whether the byte goes through.
    fn passes(&mut self, byte: u8) -> io::Result<bool> {
        match self.place {
            Place::Outside => {
                match byte {
                    b'"' => self.place = Place::InString { kept: 0, escape: Escape::None },
                    b'[' | b'{' => self.depth += 1,
                    b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                if self.depth > DEPTH {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "too many arrays and objects inside each other",
                    ));
                }
                Ok(true)
            }
            Place::InString { kept, escape } => {
                let continues = escape != Escape::None || byte & 0xc0 == 0x80;
                self.place = match (escape, byte) {
                    (Escape::None | Escape::HalfPair, b'"') => Place::Outside,
                    _ if kept >= RUN && !continues => {
                        self.place = Place::Dropping(byte == b'\\');
                        return Ok(false);
                    }
                    _ => Place::InString { kept: kept + 1, escape: escape.next(byte) },
                };
                Ok(true)
            }
            Place::Dropping(true) => {
                self.place = Place::Dropping(false);
                Ok(false)
            }
            Place::Dropping(false) => {
                self.place = match byte {
                    b'"' => Place::Outside,
                    byte => Place::Dropping(byte == b'\\'),
                };
                Ok(byte == b'"')
            }
        }
    }
}

impl Escape {
    fn next(self, byte: u8) -> Self {
        match (self, byte) {
            (Escape::None | Escape::HalfPair, b'\\') => Escape::Backslash,
            (Escape::Backslash, b'u') => Escape::Unicode(0, 0),
            (Escape::Unicode(3, value), digit) => {
                let value = value * 16 + char::from(digit).to_digit(16).unwrap_or(0);
                if (0xd800..0xdc00).contains(&value) { Escape::HalfPair } else { Escape::None }
            }
            (Escape::Unicode(count, value), digit) => {
                Escape::Unicode(count + 1, value * 16 + char::from(digit).to_digit(16).unwrap_or(0))
            }
            (Escape::None | Escape::HalfPair | Escape::Backslash, _) => Escape::None,
        }
    }
}

impl<R: BufRead> Read for BoundedJson<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written == 0 {
            let most = into.len();
            let mut chunk = [0_u8; 4096];
            let taken = {
                let available = self.inner.fill_buf()?;
                let taken = available.len().min(most).min(chunk.len());
                chunk[..taken].copy_from_slice(&available[..taken]);
                taken
            };
            if taken == 0 {
                return Ok(0);
            }
            self.inner.consume(taken);
            for &byte in &chunk[..taken] {
                if self.passes(byte)? {
                    into[written] = byte;
                    written += 1;
                }
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &str) -> io::Result<String> {
        let mut out = String::new();
        BoundedJson::new(text.as_bytes()).read_to_string(&mut out)?;
        Ok(out)
    }

    #[test]
    fn ordinary_documents_pass_unchanged() {
        let text = r#"[{"a":"x\"y\\","b":"\u00e4\ud83d\ude00 😀","c":[1,2.5,null,true]}]"#;
        assert_eq!(through(text).unwrap(), text);
    }

    #[test]
    fn long_strings_are_cut_and_stay_valid_json() {
        for unit in ["a", "ä", "😀", r"\n", r"\u00e4", r"\ud83d\ude00", r#"\""#, r"\\"] {
            let long = unit.repeat(100_000);
            let text = format!(r#"["{long}","after"]"#);
            let cut = through(&text).unwrap();
            assert!(cut.len() < 2 * RUN, "{unit}: {}", cut.len());
            let parsed: Vec<String> = serde_json::from_str(&cut).unwrap();
            assert_eq!(parsed[1], "after", "{unit}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        assert!(through(&"[".repeat(1000)).is_err());
        assert!(through(&format!("\"{}\"", "[".repeat(1000))).is_ok());
    }
}
