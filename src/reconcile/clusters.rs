//! Cluster states, and nothing else, move here: created, found ready, found broken, taken away. The only one that destroys.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::{Activity, Context, Reconciler, chain, diagnose};
use crate::domain::cluster::{Cluster, ClusterState};
use crate::domain::ids::ClusterId;
use crate::domain::text::human_duration;
use crate::ports::{Audience, ClusterHealth, ClusterSpec, ProviderError};

/// Clusters that are worked on at once.
const PARALLEL: usize = 8;
/// How often a cluster on its way is looked at.
const CREATING: SignedDuration = SignedDuration::from_millis(250);
/// How often a ready cluster's machines are looked at.
const READY: SignedDuration = SignedDuration::from_secs(10);
/// Before a failed tear-down is tried again.
const DESTROY_AGAIN: SignedDuration = SignedDuration::from_secs(3);

pub(super) struct Clusters {
    context: Context,
    /// When each cluster is due; lost on a restart, which merely looks at once.
    due: HashMap<ClusterId, Timestamp>,
}

impl Clusters {
    pub(super) fn new(context: Context) -> Self {
        Self { context, due: HashMap::new() }
    }
}

#[async_trait]
impl Reconciler for Clusters {
    fn name(&self) -> &'static str {
        "clusters"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        let open = self.context.store.open_clusters().await?;
        self.due.retain(|id, _| open.iter().any(|cluster| cluster.id == *id));
        let (context, due) = (&self.context, &self.due);
        let waits = |cluster: &Cluster| !is_unwanted(cluster, now) && due.get(&cluster.id).is_some_and(|at| *at > now);
        let (waiting, ready): (Vec<_>, Vec<_>) = open.into_iter().partition(waits);
        let looked: Vec<_> = stream::iter(ready)
            .map(|cluster| async move { (cluster.id, step(context, &cluster, now).await) })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let mut activity = Activity::default();
        for (id, outcome) in looked {
            let outcome = outcome.unwrap_or_else(|error| {
                tracing::warn!(cluster.id = %id, error = chain(error.as_ref()), "cluster step failed; it is tried again");
                Activity::default().again(DESTROY_AGAIN)
            });
            if let Some(pause) = outcome.again_in {
                self.due.insert(id, now.saturating_add(pause).unwrap_or(now));
            } else {
                self.due.remove(&id);
            }
            activity = activity.add(outcome);
        }
        for cluster in waiting {
            let pause = self.due.get(&cluster.id).map_or(CREATING, |at| at.duration_since(now));
            activity = activity.again(pause.max(SignedDuration::ZERO));
        }
        Ok(activity)
    }
}

/// Nobody needs it any more, or its lease is over: taken away without waiting for its turn.
fn is_unwanted(cluster: &Cluster, now: Timestamp) -> bool {
    let ending = matches!(cluster.state, ClusterState::Destroying | ClusterState::Destroyed);
    !ending
        && (cluster.released_at.is_some()
            || cluster.held_until.is_some_and(|until| until <= now)
            || cluster.expires_at <= now)
}

async fn step(context: &Context, cluster: &Cluster, now: Timestamp) -> anyhow::Result<Activity> {
    if is_unwanted(cluster, now) {
        return move_to(context, cluster, ClusterState::Destroying, cluster.message.as_deref()).await;
    }
    match cluster.state {
        // If we stop after this, resources may exist without our having seen it: `Creating` says so.
        ClusterState::Requested => move_to(context, cluster, ClusterState::Creating, None).await,
        ClusterState::Creating => create(context, cluster, now).await,
        ClusterState::Ready => watch(context, cluster).await,
        ClusterState::Failing => Ok(Activity::default()),
        ClusterState::Destroying => destroy(context, cluster).await,
        ClusterState::Destroyed => Ok(Activity::default()),
    }
}

async fn create(context: &Context, cluster: &Cluster, now: Timestamp) -> anyhow::Result<Activity> {
    let missing = match missing(context, cluster).await {
        Ok(missing) => missing,
        Err(ProviderError::Refused(why)) => return fail(context, cluster, &why).await,
        Err(error @ (ProviderError::Unreachable { .. } | ProviderError::Failed { .. })) => vec![chain(&error)],
    };
    let limit = SignedDuration::from_secs(i64::try_from(cluster.plan.ready_timeout_s).unwrap_or(i64::MAX));
    match missing.first() {
        None => move_to(context, cluster, ClusterState::Ready, None).await,
        Some(first) if now.duration_since(cluster.created_at) > limit => {
            let waited = human_duration(limit.unsigned_abs());
            fail(context, cluster, &format!("not ready after {waited}: {first}")).await
        }
        Some(first) => explain(context, cluster, first).await,
    }
}

