//! The way into the store: one writer commits together whatever has gathered while the last commit was under way.
//! A delivery is answered for only after its commit; if we stop before, nobody was told that it is safe.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::store::{NewDelivery, Receipt, Store, StoreError};

/// Deliveries that may wait for the writer. Each is held by a sender that waits for its answer.
const QUEUE: usize = 512;
/// Deliveries of one commit.
const BATCH: usize = 64;
/// Bytes after which a commit takes no further delivery.
const BATCH_BYTES: usize = 8 << 20;

/// Hands deliveries to the writer. Cheap to clone.
#[derive(Clone)]
pub(super) struct Inbox(mpsc::Sender<Item>);

/// The other end, to be given to [`write`].
pub(super) struct Queue(mpsc::Receiver<Item>);

struct Item {
    delivery: NewDelivery,
    /// Given back when the delivery is stored: until then its bytes are ours.
    _share: Option<OwnedSemaphorePermit>,
    answer: oneshot::Sender<Receipt>,
}

/// The delivery is not known to be stored: the sender must keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotStored;

/// An inbox and the queue that its writer takes from.
pub(super) fn new() -> (Inbox, Queue) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Inbox(sender), Queue(receiver))
}

impl Inbox {
    /// Stores a delivery durably.
    ///
    /// # Errors
    /// The store failed or did not answer within `limit`.
    pub(super) async fn store(
        &self,
        delivery: NewDelivery,
        share: Option<OwnedSemaphorePermit>,
        limit: Duration,
    ) -> Result<Receipt, NotStored> {
        let (answer, receipt) = oneshot::channel();
        let item = Item { delivery, _share: share, answer };
        let stored = async {
            self.0.send(item).await.map_err(|_| NotStored)?;
            receipt.await.map_err(|_| NotStored)
        };
        tokio::time::timeout(limit, stored).await.unwrap_or(Err(NotStored))
    }
}

/// Writes until every inbox is gone and the queue is empty.
pub(super) async fn write(mut queue: Queue, store: Store, wake: Arc<dyn Fn() + Send + Sync>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while !waiting.is_empty() || queue.0.recv_many(&mut waiting, BATCH).await > 0 {
        while waiting.len() < BATCH {
            match queue.0.try_recv() {
                Ok(item) => waiting.push(item),
                Err(_) => break,
            }
        }
        let batch: Vec<Item> = waiting.drain(..fitting(&waiting)).collect();
        let needs_acting = batch.iter().any(|item| item.delivery.settled.is_none());
        match commit(&store, batch).await {
            Ok(()) if needs_acting => wake(),
            Ok(()) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "deliveries were refused: they could not be stored"
                );
            }
        }
    }
}

/// How many of the waiting ones, at least one, make up a commit.
fn fitting(waiting: &[Item]) -> usize {
    let mut bytes = 0;
    let beyond = waiting.iter().position(|item| {
        bytes += item.delivery.body.len();
        bytes > BATCH_BYTES
    });
    beyond.map_or(waiting.len(), |index| index.max(1))
}

/// On an error the items are dropped with their answers, and every sender learns that nothing was stored.
async fn commit(store: &Store, batch: Vec<Item>) -> Result<(), StoreError> {
    let (deliveries, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|item| (item.delivery, (item.answer, item._share))).unzip();
    let receipts = store.accept(&deliveries).await?;
    for ((answer, _share), receipt) in answers.into_iter().zip(receipts) {
        // A sender that gave up in the meantime will send again and hear that it is a duplicate.
        let _ = answer.send(receipt);
    }
    Ok(())
}
