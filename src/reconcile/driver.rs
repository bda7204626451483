//! Runs every reconciler in a task of its own: woken by a signal, a due time or a period, one activation at a time.
//! A panic is contained; three in a row of the same reconciler end the process, so that nothing limps on unseen.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Activity, Reconciler, chain};

/// Without any signal every reconciler looks this often.
const PERIOD: Duration = Duration::from_secs(10);
/// After a failed activation.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// Once told to stop, an activation may take this much longer; cut off, it is as after a crash.
const GRACE: Duration = Duration::from_secs(3);
/// Panics in a row that end the process.
const MAX_PANICS: u32 = 3;

/// Tells reconcilers that stored state changed. Cheap to clone; waking twice is waking once.
#[derive(Clone)]
pub struct Waker(Arc<watch::Sender<u64>>);

impl Default for Waker {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Waker {
    /// Every reconciler looks again soon.
    pub fn wake(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Runs the reconcilers until `stop`; an error means that one of them cannot go on.
///
/// # Errors
/// A reconciler panicked several times in a row.
pub async fn run(reconcilers: Vec<Box<dyn Reconciler>>, waker: Waker, stop: CancellationToken) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for reconciler in reconcilers {
        tasks.spawn(drive(reconciler, waker.clone(), stop.clone()));
    }
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or_else(|error| Err(anyhow::anyhow!("a reconciler's task broke: {error}")));
        if ended.is_err() {
            stop.cancel();
            result = result.and(ended);
        }
    }
    result
}

async fn drive(mut reconciler: Box<dyn Reconciler>, waker: Waker, stop: CancellationToken) -> anyhow::Result<()> {
    let mut signal = waker.0.subscribe();
    let mut panics = 0;
    while !stop.is_cancelled() {
        // Marked as seen before looking: a change made while we look wakes us again.
        signal.mark_unchanged();
        let outcome = tokio::select! {
            outcome = AssertUnwindSafe(reconciler.activate()).catch_unwind() => outcome,
            () = overdue(&stop) => {
                tracing::info!(reconciler = reconciler.name(), "cut off in the middle; it is taken up again");
                break;
            }
        };
        let pause = match outcome {
            Ok(outcome) => {
                panics = 0;
                after(reconciler.name(), outcome, &waker)
            }
            Err(_) if panics + 1 == MAX_PANICS => anyhow::bail!("{} panicked {MAX_PANICS} times", reconciler.name()),
            Err(_) => {
                panics += 1;
                tracing::error!(reconciler = reconciler.name(), panics, "panicked");
                PAUSE_AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            changed = signal.changed() => changed.expect("the waker holds a sender as long as the driver runs"),
            _ = tokio::time::timeout(pause, std::future::pending::<()>()) => {}
        }
    }
    Ok(())
}

/// Ends some time after `stop`.
async fn overdue(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::timeout(GRACE, std::future::pending::<()>()).await.ok();
}

fn after(name: &'static str, outcome: anyhow::Result<Activity>, waker: &Waker) -> Duration {
    match outcome {
        Ok(activity) => {
            if activity.changed > 0 {
                waker.wake();
            }
            activity.again_in.map_or(PERIOD, |pause| Duration::try_from(pause).unwrap_or_default().min(PERIOD))
        }
        Err(error) => {
            tracing::warn!(reconciler = name, error = chain(error.as_ref()), "activation failed; it is tried again");
            PAUSE_AFTER_FAILURE
        }
    }
}
