//! Following suites' logs: one task per attempt, from the engine's stream to our file and the progress. A task ends when its container
//! has; a lost connection is taken up again; a new process continues the file. No verdict comes from here.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::engine::Engine;
use super::limits;
use super::lines::{Line, Lines, Output};
use super::logfile::LogFile;
use super::objects::{Measured, Phase, Vitals};
use crate::domain::ids::AttemptId;
use crate::domain::mask::Masker;
use crate::domain::progress::Progress;

/// Pieces that are taken at once when many wait: enough to write in large blocks, few enough to hold for fifty suites.
const BATCH: usize = 64;

/// All followers of this process.
#[derive(Default)]
pub(super) struct Followers {
    tasks: TaskTracker,
    stop: CancellationToken,
    watched: Mutex<HashMap<AttemptId, Arc<Watched>>>,
}

/// What is known of one attempt's output.
pub(super) struct Watched {
    seen: Mutex<Seen>,
    /// Set when what an earlier process stored is part of the progress.
    loaded: CancellationToken,
    /// Set when the task is over, whether the log's end was reached or the file could not be written.
    over: CancellationToken,
    stop: CancellationToken,
}

struct Seen {
    /// By the lines of the log.
    progress: Progress,
    /// Specs that ended on a line which is still being written.
    dots: u64,
    /// What was said of the progress last: it must not fall.
    shown: Progress,
    last_line: Instant,
    is_complete: bool,
    vitals: Vitals,
}

impl Followers {
    /// The attempt's follower, if this process has one.
    pub(super) fn get(&self, attempt: AttemptId) -> Option<Arc<Watched>> {
        self.locked().get(&attempt).cloned()
    }

    /// Starts a follower unless one runs or has come to the log's end.
    pub(super) fn start(
        &self,
        attempt: AttemptId,
        engine: &Arc<Engine>,
        log: &Path,
        max_bytes: u64,
        mask: &Arc<Masker>,
    ) {
        let mut all = self.locked();
        if all.get(&attempt).is_some_and(|watched| watched.is_complete() || !watched.over.is_cancelled())
            || self.stop.is_cancelled()
        {
            return;
        }
        let watched = Arc::new(Watched::new(self.stop.child_token()));
        all.insert(attempt, Arc::clone(&watched));
        let (measured, measuring) = (Arc::clone(&watched), Arc::clone(engine));
        self.tasks.spawn(async move { measured.measure(attempt, &measuring).await });
        let (listened, listening) = (Arc::clone(&watched), Arc::clone(engine));
        self.tasks.spawn(async move { listened.listen(attempt, &listening).await });
        let (log, engine, mask) = (log.to_owned(), Arc::clone(engine), Arc::clone(mask));
        self.tasks.spawn(async move {
            let over = watched.over.clone().drop_guard();
            if let Err(error) = watched.follow(attempt, &engine, (log, max_bytes), mask).await {
                tracing::warn!(attempt.id = %attempt, error = format!("{error:#}"), "a suite's log could not be followed");
            }
            drop(over);
        });
    }

