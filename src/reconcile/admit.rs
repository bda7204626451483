//! Queued runs become active within capacity, oldest first; a broken cluster is replaced. Requests clusters, makes none.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Activity, Context, Reconciler, chain};
use crate::domain::cluster::{Cluster, ClusterState};
use crate::domain::ids::ClusterId;
use crate::domain::names::RepoName;
use crate::domain::plan::{RunView, Step, next_step};
use crate::domain::run::{Run, RunState};

/// What the budget of broken clusters is counted over.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

pub(super) struct Admit {
    context: Context,
}

impl Admit {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    /// Why a run must wait for its turn, if it must.
    fn full(&self, view: &RunView, step: &Step, open: &[Cluster], active: &[RepoName]) -> Option<&'static str> {
        let others = open.iter().filter(|cluster| cluster.run != view.run.id).count();
        let of_repo = active.iter().filter(|repo| **repo == view.run.repo).count();
        match step {
            _ if others >= self.context.settings.capacity => Some("waiting for a free cluster"),
            Step::Admit if of_repo >= self.context.settings.runs_per_repo => {
                Some("waiting for another run of this repository to end")
            }
            _ => None,
        }
    }

    /// A provider that keeps failing is given time to recover: no more than so many clusters of a repository break within an hour.
    async fn resting(&self, repo: &RepoName, now: Timestamp) -> anyhow::Result<Option<String>> {
        let since = now.saturating_sub(HOUR).unwrap_or(now);
        let broken = self.context.store.broken_since(repo, since).await?;
        let budget = self.context.settings.broken_per_hour;
        // One may be tried as soon as the oldest of a full budget is an hour old.
        let Some(oldest) = broken.len().checked_sub(budget).and_then(|over| broken.get(over)) else { return Ok(None) };
        let next = oldest.saturating_add(HOUR).unwrap_or(now).strftime("%H:%M UTC");
        Ok(Some(format!(
            "waiting: {} clusters of this repository broke within the hour; the next at {next}",
            broken.len()
        )))
    }

    /// A run that would start and cannot says why.
    async fn wait(&self, view: &RunView, reason: &str) -> anyhow::Result<usize> {
        Ok(usize::from(self.context.store.explain_run(view.run.id, reason).await?))
    }

    fn request(&self, run: &Run, now: Timestamp) -> Cluster {
        Cluster {
            id: ClusterId::new(now),
            run: run.id,
            plan: run.gate.cluster.clone(),
            state: ClusterState::Requested,
            generation: 0,
            message: None,
            released_at: None,
            held_until: None,
            expires_at: now.saturating_add(self.context.settings.lease).unwrap_or(now),
            created_at: now,
            ready_at: None,
            destroyed_at: None,
        }
    }

    async fn advance(&self, view: &RunView, step: Step, now: Timestamp) -> anyhow::Result<usize> {
        let (store, cluster) = (&self.context.store, self.request(&view.run, now));
        match step {
            Step::Admit => {
                let admitted = store.admit(&view.run, &cluster, now).await?;
                tracing::info!(run.id = %view.run.id, cluster.id = %cluster.id, admitted, "a place and a cluster");
            }
            Step::ReplaceCluster => {
                let replaced = store.replace_cluster(&view.run, &cluster, now).await?;
                tracing::info!(run.id = %view.run.id, cluster.id = %cluster.id, replaced, "a fresh cluster");
            }
            other => unreachable!("admit was given {other:?}"),
        }
        Ok(1)
    }
}

#[async_trait]
impl Reconciler for Admit {
    fn name(&self) -> &'static str {
        "admit"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        let views = self.context.store.open_runs().await?;
        let is_active = |view: &&RunView| view.run.state == RunState::Active;
        let mut active: Vec<RepoName> = views.iter().filter(is_active).map(|view| view.run.repo.clone()).collect();
        let mut wanting: Vec<(RunView, Step)> = views
            .into_iter()
            .map(|view| (next_step(&view, now), view))
            .filter(|(step, _)| matches!(step, Step::Admit | Step::ReplaceCluster))
            .map(|(step, view)| (view, step))
            .collect();
        if wanting.is_empty() {
            return Ok(Activity::default());
        }
        // A run that already holds a place goes before one that waits for its first.
        let first = |view: &RunView| self.context.settings.overrides.goes_first(&view.run.repo);
        wanting.sort_by_key(|(view, step)| (*step == Step::Admit, view.run.trigger.rank(), !first(view), view.run.id));
        let mut activity = Activity::default().again(SignedDuration::from_secs(5));
        if let Err(error) = self.context.ports.provider.check().await {
            // Statuses are public: the error's causes name what only an operator may know.
            let reason = format!("waiting: {error}");
            for (view, _) in &wanting {
                activity.changed += self.wait(view, &reason).await?;
            }
            if activity.changed > 0 {
                tracing::warn!(error = chain(&error), runs = activity.changed, "runs wait: no cluster can be made");
            }
            return Ok(activity);
        }
        let mut open = self.context.store.open_clusters().await?;
        for (view, step) in wanting {
            if let Some(reason) = self.full(&view, &step, &open, &active) {
                activity.changed += self.wait(&view, reason).await?;
                continue;
            }
            if let Some(reason) = self.resting(&view.run.repo, now).await? {
                activity.changed += self.wait(&view, &reason).await?;
                continue;
            }
            activity.changed += self.advance(&view, step, now).await?;
            open.push(self.request(&view.run, now));
            active.push(view.run.repo.clone());
        }
        Ok(activity)
    }
}
