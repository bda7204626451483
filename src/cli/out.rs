//! The one place that writes to the terminal. A reader that went away is nobody's problem; output that cannot be written is one,
//! and the exit status tells it, whatever the command itself came to.

use std::io::{ErrorKind, Result, StdoutLock, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// `EX_IOERR` of `sysexits.h`.
const UNWRITTEN: u8 = 74;

/// Whether something was lost on the way to standard output.
static LOST: AtomicBool = AtomicBool::new(false);

/// Standard output, where writing to a reader that went away succeeds.
pub(super) struct Stdout(StdoutLock<'static>);

/// Standard output, until it is dropped.
pub(super) fn stdout() -> Stdout {
    Stdout(std::io::stdout().lock())
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        gone(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        gone(self.0.flush(), ())
    }
}

fn gone<T>(result: Result<T>, success: T) -> Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(success),
        result => result,
    }
}

/// Says, once, that output was lost.
pub(super) fn written(result: Result<()>) {
    if let Err(error) = gone(result, ())
        && !LOST.swap(true, Ordering::Relaxed)
    {
        problem(&format!("the output cannot be written: {error}"));
    }
}

/// The command's status, unless some of its output was lost.
pub(super) fn status(of_command: ExitCode) -> ExitCode {
    if LOST.load(Ordering::Relaxed) { ExitCode::from(UNWRITTEN) } else { of_command }
}

/// Text as it is, on standard output.
pub(super) fn text(text: &str) {
    let mut stdout = stdout();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
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
