//! Deliveries become effects: runs, cancellations, approvals, replies. Deliveries of one pull request are acted upon in their order,
//! those of others beside them, so that a forge that keeps one waiting keeps nobody else. Stopping anywhere leaves a delivery open.

mod branches;
mod choice;
mod comments;
mod desk;
mod lanes;
mod orders;
mod overwritten;
mod people;
mod policy;
mod pulls;
mod queue;
mod start;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::task::{Id, JoinSet};

use self::desk::{Desk, Trouble};
use self::lanes::{Item, Lanes, Shares};
use super::{Activity, Context, Reconciler, chain};
use crate::domain::event::Event;
use crate::store::{Created, Delivery};

/// Deliveries acted upon at once.
const AT_ONCE: usize = 32;
/// Deliveries read in one activation.
const BATCH: u32 = 200;
/// Deliveries kept in mind that can be acted upon; the rest waits in the store.
const MOST_KEPT: usize = 2000;
/// How often the inbox is read from its beginning, whatever is believed to be known of it.
const REREAD: SignedDuration = SignedDuration::from_mins(1);
/// What could not be decided for as long is no news any more; what still matters of it, looking at pull requests finds.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(24);
/// Nor is it given up before it was tried as often: the time that we were down does not count.
const TRIED_ENOUGH: u32 = 100;
/// GitHub makes a test merge within a second or two after somebody asked for it.
const MERGE_PAUSE: SignedDuration = SignedDuration::from_millis(1500);
/// After our own failure.
const AGAIN: SignedDuration = SignedDuration::from_secs(2);

pub(super) struct Intake {
    context: Context,
    desk: Arc<Desk>,
    lanes: Lanes,
    shares: Shares,
    /// The place in the inbox up to which deliveries were read.
    read_up_to: i64,
    reread_at: Timestamp,
    tasks: JoinSet<anyhow::Result<Outcome>>,
    under_way: HashMap<Id, Arc<Item>>,
}

/// What became of acting on a delivery.
enum Outcome {
    /// It is settled, together with what it caused.
    Settled,
    GivenUp,
    Later(Timestamp),
    /// GitHub has yet to make a test merge.
    Unmerged(Timestamp),
}

impl Intake {
    pub(super) fn new(context: Context) -> Self {
        let desk = Arc::new(Desk::new(context.clone()));
        let (tasks, under_way) = (JoinSet::new(), HashMap::new());
        let (lanes, shares) = (Lanes::default(), Shares::default());
        Self { context, desk, lanes, shares, read_up_to: 0, reread_at: Timestamp::MIN, tasks, under_way }
    }

    /// Takes new deliveries in. What says nothing is settled at once.
    async fn read(&mut self, now: Timestamp) -> anyhow::Result<usize> {
        if now >= self.reread_at {
            (self.read_up_to, self.reread_at) = (0, now.saturating_add(REREAD)?);
            self.shares = Shares::default();
        }
        let mut settled = 0;
        while self.lanes.moving(now) < MOST_KEPT {
            self.shares.count(&self.lanes, now);
            let found = self.context.store.open_deliveries(self.read_up_to, BATCH).await?;
            let (count, last) = (found.len(), found.last().map(|delivery| delivery.seq));
            for delivery in found {
                if !self.lanes.knows(delivery.seq) {
                    settled += self.take(delivery, now).await?;
                }
            }
            self.read_up_to = last.unwrap_or(self.read_up_to);
            if count < BATCH as usize {
                break;
            }
        }
        Ok(settled)
    }

    async fn take(&mut self, delivery: Delivery, now: Timestamp) -> anyhow::Result<usize> {
        let why = match Event::parse(&delivery.event, &delivery.body) {
            Ok(Event::Ignored(why)) => format!("ignored: {why}"),
            Ok(Event::Ping) => "ignored: a ping".to_owned(),
            Ok(event) => {
                let item = Item::new(delivery, event);
                if self.shares.take(&item) {
                    self.lanes.add(item);
                }
                return Ok(0);
            }
            Err(error) => format!("ignored: {error}"),
        };
        self.context.store.settle_delivery(&delivery.guid, &why, now).await?;
        Ok(1)
    }

