//! Long work: each in a task of its own, one per item, a bounded number at once. Whoever waits for a pull, an upload or
//! a copy is then nobody but the item itself. Dropped, every task ends as if the process had been killed.

use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::driver::Waker;
use super::{Activity, chain};

/// Tasks that work at once; the others wait, and can be let go of while they do.
const AT_ONCE: usize = 8;
/// After a failure that may pass.
pub(super) const AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// Long work under way.
pub(super) struct Hands<K> {
    tasks: HashMap<K, AbortOnDropHandle<anyhow::Result<Activity>>>,
    /// Items whose work failed a moment ago, and when it is tried again.
    resting: HashMap<K, Timestamp>,
    room: Arc<Semaphore>,
    waker: Waker,
}

impl<K: Copy + Eq + Hash + Display> Hands<K> {
    pub(super) fn new(waker: Waker) -> Self {
        Self { tasks: HashMap::new(), resting: HashMap::new(), room: Arc::new(Semaphore::new(AT_ONCE)), waker }
    }

    /// Begins the item's work unless it is under way or rests after a failure.
    pub(super) fn take<F>(&mut self, item: K, now: Timestamp, work: F)
    where
        F: Future<Output = anyhow::Result<Activity>> + Send + 'static,
    {
        let rests = self.resting.get(&item).is_some_and(|until| *until > now);
        if rests || self.tasks.contains_key(&item) {
            return;
        }
        let (room, waker) = (Arc::clone(&self.room), self.waker.clone());
        #[expect(clippy::disallowed_methods, reason = "it is joined through its handle, and ends with it")]
        let task = tokio::spawn(async move {
            // Woken also when the work panics: the task must be reaped.
            let _wakes = WakesWhenOver(waker);
            let _place = room.acquire().await?;
            work.await
        });
        self.tasks.insert(item, AbortOnDropHandle::new(task));
    }

    /// Whether work of the item is under way, or ended and not yet reaped.
    pub(super) fn holds(&self, item: K) -> bool {
        self.tasks.contains_key(&item)
    }

    /// Cuts the item's work off, if any is under way, and waits until it has ended.
    pub(super) async fn let_go(&mut self, item: K) {
        if let Some(task) = self.tasks.remove(&item) {
            task.abort();
            drop(task.await);
        }
    }

    /// What has ended since the last look.
    pub(super) async fn reap(&mut self, now: Timestamp) -> Activity {
        let ended: Vec<K> = self.tasks.iter().filter(|(_, task)| task.is_finished()).map(|(item, _)| *item).collect();
        self.resting.retain(|_, until| *until > now);
        let mut activity = Activity::default();
        for item in ended {
            let Some(task) = self.tasks.remove(&item) else { continue };
            let problem = match task.await {
                Ok(Ok(one)) => {
                    activity = activity.add(one);
                    continue;
                }
                Ok(Err(error)) => chain(error.as_ref()),
                Err(error) => error.to_string(),
            };
            tracing::warn!(%item, error = problem, "long work failed; it is tried again");
            self.resting.insert(item, now.saturating_add(AGAIN).unwrap_or(now));
        }
        if self.resting.is_empty() { activity } else { activity.again(AGAIN) }
    }
}

/// Has the reconcilers look again when it is dropped.
struct WakesWhenOver(Waker);

impl Drop for WakesWhenOver {
    fn drop(&mut self) {
        self.0.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;
    use crate::domain::ids::AttemptId;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    async fn ended(hands: &Hands<AttemptId>, attempt: AttemptId) {
        while !hands.tasks[&attempt].is_finished() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_slow_attempt_holds_nobody_up_and_nothing_is_begun_twice() {
        let mut hands = Hands::new(Waker::default());
        let (slow, quick, begun) = (AttemptId::new(at(1)), AttemptId::new(at(2)), Arc::new(AtomicU32::new(0)));
        let (_hold, held) = oneshot::channel::<()>();
        let count = Arc::clone(&begun);
        hands.take(slow, at(3), async move {
            count.fetch_add(1, Ordering::SeqCst);
            held.await?;
            Ok(Activity::changed(1))
        });
        let count = Arc::clone(&begun);
        hands.take(slow, at(3), async move {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(Activity::changed(1))
        });
        hands.take(quick, at(3), async { Ok(Activity::changed(1)) });
        ended(&hands, quick).await;
        assert_eq!(hands.reap(at(4)).await, Activity::changed(1), "the quick one");
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        hands.let_go(slow).await;
        assert!(hands.tasks.is_empty() && hands.reap(at(5)).await == Activity::default(), "cut off, and forgotten");
    }

    #[tokio::test]
    async fn work_that_failed_rests_before_it_is_tried_again() {
        let mut hands = Hands::new(Waker::default());
        let attempt = AttemptId::new(at(1));
        hands.take(attempt, at(2), async { anyhow::bail!("the engine hung up") });
        ended(&hands, attempt).await;
        assert_eq!(hands.reap(at(2)).await, Activity::default().again(AGAIN));
        hands.take(attempt, at(3), async { Ok(Activity::changed(1)) });
        assert!(hands.tasks.is_empty(), "it rests");
        hands.take(attempt, at(5), async { Ok(Activity::changed(1)) });
        ended(&hands, attempt).await;
        assert_eq!(hands.reap(at(5)).await, Activity::changed(1));
    }
}
