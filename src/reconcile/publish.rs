//! Makes GitHub show what is desired: newest wins, the most urgent first, coalesced within a budget, retried with back-off.
//! The only one that speaks to GitHub about statuses. If we stop between sending and noting it, the same is sent once more.

mod checks;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use self::checks::Trouble;
use super::{Activity, Context, Reconciler, chain};
use crate::domain::status::{GivenUp, Report, back_off, send_at};
use crate::ports::ForgeError;
use crate::store::{Taken, Unpublished};

/// Statuses sent at once.
const PARALLEL: usize = 8;
/// Statuses looked at in one activation.
const BATCH: u32 = 100;
/// Between tries when only an operator can help.
const FORBIDDEN: SignedDuration = SignedDuration::from_mins(5);
/// A status that has no place in its budget waits for its final one; nothing needs it before.
const BUDGET_SPENT: SignedDuration = SignedDuration::from_hours(1);
/// Failures in a row after which longer pauses help no more.
const MAX_TRIES: u32 = 6;
/// A commit that was pushed a moment ago may not be known to all of GitHub yet.
const TRIES_TO_FIND: u32 = 3;
/// A day of [`FORBIDDEN`] pauses.
const TRIES_TO_ENTER: u32 = 288;

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
    match item.status.report {
        Report::Checks if context.ports.notices.takes_checks() => checks::send(context, item).await,
        Report::Checks | Report::Statuses => {
            context.ports.forge.set_status(&item.status).await?;
            Ok(Some(Taken { writes: 1, check_run: None }))
        }
    }
}

/// Whether it is given up; else it is tried again.
async fn refused(context: &Context, item: &Unpublished, error: &ForgeError, now: Timestamp) -> anyhow::Result<bool> {
    let (status, text) = (&item.status, chain(error));
    let tries = item.tries + 1;
    let why = match error {
        ForgeError::NotFound(_) if tries >= TRIES_TO_FIND => Some(GivenUp::Gone),
        ForgeError::Rejected(_) => Some(GivenUp::Refused),
        ForgeError::Forbidden(_) if tries >= TRIES_TO_ENTER => Some(GivenUp::Forbidden),
        ForgeError::NotFound(_)
        | ForgeError::Forbidden(_)
        | ForgeError::RateLimited { .. }
        | ForgeError::Transient(_) => None,
    };
    let (repo, context_name) = (&status.repo, &status.context);
    tracing::warn!(run.id = %item.run, %repo, context = context_name, error = text, ?why, "status was not taken");
    if let Some(why) = why {
        context.store.give_up_status(item, why, &text).await?;
        return Ok(true);
    }
    let pause = back_off(item.tries.min(MAX_TRIES), &format!("{}{}", status.sha, status.context));
    let (until, tries) = match error {
        ForgeError::RateLimited { until } => (*until, item.tries),
        ForgeError::Forbidden(_) => (now.saturating_add(FORBIDDEN)?, tries),
        ForgeError::NotFound(_) | ForgeError::Rejected(_) => (now.saturating_add(pause)?, tries),
        ForgeError::Transient(_) => (now.saturating_add(pause)?, tries.min(MAX_TRIES)),
    };
    context.store.put_off(item, until, tries, Some(&text)).await?;
    Ok(false)
}
