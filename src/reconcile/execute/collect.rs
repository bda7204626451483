//! Collecting what a suite left: its log's end, its results, what the reports say. Long, so it is a task of its own; cut off anywhere,
//! it is done again from the container, which is removed only after its evidence is fixed.

use std::path::Path;

use super::super::{Activity, Context, diagnose};
use super::suite_of;
use super::summary::Summary;
use super::watch::WATCH;
use crate::domain::attempt::Attempt;
use crate::domain::flake;
use crate::domain::plan::RunView;
use crate::domain::report::{Digest, Report, Weight};
use crate::domain::verdict::{Evidence, Exit, Reason, Verdict, judge};
use crate::ports::ContainerState;
use crate::reports;

/// If we stop anywhere in here, the container is still there and everything is copied again.
pub(super) async fn collect(context: &Context, view: &RunView, attempt: &Attempt) -> anyhow::Result<Activity> {
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
    let mut evidence = Evidence {
        exit,
        digest: report.digest(),
        announced: Some(progress.total).filter(|total| *total > 0),
        took_ms: took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    };
    recall(context, view, attempt, &mut evidence.digest).await?;
    let judgement = judge(&evidence, &suite.policy());
    if judgement.verdict != Verdict::Success && judgement.reason != Reason::Cancelled {
        let why = format!("{} attempt {}: {}", attempt.suite, attempt.number, judgement.description);
        let into = context.artifacts.diagnostics(attempt.run, attempt.id);
        diagnose::gather(context, view, attempt.cluster, &why, into).await;
    }
    let summary = serde_json::to_vec_pretty(&Summary::new(view, attempt, &evidence, &judgement))?;
    tokio::fs::write(context.artifacts.summary(attempt.run, attempt.id), summary).await?;
    let observations = flake::observations(&report, judgement.reason);
    let moved = context.store.finish_attempt(attempt, &evidence, &report.cases, &observations, context.now()).await?;
    if moved {
        executor.remove(attempt.id).await?;
    }
    Ok(Activity::changed(usize::from(moved)))
}

/// Notes with each failed spec what was known of it before.
async fn recall(context: &Context, view: &RunView, attempt: &Attempt, digest: &mut Digest) -> anyhow::Result<()> {
    let today = flake::day_of(context.now());
    let names: Vec<_> = digest.failures.iter().map(|failed| (failed.class.as_str(), failed.name.as_str())).collect();
    let known = context.store.histories(&view.run.repo, &attempt.suite, &names, flake::month(today)).await?;
    for failed in &mut digest.failures {
        let history = known.iter().find(|history| history.name == failed.name && history.class == failed.class);
        failed.known = history.and_then(|history| history.known(view.run.pr, today));
    }
    Ok(())
}

/// Reads whatever the suite wrote and leaves one merged JUnit beside it. Blocking.
fn read_reports(results: &Path, junit: &Path, suite: &str, cut: Vec<String>) -> std::io::Result<Report> {
    let mut report = reports::read_paths(&[results.to_owned()], &reports::Limits::default());
    cut.into_iter().for_each(|what| report.doubt(Weight::Doubt, what));
    let file = std::fs::File::create(junit)?;
    reports::write_merged(&report, suite, std::io::BufWriter::new(file))?;
    Ok(report)
}
