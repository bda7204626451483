//! Brings a ready cluster to the state a commit describes: applies its manifests and waits for the roll-out.
//! Applying is idempotent, so stopping anywhere costs only time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::SignedDuration;

use super::{Activity, Context, Reconciler, chain, diagnose};
use crate::adapters::archive::{self, Missing};
use crate::domain::cluster::{Cluster, Setup, SetupState, Stage};
use crate::domain::ids::ClusterId;
use crate::domain::names::Sha;
use crate::domain::plan::{RunView, Step, next_step};
use crate::domain::run::Run;
use crate::domain::text::human_duration;
use crate::ports::{Audience, ForgeError, KubernetesError, Manifest};

const PARALLEL: usize = 8;
/// How often a roll-out is looked at.
const ROLLING: SignedDuration = SignedDuration::from_millis(500);
/// After a failure that may pass.
const AGAIN: SignedDuration = SignedDuration::from_secs(2);

type Manifests = Arc<Vec<Manifest>>;

pub(super) struct Prepare {
    context: Context,
    /// Manifests of the stages under way; read from the checkout again after a restart.
    manifests: HashMap<(ClusterId, Stage), Manifests>,
}

impl Prepare {
    pub(super) fn new(context: Context) -> Self {
        Self { context, manifests: HashMap::new() }
    }
}

