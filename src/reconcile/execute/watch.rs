//! Watching a suite's container: its log and progress, its end, and ending it when it must.

use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;

use super::super::{Activity, Context};
use super::{Outcome, finish, move_to, suite_of, without_report};
use crate::domain::attempt::{Attempt, AttemptState, StopReason};
use crate::domain::ids::AttemptId;
use crate::domain::plan::RunView;
use crate::domain::suite::Suite;
use crate::domain::verdict::Exit;
use crate::ports::{ContainerState, Observation, Stop};

/// How often a running container is looked at.
pub(super) const WATCH: SignedDuration = SignedDuration::from_millis(300);

pub(super) async fn watch(
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
