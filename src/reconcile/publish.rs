//! Makes GitHub show what is desired: newest wins, the most urgent first, coalesced within a budget, retried with back-off.
//! The only one that speaks to GitHub about statuses. If we stop between sending and noting it, the same is sent once more.

mod checks;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use self::checks::Trouble;
use super::{Activity, Context, FORBIDDEN, Reconciler, TRIES_TO_ENTER, chain};
use crate::domain::status::{GivenUp, Report, back_off, send_at};
use crate::ports::ForgeError;
use crate::store::{Taken, Unpublished};

/// Statuses sent at once.
const PARALLEL: usize = 8;
/// Statuses looked at in one activation.
const BATCH: u32 = 100;
/// Between tries of a final status that GitHub does not take: so long, then twice as long each time, up to an hour.
const NOT_TAKEN: SignedDuration = SignedDuration::from_mins(5);
const LONGEST: SignedDuration = SignedDuration::from_hours(1);
/// A status that has no place in its budget waits for its final one; nothing needs it before.
const BUDGET_SPENT: SignedDuration = SignedDuration::from_hours(1);
/// Failures in a row after which longer pauses help no more.
const MAX_TRIES: u32 = 6;
/// A commit that was pushed a moment ago may not be known to all of GitHub yet.
const TRIES_TO_FIND: u32 = 3;
/// A day of pauses between [`NOT_TAKEN`] and [`LONGEST`].
const TRIES_TO_END: u32 = 29;

pub(super) struct Publish {
    context: Context,
}

impl Publish {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }
}

#[async_trait]
impl Reconciler for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        let due = self.context.store.unpublished(now, BATCH).await?;
        let sending = stream::iter(due).map(|item| publish(&self.context, item, now));
        let sent: Vec<_> = sending.buffer_unordered(PARALLEL).collect().await;
        let mut changed = 0;
        for settled in sent {
            changed += usize::from(settled?);
        }
        let activity = Activity::changed(changed);
        Ok(match self.context.store.next_publish_at().await? {
            Some(next) => activity.again(next.duration_since(self.context.now()).max(SignedDuration::from_millis(50))),
            None => activity,
        })
    }
}

/// Whether GitHub took it or never will, or there is news to be told instead; else it is put off.
async fn publish(context: &Context, item: Unpublished, now: Timestamp) -> anyhow::Result<bool> {
    let status = &item.status;
    let allowance = context.ports.forge.allowance(&status.repo);
    match send_at(status.state, item.published, allowance, now) {
        Some(at) if at <= now => {}
        later => {
            let until = later.unwrap_or_else(|| now.saturating_add(BUDGET_SPENT).unwrap_or(now));
            context.store.put_off(&item, until, item.tries, None).await?;
            return Ok(false);
        }
    }
    match send(context, &item).await {
        Ok(None) => Ok(true),
        Ok(Some(taken)) => {
            tracing::info!(
                run.id = %item.run, repo = %status.repo, head.sha = status.sha.short(), context = status.context,
                state = status.state.as_str(), description = status.description, "status published"
            );
            context.store.published(&item, taken, context.now()).await?;
            Ok(true)
        }
        Err(Trouble::Forge(error)) => refused(context, &item, &error, now).await,
        Err(Trouble::Store(error)) => Err(error.into()),
    }
}

async fn send(context: &Context, item: &Unpublished) -> Result<Option<Taken>, Trouble> {
    let report = if context.ports.notices.takes_checks() { item.status.report } else { Report::Statuses };
    if item.is_both && item.status.state.is_final() && context.ports.notices.takes_checks() {
        end_other(context, item, report).await?;
    }
    send_as(context, item, report).await
}

async fn send_as(context: &Context, item: &Unpublished, report: Report) -> Result<Option<Taken>, Trouble> {
    match report {
        Report::Checks => checks::send(context, item).await,
        Report::Statuses => {
            context.ports.forge.set_status(&item.status).await?;
            Ok(Some(Taken { writes: 1, check_run: None }))
        }
    }
}

/// What was told before the policy changed would stay pending, and a merge that needs both would wait for ever. Where GitHub does
/// not take it, what the policy asks for is told all the same.
async fn end_other(context: &Context, item: &Unpublished, report: Report) -> Result<(), Trouble> {
    let other = match report {
        Report::Checks => Report::Statuses,
        Report::Statuses => Report::Checks,
    };
    match send_as(context, item, other).await {
        Err(Trouble::Forge(error @ (ForgeError::NotFound(_) | ForgeError::Forbidden(_) | ForgeError::Rejected(_)))) => {
            let (name, error) = (&item.status.context, chain(&error));
            tracing::warn!(run.id = %item.run, context = name, ?other, error, "what was told before stays as it is");
            Ok(())
        }
        sent => sent.map(drop),
    }
}

