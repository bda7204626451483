//! Reads a webhook's body within limits of size, time and memory. A sender that announces much and sends nothing
//! costs nothing: memory grows with the bytes that arrived, never with what was promised.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header::CONTENT_LENGTH};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::Limits;

/// Up to this much is read for any sender, so that large or malicious bodies do not delay ordinary ones.
const FREE: usize = 64 << 10;
/// One permit of the shared memory, in bytes.
const UNIT: usize = 64 << 10;

/// A whole body, with its share of the memory that large bodies have in common.
pub(super) struct Complete {
    pub(super) bytes: Bytes,
    pub(super) share: Option<OwnedSemaphorePermit>,
}

/// Why there is no whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incomplete {
    TooLarge,
    TooSlow,
    /// Other large bodies hold all the memory.
    NoRoom,
    /// The sender went away, or sent something that is not HTTP.
    Broken,
}

/// The memory that large bodies have in common.
pub(super) fn memory(limits: &Limits) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(limits.body_memory / UNIT))
}

/// Reads a body to its end.
///
/// # Errors
/// The body is incomplete; what arrived of it is dropped.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limits: &Limits,
    memory: &Arc<Semaphore>,
) -> Result<Complete, Incomplete> {
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(Incomplete::TooLarge);
    }
    let deadline = Instant::now() + limits.body_time;
    let Some(first) = next(&mut body, deadline).await? else {
        return Ok(Complete { bytes: Bytes::new(), share: None });
    };
    // Most bodies come in one piece and are handed on without a copy.
    if body.is_end_stream() && first.len() <= FREE {
        return Ok(Complete { bytes: first, share: None });
    }
    let mut whole = Growing { bytes: Vec::new(), share: None, announced, memory, deadline, limit: limits.body_bytes };
    whole.add(&first).await?;
    drop(first);
    while let Some(piece) = next(&mut body, deadline).await? {
        whole.add(&piece).await?;
    }
    Ok(Complete { bytes: whole.bytes.into(), share: whole.share })
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn next(body: &mut Body, deadline: Instant) -> Result<Option<Bytes>, Incomplete> {
    loop {
        match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Incomplete::TooSlow),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(Incomplete::Broken),
            // Trailers are of no interest.
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(_) => {}
            },
        }
    }
}

struct Growing<'a> {
    bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
    announced: Option<usize>,
    memory: &'a Arc<Semaphore>,
    deadline: Instant,
    limit: usize,
}

impl Growing<'_> {
    async fn add(&mut self, piece: &[u8]) -> Result<(), Incomplete> {
        let needed = self.bytes.len() + piece.len();
        if needed > self.limit {
            return Err(Incomplete::TooLarge);
        }
        if needed > self.bytes.capacity() {
            self.grow(needed).await?;
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Doubles, but neither beyond the announced length nor, at first, beyond what is free.
    async fn grow(&mut self, needed: usize) -> Result<(), Incomplete> {
        let capacity = match self.bytes.capacity() {
            0 => FREE,
            capacity => capacity * 2,
        };
        let capacity = capacity.min(self.announced.unwrap_or(self.limit)).max(needed);
        let units = capacity.saturating_sub(FREE).div_ceil(UNIT);
        let held = self.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if let Some(more) = u32::try_from(units.saturating_sub(held)).ok().filter(|more| *more > 0) {
            let permits = Arc::clone(self.memory).acquire_many_owned(more);
            let permits = timeout_at(self.deadline, permits).await.map_err(|_| Incomplete::NoRoom)?;
            let permits = permits.map_err(|_| Incomplete::NoRoom)?;
            match &mut self.share {
                Some(share) => share.merge(permits),
                None => self.share = Some(permits),
            }
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        Ok(())
    }
}
