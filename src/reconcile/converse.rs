//! Replies, reactions and labels taken off, as they were stored. Everything but a reply may be done twice; a reply that may be there
//! already is looked for first. If we stop between sending and noting it, it is found.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Activity, Context, FORBIDDEN, Reconciler, chain};
use crate::domain::message::{Message, marker};
use crate::domain::status::back_off;
use crate::ports::ForgeError;
use crate::store::Unsent;

/// Messages looked at in one activation.
const BATCH: u32 = 20;
/// A message that is this old says nothing to anybody any more.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(24);
/// GitHub's clock and ours may differ by so much.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

pub(super) struct Converse {
    context: Context,
}

impl Converse {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn send(&self, item: &Unsent) -> Result<(), ForgeError> {
        let forge = &self.context.ports.conversation;
        match &item.message {
            Message::React(comment, reaction) => forge.react(&item.repo, *comment, *reaction).await,
            Message::Unlabel { label, by, since } => match self.is_wanted_again(item, label, by, *since).await? {
                true => Ok(()),
                false => forge.unlabel(&item.repo, item.pr, label).await,
            },
            Message::Reply(text) => {
                let mark = marker(&item.key);
                let since = item.created_at.saturating_sub(CLOCKS).unwrap_or(item.created_at);
                if item.begun && forge.has_comment(&item.repo, item.pr, &mark, since).await? {
                    return Ok(());
                }
                forge.comment(&item.repo, item.pr, &format!("{text}\n\n{mark}")).await
            }
        }
    }

    /// Whether somebody else put the label on since: then it speaks for another decision than the one this message came of.
    async fn is_wanted_again(
        &self,
        item: &Unsent,
        label: &str,
        by: &str,
        since: Timestamp,
    ) -> Result<bool, ForgeError> {
        let labellings = match self.context.ports.recall.labellings(&item.repo, item.pr).await {
            Ok(labellings) => labellings,
            // We may not look, or there is nothing to look at.
            Err(ForgeError::Forbidden(_) | ForgeError::NotFound(_) | ForgeError::Rejected(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let last = labellings.iter().rfind(|labelling| labelling.label == label);
        Ok(last.is_some_and(|last| last.at > since && !last.actor.eq_ignore_ascii_case(by)))
    }

    async fn advance(&self, item: &Unsent, now: Timestamp) -> anyhow::Result<()> {
        let store = &self.context.store;
        store.begin_message(item.seq, now).await?;
        let Err(error) = self.send(item).await else {
            tracing::info!(repo = %item.repo, pr = item.pr, message = item.key, "message sent");
            return Ok(store.sent(item.seq, None, self.context.now()).await?);
        };
        let text = chain(&error);
        tracing::warn!(repo = %item.repo, pr = item.pr, message = item.key, error = text, "message was not taken");
        let pause = match error {
            ForgeError::NotFound(_) | ForgeError::Rejected(_) => {
                return Ok(store.sent(item.seq, Some(&text), now).await?);
            }
            _ if now.duration_since(item.created_at) > TOO_OLD => {
                return Ok(store.sent(item.seq, Some(&text), now).await?);
            }
            ForgeError::RateLimited { until } => until.duration_since(now).max(SignedDuration::from_secs(1)),
            ForgeError::Forbidden(_) => FORBIDDEN,
            ForgeError::Transient(_) => back_off(item.tries, &item.key),
        };
        let until = now.saturating_add(pause).unwrap_or(now);
        Ok(store.put_off_message(item.seq, &text, until).await?)
    }
}

#[async_trait]
impl Reconciler for Converse {
    fn name(&self) -> &'static str {
        "converse"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let due = self.context.store.unsent(self.context.now(), BATCH).await?;
        let sending = due.iter().map(|item| self.advance(item, self.context.now()));
        for sent in futures_util::future::join_all(sending).await {
            sent?;
        }
        let activity = Activity::default();
        Ok(match self.context.store.next_message_at().await? {
            Some(next) => activity.again(next.duration_since(self.context.now()).max(SignedDuration::from_millis(50))),
            None => activity,
        })
    }
}
