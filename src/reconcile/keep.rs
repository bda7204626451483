//! Moves the files of runs that are over to the object store, if there is one; logs go there in pieces as they arrive. Until then,
//! and without one, files lie in the data directory. If we stop anywhere in here, everything is kept once more, which changes nothing.

mod pieces;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use self::pieces::Pieces;
use super::{Activity, Context, Reconciler, chain};
use crate::domain::cluster::ClusterState;
use crate::domain::ids::RunId;
use crate::domain::plan::RunView;
use crate::domain::run::RunState;
use crate::ports::ArtifactStore;

/// Between two looks.
const PERIOD: SignedDuration = SignedDuration::from_secs(30);
/// Whoever follows a log to its end gets this long to reach it.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);
/// Runs moved in one look.
const BATCH: usize = 20;

pub(super) struct Keep {
    context: Context,
    pieces: Pieces,
    next: Option<Timestamp>,
}

impl Keep {
    pub(super) fn new(context: Context) -> Self {
        Self { pieces: Pieces::new(context.clone()), context, next: None }
    }

    /// Runs that have files in the data directory and are over.
    async fn over(&self, now: Timestamp) -> anyhow::Result<Vec<RunId>> {
        let mut over = Vec::new();
        for run in self.context.artifacts.runs().await? {
            if over.len() == BATCH {
                break;
            }
            let view = self.context.store.run_view(run).await?;
            if view.is_some_and(|view| is_over(&view, now)) {
                over.push(run);
            }
        }
        Ok(over)
    }

    async fn keep(&self, store: &Arc<dyn ArtifactStore>, run: RunId) -> anyhow::Result<()> {
        let folder = self.context.artifacts.run(run);
        let listing = folder.clone();
        let files = tokio::task::spawn_blocking(move || files_below(&listing)).await?;
        for path in &files {
            store.keep(&self.context.artifacts.key(path), path).await?;
        }
        // Their logs are there as a whole now.
        for log in files.iter().filter(|path| path.file_name().is_some_and(|name| name == "log.txt")) {
            store.forget(&self.context.artifacts.key(&log.with_file_name("log.pieces"))).await?;
        }
        tokio::fs::remove_dir_all(folder).await?;
        tracing::info!(run.id = %run, files = files.len(), "files moved to the object store");
        Ok(())
    }
}

/// Finished a while ago, and nothing of it is left that could still write.
fn is_over(view: &RunView, now: Timestamp) -> bool {
    let settled = view.run.finished_at.is_some_and(|at| now.duration_since(at) > SETTLED);
    let gone = view.clusters.iter().all(|cluster| cluster.state == ClusterState::Destroyed);
    view.run.state == RunState::Finished && settled && gone
}

/// Every plain file; links are none of ours. Blocking.
fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }
    files
}

#[async_trait]
impl Reconciler for Keep {
    fn name(&self) -> &'static str {
        "keep"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let Some(store) = self.context.ports.artifacts.clone() else { return Ok(Activity::default()) };
        let now = self.context.now();
        let sooner = self.pieces.send(&store, now).await?;
        if let Some(pause) = self.next.map(|next| next.duration_since(now)).filter(SignedDuration::is_positive) {
            return Ok(Activity::default().again(pause.min(sooner)));
        }
        for run in self.over(now).await? {
            if let Err(error) = self.keep(&store, run).await {
                tracing::warn!(run.id = %run, error = chain(error.as_ref()), "files were not moved; it is tried again");
            }
        }
        self.next = now.saturating_add(PERIOD).ok();
        Ok(Activity::default().again(PERIOD.min(sooner)))
    }
}
