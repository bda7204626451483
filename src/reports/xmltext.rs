//! Bytes of an XML document into text, leniently: reports hold whatever a test printed, and one bad byte must not lose the rest.
//! Entities other than XML's own five and numbers stay as written; nothing is ever expanded.

/// Bytes of one text (a message, a name) that are kept.
pub(super) const CAPTURE: usize = 16 * 1024;

/// How bytes beyond ASCII are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Also for encodings we do not know: wrong bytes become U+FFFD.
    Utf8,
    Latin1,
}

impl Encoding {
    /// By the name in the XML declaration.
    pub(super) fn named(name: &[u8]) -> Self {
        let latin: &[&[u8]] =
            &[b"iso-8859-1", b"iso8859-1", b"iso_8859-1", b"latin1", b"latin-1", b"windows-1252", b"cp1252"];
        if latin.iter().any(|latin| name.eq_ignore_ascii_case(latin)) { Encoding::Latin1 } else { Encoding::Utf8 }
    }

    /// Appends decoded bytes, up to [`CAPTURE`] in all.
    pub(super) fn decode(self, bytes: &[u8], out: &mut String) {
        let room = CAPTURE.saturating_sub(out.len());
        if room == 0 {
            return;
        }
        let bytes = &bytes[..bytes.len().min(room)];
        match self {
            Encoding::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) => out.push_str(text),
                Err(_) => out.push_str(&String::from_utf8_lossy(bytes)),
            },
            Encoding::Latin1 => out.extend(bytes.iter().map(|&b| char::from(b))),
        }
    }

    /// [`Self::decode`] with character references resolved, as attribute values need.
    pub(super) fn unescape(self, bytes: &[u8], out: &mut String) {
        let mut rest = bytes;
        while let Some(at) = find(b'&', rest) {
            self.decode(&rest[..at], out);
            rest = &rest[at + 1..];
            let name = rest.iter().take(12).position(|&b| b == b';').map(|end| &rest[..end]);
            match name.and_then(|name| reference(name).map(|c| (name.len() + 1, c))) {
                Some((length, c)) => {
                    push(out, c);
                    rest = &rest[length..];
                }
                None => push(out, '&'),
            }
        }
        self.decode(rest, out);
    }
}

/// Where `byte` first stands.
pub(super) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    memchr::memchr(byte, bytes)
}

/// Appends one character, up to [`CAPTURE`] in all.
pub(super) fn push(out: &mut String, c: char) {
    if out.len() < CAPTURE {
        out.push(c);
    }
}

/// What stands between `&` and `;`, resolved.
pub(super) fn reference(name: &[u8]) -> Option<char> {
    match name {
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"amp" => Some('&'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<char> {
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
    Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescape(encoding: Encoding, bytes: &[u8]) -> String {
        let mut out = String::new();
        encoding.unescape(bytes, &mut out);
        out
    }

    #[test]
    fn references_are_resolved_and_unknown_ones_stay() {
        assert_eq!(unescape(Encoding::Utf8, b"a &lt;b&gt; &amp;&quot;&apos;&#xA;&#65;"), "a <b> &\"'\nA");
        assert_eq!(unescape(Encoding::Utf8, b"&lol9; & &; &#xZZ; tail&"), "&lol9; & &; &#xZZ; tail&");
        assert_eq!(unescape(Encoding::Utf8, b"&#xD800;&#x110000;"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn wrong_bytes_are_replaced_and_latin_1_is_read() {
        assert_eq!(unescape(Encoding::Utf8, b"gr\xfc\xdfe"), "gr\u{fffd}\u{fffd}e");
        assert_eq!(unescape(Encoding::named(b"ISO-8859-1"), b"gr\xfc\xdfe"), "grüße");
    }

    #[test]
    fn a_text_has_an_end() {
        assert!(unescape(Encoding::Utf8, &vec![b'a'; 1_000_000]).len() <= CAPTURE);
        assert!(unescape(Encoding::Utf8, "&amp;".repeat(100_000).as_bytes()).len() <= CAPTURE);
    }
}
