//! Watching a suite's container: its log and progress, its end, and ending it when it must.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

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
/// Silence after the kernel killed one of its processes: a Ginkgo whose worker was killed waits for it for good.
const SILENT_AFTER_OOM: Duration = Duration::from_secs(180);
/// What a program gets to print where it hangs.
const DUMPING: SignedDuration = SignedDuration::from_secs(5);
/// An interrupt that an earlier process may have sent, with its grace, is long over by then.
const LONG_OVER: SignedDuration = SignedDuration::from_secs(60);

/// The last signal that this process sent to each container that is to end, and when.
pub(super) type Sent = HashMap<AttemptId, (Stop, Timestamp)>;

pub(super) async fn watch(
    context: &Context,
    view: &RunView,
    attempt: &Attempt,
    sent: &Sent,
) -> anyhow::Result<Outcome> {
    let suite = suite_of(view, attempt)?;
    let log = context.artifacts.log(attempt.run, attempt.id);
    let executor = &*context.ports.executor;
    let mask = context.vault.of_attempt(executor, view, attempt).await?;
    executor.follow(attempt.id, &log, suite.limits.log_bytes, &mask);
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
            let mut outcome = end_if_due(context, suite, attempt, &seen, sent).await?;
            outcome.activity.changed += news;
            outcome.activity = outcome.activity.again(WATCH);
            Ok(outcome)
        }
    }
}

/// A container that must end is sent one signal after the other; one that overstepped is told to end.
async fn end_if_due(
    context: &Context,
    suite: &Suite,
    attempt: &Attempt,
    seen: &Observation,
    sent: &Sent,
) -> anyhow::Result<Outcome> {
    let now = context.now();
    if let Some((reason, since)) = attempt.stop.zip(attempt.stop_at) {
        let grace = SignedDuration::from_secs(i64::try_from(suite.timeouts.stop_grace_s).unwrap_or(i64::MAX));
        let last = sent.get(&attempt.id).map(|(how, at)| (*how, now.duration_since(*at)));
        let Some(how) = due(reason, grace, now.duration_since(since), last) else {
            return Ok(Activity::default().into());
        };
        context.ports.executor.stop(attempt.id, how).await?;
        tracing::info!(attempt.id = %attempt.id, suite = %attempt.suite, ?reason, ?how, "signalled");
        return Ok(Outcome { activity: Activity::default(), sent: Some((attempt.id, how, now)) });
    }
    // Nothing in its log yet: it is still starting.
    let log = context.artifacts.log(attempt.run, attempt.id);
    let unheard = tokio::fs::metadata(log).await.map_or(true, |file| file.len() == 0);
    let start_up = SignedDuration::from_secs(i64::try_from(suite.timeouts.start_up_s).unwrap_or(i64::MAX));
    let unstarted = unheard && attempt.started_at.is_some_and(|start| now.duration_since(start) > start_up);
    let reason = overstepped(suite, seen).or(unstarted.then_some(StopReason::StartUp));
    let Some(reason) = reason else { return Ok(Activity::default().into()) };
    let noted = context.store.stop_attempt(attempt, reason, now).await?;
    Ok(Activity::changed(usize::from(noted)).into())
}

/// What a suite does that it must not.
fn overstepped(suite: &Suite, seen: &Observation) -> Option<StopReason> {
    let no_output = Duration::from_secs(suite.timeouts.no_output_s);
    if seen.disk_bytes.is_some_and(|bytes| bytes > suite.limits.disk_bytes) {
        Some(StopReason::DiskFull)
    } else if seen.oom_killed && seen.silent_for > SILENT_AFTER_OOM.min(no_output) {
        Some(StopReason::OutOfMemory)
    } else {
        (seen.silent_for > no_output).then_some(StopReason::Stalled)
    }
}

/// The next signal. First an interrupt, which keeps the reports; after the grace a hang is asked where it hangs, which ends a Go
/// program at once; then the kill. `last` is the last signal with the time since.
fn due(
    reason: StopReason,
    grace: SignedDuration,
    since_stop: SignedDuration,
    last: Option<(Stop, SignedDuration)>,
) -> Option<Stop> {
    match last {
        None if since_stop > grace.saturating_add(LONG_OVER) => Some(Stop::Kill),
        None => Some(Stop::Interrupt),
        Some((Stop::Interrupt, age)) if age <= grace => None,
        Some((Stop::Interrupt, _)) if reason.is_hang() => Some(Stop::Dump),
        Some((Stop::Interrupt, _)) => Some(Stop::Kill),
        Some((Stop::Dump | Stop::Kill, age)) => (age > DUMPING).then_some(Stop::Kill),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: SignedDuration = SignedDuration::from_secs(90);

    fn s(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_hang_is_interrupted_asked_where_it_hangs_and_killed() {
        let due = |since, last| due(StopReason::Stalled, GRACE, s(since), last);
        assert_eq!(due(0, None), Some(Stop::Interrupt));
        assert_eq!(due(50, Some((Stop::Interrupt, s(50)))), None, "a second interrupt would cut its clean-up short");
        assert_eq!(due(91, Some((Stop::Interrupt, s(91)))), Some(Stop::Dump));
        assert_eq!(due(93, Some((Stop::Dump, s(2)))), None);
        assert_eq!(due(97, Some((Stop::Dump, s(6)))), Some(Stop::Kill));
        assert_eq!(due(200, Some((Stop::Kill, s(6)))), Some(Stop::Kill), "until the engine has done it");
    }

    #[test]
    fn who_does_not_hang_is_not_asked_and_a_restart_does_not_wait_for_ever() {
        let cancelled = |since, last| due(StopReason::Cancelled, GRACE, s(since), last);
        assert_eq!(cancelled(91, Some((Stop::Interrupt, s(91)))), Some(Stop::Kill));
        assert_eq!(cancelled(100, None), Some(Stop::Interrupt), "this process has sent none");
        assert_eq!(cancelled(151, None), Some(Stop::Kill));
    }
}
