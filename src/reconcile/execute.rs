//! Attempts move here, and only here: created, started, watched, stopped, collected.
//! A container is asked for while its attempt is `waiting`; asking again finds it by its label, so none starts twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::SignedDuration;

use super::prepare::fetch;
use super::{Activity, Context, Reconciler, chain};
use crate::domain::attempt::{Attempt, AttemptState, StopReason};
use crate::domain::ids::{AttemptId, ClusterId};
use crate::domain::names::SuiteName;
use crate::domain::plan::{RunView, Step, next_step};
use crate::domain::progress::Progress;
use crate::domain::report::{Report, Weight};
use crate::domain::skip;
use crate::domain::suite::Suite;
use crate::domain::verdict::{Evidence, Exit};
use crate::ports::{Audience, ContainerState, Execution, ExecutorError, Observation, Stop};
use crate::reports;

const PARALLEL: usize = 8;
/// How often a running container is looked at.
const WATCH: SignedDuration = SignedDuration::from_millis(300);
/// After a failure that may pass.
const AGAIN: SignedDuration = SignedDuration::from_secs(2);

pub(super) struct Execute {
    context: Context,
    /// Attempts whose container was interrupted by this process; a second interrupt would cut its clean-up short.
    interrupted: HashSet<AttemptId>,
    versions: HashMap<ClusterId, String>,
}

impl Execute {
    pub(super) fn new(context: Context) -> Self {
        Self { context, interrupted: HashSet::new(), versions: HashMap::new() }
    }

    /// The versions of the clusters on which something is about to start: image names depend on them.
    async fn learn_versions(&mut self, wanted: &[(RunView, Step)]) {
        for (view, _) in wanted {
            let Some(cluster) = view.cluster().filter(|cluster| !self.versions.contains_key(&cluster.id)) else {
                continue;
            };
            match version(&self.context, cluster.id).await {
                Ok(version) => drop(self.versions.insert(cluster.id, version)),
                Err(error) => tracing::warn!(cluster.id = %cluster.id, error = chain(error.as_ref()), "no version yet"),
            }
        }
    }
}

#[async_trait]
impl Reconciler for Execute {
    fn name(&self) -> &'static str {
        "execute"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        let mine = |step: &Step| matches!(step, Step::CreateAttempt { .. } | Step::Execute(_) | Step::Stop(..));
        let views = self.context.store.open_runs().await?.into_iter();
        let wanted: Vec<(RunView, Step)> = views
            .map(|view| (next_step(&view, now), view))
            .filter(|(step, _)| mine(step))
            .map(|(s, v)| (v, s))
            .collect();
        self.learn_versions(&wanted).await;
        let (context, interrupted, versions) = (&self.context, &self.interrupted, &self.versions);
        let steps: Vec<_> = stream::iter(wanted)
            .map(|(view, step)| async move { (view.run.id, act(context, &view, &step, interrupted, versions).await) })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let mut activity = Activity::default();
        for (run, outcome) in steps {
            match outcome {
                Ok(Outcome { activity: one, interrupted }) => {
                    activity = activity.add(one);
                    self.interrupted.extend(interrupted);
                }
                Err(error) => {
                    tracing::warn!(run.id = %run, error = chain(error.as_ref()), "attempt step failed; it is tried again");
                    activity = activity.again(AGAIN);
                }
            }
        }
        Ok(activity)
    }
}

struct Outcome {
    activity: Activity,
    interrupted: Option<AttemptId>,
}

impl From<Activity> for Outcome {
    fn from(activity: Activity) -> Self {
        Self { activity, interrupted: None }
    }
}

async fn act(
    context: &Context,
    view: &RunView,
    step: &Step,
    interrupted: &HashSet<AttemptId>,
    versions: &HashMap<ClusterId, String>,
) -> anyhow::Result<Outcome> {
    match step {
        Step::CreateAttempt { suite, number } => create(context, view, suite, *number).await.map(Outcome::from),
        Step::Stop(id, reason) => {
            let attempt = find(view, *id)?;
            let noted = context.store.stop_attempt(attempt, *reason, context.now()).await?;
            tracing::info!(run.id = %view.run.id, suite = %attempt.suite, attempt.n = attempt.number, ?reason, "stopping");
            Ok(Activity::changed(usize::from(noted)).into())
        }
        Step::Execute(id) => {
            let attempt = find(view, *id)?;
            match attempt.state {
                AttemptState::Waiting => start(context, view, attempt, versions).await.map(Outcome::from),
                AttemptState::Running => watch(context, view, attempt, interrupted).await,
                AttemptState::Collecting => collect(context, view, attempt).await.map(Outcome::from),
                AttemptState::Done => Ok(Activity::default().into()),
            }
        }
        _ => Ok(Activity::default().into()),
    }
}