#[async_trait]
impl Reconciler for Prepare {
    fn name(&self) -> &'static str {
        "prepare"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        let wanted: Vec<(RunView, Stage)> = self
            .context
            .store
            .open_runs()
            .await?
            .into_iter()
            .filter_map(|view| match next_step(&view, now) {
                Step::Prepare(stage) => Some((view, stage)),
                _ => None,
            })
            .collect();
        let clusters: Vec<ClusterId> = wanted.iter().filter_map(|(view, _)| view.cluster().map(|c| c.id)).collect();
        self.manifests.retain(|(cluster, _), _| clusters.contains(cluster));
        let (context, known) = (&self.context, &self.manifests);
        let steps: Vec<_> = stream::iter(wanted)
            .map(|(view, stage)| async move {
                let cluster = view.cluster().expect("a stage is wanted on a ready cluster only");
                let key = (cluster.id, stage);
                (key, step(context, &view, cluster, stage, known.get(&key).cloned()).await)
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let mut activity = Activity::default();
        for (key, outcome) in steps {
            let (outcome, manifests) = outcome.unwrap_or_else(|error| {
                tracing::warn!(cluster.id = %key.0, error = chain(error.as_ref()), "set-up step failed; it is tried again");
                (Activity::default().again(AGAIN), None)
            });
            activity = activity.add(outcome);
            if let Some(manifests) = manifests {
                self.manifests.insert(key, manifests);
            }
        }
        Ok(activity)
    }
}

async fn step(
    context: &Context,
    view: &RunView,
    cluster: &Cluster,
    stage: Stage,
    known: Option<Manifests>,
) -> anyhow::Result<(Activity, Option<Manifests>)> {
    let Some(setup) = view.setup(stage) else {
        let begun = context.store.begin_setup(cluster.id, stage, context.now()).await?;
        return Ok((Activity::changed(usize::from(begun)), None));
    };
    let manifests = match known {
        Some(known) => known,
        None => match read_manifests(context, &view.run, stage).await? {
            Ok(manifests) => Arc::new(manifests),
            Err(why) => return Ok((fail(context, view, setup, &why).await?, None)),
        },
    };
    let outcome = carry_on(context, view, cluster, setup, &manifests).await?;
    Ok((outcome, Some(manifests)))
}

async fn carry_on(
    context: &Context,
    view: &RunView,
    cluster: &Cluster,
    setup: &Setup,
    manifests: &[Manifest],
) -> anyhow::Result<Activity> {
    let access = context.ports.provider.access(cluster.id, Audience::Service).await?;
    let access = access.context("the cluster is ready and has no credentials")?;
    let kubernetes = &context.ports.kubernetes;
    let waits_for = match setup.state {
        SetupState::Applying => match kubernetes.apply(&access, manifests).await {
            Ok(()) => return move_to(context, setup, SetupState::RollingOut, None).await,
            Err(error) => refusal(error)?,
        },
        SetupState::RollingOut => match kubernetes.not_rolled_out(&access, manifests).await {
            Ok(missing) if missing.is_empty() => return move_to(context, setup, SetupState::Done, None).await,
            Ok(mut missing) => Wait::For(missing.swap_remove(0)),
            Err(error) => refusal(error)?,
        },
        SetupState::Done | SetupState::Failed => return Ok(Activity::default()),
    };
    let limit = SignedDuration::from_secs(i64::try_from(view.run.gate.setup_timeout_s).unwrap_or(i64::MAX));
    match waits_for {
        Wait::Never(why) => fail(context, view, setup, &why).await,
        Wait::For(what) if context.now().duration_since(setup.started_at) > limit => {
            fail(context, view, setup, &format!("{what} (after {})", human_duration(limit.unsigned_abs()))).await
        }
        Wait::For(what) => {
            let news = context.store.explain_setup(setup, &what).await?;
            Ok(Activity::changed(usize::from(news)).again(ROLLING))
        }
    }
}

/// What a set-up waits for: something that may come, or something that never will.
enum Wait {
    For(String),
    Never(String),
}

fn refusal(error: KubernetesError) -> Result<Wait, KubernetesError> {
    match error {
        KubernetesError::Rejected(why) => Ok(Wait::Never(why)),
        error @ (KubernetesError::Unreachable(_) | KubernetesError::Failed { .. }) => Ok(Wait::For(chain(&error))),
    }
}

/// The stage's manifests, or why its commit can never give any.
async fn read_manifests(context: &Context, run: &Run, stage: Stage) -> anyhow::Result<Result<Vec<Manifest>, String>> {
    let sha = match stage {
        Stage::Base => &run.base,
        Stage::Head => &run.tested,
    };
    let archive = match fetch(context, run, sha).await {
        Ok(archive) => archive,
        Err(ForgeError::NotFound(why) | ForgeError::Rejected(why)) => return Ok(Err(why)),
        Err(error) => return Err(error.into()),
    };
    let paths: Vec<String> = run.gate.setup.iter().flat_map(|step| step.apply.clone()).collect();
    // What the base lacks is what the change brings; what the tested commit lacks is a mistake in the policy.
    let missing = match stage {
        Stage::Base => Missing::Skip,
        Stage::Head => Missing::Refuse,
    };
    let read = tokio::task::spawn_blocking(move || archive::manifests(&archive, &paths, missing)).await?;
    Ok(read.map_err(|error| chain(&error)))
}

/// The commit's files on disk, fetched unless they are there already.
pub(super) async fn fetch(context: &Context, run: &Run, sha: &Sha) -> Result<PathBuf, ForgeError> {
    let path = context.artifacts.archive(run.id, sha);
    if !tokio::fs::try_exists(&path).await.unwrap_or(false) {
        let folder = context.artifacts.work(run.id);
        tokio::fs::create_dir_all(folder).await.map_err(|error| ForgeError::Transient(error.into()))?;
        context.ports.forge.archive(&run.repo, sha, &path, context.settings.max_archive_bytes).await?;
    }
    Ok(path)
}

/// What the cluster looks like is kept before it goes; losing that (we stop right here) costs a diagnosis, no more.
async fn fail(context: &Context, view: &RunView, setup: &Setup, why: &str) -> anyhow::Result<Activity> {
    let into = context.artifacts.cluster_diagnostics(view.run.id, setup.cluster);
    diagnose::gather(context, view, setup.cluster, &format!("set-up of {:?} failed: {why}", setup.stage), into).await;
    move_to(context, setup, SetupState::Failed, Some(why)).await
}

async fn move_to(context: &Context, setup: &Setup, to: SetupState, message: Option<&str>) -> anyhow::Result<Activity> {
    let moved = context.store.move_setup(setup, to, message, context.now()).await?;
    if moved {
        let (from, stage) = (setup.state, setup.stage);
        tracing::info!(cluster.id = %setup.cluster, ?stage, state.from = ?from, state.to = ?to, message, "set-up");
    }
    Ok(Activity::changed(usize::from(moved)).again(ROLLING))
}