/// Whether it is given up; else it is tried again.
async fn refused(context: &Context, item: &Unpublished, error: &ForgeError, now: Timestamp) -> anyhow::Result<bool> {
    let (status, text) = (&item.status, chain(error));
    let (repo, context_name) = (&status.repo, &status.context);
    let next = after(error, item, now);
    tracing::warn!(run.id = %item.run, %repo, context = context_name, error = text, ?next, "status was not taken");
    match next {
        Next::Never(why) => context.store.give_up_status(item, why, &text).await?,
        Next::At(until, tries) => context.store.put_off(item, until, tries, Some(&text)).await?,
    }
    Ok(matches!(next, Next::Never(_)))
}

/// What comes after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Never(GivenUp),
    /// Tried again then, as after so many failures.
    At(Timestamp, u32),
}

/// A merge waits for a final status, and what GitHub does not take today it may take in an hour.
fn after(error: &ForgeError, item: &Unpublished, now: Timestamp) -> Next {
    let (status, tries) = (&item.status, item.tries + 1);
    let again = |pause, tries| Next::At(now.saturating_add(pause).unwrap_or(now), tries);
    let pause = back_off(item.tries.min(MAX_TRIES), &format!("{}{}", status.sha, status.context));
    let most = if status.state.is_final() { TRIES_TO_END } else { 0 };
    match error {
        ForgeError::RateLimited { until } => Next::At(*until, item.tries),
        ForgeError::Transient(_) => again(pause, tries.min(MAX_TRIES)),
        ForgeError::NotFound(_) if tries < TRIES_TO_FIND => again(pause, tries),
        ForgeError::NotFound(_) if tries >= most => Next::Never(GivenUp::Gone),
        ForgeError::Rejected(_) if tries >= most => Next::Never(GivenUp::Refused),
        ForgeError::NotFound(_) | ForgeError::Rejected(_) => again(not_taken(tries), tries),
        ForgeError::Forbidden(_) if tries >= TRIES_TO_ENTER => Next::Never(GivenUp::Forbidden),
        ForgeError::Forbidden(_) => again(FORBIDDEN, tries),
    }
}

fn not_taken(tries: u32) -> SignedDuration {
    NOT_TAKEN.saturating_mul(1 << tries.saturating_sub(TRIES_TO_FIND).min(4)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RunId;
    use crate::domain::status::{CommitStatus, Published, StatusState};
    use crate::store::CheckRun;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn item(state: StatusState) -> Unpublished {
        let status = CommitStatus {
            repo: "acme/infra".parse().unwrap(),
            sha: "a".repeat(40).parse().unwrap(),
            context: "portcullis/smoke".into(),
            state,
            description: String::new(),
            target_url: String::new(),
            report: Report::Statuses,
        };
        let (run, published) = (RunId::new(at(0)), Published::default());
        Unpublished { status, run, desired_gen: 1, published, tries: 0, check: CheckRun::None, is_both: false }
    }

    /// How often it is tried, for how many seconds, until it is given up.
    fn tried(state: StatusState, error: &ForgeError) -> (u32, i64, GivenUp) {
        let (mut item, mut now, mut count) = (item(state), at(0), 0);
        loop {
            count += 1;
            match after(error, &item, now) {
                Next::Never(why) => return (count, now.as_second() - at(0).as_second(), why),
                Next::At(until, tries) => (now, item.tries) = (until, tries),
            }
        }
    }

    #[test]
    fn what_a_merge_waits_for_is_tried_for_a_day() {
        let gone = ForgeError::NotFound("no such commit".into());
        let refused = ForgeError::Rejected("no".into());
        for (error, expected) in [(&gone, GivenUp::Gone), (&refused, GivenUp::Refused)] {
            for state in [StatusState::Success, StatusState::Failure, StatusState::Error] {
                let (count, seconds, why) = tried(state, error);
                assert!(count == TRIES_TO_END && (23 * 3600..25 * 3600).contains(&seconds), "{count} in {seconds} s");
                assert_eq!(why, expected);
            }
        }
        let (count, seconds, _) = tried(StatusState::Pending, &gone);
        assert!(count == TRIES_TO_FIND && seconds < 10, "{count} in {seconds} s");
        assert_eq!(tried(StatusState::Pending, &refused), (1, 0, GivenUp::Refused));
    }
}