fn find(view: &RunView, id: AttemptId) -> anyhow::Result<&Attempt> {
    view.attempts.iter().find(|attempt| attempt.id == id).context("a step names an attempt of its own run")
}

fn suite_of<'a>(view: &'a RunView, attempt: &Attempt) -> anyhow::Result<&'a Suite> {
    view.run.gate.suites.get(&attempt.suite).context("an attempt's suite is one of its run's")
}

async fn create(context: &Context, view: &RunView, suite: &SuiteName, number: u32) -> anyhow::Result<Activity> {
    let now = context.now();
    let cluster = view.cluster().context("an attempt is wanted on a ready cluster only")?;
    let attempt = Attempt {
        id: AttemptId::new(now),
        run: view.run.id,
        cluster: cluster.id,
        suite: suite.clone(),
        number,
        state: AttemptState::Waiting,
        generation: 0,
        progress: Progress::default(),
        stop: None,
        stop_at: None,
        evidence: None,
        created_at: now,
        started_at: None,
        finished_at: None,
    };
    let created = context.store.create_attempt(&attempt).await?;
    Ok(Activity::changed(usize::from(created)))
}

/// If we stop between the container's start and the row's, the next process finds the container by its label.
async fn start(
    context: &Context,
    view: &RunView,
    attempt: &Attempt,
    versions: &HashMap<ClusterId, String>,
) -> anyhow::Result<Activity> {
    if let Some(reason) = attempt.stop {
        context.ports.executor.remove(attempt.id).await?;
        return finish(context, attempt, without_report(Exit::Stopped(reason))).await;
    }
    let Some(version) = versions.get(&attempt.cluster) else { return Ok(Activity::default().again(AGAIN)) };
    let execution = execution(context, view, attempt, version).await?;
    match context.ports.executor.ensure_started(&execution).await {
        Ok(()) => move_to(context, attempt, AttemptState::Running).await,
        Err(ExecutorError::Refused(why)) => finish(context, attempt, without_report(Exit::NotStarted(why))).await,
        Err(error @ (ExecutorError::Unreachable { .. } | ExecutorError::Failed { .. })) => Err(error.into()),
    }
}

async fn execution(context: &Context, view: &RunView, attempt: &Attempt, version: &str) -> anyhow::Result<Execution> {
    let suite = suite_of(view, attempt)?;
    let access = context.ports.provider.access(attempt.cluster, Audience::Suite).await?;
    let today = context.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    Ok(Execution {
        attempt: attempt.id,
        run: attempt.run,
        cluster: attempt.cluster,
        name: attempt.suite.clone(),
        suite: suite.clone(),
        image: suite.image.replace("{version}", version),
        skips: skip::patterns(&view.run.gate.skips, &attempt.suite, today),
        access: access.context("the cluster is ready and has no credentials")?,
        env: BTreeMap::new(),
        workspace: Some(fetch(context, &view.run, &view.run.tested).await?),
    })
}

async fn watch(
    context: &Context,
    view: &RunView,
    attempt: &Attempt,
    interrupted: &HashSet<AttemptId>,
) -> anyhow::Result<Outcome> {
    let suite = suite_of(view, attempt)?;
    let log = context.artifacts.log(attempt.run, attempt.id);
    context.ports.executor.follow(attempt.id, &log, suite.limits.log_bytes);
    let seen = context.ports.executor.observe(attempt.id).await?;
    if seen.progress != attempt.progress {
        context.store.note_progress(attempt.id, &seen.progress).await?;
    }
    let news = usize::from(seen.progress != attempt.progress);
    match seen.state {
        ContainerState::Exited { .. } => Ok(move_to(context, attempt, AttemptState::Collecting).await?.into()),
        ContainerState::Lost => {
            let exit = attempt.stop.map_or(Exit::Lost, Exit::Stopped);
            Ok(finish(context, attempt, without_report(exit)).await?.into())
        }
        ContainerState::Running => {
            let mut outcome = end_if_due(context, suite, attempt, &seen, interrupted).await?;
            outcome.activity.changed += news;
            outcome.activity = outcome.activity.again(WATCH);
            Ok(outcome)
        }
    }
}

