//! Hearing a suite that has not ended its line: the engine's log hands out whole lines only, and dots come without line ends for
//! minutes. Only where the log is silent is the container listened to directly; nothing heard here is stored.

use std::time::Duration;

use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::engine::{Engine, bounded};
use super::follow::Watched;
use super::limits;
use super::objects::Phase;
use crate::domain::ids::AttemptId;
use crate::domain::progress::dots;

/// Silence of the log after which it is worth listening.
const SILENCE: Duration = Duration::from_secs(5);
/// A suite that prints more than this since the last whole line is heard well enough by its log.
const CHATTER: usize = 256 * 1024;

impl Watched {
    /// Listens whenever the log has been silent for a while, until the follower is over.
    pub(super) async fn listen(&self, attempt: AttemptId, engine: &Engine) {
        loop {
            if self.pause(SILENCE).await.is_break() {
                return;
            }
            if self.silence() < SILENCE {
                continue;
            }
            let ended = tokio::select! {
                () = self.stopped() => return,
                ended = self.hear(attempt, engine) => ended,
            };
            if let Err(error) = ended {
                tracing::debug!(attempt.id = %attempt, ?error, "a suite could not be listened to");
            }
        }
    }

    async fn hear(&self, attempt: AttemptId, engine: &Engine) -> Result<(), super::error::EngineError> {
        let Some(found) = engine.attempt(attempt).await?.filter(|found| found.phase == Phase::Running) else {
            return Ok(());
        };
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let call = engine.api().await?.attach_container(&found.id, Some(options));
        let mut output = bounded("listening to a suite", limits::CALL, call).await?.output;
        let (mut line, mut heard) = (Vec::new(), 0);
        while let Some(Ok(piece)) = output.next().await {
            let bytes: &[u8] = piece.as_ref();
            heard += bytes.len();
            match bytes.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => line = bytes[end + 1..].to_vec(),
                None => line.extend_from_slice(bytes),
            }
            self.heard(Instant::now(), dots(&line));
            // The log has all of it by now, or soon.
            if heard > CHATTER {
                break;
            }
        }
        Ok(())
    }
}
