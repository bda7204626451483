//! What is kept for a time and is past it: files of runs, their cases, deliveries, statistics. A little at once, so that nobody
//! who writes waits long, and again soon while there is more.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::super::{Activity, Context};
use super::{each, noted, remove_folder};
use crate::artifacts::RUNS;
use crate::domain::flake::day_of;
use crate::domain::ids::RunId;

/// Between two looks for rows when the last one found all there were.
const PERIOD: SignedDuration = SignedDuration::from_secs(60);
/// Between two batches. Webhooks that come in for long come in slower than so many go.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// Between two looks for files: an object store's list is long.
const FILES: SignedDuration = SignedDuration::from_hours(1);
/// Rows of one kind forgotten at once.
const BATCH: u32 = 1000;

pub(super) struct Forget {
    context: Context,
    next: Option<Timestamp>,
    next_files: Option<Timestamp>,
}

impl Forget {
    pub(super) fn new(context: Context) -> Self {
        Self { context, next: None, next_files: None }
    }

    pub(super) async fn activate(&mut self, now: Timestamp) -> Activity {
        if self.next_files.is_none_or(|next| next <= now) {
            self.next_files = now.saturating_add(FILES).ok();
            noted("files past their time", self.files(now).await);
        }
        if let Some(pause) = self.next.map(|next| next.duration_since(now)).filter(SignedDuration::is_positive) {
            return Activity::default().again(pause);
        }
        let pause = match self.rows(now).await {
            Ok(true) => PAUSE,
            Ok(false) => PERIOD,
            Err(error) => {
                noted("rows past their time", Err(error));
                PERIOD
            }
        };
        self.next = now.saturating_add(pause).ok();
        Activity::default().again(pause)
    }

    /// Whether there may be more.
    async fn rows(&self, now: Timestamp) -> anyhow::Result<bool> {
        let (store, settings) = (&self.context.store, &self.context.settings);
        let deliveries = store.prune_deliveries(ago(now, settings.keep_deliveries), BATCH).await?;
        let statistics = store.prune_statistics(day_of(ago(now, settings.keep_statistics)), BATCH).await?;
        let cases = store.prune_cases(ago(now, settings.keep_artifacts), BATCH).await?;
        Ok([deliveries, statistics, cases].iter().any(|gone| *gone >= BATCH.into()))
    }

    async fn files(&self, now: Timestamp) -> anyhow::Result<()> {
        let before = ago(now, self.context.settings.keep_artifacts);
        let live: HashSet<RunId> = self.context.store.open_runs().await?.iter().map(|view| view.run.id).collect();
        let is_old = |run: &RunId| !live.contains(run) && run.made_at().is_some_and(|made| made < before);
        let artifacts = &self.context.artifacts;
        let here = artifacts.runs().await?.into_iter().filter(is_old).collect();
        each("an old run's folder", here, |run| remove_folder(artifacts.run(run))).await;
        let Some(store) = &self.context.ports.artifacts else { return Ok(()) };
        let kept = store.folders(RUNS).await?;
        let old = kept.iter().filter_map(|name| name.parse::<RunId>().ok()).filter(is_old).collect();
        let take = |run| async move { store.forget(&format!("{RUNS}/{run}")).await };
        each("an old run's folder elsewhere", old, take).await;
        Ok(())
    }
}

fn ago(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.saturating_sub(time).unwrap_or(now)
}
