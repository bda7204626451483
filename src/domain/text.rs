//! Text for people: cutting on words, durations, one line out of many, terminal codes taken out.
//! Pure; knows nothing of what the text is about.

use std::time::Duration;

/// Cuts `text` to at most `max` characters, on a word where one is near, and marks the cut with `…`.
pub fn cut(text: &str, max: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(max) else {
        return text.to_owned();
    };
    let Some((room, _)) = text[..end].char_indices().next_back() else {
        return String::new();
    };
    let head = &text[..room];
    // A break in the first half would cost more text than half a word is worth.
    let on_word = head.rfind(char::is_whitespace).filter(|&at| at * 2 >= head.len());
    let ends_on_word = text[room..].starts_with(char::is_whitespace);
    let kept = if ends_on_word { head } else { &head[..on_word.unwrap_or(head.len())] };
    format!("{}…", kept.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '·')))
}

/// The two largest units of a duration: `1h24m`, `3m05s`, `12s`, `0.4s`.
pub fn human_duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    match (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60) {
        (0, 0, 0, 0) => format!("0.{}s", duration.subsec_millis() / 100),
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}

/// `1 spec`, `2 specs`: a number with its noun.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Takes terminal control sequences and control characters out; newlines and tabs stay.
///
/// U+FFFD before `[` counts as an escape: Ginkgo writes it into JUnit where the terminal code's ESC was.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' | '\u{fffd}' if chars.peek() == Some(&'[') => skip_control_sequence(&mut chars),
            '\u{1b}' if chars.peek() == Some(&']') => skip_operating_system_command(&mut chars),
            '\n' | '\t' => out.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => out.push('\n'),
            c if c.is_control() || is_bidi_control(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// [`plain`], with every run of white space as one blank: fit for a name or a line.
pub fn plain_line(text: &str) -> String {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return text.to_owned();
    }
    plain(text).chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).collect()
}

/// The line of a failure message that says most: the first one that is neither a place in the source, nor a rule, nor blank.
///
/// Kubernetes' tests print `Unexpected error:`, the error's memory layout, its text, `occurred`: there it is the text.
pub fn headline(message: &str) -> &str {
    let lines = || message.lines().map(str::trim).filter(|line| line.chars().any(char::is_alphanumeric));
    let first = lines().next().unwrap_or("");
    let telling = lines().find(|line| !is_source_place(line) && !is_panic_place(line)).unwrap_or(first);
    let telling = if telling.ends_with("Unexpected error:") {
        let before = lines().zip(lines().skip(1)).find(|(_, next)| *next == "occurred");
        before.map_or(telling, |(text, _)| text)
    } else {
        telling
    };
    without_klog_time(telling)
}

/// `Nov 20 21:33:54.139: text` without its time.
fn without_klog_time(line: &str) -> &str {
    const SHAPE: &[u8] = b"Aaa _0 00:00:00.000: ";
    let fits = |(shape, byte): (&u8, &u8)| match shape {
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        b'_' => byte.is_ascii_digit() || *byte == b' ',
        b'0' => byte.is_ascii_digit(),
        exactly => exactly == byte,
    };
    let has_time = line.len() > SHAPE.len() && SHAPE.iter().zip(line.as_bytes()).all(fits);
    if has_time { &line[SHAPE.len()..] } else { line }
}

/// `path/file.go:25`, with nothing else on the line.
fn is_source_place(line: &str) -> bool {
    line.rsplit_once(':').is_some_and(|(path, number)| {
        !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
            && path.contains(['/', '.'])
            && !path.contains(char::is_whitespace)
            && !path.contains("://")
    })
}

/// `thread 'main' (7) panicked at src/lib.rs:11:19:`, as Rust begins; why it panicked is on the next line.
fn is_panic_place(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ") && line.ends_with(':')
}

/// After ESC: `[`, parameters, then one final letter.
fn skip_control_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    chars.next();
    while let Some(&c) = chars.peek() {
        let parameter = matches!(c, '0'..='?' | ' '..='/');
        let last = matches!(c, '@'..='~');
        if !parameter && !last {
            return;
        }
        chars.next();
        if last {
            return;
        }
    }
}

/// After ESC: `]`, text, then BEL or ESC `\`. Unterminated ones end with the line.
fn skip_operating_system_command(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while let Some(&c) = chars.peek() {
        if c == '\n' {
            return;
        }
        chars.next();
        match c {
            '\u{7}' => return,
            '\u{1b}' if chars.peek() == Some(&'\\') => {
                chars.next();
                return;
            }
            _ => {}
        }
    }
}

/// Characters that reorder what follows them: a hostile name could show as another.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
