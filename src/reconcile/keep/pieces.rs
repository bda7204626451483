//! Logs go to the object store while they grow, every few seconds what is new of each: there is no adding to an object, so each piece is
//! one of its own, named by where it begins. Whoever has lost the data directory, or never had it, reads the pieces.

use std::collections::HashMap;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::super::{Context, chain};
use crate::domain::attempt::AttemptState;
use crate::domain::ids::AttemptId;
use crate::ports::ArtifactStore;

/// Between two looks: what the loss of this machine may cost of a log.
const PERIOD: SignedDuration = SignedDuration::from_secs(5);
/// Bytes of one piece at most.
const PIECE: u64 = 4 << 20;
/// Pieces of one log: more than a lease has periods.
const MOST: usize = 50_000;

pub(super) struct Pieces {
    context: Context,
    growing: HashMap<AttemptId, Growing>,
    next: Option<Timestamp>,
}

/// A log that is not in the store as a whole yet.
struct Growing {
    log: PathBuf,
    /// Key of the folder of its pieces.
    folder: String,
    /// Where the next piece begins; unknown until the store was asked what an earlier process sent.
    sent: Option<u64>,
}

impl Pieces {
    pub(super) fn new(context: Context) -> Self {
        Self { context, growing: HashMap::new(), next: None }
    }

    /// Sends what is new when it is time; says when it is again.
    pub(super) async fn send(
        &mut self,
        store: &Arc<dyn ArtifactStore>,
        now: Timestamp,
    ) -> anyhow::Result<SignedDuration> {
        if let Some(pause) = self.next.map(|next| next.duration_since(now)).filter(SignedDuration::is_positive) {
            return Ok(pause);
        }
        self.next = now.saturating_add(PERIOD).ok();
        let mut live = Vec::new();
        for view in self.context.store.open_runs().await? {
            for attempt in view.attempts.iter().filter(|attempt| attempt.state != AttemptState::Waiting) {
                let (artifacts, run, id) = (&self.context.artifacts, attempt.run, attempt.id);
                let folder = artifacts.key(&artifacts.log_pieces(run, id));
                self.growing.entry(id).or_insert_with(|| Growing { log: artifacts.log(run, id), folder, sent: None });
                live.push(id);
            }
        }
        let mut ended = Vec::new();
        for (attempt, log) in &mut self.growing {
            match log.send(&**store).await {
                // Of a run that is over, to its end.
                Ok(()) if !live.contains(attempt) => ended.push(*attempt),
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(attempt.id = %attempt, error = chain(error.as_ref()), "a log was not sent; it is tried again");
                }
            }
        }
        self.growing.retain(|attempt, _| !ended.contains(attempt));
        Ok(PERIOD)
    }
}

impl Growing {
    /// Every whole line that is not there yet. If we stop after a piece was sent, the store knows it.
    async fn send(&mut self, store: &dyn ArtifactStore) -> anyhow::Result<()> {
        let mut file = match File::open(&self.log).await {
            Ok(file) => file,
            // Moved as a whole, or not begun.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut at = match self.sent {
            Some(at) => at,
            None => self.known(store).await?,
        };
        loop {
            self.sent = Some(at);
            file.seek(SeekFrom::Start(at)).await?;
            let mut bytes = Vec::new();
            (&mut file).take(PIECE).read_to_end(&mut bytes).await?;
            let Some(end) = memchr::memrchr(b'\n', &bytes) else { return Ok(()) };
            bytes.truncate(end + 1);
            at += bytes.len() as u64;
            store.put(&format!("{}/{:012}", self.folder, at - bytes.len() as u64), bytes.into()).await?;
        }
    }

    /// Where the pieces end that an earlier process sent.
    async fn known(&self, store: &dyn ArtifactStore) -> anyhow::Result<u64> {
        let pieces = store.list(&self.folder, MOST).await?;
        let end =
            |piece: &crate::ports::KeptFile| Some(piece.key.rsplit('/').next()?.parse::<u64>().ok()? + piece.bytes);
        Ok(pieces.iter().filter_map(end).max().unwrap_or(0))
    }
}
