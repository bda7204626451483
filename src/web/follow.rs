//! An attempt's log: its last lines for pages, all of it as text, and as it grows by server-sent events.
//! Logs may be huge and hostile: they are read in pieces and shown as text, never kept whole in memory.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use futures_util::Stream;
use serde::Serialize;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{MissedTickBehavior, interval};

use super::Room;
use crate::domain::attempt::AttemptState;
use crate::domain::ids::AttemptId;
use crate::domain::text::plain_line;

/// Bytes of one event at most.
const PIECE: usize = 64 << 10;
/// How often a log that does not grow is looked at.
const PAUSE: Duration = Duration::from_millis(400);
/// Looks at a log that does not grow between two looks at the attempt.
const LOOKS: u32 = 5;
/// Characters of a line that are shown.
const MAX_LINE: usize = 4000;

/// One line of a log: when it was printed, as `12:03:59`, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) at: String,
    pub(super) text: String,
}

/// The end of a log.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    pub(super) lines: Vec<Line>,
    /// Whether there is more before these lines.
    pub(super) is_cut: bool,
    /// The byte right after the last complete line.
    pub(super) end: u64,
}

/// The last lines of a file, at most `max_lines` from at most `max_bytes`. A file that is not there yet is empty.
pub(super) async fn tail(path: &Path, max_bytes: u64, max_lines: usize) -> std::io::Result<Tail> {
    let mut file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Tail::default()),
        Err(error) => return Err(error),
    };
    let length = file.metadata().await?.len();
    let from = length.saturating_sub(max_bytes);
    file.seek(SeekFrom::Start(from)).await?;
    let mut bytes = Vec::new();
    file.take(max_bytes).read_to_end(&mut bytes).await?;
    Ok(last_lines(&bytes, from, max_lines))
}

/// The last lines of a file of which these bytes, from this place on, are the end.
pub(super) fn last_lines(bytes: &[u8], from: u64, max_lines: usize) -> Tail {
    let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    // The first line of a file cut in the middle is cut in the middle too.
    let skipped =
        if from == 0 { 0 } else { bytes.iter().position(|byte| *byte == b'\n').map_or(complete, |at| at + 1) };
    let shown = &bytes[skipped.min(complete)..complete];
    let all = shown.iter().filter(|byte| **byte == b'\n').count();
    let lines = shown.split_inclusive(|byte| *byte == b'\n').skip(all.saturating_sub(max_lines)).map(line).collect();
    Tail { lines, is_cut: from > 0 || all > max_lines, end: from + complete as u64 }
}

/// `2026-11-21T02:56:04.123456789Z text` as a line; text without a time is shown all the same.
fn line(bytes: &[u8]) -> Line {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    let (at, text) = match text.split_once(' ') {
        Some((at, rest)) if is_time(at) => (at[11..19].to_owned(), rest),
        _ => (String::new(), text),
    };
    let mut text = plain_line(text);
    if let Some((cut, _)) = text.char_indices().nth(MAX_LINE) {
        text.truncate(cut);
        text.push('…');
    }
    Line { at, text }
}

fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes.is_ascii() && bytes[10] == b'T' && bytes[13] == b':' && bytes[16] == b':'
}

/// A log that somebody follows.
pub(super) struct Follower {
    pub(super) room: Arc<Room>,
    pub(super) attempt: AttemptId,
    pub(super) path: PathBuf,
    /// The next byte to be sent.
    pub(super) from: u64,
    /// One of the places for followers.
    pub(super) _place: OwnedSemaphorePermit,
}

/// What a follower does next.
enum Step {
    Send(Event),
    /// The attempt is done and all of its log was sent.
    End,
}

impl Follower {
    /// Events with lines as a JSON list, each with the byte to go on from as its id; at last one named `end`.
    pub(super) fn events(self) -> impl Stream<Item = Result<Event, axum::Error>> {
        futures_util::stream::unfold(Some(self), async |follower| {
            let mut follower = follower?;
            let stop = follower.room.stop.clone();
            let step = tokio::select! {
                () = stop.cancelled() => return None,
                step = follower.next() => step,
            };
            match step {
                Ok(Step::Send(event)) => Some((Ok(event), Some(follower))),
                Ok(Step::End) => Some((Ok(Event::default().event("end").data("done")), None)),
                Err(error) => {
                    tracing::warn!(attempt = %follower.attempt, error = &error as &dyn std::error::Error, "log not followed");
                    None
                }
            }
        })
    }

    async fn next(&mut self) -> Result<Step, super::errors::Trouble> {
        let mut pause = interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Asked before reading: what a finished attempt's log holds then is all it will ever hold.
            let done = self.is_done().await?;
            for _ in 0..LOOKS {
                if let Some(event) = self.piece(done).await? {
                    return Ok(Step::Send(event));
                }
                if done {
                    return Ok(Step::End);
                }
                pause.tick().await;
            }
        }
    }

    async fn is_done(&self) -> Result<bool, super::errors::Trouble> {
        let attempt = self.room.web.store.attempt(self.attempt).await?;
        Ok(attempt.is_none_or(|attempt| attempt.state == AttemptState::Done))
    }

    /// The next complete lines; of a log that will not grow, also the unfinished one.
    async fn piece(&mut self, done: bool) -> Result<Option<Event>, super::errors::Trouble> {
        let mut file = match File::open(&self.path).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        file.seek(SeekFrom::Start(self.from)).await?;
        let mut bytes = Vec::new();
        file.take(PIECE as u64).read_to_end(&mut bytes).await?;
        let complete = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if done || bytes.len() == PIECE => bytes.len(),
            None => 0,
        };
        if complete == 0 {
            return Ok(None);
        }
        let lines: Vec<Line> = bytes[..complete].split_inclusive(|byte| *byte == b'\n').map(line).collect();
        self.from += complete as u64;
        let data = serde_json::to_string(&lines).unwrap_or_default();
        Ok(Some(Event::default().id(self.from.to_string()).data(data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_its_time_and_its_text() {
        let stamped = line(b"2026-11-21T02:56:04.123456789Z \x1b[31mFAIL\x1b[0m <b>x</b>\r\n");
        assert_eq!(stamped, Line { at: "02:56:04".into(), text: "FAIL <b>x</b>".into() });
        assert_eq!(line(b"no time here\n"), Line { at: String::new(), text: "no time here".into() });
        assert_eq!(line(b"\xff\n").text, "\u{fffd}");
        assert_eq!(line(&[b'x'; 10_000]).text.chars().count(), MAX_LINE + 1);
    }

    #[tokio::test]
    async fn the_tail_is_whole_lines_and_says_where_they_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        assert_eq!(tail(&path, 100, 10).await.unwrap().end, 0);
        std::fs::write(&path, "one\ntwo\nthree\nunfini").unwrap();
        let all = tail(&path, 100, 10).await.unwrap();
        assert_eq!((all.lines.len(), all.is_cut, all.end), (3, false, 14));
        let some = tail(&path, 100, 2).await.unwrap();
        assert_eq!((some.lines[0].text.as_str(), some.is_cut), ("two", true));
        let cut = tail(&path, 14, 10).await.unwrap();
        assert_eq!((cut.lines[0].text.as_str(), cut.lines.len(), cut.is_cut), ("three", 1, true));
    }
}