    /// Gathers what has ended; gives how many deliveries were settled.
    fn reap(&mut self, now: Timestamp) -> usize {
        let mut settled = 0;
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let (id, outcome) = match ended {
                Ok((id, outcome)) => (id, outcome),
                Err(error) => (error.id(), Err(anyhow::anyhow!("acting on it broke: {error}"))),
            };
            let Some(item) = self.under_way.remove(&id) else { continue };
            match outcome {
                Ok(Outcome::Settled) => {
                    settled += 1;
                    self.lanes.settled(&item);
                }
                Ok(Outcome::GivenUp) => {
                    settled += 1;
                    self.lanes.given_up(&item);
                }
                Ok(Outcome::Later(until)) => self.lanes.put_off(&item, until),
                Ok(Outcome::Unmerged(until)) => self.lanes.look_again(&item, until),
                Err(error) => {
                    let (delivery, error) = (&item.guid, chain(error.as_ref()));
                    tracing::warn!(delivery.id = delivery, error, "delivery failed; it is tried again");
                    self.lanes.put_off(&item, now.saturating_add(AGAIN).unwrap_or(now));
                }
            }
        }
        settled
    }
}

/// If we stop before the effects are applied, the delivery is decided about again.
async fn act(desk: Arc<Desk>, item: Arc<Item>) -> anyhow::Result<Outcome> {
    let store = &desk.context.store;
    let decided = desk.decide(&item).await;
    let now = desk.context.now();
    match decided {
        Ok(effects) => {
            for created in store.apply(&effects, Some(&item.guid), now).await? {
                match created {
                    Created::Run(id) => tracing::info!(delivery.id = item.guid, run.id = %id, "run created"),
                    Created::Existing => tracing::info!(delivery.id = item.guid, "a run for it is alive"),
                }
            }
            Ok(Outcome::Settled)
        }
        Err(Trouble::Store(error)) => Err(error.into()),
        Err(Trouble::Unmerged) => {
            let until = put_off(MERGE_PAUSE, item.looks(), now);
            store.postpone_delivery(&item.guid, "GitHub has not made the test merge yet", until).await?;
            Ok(Outcome::Unmerged(until))
        }
        Err(Trouble::Later(why, _)) if is_hopeless(&item, now) => {
            tracing::warn!(delivery.id = item.guid, why, "delivery is given up");
            store.settle_delivery(&item.guid, &format!("given up: {why}"), now).await?;
            Ok(Outcome::GivenUp)
        }
        Err(Trouble::Later(why, pause)) => {
            tracing::warn!(delivery.id = item.guid, why, "delivery waits");
            let until = put_off(pause, item.tries(), now);
            store.postpone_delivery(&item.guid, &why, until).await?;
            Ok(Outcome::Later(until))
        }
    }
}

fn is_hopeless(item: &Item, now: Timestamp) -> bool {
    now.duration_since(item.received_at) > TOO_OLD && item.tries() > TRIED_ENOUGH
}

/// Tries grow rarer: twice the pause after each, up to two minutes.
fn put_off(pause: SignedDuration, tries: u32, now: Timestamp) -> Timestamp {
    let factor = 1 << tries.saturating_sub(3).min(6);
    let pause = pause.saturating_mul(factor).min(SignedDuration::from_mins(2).max(pause));
    now.saturating_add(pause).unwrap_or(now)
}

#[async_trait]
impl Reconciler for Intake {
    fn name(&self) -> &'static str {
        "intake"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        let mut changed = self.reap(now);
        changed += self.read(now).await?;
        while self.tasks.len() < AT_ONCE {
            let Some(item) = self.lanes.next(now) else { break };
            let (desk, waker, its) = (Arc::clone(&self.desk), self.context.waker.clone(), Arc::clone(&item));
            let task = self.tasks.spawn(async move {
                let outcome = act(desk, its).await;
                waker.wake();
                outcome
            });
            self.under_way.insert(task.id(), item);
        }
        let activity = Activity::changed(changed);
        Ok(match self.lanes.next_at(now) {
            Some(next) => activity.again(next.duration_since(now).max(SignedDuration::from_millis(20))),
            None => activity,
        })
    }
}