    /// Forgets an attempt whose container is gone.
    pub(super) fn forget(&self, attempt: AttemptId) {
        if let Some(watched) = self.locked().remove(&attempt) {
            watched.stop.cancel();
        }
    }

    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<AttemptId, Arc<Watched>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Watched {
    fn new(stop: CancellationToken) -> Self {
        let seen = Seen {
            progress: Progress::default(),
            dots: 0,
            shown: Progress::default(),
            last_line: Instant::now(),
            is_complete: false,
            vitals: Vitals::default(),
        };
        Watched { seen: Mutex::new(seen), loaded: CancellationToken::new(), over: CancellationToken::new(), stop }
    }

    /// The progress so far, and for how long nothing was printed. Waits for what an earlier process stored: a progress must not fall.
    pub(super) async fn progress(&self) -> (Progress, Duration) {
        let _in_time = tokio::time::timeout(limits::LOG_LOAD, self.loaded.cancelled()).await;
        let mut seen = self.locked();
        let now = seen.progress.with_dots(seen.dots);
        let falls = now.total == seen.shown.total && now.completed < seen.shown.completed;
        // A line's dots are heard before the log has the line, and forgotten in between.
        seen.shown = if falls { Progress { completed: seen.shown.completed, ..now } } else { now };
        (seen.shown, seen.last_line.elapsed())
    }

    /// What was measured of the container last.
    pub(super) fn vitals(&self) -> Vitals {
        self.locked().vitals
    }

    /// How long the suite has been silent.
    pub(super) fn silence(&self) -> Duration {
        self.locked().last_line.elapsed()
    }

    /// Something was printed, with so many dots on the line that is being written.
    pub(super) fn heard(&self, at: Instant, dots: u64) {
        let mut seen = self.locked();
        (seen.last_line, seen.dots) = (at, dots);
    }

    /// The follower is to stop.
    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Waits a while; says to break when the follower is over.
    pub(super) async fn pause(&self, pause: Duration) -> ControlFlow<()> {
        // A time-out on something that ends anyway: nothing here sleeps for its own sake.
        let pausing = tokio::time::timeout(pause, self.over.cancelled());
        tokio::select! {
            () = self.stop.cancelled() => ControlFlow::Break(()),
            over = pausing => if over.is_ok() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) },
        }
    }

    /// Waits until nothing more will be written. Says whether the log's end was reached.
    pub(super) async fn wait(&self, limit: Duration) -> bool {
        let ended = tokio::time::timeout(limit, self.over.cancelled()).await.is_ok();
        ended && self.is_complete()
    }

    /// Measures the container again and again until the follower is over.
    async fn measure(&self, attempt: AttemptId, engine: &Engine) {
        let mut pause = limits::VITALS_AT_LEAST;
        let mut since = 0;
        while self.pause(pause).await.is_continue() {
            let start = Instant::now();
            match engine.vitals(attempt, since).await {
                Ok(Some(Measured { vitals, at })) => {
                    let mut seen = self.locked();
                    // What was killed stays killed.
                    seen.vitals = Vitals { oom_killed: vitals.oom_killed || seen.vitals.oom_killed, ..vitals };
                    since = at;
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(attempt.id = %attempt, ?error, "a container could not be measured"),
            }
            pause = (start.elapsed() * limits::VITALS_FACTOR).clamp(limits::VITALS_AT_LEAST, limits::VITALS_AT_MOST);
        }
    }

    fn is_complete(&self) -> bool {
        self.locked().is_complete
    }

    fn locked(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(
        &self,
        attempt: AttemptId,
        engine: &Engine,
        (path, max_bytes): (PathBuf, u64),
        mask: Arc<Masker>,
    ) -> anyhow::Result<()> {
        // An empty log would stand before what others have kept of it.
        if !path.exists() && matches!(engine.attempt(attempt).await, Ok(None)) {
            self.loaded.cancel();
            self.locked().is_complete = true;
            return Ok(());
        }
        let (mut log, progress) = tokio::task::spawn_blocking(move || LogFile::open(&path, max_bytes)).await??;
        self.locked().progress = progress;
        self.loaded.cancel();
        let mut retry = tokio::time::interval(limits::RETRY);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                _ = retry.tick() => {}
            }
            // Asked before reading: what was printed before a container ended is in every stream opened after its end.
            let container = match engine.attempt(attempt).await {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(attempt.id = %attempt, ?error, "the engine does not answer a follower");
                    continue;
                }
            };
            let is_last = match container.phase {
                Phase::Created => continue,
                Phase::Running => false,
                Phase::Ended | Phase::Removing => true,
            };
            if self.read(engine, &container.id, &mut log, (is_last, &mask)).await? == Read::ToTheEnd && is_last {
                break;
            }
        }
        self.locked().is_complete = true;
        Ok(())
    }

    /// Reads the stream until it ends or breaks. Only our disk is an error; whatever the engine does is taken up again.
    async fn read(
        &self,
        engine: &Engine,
        container: &str,
        log: &mut LogFile,
        (is_last, mask): (bool, &Arc<Masker>),
    ) -> anyhow::Result<Read> {
        let Ok(api) = engine.api().await else { return Ok(Read::Broken) };
        let since = i32::try_from(log.rewind()).unwrap_or(0);
        let options =
            LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).timestamps(true).since(since).build();
        let mut stream = api.logs(container, Some(options)).ready_chunks(BATCH);
        let mut lines = Lines::new(Arc::clone(mask));
        loop {
            let batch = tokio::select! {
                () = self.stop.cancelled() => return Ok(Read::Broken),
                batch = stream.next() => batch,
            };
            let Some(batch) = batch else { break };
            for piece in batch {
                let Ok(piece) = piece else { return Ok(Read::Broken) };
                let (output, bytes) = unwrapped(&piece);
                match lines.push(output, bytes) {
                    Some(line) => self.take(&line, log),
                    // Part of a long line: not yet stored, but no silence.
                    None => self.locked().last_line = Instant::now(),
                }
            }
            log.flush().await?;
        }
        if is_last {
            lines.finish().for_each(|line| self.take(&line, log));
            log.flush().await?;
        }
        Ok(Read::ToTheEnd)
    }

    fn take(&self, line: &Line, log: &mut LogFile) {
        if log.holds(line) {
            return;
        }
        let mut seen = self.locked();
        seen.progress.read_line(&line.text);
        seen.dots = 0;
        seen.last_line = Instant::now();
        drop(seen);
        log.push(line);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Read {
    ToTheEnd,
    Broken,
}

fn unwrapped(piece: &LogOutput) -> (Output, &[u8]) {
    match piece {
        LogOutput::StdErr { message } => (Output::Stderr, message),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
            (Output::Stdout, message)
        }
    }
}
