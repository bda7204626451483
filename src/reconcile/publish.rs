//! Makes GitHub show what is desired: newest wins, coalesced within a budget, retried with back-off. The only one that
//! speaks to GitHub about statuses. If we stop between sending and noting it, the same status is sent once more.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::{Activity, Context, Reconciler, chain};
use crate::domain::names::RepoName;
use crate::domain::status::send_at;
use crate::ports::ForgeError;
use crate::store::Unpublished;

/// Statuses sent at once.
const PARALLEL: usize = 8;
/// Statuses looked at in one activation.
const BATCH: u32 = 100;
/// Between tries when only an operator can help.
const FORBIDDEN: SignedDuration = SignedDuration::from_mins(5);
/// A status that has no place in its budget waits for its final one; nothing needs it before.
const BUDGET_SPENT: SignedDuration = SignedDuration::from_hours(1);

pub(super) struct Publish {
    context: Context,
    /// Repositories whose statuses GitHub does not want to see before then, newer ones included.
    limited: HashMap<RepoName, Timestamp>,
}

/// What became of one status.
enum Outcome {
    /// GitHub took it or never will.
    Settled,
    /// It is put off.
    Waits,
    /// It is put off, and so is everything else for its repository.
    Limited(RepoName, Timestamp),
}

impl Publish {
    pub(super) fn new(context: Context) -> Self {
        Self { context, limited: HashMap::new() }
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
        self.limited.retain(|_, until| *until > now);
        let (context, limited) = (&self.context, &self.limited);
        let sending = stream::iter(due).map(|item| {
            let until = limited.get(&item.status.repo).copied();
            publish(context, item, now, until)
        });
        let sent: Vec<_> = sending.buffer_unordered(PARALLEL).collect().await;
        let mut changed = 0;
        for outcome in sent {
            match outcome? {
                Outcome::Settled => changed += 1,
                Outcome::Waits => {}
                Outcome::Limited(repo, until) => {
                    self.limited.insert(repo, until);
                }
            }
        }
        let activity = Activity::changed(changed);
        Ok(match self.context.store.next_publish_at().await? {
            Some(next) => activity.again(next.duration_since(self.context.now()).max(SignedDuration::from_millis(50))),
            None => activity,
        })
    }
}

/// `limited`: until when GitHub wants to hear nothing of the repository.
async fn publish(
    context: &Context,
    item: Unpublished,
    now: Timestamp,
    limited: Option<Timestamp>,
) -> anyhow::Result<Outcome> {
    if let Some(until) = limited {
        context.store.put_off(&item, until, None).await?;
        return Ok(Outcome::Waits);
    }
    match send_at(item.status.state, item.published, now) {
        Some(at) if at <= now => {}
        later => {
            let until = later.unwrap_or_else(|| now.saturating_add(BUDGET_SPENT).unwrap_or(now));
            context.store.put_off(&item, until, None).await?;
            return Ok(Outcome::Waits);
        }
    }
    let Err(error) = context.ports.forge.set_status(&item.status).await else {
        let status = &item.status;
        tracing::info!(
            run.id = %item.run, repo = %status.repo, head.sha = status.sha.short(), context = status.context,
            state = status.state.as_str(), description = status.description, "status published"
        );
        context.store.published(&item, context.now()).await?;
        return Ok(Outcome::Settled);
    };
    let text = chain(&error);
    tracing::warn!(run.id = %item.run, context = item.status.context, error = text, "status was not taken");
    let until = match error {
        ForgeError::NotFound(_) | ForgeError::Rejected(_) => {
            context.store.give_up_status(&item, &text).await?;
            return Ok(Outcome::Settled);
        }
        ForgeError::RateLimited { until } => {
            context.store.put_off(&item, until, Some(&text)).await?;
            return Ok(Outcome::Limited(item.status.repo, until));
        }
        ForgeError::Forbidden(_) => now.saturating_add(FORBIDDEN).unwrap_or(now),
        ForgeError::Transient(_) => now.saturating_add(back_off(item.tries)).unwrap_or(now),
    };
    context.store.put_off(&item, until, Some(&text)).await?;
    Ok(Outcome::Waits)
}

/// 1 s, 2 s, 4 s … up to a minute.
fn back_off(tries: u32) -> SignedDuration {
    SignedDuration::from_secs(1 << tries.min(6)).min(SignedDuration::from_secs(60))
}
