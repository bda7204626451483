//! A suite's log on our disk: one line of output a line, `time text`. It is written by one follower at a time, survives a crash in the
//! middle of a line, and says itself when it was cut short.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use jiff::Timestamp;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::lines::Line;
use crate::domain::progress::Progress;

/// The last line of a log that grew too large; it carries the time of the last line kept.
const CUT: &str = "portcullis: the log is longer than allowed; what follows was not kept";

/// Seconds that are read again before the newest line's own.
const OVERLAP: i64 = 1;
/// Length of `2026-01-02T03:04:05`.
const SECOND: usize = 19;

/// An open log and what it already holds.
pub(super) struct LogFile {
    file: File,
    buffer: Vec<u8>,
    bytes: u64,
    max_bytes: u64,
    is_cut: bool,
    known: Known,
}

/// Where the read lines end in the engine's own log. The engine gives its log from a whole second on, and the two outputs of a
/// container may be a little out of order in time; so lines are counted, not compared, and one more second is read again.
#[derive(Debug, Default)]
struct Known {
    newest: String,
    /// Lines read, by second: the newest and the one before it.
    seconds: Vec<(i64, usize)>,
    /// Lines of the stream that are still to come again.
    to_skip: usize,
}

impl LogFile {
    /// Opens or creates the log and folds what it holds into a progress; blocking. A last line that was cut off by a crash is taken out.
    pub(super) fn open(path: &Path, max_bytes: u64) -> io::Result<(Self, Progress)> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let (mut progress, mut known, mut bytes, mut is_cut) = (Progress::default(), Known::default(), 0, false);
        let mut reader = BufReader::new(&file);
        let mut raw = Vec::new();
        while reader.read_until(b'\n', &mut raw)? > 0 && raw.ends_with(b"\n") {
            bytes += raw.len() as u64;
            let line = String::from_utf8_lossy(&raw[..raw.len() - 1]);
            let (time, text) = line.split_once(' ').unwrap_or((&line, ""));
            is_cut = text == CUT;
            if !is_cut {
                known.note(time);
                progress.read_line(text);
            }
            raw.clear();
        }
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok((LogFile { file: File::from_std(file), buffer: Vec::new(), bytes, max_bytes, is_cut, known }, progress))
    }

    /// The engine's log is about to be read from this second on: Unix time, 0 for its beginning.
    pub(super) fn rewind(&mut self) -> i64 {
        self.known.to_skip = self.known.seconds.iter().map(|(_, lines)| lines).sum();
        self.known.seconds.iter().map(|(second, _)| *second).max().map_or(0, |newest| newest - OVERLAP)
    }

    /// Whether the line was read before the last rewind. Ask once for each line of the stream.
    pub(super) fn holds(&mut self, line: &Line) -> bool {
        // Later than all we know: the engine has thrown away what we were about to skip.
        let is_old = self.known.to_skip > 0 && line.time <= self.known.newest;
        self.known.to_skip = if is_old { self.known.to_skip - 1 } else { 0 };
        is_old
    }

    /// Adds a line that the log does not hold, unless the log is full.
    pub(super) fn push(&mut self, line: &Line) {
        if !self.is_cut {
            let size = (line.time.len() + line.text.len() + 2) as u64;
            if self.bytes + size > self.max_bytes {
                self.is_cut = true;
                let last = if self.known.newest.is_empty() { &line.time } else { &self.known.newest };
                let _written = writeln!(self.buffer, "{last} {CUT}");
            } else {
                self.bytes += size;
                let _written = writeln!(self.buffer, "{} {}", line.time, line.text);
            }
        }
        // Also what is not kept was read: taking the stream up again must not count it twice.
        self.known.note(&line.time);
    }

    /// Writes what was added.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer).await?;
        self.buffer.clear();
        self.file.flush().await
    }
}

