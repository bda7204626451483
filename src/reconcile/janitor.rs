//! Sweeps what others left behind: clusters and containers without a living row, checkouts and answers of suites past their time.
//! What lacks our instance's label is never listed and so never touched. One that stays keeps no other from going.

mod forget;

use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use self::forget::Forget;
use super::{Activity, Context, Reconciler, chain, specs};
use crate::domain::attempt::AttemptState;
use crate::domain::ids::{AttemptId, RunId};
use crate::ports::{ExecutorError, ProviderError, Question};

/// Between two sweeps.
const PERIOD: SignedDuration = SignedDuration::from_secs(60);

pub(super) struct Janitor {
    context: Context,
    forget: Forget,
    next: Option<Timestamp>,
}

impl Janitor {
    pub(super) fn new(context: Context) -> Self {
        Self { forget: Forget::new(context.clone()), context, next: None }
    }

    async fn sweep(&self, now: Timestamp) {
        let orphans = async {
            let orphans = self.context.store.release_orphans(now).await?;
            if orphans > 0 {
                tracing::info!(orphans, "clusters of finished runs are let go");
            }
            anyhow::Ok(())
        };
        noted("orphans", orphans.await);
        noted("clusters", self.sweep_clusters().await);
        noted("containers", self.sweep_containers().await);
        noted("questions", self.sweep_questions(now).await);
        noted("checkouts", self.sweep_checkouts().await);
    }

    /// Listed first and compared with rows read after: a row is older than what it stands for.
    async fn sweep_clusters(&self) -> anyhow::Result<()> {
        let provider = &self.context.ports.provider;
        let listed = match provider.list().await {
            Ok(listed) => listed,
            Err(error @ ProviderError::Unreachable { .. }) => {
                tracing::debug!(error = chain(&error), "no sweep: nothing can be listed");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let open: HashSet<_> =
            self.context.store.open_clusters().await?.into_iter().map(|cluster| cluster.id).collect();
        let leaks = listed.into_iter().filter(|id| !open.contains(id)).collect();
        each("a cluster without a row", leaks, |id| provider.destroy(id)).await;
        Ok(())
    }

    async fn sweep_containers(&self) -> anyhow::Result<()> {
        let executor = &self.context.ports.executor;
        let listed = match executor.list().await {
            Ok(listed) => listed,
            Err(ExecutorError::Unreachable { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let live: HashSet<AttemptId> = self
            .context
            .store
            .open_runs()
            .await?
            .iter()
            .flat_map(|view| view.attempts.iter().filter(|attempt| attempt.state != AttemptState::Done))
            .map(|attempt| attempt.id)
            .collect();
        let leaks = listed.into_iter().filter(|id| !live.contains(id)).collect();
        each("a finished attempt's container", leaks, |id| executor.remove(id)).await;
        Ok(())
    }

    /// Whoever asked was stopped in the middle.
    async fn sweep_questions(&self, now: Timestamp) -> anyhow::Result<()> {
        let before = now.saturating_sub(Question::LIFE)?;
        specs::forget_answers(&self.context.artifacts.specs(), before).await?;
        match self.context.ports.executor.forget_questions(now).await {
            Ok(()) | Err(ExecutorError::Unreachable { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn sweep_checkouts(&self) -> anyhow::Result<()> {
        let work = self.context.artifacts.all_work();
        let Ok(mut folders) = tokio::fs::read_dir(&work).await else { return Ok(()) };
        let mut found: Vec<RunId> = Vec::new();
        while let Some(folder) = folders.next_entry().await? {
            found.extend(folder.file_name().to_str().and_then(|name| name.parse::<RunId>().ok()));
        }
        let live: HashSet<RunId> = self.context.store.open_runs().await?.iter().map(|view| view.run.id).collect();
        let over = found.into_iter().filter(|run| !live.contains(run)).collect();
        each("a finished run's checkout", over, |run| remove_folder(self.context.artifacts.work(run))).await;
        Ok(())
    }
}

/// Takes each away.
async fn each<T, E, F>(what: &str, all: Vec<T>, take: impl Fn(T) -> F)
where
    T: Copy + Display,
    E: std::error::Error + 'static,
    F: Future<Output = Result<(), E>>,
{
    for one in all {
        tracing::info!(id = %one, "{what} is taken away");
        if let Err(error) = take(one).await {
            tracing::warn!(id = %one, error = chain(&error), "{what} stays; it is tried again");
        }
    }
}

/// "Already gone" is success.
async fn remove_folder(folder: PathBuf) -> io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn noted(what: &'static str, swept: anyhow::Result<()>) {
    if let Err(error) = swept {
        tracing::warn!(what, error = chain(error.as_ref()), "a sweep failed; it is tried again");
    }
}

#[async_trait]
impl Reconciler for Janitor {
    fn name(&self) -> &'static str {
        "janitor"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        let forgetting = self.forget.activate(now).await;
        let pause = self.next.map(|next| next.duration_since(now)).filter(SignedDuration::is_positive);
        if let Some(pause) = pause {
            return Ok(forgetting.again(pause));
        }
        self.sweep(now).await;
        self.next = now.saturating_add(PERIOD).ok();
        Ok(forgetting.again(PERIOD))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn one_that_stays_keeps_no_other_from_going() {
        let gone = RefCell::new(vec![]);
        let take = |one: u32| {
            gone.borrow_mut().push(one);
            std::future::ready(if one == 1 { Err(io::Error::other("removal is in progress")) } else { Ok(()) })
        };
        each("a number", vec![1, 2, 3], take).await;
        assert_eq!(gone.take(), [1, 2, 3]);
    }
}
