//! Sweeps what others left behind: clusters and containers without a living row, checkouts and deliveries past their time.
//! What lacks our instance's label is never listed and so never touched.

use std::collections::HashSet;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Activity, Context, Reconciler, chain};
use crate::artifacts::RUNS;
use crate::domain::attempt::AttemptState;
use crate::domain::flake::day_of;
use crate::domain::ids::{AttemptId, RunId};
use crate::ports::{ExecutorError, ProviderError};

/// Between two sweeps.
const PERIOD: SignedDuration = SignedDuration::from_secs(60);
/// Between two looks for files past their time.
const FILES: SignedDuration = SignedDuration::from_hours(1);
/// Rows forgotten in one sweep, so that it never holds the database for long.
const BATCH: u32 = 1000;

pub(super) struct Janitor {
    context: Context,
    next: Option<Timestamp>,
    next_files: Option<Timestamp>,
}

impl Janitor {
    pub(super) fn new(context: Context) -> Self {
        Self { context, next: None, next_files: None }
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

/// Files and statistics past their time.
impl Janitor {
    async fn forget_files(&self, now: Timestamp) -> anyhow::Result<()> {
        let before = now.saturating_sub(self.context.settings.keep_artifacts).unwrap_or(now);
        let live: HashSet<RunId> = self.context.store.open_runs().await?.iter().map(|view| view.run.id).collect();
        let is_old = |run: &RunId| !live.contains(run) && run.made_at().is_some_and(|made| made < before);
        for run in self.context.artifacts.runs().await?.into_iter().filter(is_old) {
            tokio::fs::remove_dir_all(self.context.artifacts.run(run)).await?;
        }
        let Some(store) = &self.context.ports.artifacts else { return Ok(()) };
        let kept = store.folders(RUNS).await?;
        for run in kept.iter().filter_map(|name| name.parse::<RunId>().ok()).filter(is_old) {
            store.forget(&format!("{RUNS}/{run}")).await?;
        }
        Ok(())
    }

    /// Now and then: an object store's list is long.
    async fn forget(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let keep = self.context.settings.keep_statistics;
        let day = day_of(now.saturating_sub(keep).unwrap_or(now));
        self.context.store.prune_statistics(day, BATCH).await?;
        if self.next_files.is_some_and(|next| next > now) {
            return Ok(());
        }
        self.next_files = now.saturating_add(FILES).ok();
        if let Err(error) = self.forget_files(now).await {
            tracing::warn!(error = chain(error.as_ref()), "old files were not all deleted; it is tried again");
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
        self.forget(now).await?;
        self.next = now.saturating_add(PERIOD).ok();
        Ok(Activity::default().again(PERIOD))
    }
}