impl Known {
    fn note(&mut self, time: &str) {
        let is_newest = *time > *self.newest;
        let second = match self.seconds.last() {
            Some((second, _)) if time.get(..SECOND) == self.newest.get(..SECOND) => *second,
            _ => time.parse::<Timestamp>().map_or(0, Timestamp::as_second),
        };
        match self.seconds.iter_mut().find(|(known, _)| *known == second) {
            Some((_, lines)) => *lines += 1,
            None if is_newest => self.seconds.push((second, 1)),
            None => self.seconds.insert(0, (second, 1)),
        }
        if is_newest {
            time.clone_into(&mut self.newest);
            self.seconds.retain(|(known, _)| *known >= second - OVERLAP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seconds: &str, text: &str) -> Line {
        Line { time: format!("2026-01-02T03:04:{seconds}Z"), text: text.to_owned() }
    }

    /// All that the engine holds: times that are shared, and one that comes late.
    fn engine() -> Vec<Line> {
        [
            ("05.000000001", "Will run 3 specs"),
            ("05.000000002", "ok a"),
            ("06.000000003", "FAIL b"),
            ("06.000000005", "same time"),
            ("06.000000005", "same time"),
            ("06.000000004", "late"),
            ("05.999999999", "later still"),
            ("07.000000000", "ok c"),
            ("06.999999999", "late again"),
            ("09.000000000", "after a pause"),
        ]
        .map(|(time, text)| line(time, text))
        .into()
    }

    /// Reads the engine's log as a follower does.
    async fn store(log: &mut LogFile, progress: &mut Progress, all: &[Line]) {
        let since = log.rewind();
        for line in all.iter().filter(|line| line.time.parse::<Timestamp>().unwrap().as_second() >= since) {
            if !log.holds(line) {
                progress.read_line(&line.text);
                log.push(line);
            }
        }
        log.flush().await.unwrap();
    }

    #[tokio::test]
    async fn a_log_taken_up_again_anywhere_is_the_undisturbed_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (mut log, mut progress) = LogFile::open(&path, 10_000).unwrap();
        store(&mut log, &mut progress, &engine()).await;
        let expected = std::fs::read_to_string(&path).unwrap();
        assert_eq!(expected.lines().count(), engine().len());
        for crash in 0..=expected.len() {
            std::fs::write(&path, &expected[..crash]).unwrap();
            let (mut log, mut progress) = LogFile::open(&path, 10_000).unwrap();
            store(&mut log, &mut progress, &engine()).await;
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "after {crash} bytes");
            assert_eq!(progress, Progress { total: 3, completed: 3, failed: 1 }, "after {crash} bytes");
        }
    }

    #[tokio::test]
    async fn a_stream_that_broke_off_is_continued_within_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (mut log, mut progress) = LogFile::open(&path, 10_000).unwrap();
        for end in 0..=engine().len() {
            store(&mut log, &mut progress, &engine()[..end]).await;
        }
        let stored = std::fs::read_to_string(&path).unwrap();
        let expected: Vec<_> = engine().iter().map(|line| format!("{} {}", line.time, line.text)).collect();
        assert_eq!(stored.lines().collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn what_the_engine_threw_away_does_not_hide_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, mut progress) = LogFile::open(&folder.path().join("log"), 10_000).unwrap();
        store(&mut log, &mut progress, &engine()).await;
        log.rewind();
        assert!(!log.holds(&line("10.000000000", "new")));
    }

    #[tokio::test]
    async fn a_full_log_says_so_once_and_stays_full_while_progress_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/log");
        let max = 60;
        let (mut log, mut progress) = LogFile::open(&path, max).unwrap();
        store(&mut log, &mut progress, &engine()[..3]).await;
        let (mut log, mut progress) = LogFile::open(&path, max).unwrap();
        store(&mut log, &mut progress, &engine()).await;
        let text = std::fs::read_to_string(&path).unwrap();
        let first = "2026-01-02T03:04:05.000000001Z";
        assert_eq!(text, format!("{first} Will run 3 specs\n{first} {CUT}\n"));
        assert_eq!(progress, Progress { total: 3, completed: 3, failed: 1 });
    }
}
