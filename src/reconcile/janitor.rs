//! Sweeps what others left behind: clusters and containers without a living row, checkouts and deliveries past their time.
//! What lacks our instance's label is never listed and so never touched.

use std::collections::HashSet;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Activity, Context, Reconciler, chain};
use crate::domain::attempt::AttemptState;
use crate::domain::ids::{AttemptId, RunId};
use crate::ports::{ExecutorError, ProviderError};

/// Between two sweeps.
const PERIOD: SignedDuration = SignedDuration::from_secs(60);
/// Rows forgotten in one sweep, so that it never holds the database for long.
const BATCH: u32 = 1000;

pub(super) struct Janitor {
    context: Context,
    next: Option<Timestamp>,
}

impl Janitor {
    pub(super) fn new(context: Context) -> Self {
        Self { context, next: None }
    }

    /// Listed first and compared with rows read after: a row is older than what it stands for.
    async fn sweep_clusters(&self) -> anyhow::Result<()> {
        let listed = match self.context.ports.provider.list().await {
            Ok(listed) => listed,
            Err(error @ ProviderError::Unreachable { .. }) => {
                tracing::debug!(error = chain(&error), "no sweep: nothing can be listed");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let open: HashSet<_> =
            self.context.store.open_clusters().await?.into_iter().map(|cluster| cluster.id).collect();
        for leak in listed.into_iter().filter(|id| !open.contains(id)) {
            tracing::warn!(cluster.id = %leak, "a cluster without a row is taken away");
            self.context.ports.provider.destroy(leak).await?;
        }
        Ok(())
    }

    async fn sweep_containers(&self) -> anyhow::Result<()> {
        let listed = match self.context.ports.executor.list().await {
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
        for leak in listed.into_iter().filter(|id| !live.contains(id)) {
            tracing::info!(attempt.id = %leak, "a finished attempt's container is taken away");
            self.context.ports.executor.remove(leak).await?;
        }
        Ok(())
    }

    async fn sweep_checkouts(&self) -> anyhow::Result<()> {
        let Ok(mut folders) = tokio::fs::read_dir(self.context.artifacts.all_work()).await else { return Ok(()) };
        let live: HashSet<RunId> = self.context.store.open_runs().await?.iter().map(|view| view.run.id).collect();
        while let Some(folder) = folders.next_entry().await? {
            let run = folder.file_name().to_str().and_then(|name| name.parse::<RunId>().ok());
            if run.is_some_and(|run| !live.contains(&run)) {
                tokio::fs::remove_dir_all(folder.path()).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Reconciler for Janitor {
    fn name(&self) -> &'static str {
        "janitor"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        if let Some(pause) = self.next.map(|next| next.duration_since(now)).filter(SignedDuration::is_positive) {
            return Ok(Activity::default().again(pause));
        }
        let orphans = self.context.store.release_orphans(now).await?;
        if orphans > 0 {
            tracing::info!(orphans, "clusters of finished runs are let go");
        }
        self.sweep_clusters().await?;
        self.sweep_containers().await?;
        self.sweep_checkouts().await?;
        let before = now.saturating_sub(self.context.settings.keep_deliveries).unwrap_or(now);
        self.context.store.prune_deliveries(before, BATCH).await?;
        self.next = now.saturating_add(PERIOD).ok();
        Ok(Activity::default().again(PERIOD))
    }
}
