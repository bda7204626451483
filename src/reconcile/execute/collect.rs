//! Collecting what a suite left: its log's end, its results, what the reports say. Long, so it is a task of its own; cut off anywhere,
//! it is done again from the container, which is removed only after its evidence is fixed.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::super::{Activity, Context, chain, diagnose};
use super::reading::{Read, Reading};
use super::suite_of;
use super::summary::Summary;
use super::watch::WATCH;
use crate::domain::attempt::{Attempt, StopReason};
use crate::domain::combine::Piece;
use crate::domain::course;
use crate::domain::flake;
use crate::domain::plan::RunView;
use crate::domain::report::{Digest, Problem, Weight};
use crate::domain::skip::{self, Action, Hit, HitOutcome, Matcher};
use crate::domain::suite::Suite;
use crate::domain::text::plain_line;
use crate::domain::verdict::{Evidence, Exit, Reason, Verdict};
use crate::ports::{ContainerState, ExecutorError};
use crate::store::Shown;

/// What fails for as long fails for good.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);

/// `since`: when this process began with it.
pub(super) async fn collect(
    context: &Context,
    view: &RunView,
    attempt: &Attempt,
    since: Timestamp,
) -> anyhow::Result<Activity> {
    match bring_in(context, view, attempt).await {
        Err(error) if is_hopeless(&error, context.now().duration_since(since)) => {
            let (run, suite, error) = (attempt.run, &attempt.suite, chain(error.as_ref()));
            tracing::error!(run.id = %run, %suite, attempt.n = attempt.number, error, "results are given up");
            let activity = super::finish(context, attempt, unread(attempt.stop, &error)).await?;
            context.ports.executor.remove(attempt.id).await?;
            Ok(activity)
        }
        outcome => outcome,
    }
}

/// An engine that is away comes back, and the container with it.
fn is_hopeless(error: &anyhow::Error, after: SignedDuration) -> bool {
    let is_away = matches!(error.downcast_ref(), Some(ExecutorError::Unreachable { .. }));
    after >= PATIENCE && !is_away
}

/// What there is to say of results that cannot be read.
fn unread(stop: Option<StopReason>, why: &str) -> Evidence {
    let text = format!("its results could not be read, for {} minutes: {}", PATIENCE.as_mins(), plain_line(why));
    let digest = Digest { problems: vec![Problem { weight: Weight::Fatal, text }], ..Digest::default() };
    Evidence { exit: stop.map_or(Exit::Unknown, Exit::Stopped), digest, ..Evidence::default() }
}

/// If we stop anywhere in here, the container is still there and everything is copied again.
async fn bring_in(context: &Context, view: &RunView, attempt: &Attempt) -> anyhow::Result<Activity> {
    let suite = suite_of(view, attempt)?;
    let executor = &context.ports.executor;
    let log = context.artifacts.log(attempt.run, attempt.id);
    let mask = context.vault.of_attempt(&**executor, view, attempt).await?;
    executor.follow(attempt.id, &log, suite.limits.log_bytes, &mask);
    let Some(exit) = exit(attempt, executor.observe(attempt.id).await?.state) else {
        return Ok(Activity::default().again(WATCH));
    };
    let results = context.artifacts.results(attempt.run, attempt.id);
    let limit = suite.limits.disk_bytes.min(context.settings.max_results_bytes);
    let cut = executor.collect(attempt.id, &results, limit, &mask).await?;
    let progress = executor.observe(attempt.id).await?.progress;
    context.store.note_progress(attempt.id, &progress).await?;
    let reading = Reading {
        suite: suite.clone(),
        name: attempt.suite.clone(),
        part: attempt.part.clone(),
        announced: Some(progress.total).filter(|total| *total > 0),
        listed: listed(view, attempt),
        entries: entries(view, attempt, suite),
        results,
        junit: context.artifacts.junit(attempt.run, attempt.id),
        before: before(context, view, attempt, suite),
        merged: context.artifacts.suite_junit(attempt.run, &attempt.suite),
        cut,
        mask,
    };
    let Read { report, digest, hits } = tokio::task::spawn_blocking(move || reading.read()).await??;
    let took = attempt.started_at.map(|start| context.now().duration_since(start).unsigned_abs());
    let mut evidence = Evidence {
        exit,
        digest,
        announced: Some(progress.total).filter(|total| *total > 0),
        took_ms: took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    };
    recall(context, view, attempt, &mut evidence.digest).await?;
    let judgement = Piece { part: &attempt.part, evidence: &evidence }.judge(suite);
    if judgement.verdict != Verdict::Success && judgement.reason != Reason::Cancelled {
        let why = format!("{} attempt {}: {}", attempt.suite, attempt.number, judgement.description);
        let into = context.artifacts.diagnostics(attempt.run, attempt.id);
        diagnose::gather(context, view, attempt.cluster, &why, into).await;
    }
    let summary = serde_json::to_vec_pretty(&Summary::new(view, attempt, &evidence, &judgement))?;
    tokio::fs::write(context.artifacts.summary(attempt.run, attempt.id), summary).await?;
    let observations = flake::observations(&report, judgement.reason);
    let shown = Shown { cases: &report.cases, observations: &observations, hits: &hits };
    let moved = context.store.finish_attempt(attempt, &evidence, shown, context.now()).await?;
    if moved {
        executor.remove(attempt.id).await?;
    }
    Ok(Activity::changed(usize::from(moved)))
}

