//! Cases that say nothing but their attributes, and at most that they were skipped: nearly all of a large report. They are read straight
//! from the buffer; whatever looks the least unusual is left to the XML reader, which understands it all.

use super::junit_case::{CaseFrame, Outcome};
use super::xmltext::{Encoding, find};

/// Attributes of one element; more are left to the XML reader.
const ATTRIBUTES: usize = 20;

/// Reads the case at the start of `bytes`, after blanks, into `frame`. Gives how many bytes it took; nothing when there is no plain case,
/// or not all of it. The frame is then in no particular state.
pub(super) fn read(bytes: &[u8], encoding: Encoding, frame: &mut CaseFrame) -> Option<usize> {
    let mut rest = Rest { bytes, at: 0 };
    rest.blanks();
    rest.expect(b"<testcase")?;
    frame.clear();
    let is_empty = rest.attributes(|key, value| frame.attribute(key, value, encoding))?;
    frame.attributes_end();
    if !is_empty {
        rest.blanks();
        if rest.expect(b"<skipped").is_some() {
            let (mut message, mut kind) = (String::new(), String::new());
            let is_empty = rest.attributes(|key, value| match key {
                b"message" => encoding.unescape(value, &mut message),
                b"type" => encoding.unescape(value, &mut kind),
                _ => {}
            })?;
            if !is_empty {
                rest.expect(b"</skipped>")?;
            }
            frame.begin_outcome(Outcome::Skipped, message, kind);
            rest.blanks();
        }
        rest.expect(b"</testcase>")?;
    }
    Some(rest.at)
}

struct Rest<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Rest<'a> {
    fn left(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn blanks(&mut self) {
        let blanks = self.left().iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += blanks;
    }

    fn expect(&mut self, text: &[u8]) -> Option<()> {
        self.left().starts_with(text).then(|| self.at += text.len())
    }

    /// Attributes up to the tag's end, each `name="value"` after a blank. True where the tag closes itself.
    fn attributes(&mut self, mut visit: impl FnMut(&[u8], &[u8])) -> Option<bool> {
        for _ in 0..=ATTRIBUTES {
            let before = self.at;
            self.blanks();
            if self.expect(b">").is_some() {
                return Some(false);
            }
            if self.expect(b"/>").is_some() {
                return Some(true);
            }
            if self.at == before {
                return None;
            }
            let left = self.left();
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            let name = left.iter().take_while(|byte| plain(byte)).count();
            let [b'=', quote @ (b'"' | b'\''), ..] = left.get(name..)? else { return None };
            let value = name + 2;
            let end = value + find(*quote, &left[value..])?;
            if name == 0 {
                return None;
            }
            visit(&left[..name], &left[value..end]);
            self.at += end + 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Option<usize> {
        read(text.as_bytes(), Encoding::Utf8, &mut CaseFrame::default())
    }

    #[test]
    fn plain_cases_are_taken_whole() {
        for text in [
            "<testcase/>",
            "\n  <testcase name=\"a > b\" classname='c' time=\"0.1\" />",
            "<testcase name=\"a\"></testcase>",
            "<testcase name=\"a\">\n  <skipped/>\n</testcase>",
            "<testcase name=\"a\"><skipped message=\"&lt;why&gt;\"></skipped></testcase>",
        ] {
            assert_eq!(taken(&format!("{text}<testcase")), Some(text.len()), "{text}");
            for cut in 0..text.len() {
                assert_eq!(taken(&text[..cut]), None, "{cut} of {text}");
            }
        }
    }

    #[test]
    fn what_is_unusual_is_left_alone() {
        for text in [
            "<testcases/>",
            "<testcase name=a/>",
            "<testcase name = \"a\"/>",
            "<testcase name=\"a\"class=\"b\"/>",
            "<testcase name=\"a\">text</testcase>",
            "<testcase name=\"a\"><failure/></testcase>",
            "<testcase name=\"a\"><skipped>why</skipped></testcase>",
            "<testcase name=\"a\"><skipped/><skipped/></testcase>",
            "<testcase name=\"a\"><!-- --></testcase>",
            "<!-- --><testcase/>",
            "</testsuite>",
        ] {
            assert_eq!(taken(text), None, "{text}");
        }
    }
}
