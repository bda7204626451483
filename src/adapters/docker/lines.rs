//! From Docker's pieces of output to lines of plain text. The engine splits long lines into pieces and puts a time before each;
//! a suite prints colours, progress bars and rubbish. Nothing here reads or writes.

use std::sync::Arc;

use super::limits::LINE_BYTES;
use crate::domain::mask::Masker;

/// A whole line with the time of its first piece, as the engine wrote it: RFC 3339 with nine digits, so that text order is time order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) time: String,
    pub(super) text: String,
}

/// The two outputs of a container: pieces of one must not continue a line of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Stdout,
    Stderr,
}

/// Joins pieces to lines, and masks them: a secret may come in two pieces, or with colours in it.
#[derive(Default)]
pub(super) struct Lines {
    mask: Arc<Masker>,
    stdout: Option<Begun>,
    stderr: Option<Begun>,
}

struct Begun {
    time: String,
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Lines {
    pub(super) fn new(mask: Arc<Masker>) -> Self {
        Self { mask, ..Self::default() }
    }

    /// Takes one piece, `time text[newline]`; gives the line when the piece ends it.
    pub(super) fn push(&mut self, output: Output, piece: &[u8]) -> Option<Line> {
        let (time, rest) = split_time(piece);
        let begun =
            self.of(output).get_or_insert_with(|| Begun { time: time.to_owned(), bytes: Vec::new(), is_cut: false });
        let (text, ends) = match rest.split_last() {
            Some((b'\n', text)) => (text, true),
            _ => (rest, false),
        };
        let room = LINE_BYTES - begun.bytes.len();
        begun.is_cut |= text.len() > room;
        begun.bytes.extend_from_slice(&text[..text.len().min(room)]);
        if ends { self.of(output).take().map(|begun| begun.finish(&self.mask)) } else { None }
    }

    /// What was printed without a newline at the very end.
    pub(super) fn finish(&mut self) -> impl Iterator<Item = Line> + use<> {
        let mask = Arc::clone(&self.mask);
        [self.stdout.take(), self.stderr.take()].into_iter().flatten().map(move |begun| begun.finish(&mask))
    }

    fn of(&mut self, output: Output) -> &mut Option<Begun> {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
    }
}

impl Begun {
    fn finish(self, mask: &Masker) -> Line {
        let text = clean(&self.bytes);
        let text = match self.is_cut {
            // A character that the cut went through is none.
            true => mask.cut_text(text.trim_end_matches('\u{fffd}').to_owned()) + " … (line cut)",
            false => mask.text(text),
        };
        Line { time: self.time, text }
    }
}

/// The engine's time and the rest. Without a time, which the engine always writes, all is text.
fn split_time(piece: &[u8]) -> (&str, &[u8]) {
    let is_time = |text: &[u8]| text.len() == "2026-01-02T03:04:05.000000000Z".len() && text.ends_with(b"Z");
    let end = piece.iter().take(40).position(|&byte| byte == b' ');
    match end.and_then(|end| Some((std::str::from_utf8(&piece[..end]).ok()?, &piece[end + 1..]))) {
        Some((time, rest)) if is_time(time.as_bytes()) => (time, rest),
        _ => ("", piece),
    }
}

/// Bytes as text: rubbish replaced, escape sequences and control characters taken out, tabs kept.
pub(super) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}

/// Goes past the rest of an escape sequence: `[…` up to a letter, `]…` up to a bell or its two-character end, else one character.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => {
            chars.find(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
        Some(']') => {
            let mut escaped = false;
            chars.find(|&c| {
                let ends = c == '\u{7}' || (escaped && c == '\\');
                escaped = c == '\u{1b}';
                ends
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: &str = "2026-01-02T03:04:05.000000001Z";
    const T2: &str = "2026-01-02T03:04:05.000000002Z";

    fn piece(time: &str, text: &str) -> Vec<u8> {
        format!("{time} {text}").into_bytes()
    }

    #[test]
    fn pieces_of_a_line_are_joined_and_outputs_kept_apart() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(Output::Stdout, &piece(T1, "half ")), None);
        assert_eq!(
            lines.push(Output::Stderr, &piece(T2, "other\n")),
            Some(Line { time: T2.into(), text: "other".into() })
        );
        assert_eq!(
            lines.push(Output::Stdout, &piece(T2, "whole\n")),
            Some(Line { time: T1.into(), text: "half whole".into() })
        );
        assert_eq!(lines.push(Output::Stdout, &piece(T2, "no newline")), None);
        assert_eq!(lines.finish().next().unwrap().text, "no newline");
        assert_eq!(lines.finish().next(), None);
    }

    #[test]
    fn an_endless_line_is_cut_and_not_held() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            assert_eq!(lines.push(Output::Stdout, &piece(T1, &"x".repeat(1000))), None);
        }
        let line = lines.push(Output::Stdout, &piece(T1, "end\n")).unwrap();
        assert_eq!(line.text.len(), LINE_BYTES + " … (line cut)".len());
    }

    #[test]
    fn a_secret_is_masked_across_pieces_and_colours_and_where_a_line_is_cut() {
        let masked = || Lines::new(Arc::new(Masker::of(["hunter2-token"])));
        let mut lines = masked();
        assert_eq!(lines.push(Output::Stdout, &piece(T1, "token: hunter")), None);
        assert_eq!(lines.push(Output::Stdout, &piece(T2, "2-token.\n")).unwrap().text, "token: ***.");
        assert_eq!(lines.push(Output::Stdout, &piece(T1, "\x1b[1mhun\x1b[0mter2\r-token\n")).unwrap().text, "***");
        assert_eq!(lines.push(Output::Stderr, &piece(T1, "hunter2-token")), None);
        assert_eq!(lines.finish().next().unwrap().text, "***");
        for shown in 1..13 {
            let mut lines = masked();
            let filler = "x".repeat(LINE_BYTES - shown);
            let line = lines.push(Output::Stdout, &piece(T1, &format!("{filler}hunter2-token\n"))).unwrap();
            assert_eq!(line.text, format!("{filler}*** … (line cut)"));
        }
    }

    #[test]
    fn rubbish_becomes_plain_text() {
        assert_eq!(clean(b"\x1b[1;31mFAIL\x1b[0m\tx\r"), "FAIL\tx");
        assert_eq!(clean(b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1bMc\x00\xff"), "abc\u{fffd}");
        assert_eq!(clean(b"\x1b[12"), "");
        assert_eq!(clean("• ok".as_bytes()), "• ok");
    }

    #[test]
    fn a_piece_without_a_time_is_all_text() {
        assert_eq!(Lines::default().push(Output::Stdout, b"plain text\n").unwrap().text, "plain text");
        assert_eq!(Lines::default().push(Output::Stdout, b"\n").unwrap().text, "");
    }
}