/// How it ended; `None` while it runs on and nobody stopped it.
fn exit(attempt: &Attempt, state: ContainerState) -> Option<Exit> {
    match (attempt.stop, state) {
        (Some(reason), _) => Some(Exit::Stopped(reason)),
        (None, ContainerState::Exited { oom_killed: true, .. }) => Some(Exit::OutOfMemory),
        (None, ContainerState::Exited { code, .. }) => Some(Exit::Code(code)),
        (None, ContainerState::Lost) => Some(Exit::Lost),
        (None, ContainerState::Running) => None,
    }
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

/// What earlier attempts left that belongs to the same result.
fn before(context: &Context, view: &RunView, attempt: &Attempt, suite: &Suite) -> Vec<PathBuf> {
    let counting = course::counting(view, &attempt.suite, suite).into_iter();
    let done = counting.filter(|other| other.id != attempt.id && other.evidence.is_some());
    let believed = done.filter(|other| !course::broke(other, suite));
    believed.map(|other| context.artifacts.junit(other.run, other.id)).collect()
}

/// The entries of the skip list that hold for the attempt.
fn entries(view: &RunView, attempt: &Attempt, suite: &Suite) -> Vec<(u32, Action, Matcher)> {
    let holding = skip::at(&view.run.gate.skips, &attempt.skips);
    holding.filter_map(|(place, entry)| Some((place, entry.action, entry.matcher(suite)?))).collect()
}

/// Specs that a runner leaves out without a word in its report, as the suite's own list tells.
fn listed(view: &RunView, attempt: &Attempt) -> Vec<Hit> {
    let Some(lint) = &view.lint else { return vec![] };
    let of_suite = lint.suites.iter().filter(|lint| lint.suite == attempt.suite).flat_map(|lint| &lint.entries);
    let is_skip = |place: u32| {
        skip::at(&view.run.gate.skips, &attempt.skips).any(|(at, entry)| at == place && entry.action == Action::Skip)
    };
    let skipped = of_suite.filter(|entry| is_skip(entry.entry));
    let hit = |entry: u32, spec: &String| Hit { entry, spec: spec.clone(), outcome: HitOutcome::NotRun };
    skipped.flat_map(|entry| entry.specs.iter().map(move |spec| hit(entry.entry, spec))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verdict::{Policy, judge};

    #[test]
    fn results_that_cannot_be_read_are_given_up_unless_the_engine_is_away() {
        let broken = anyhow::anyhow!("it is a directory");
        let source = anyhow::anyhow!("refused");
        let away = anyhow::Error::from(ExecutorError::Unreachable { engine: "Docker", source });
        let minutes = SignedDuration::from_mins;
        assert!(!is_hopeless(&broken, minutes(29)) && is_hopeless(&broken, minutes(30)));
        assert!(!is_hopeless(&away, minutes(600)));
        let judged = judge(&unread(None, "a\0b is a directory"), &Policy::default());
        assert_eq!((judged.verdict, judged.reason), (Verdict::Error, Reason::ReportsUnusable));
        assert_eq!(judged.description, "its results could not be read, for 30 minutes: ab is a directory");
        assert_eq!(judge(&unread(Some(StopReason::Cancelled), ""), &Policy::default()).reason, Reason::Cancelled);
    }
}
