//! `portcullis suites probe`: runs only the specs that a skip list takes out of a suite, on a cluster of somebody's or on a throwaway
//! one, and says which entries are no longer needed. Changes no file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, tz::TimeZone};
use tokio::signal::unix::{SignalKind, signal};

use super::engine::{self, Engine};
use super::{check, out};
use crate::adapters::docker::Docker;
use crate::adapters::kube::KubeApi;
use crate::domain::attempt::{Part, Spec};
use crate::domain::case::CaseOutcome;
use crate::domain::cluster::ClusterPlan;
use crate::domain::gate::Gate;
use crate::domain::ids::{AttemptId, ClusterId, RunId};
use crate::domain::invocation;
use crate::domain::names::SuiteName;
use crate::domain::skip::{Action, Circumstances, Matcher, SkipEntry};
use crate::domain::suite::Suite;
use crate::domain::text::counted;
use crate::ports::{
    Audience, ClusterAccess, ClusterProvider, ClusterSpec, ContainerState, Execution, Kubernetes as _, SuiteExecutor,
};
use crate::reconcile::specs::{self, Unlisted};
use crate::reports;

/// How often something that takes minutes is looked at.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The suite, by its name in the gate.
    suite: String,
    /// A gate file, or the folder of a repository.
    #[arg(long, value_name = "FILE|DIR", default_value = ".")]
    gate: PathBuf,
    /// The server's configuration, for its Docker engine and data folder.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A cluster to run on, as containers of this engine reach it. Without it a throwaway cluster is made as the gate describes it.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The Docker network on which that cluster answers.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    network: Option<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let today = engine::now().to_zoned(TimeZone::UTC).date();
    let loaded = check::load(&args.gate, today).and_then(|(_, gate)| Ok((gate, Engine::open(args.config.as_deref())?)));
    let (gate, engine) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => return super::refuse(&problems),
    };
    match engine::block_on(probe(args, &gate, &engine)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::problem(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn probe(args: &Args, gate: &Gate, engine: &Engine) -> anyhow::Result<()> {
    let named = gate.suites.iter().find(|(name, _)| name.as_str() == args.suite);
    let (name, suite) = named.with_context(|| format!("the gate has no suite {}", args.suite))?;
    if !suite.secrets.is_empty() {
        bail!("the suite {name} has secrets, which only the service gives out");
    }
    let probed = tokio::select! {
        probed = on_a_cluster(args, gate, name, suite, engine) => probed,
        () = told_to_end()? => Err(anyhow::anyhow!("interrupted")),
    };
    // What stayed is tried once more, and what an interrupted call made after it was looked for is found.
    let _ = take_away(&engine.docker).await;
    let left = take_away(&engine.docker).await;
    engine.docker.close().await;
    probed.and(left)
}

/// SIGINT, or SIGTERM.
fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Whatever was made under this process's name, however the rest ended.
async fn take_away(docker: &Docker) -> anyhow::Result<()> {
    let attempts = each(SuiteExecutor::list(docker).await, async |attempt| docker.remove(attempt).await).await;
    let destroy = async |cluster| {
        out::line("taking the cluster away");
        docker.destroy(cluster).await
    };
    let clusters = each(ClusterProvider::list(docker).await, destroy).await;
    attempts.and(clusters.context("taking the cluster away"))
}

/// Takes away every one of those listed and gives the first error: one that stays keeps no other from going.
async fn each<T, E>(listed: Result<Vec<T>, E>, take: impl AsyncFn(T) -> Result<(), E>) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut all = Ok(());
    for one in listed? {
        all = all.and(take(one).await);
    }
    Ok(all?)
}

async fn on_a_cluster(
    args: &Args,
    gate: &Gate,
    name: &SuiteName,
    suite: &Suite,
    engine: &Engine,
) -> anyhow::Result<()> {
    let access = match &args.kubeconfig {
        Some(file) => given(file, args.network.clone())?,
        None => throwaway(&engine.docker, &gate.cluster).await?,
    };
    on_cluster(gate, name, suite, engine, access).await
}

fn given(file: &Path, network: Option<String>) -> anyhow::Result<ClusterAccess> {
    let kubeconfig = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(ClusterAccess { kubeconfig, network })
}

async fn throwaway(docker: &Docker, plan: &ClusterPlan) -> anyhow::Result<ClusterAccess> {
    let now = engine::now();
    let expires_at = now.saturating_add(SignedDuration::from_hours(6)).unwrap_or(now);
    let spec = ClusterSpec { id: ClusterId::new(now), run: RunId::new(now), plan: plan.clone(), expires_at };
    out::line("making a cluster");
    let made = tokio::time::timeout(Duration::from_secs(plan.ready_timeout_s), ready(docker, &spec)).await;
    made.context("the cluster did not become ready in time")?
}

async fn ready(docker: &Docker, spec: &ClusterSpec) -> anyhow::Result<ClusterAccess> {
    let mut look = tokio::time::interval(LOOK);
    let kube = KubeApi::default();
    loop {
        look.tick().await;
        docker.ensure(spec).await?;
        let Some(service) = docker.access(spec.id, Audience::Service).await? else { continue };
        if kube.not_ready(&service, spec.plan.nodes).await.is_ok_and(|missing| missing.is_empty()) {
            return docker.access(spec.id, Audience::Suite).await?.context("the cluster has no credentials");
        }
    }
}

async fn on_cluster(
    gate: &Gate,
    name: &SuiteName,
    suite: &Suite,
    engine: &Engine,
    access: ClusterAccess,
) -> anyhow::Result<()> {
    let (docker, now) = (&*engine.docker, engine::now());
    let version = docker.version_of(&gate.cluster);
    let here = Circumstances {
        today: now.to_zoned(TimeZone::UTC).date(),
        kubernetes: version.as_deref(),
        provider: docker.name(),
    };
    let listed = specs::of_suite(docker, &engine.artifacts.specs(), suite, version.as_deref(), now).await;
    let listed = listed.map_err(|unlisted| match unlisted {
        Unlisted::Never(why) => anyhow::anyhow!("the specs of {name} are not known: {why}"),
        Unlisted::Yet(error) => error,
    })?;
    let entries: Vec<(&SkipEntry, Matcher)> = gate
        .skips
        .iter()
        .filter(|entry| entry.action == Action::Skip && entry.concerns(name, suite, &here))
        .filter_map(|entry| Some((entry, entry.matcher(suite)?)))
        .collect();
    let wanted: Vec<Spec> = listed
        .iter()
        .filter(|spec| entries.iter().any(|(_, matcher)| matcher.matches(spec)))
        .map(|spec| Spec { class: String::new(), name: spec.clone() })
        .collect();
    if wanted.is_empty() {
        out::line(&format!("nothing of {name} is skipped"));
        return Ok(());
    }
    out::line(&format!("running {} of {name}", counted(wanted.len() as u64, "skipped spec")));
    let outcomes = execute(suite, name, &wanted, engine, access, version.as_deref().unwrap_or_default()).await?;
    for (entry, matcher) in &entries {
        propose(entry, wanted.iter().filter(|spec| matcher.matches(&spec.name)), &outcomes);
    }
    Ok(())
}

/// Runs the specs and gives what came of each that was seen.
async fn execute(
    suite: &Suite,
    name: &SuiteName,
    wanted: &[Spec],
    engine: &Engine,
    access: ClusterAccess,
    version: &str,
) -> anyhow::Result<BTreeMap<String, CaseOutcome>> {
    let (docker, now) = (&*engine.docker, engine::now());
    let part = Part::Specs(wanted.to_vec());
    let invocation = invocation::of_attempt(suite, &part, &[], version).map_err(anyhow::Error::msg)?;
    let execution = Execution {
        attempt: AttemptId::new(now),
        run: RunId::new(now),
        cluster: ClusterId::new(now),
        name: name.clone(),
        image: suite.image.replace("{version}", version),
        invocation,
        secrets: vec![],
        limits: suite.limits.clone(),
        access,
        workspace: None,
    };
    let folder = engine.artifacts.root().join("probe").join(execution.attempt.to_string());
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    to_its_end(docker, suite, &execution, &folder).await?;
    out::line(&format!("log and results are in {}", folder.display()));
    let report = reports::read_paths(&[folder.join("results")], &reports::Limits::default());
    Ok(report.cases.into_iter().map(|case| (case.id.name.clone(), case.outcome())).collect())
}

async fn to_its_end(docker: &Docker, suite: &Suite, execution: &Execution, folder: &Path) -> anyhow::Result<()> {
    docker.ensure_started(execution).await?;
    let mut look = tokio::time::interval(LOOK);
    let ended = async {
        loop {
            look.tick().await;
            docker.follow(execution.attempt, &folder.join("log.txt"), suite.limits.log_bytes, &Arc::default());
            match SuiteExecutor::observe(docker, execution.attempt).await?.state {
                ContainerState::Running => {}
                ContainerState::Exited { .. } => return anyhow::Ok(()),
                ContainerState::Lost => bail!("the suite's container was taken away"),
            }
        }
    };
    let limit = Duration::from_secs(suite.timeouts.suite_s);
    tokio::time::timeout(limit, ended).await.context("the suite's time is up")??;
    docker.collect(execution.attempt, &folder.join("results"), suite.limits.disk_bytes, &Arc::default()).await?;
    Ok(())
}

/// Says of an entry whether it can go.
fn propose<'a>(entry: &SkipEntry, specs: impl Iterator<Item = &'a Spec>, outcomes: &BTreeMap<String, CaseOutcome>) {
    let (mut passed, mut bad) = (0_u64, Vec::new());
    for spec in specs {
        match outcomes.get(&spec.name) {
            Some(CaseOutcome::Passed) => passed += 1,
            Some(CaseOutcome::Skipped) | None => bad.push(format!("  not run  {}", spec.name)),
            Some(CaseOutcome::Flaky) => bad.push(format!("  flaky    {}", spec.name)),
            Some(CaseOutcome::Failed | CaseOutcome::Errored) => bad.push(format!("  failed   {}", spec.name)),
        }
    }
    let advice = match (passed, bad.is_empty()) {
        (0, true) => "matches nothing: it can go".to_owned(),
        (passed, true) => format!("{} passed: it can go", counted(passed, "spec")),
        (passed, false) => format!("{passed} of {} passed: it stays", passed + bad.len() as u64),
    };
    out::line(&format!("`{}` ({}): {advice}", entry.pattern, entry.owner));
    bad.iter().for_each(|line| out::line(line));
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn one_that_stays_keeps_no_other_from_going() {
        let asked = RefCell::new(Vec::new());
        let take = async |one: i32| {
            asked.borrow_mut().push(one);
            if one == 3 { Ok(()) } else { Err(std::io::Error::other(format!("{one} stays"))) }
        };
        let left = each(Ok(vec![1, 2, 3]), take).await.unwrap_err();
        assert_eq!((left.to_string(), asked.take()), ("1 stays".to_owned(), vec![1, 2, 3]));
        let unlisted = each(Err(std::io::Error::other("no list")), async |(): ()| Ok(())).await;
        assert_eq!(unlisted.unwrap_err().to_string(), "no list");
    }
}