/// A container that must end is interrupted once and killed after its grace; one that overstepped is told to end.
async fn end_if_due(
    context: &Context,
    suite: &Suite,
    attempt: &Attempt,
    seen: &Observation,
    interrupted: &HashSet<AttemptId>,
) -> anyhow::Result<Outcome> {
    let now = context.now();
    if let Some(since) = attempt.stop.and(attempt.stop_at) {
        let grace = SignedDuration::from_secs(i64::try_from(suite.timeouts.stop_grace_s).unwrap_or(i64::MAX));
        if now.duration_since(since) > grace {
            context.ports.executor.stop(attempt.id, Stop::Kill).await?;
        } else if !interrupted.contains(&attempt.id) {
            context.ports.executor.stop(attempt.id, Stop::Interrupt).await?;
            return Ok(Outcome { activity: Activity::default(), interrupted: Some(attempt.id) });
        }
        return Ok(Activity::default().into());
    }
    let silent = seen.silent_for > Duration::from_secs(suite.timeouts.no_output_s);
    let full = seen.disk_bytes.is_some_and(|bytes| bytes > suite.limits.disk_bytes);
    let reason = match (full, silent) {
        (true, _) => StopReason::DiskFull,
        (false, true) => StopReason::Stalled,
        (false, false) => return Ok(Activity::default().into()),
    };
    let noted = context.store.stop_attempt(attempt, reason, now).await?;
    Ok(Activity::changed(usize::from(noted)).into())
}

/// If we stop anywhere in here, the container is still there and everything is copied again.
async fn collect(context: &Context, view: &RunView, attempt: &Attempt) -> anyhow::Result<Activity> {
    let suite = suite_of(view, attempt)?;
    let executor = &context.ports.executor;
    let log = context.artifacts.log(attempt.run, attempt.id);
    executor.follow(attempt.id, &log, suite.limits.log_bytes);
    let seen = executor.observe(attempt.id).await?;
    let exit = match (attempt.stop, seen.state) {
        (Some(reason), _) => Exit::Stopped(reason),
        (None, ContainerState::Exited { oom_killed: true, .. }) => Exit::OutOfMemory,
        (None, ContainerState::Exited { code, .. }) => Exit::Code(code),
        (None, ContainerState::Lost) => Exit::Lost,
        (None, ContainerState::Running) => return Ok(Activity::default().again(WATCH)),
    };
    let results = context.artifacts.results(attempt.run, attempt.id);
    let limit = suite.limits.disk_bytes.min(context.settings.max_results_bytes);
    let cut = executor.collect(attempt.id, &results, limit).await?;
    let progress = executor.observe(attempt.id).await?.progress;
    context.store.note_progress(attempt.id, &progress).await?;
    let junit = context.artifacts.junit(attempt.run, attempt.id);
    let name = attempt.suite.to_string();
    let report = tokio::task::spawn_blocking(move || read_reports(&results, &junit, &name, cut)).await??;
    let took = attempt.started_at.map(|start| context.now().duration_since(start).unsigned_abs());
    let evidence = Evidence {
        exit,
        digest: report.digest(),
        announced: Some(progress.total).filter(|total| *total > 0),
        took_ms: took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    };
    let moved = context.store.finish_attempt(attempt, &evidence, &report.cases, context.now()).await?;
    executor.remove(attempt.id).await?;
    Ok(Activity::changed(usize::from(moved)))
}

/// Reads whatever the suite wrote and leaves one merged JUnit beside it. Blocking.
fn read_reports(results: &Path, junit: &Path, suite: &str, cut: Vec<String>) -> std::io::Result<Report> {
    let mut report = reports::read_paths(&[results.to_owned()], &reports::Limits::default());
    cut.into_iter().for_each(|what| report.doubt(Weight::Doubt, what));
    let file = std::fs::File::create(junit)?;
    reports::write_merged(&report, suite, std::io::BufWriter::new(file))?;
    Ok(report)
}

fn without_report(exit: Exit) -> Evidence {
    Evidence { exit, ..Evidence::default() }
}

async fn finish(context: &Context, attempt: &Attempt, evidence: Evidence) -> anyhow::Result<Activity> {
    let moved = context.store.finish_attempt(attempt, &evidence, &[], context.now()).await?;
    Ok(Activity::changed(usize::from(moved)))
}

async fn move_to(context: &Context, attempt: &Attempt, to: AttemptState) -> anyhow::Result<Activity> {
    let moved = context.store.move_attempt(attempt, to, context.now()).await?;
    if moved {
        let (run, suite, n) = (attempt.run, &attempt.suite, attempt.number);
        tracing::info!(run.id = %run, %suite, attempt.n = n, state.from = ?attempt.state, state.to = ?to, "attempt");
    }
    Ok(Activity::changed(usize::from(moved)))
}

async fn version(context: &Context, cluster: ClusterId) -> anyhow::Result<String> {
    let access = context.ports.provider.access(cluster, Audience::Service).await?;
    let access = access.context("the cluster has no credentials")?;
    Ok(context.ports.kubernetes.version(&access).await?)
}