/// What keeps the cluster from being ready, one line each.
async fn missing(context: &Context, cluster: &Cluster) -> Result<Vec<String>, ProviderError> {
    let provider = &context.ports.provider;
    let spec =
        ClusterSpec { id: cluster.id, run: cluster.run, plan: cluster.plan.clone(), expires_at: cluster.expires_at };
    provider.ensure(&spec).await?;
    if let ClusterHealth::Down(why) = provider.observe(cluster.id).await? {
        return Err(ProviderError::Refused(why));
    }
    let Some(access) = provider.access(cluster.id, Audience::Service).await? else {
        return Ok(vec!["the API server has not started yet".into()]);
    };
    let not_ready = context.ports.kubernetes.not_ready(&access, cluster.plan.nodes).await;
    Ok(not_ready.unwrap_or_else(|error| vec![chain(&error)]))
}

async fn watch(context: &Context, cluster: &Cluster) -> anyhow::Result<Activity> {
    match context.ports.provider.observe(cluster.id).await {
        Ok(ClusterHealth::Up) => Ok(Activity::default().again(READY)),
        Ok(ClusterHealth::Down(why)) => fail(context, cluster, &why).await,
        Err(error) => {
            tracing::warn!(cluster.id = %cluster.id, error = chain(&error), "could not look at the cluster");
            Ok(Activity::default().again(READY))
        }
    }
}

async fn destroy(context: &Context, cluster: &Cluster) -> anyhow::Result<Activity> {
    match context.ports.provider.destroy(cluster.id).await {
        Ok(()) => {
            let moved = move_to(context, cluster, ClusterState::Destroyed, cluster.message.as_deref()).await?;
            let others = context.store.open_clusters().await?;
            if others.iter().all(|other| other.run != cluster.run) {
                context.vault.forget(cluster.run);
            }
            Ok(moved)
        }
        Err(error) => {
            tracing::warn!(cluster.id = %cluster.id, error = chain(&error), "tear-down failed; it is tried again");
            Ok(Activity::default().again(DESTROY_AGAIN))
        }
    }
}

/// What it looks like is kept before anything is taken away; losing that (we stop right here) costs a diagnosis, no more.
async fn fail(context: &Context, cluster: &Cluster, why: &str) -> anyhow::Result<Activity> {
    let view = context.store.run_view(cluster.run).await?;
    let mask = match &view {
        Some(view) => context.vault.of_run(&*context.ports.executor, view).await.ok(),
        None => Some(Arc::default()),
    };
    if let (Some(mask), Ok(log)) = (mask, context.ports.provider.diagnose(cluster.id).await) {
        let log = mask.text(log);
        let path = context.artifacts.cluster_log(cluster.run, cluster.id);
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        tokio::fs::write(path, log).await?;
    }
    if let Some(view) = view {
        let into = context.artifacts.cluster_diagnostics(cluster.run, cluster.id);
        diagnose::gather(context, &view, cluster.id, &format!("the cluster is given up: {why}"), into).await;
    }
    move_to(context, cluster, ClusterState::Failing, Some(why)).await
}

async fn explain(context: &Context, cluster: &Cluster, why: &str) -> anyhow::Result<Activity> {
    let news = context.store.explain_cluster(cluster.id, why).await?;
    Ok(Activity::changed(usize::from(news)).again(CREATING))
}

async fn move_to(
    context: &Context,
    cluster: &Cluster,
    to: ClusterState,
    message: Option<&str>,
) -> anyhow::Result<Activity> {
    let moved = context.store.move_cluster(cluster, to, message, context.now()).await?;
    if moved {
        let (from, to) = (cluster.state, to);
        tracing::info!(cluster.id = %cluster.id, run.id = %cluster.run, state.from = ?from, state.to = ?to, message, "cluster");
    }
    Ok(Activity::changed(usize::from(moved)))
}
