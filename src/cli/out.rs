//! The one place that writes to the terminal. A reader that went away is nobody's problem.

use std::io::Write;

/// Text as it is, on standard output.
pub(super) fn text(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _gone = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// One line on standard output.
pub(super) fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// One line on standard error.
pub(super) fn problem(line: &str) {
    let _gone = writeln!(std::io::stderr().lock(), "{line}");
}

/// Pretty JSON on standard output.
pub(super) fn json(value: &serde_json::Value) {
    line(&format!("{value:#}"));
}
