//! What each kind of event needs decided, and the few things that every decision shares. Reads the store and the forge, writes nothing.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;

use super::super::{Context, chain};
use super::lanes::Item;
use super::people::People;
use crate::config::Builtins;
use crate::domain::effect::{Effect, Effects, Over, Whose};
use crate::domain::event::{Event, InstallationChange, InstallationEvent};
use crate::domain::ids::RunId;
use crate::domain::names::RepoName;
use crate::domain::plan::RunView;
use crate::domain::run::CancelReason;
use crate::domain::status::CommitStatus;
use crate::ports::{ForgeError, PullRequest};
use crate::store::StoreError;

pub(super) struct Desk {
    pub(super) context: Context,
    pub(super) builtins: Builtins,
    pub(super) people: People,
    /// When the last id was made, or seems to have been.
    last_id: Mutex<Timestamp>,
    /// The store was asked for it.
    knows_last_id: OnceCell<()>,
}

/// Why acting on a delivery did not end in a decision.
pub(super) enum Trouble {
    /// Ask again after a pause; the text says why.
    Later(String, SignedDuration),
    /// GitHub has yet to make the test merge of this head into this base.
    Unmerged,
    /// Our own store failed.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Store(error)
    }
}

impl Desk {
    pub(super) fn new(context: Context) -> Self {
        let people = People::new(context.ports.clone());
        let (last_id, knows_last_id) = (Mutex::new(Timestamp::UNIX_EPOCH), OnceCell::new());
        Self { context, builtins: Builtins::embedded(), people, last_id, knows_last_id }
    }

    /// What the delivery comes to.
    pub(super) async fn decide(&self, item: &Item) -> Result<Effects, Trouble> {
        self.knows_last_id.get_or_try_init(|| self.ask_last_id()).await?;
        match &item.event {
            Event::PullRequest(event) => self.pull_request(item, event).await,
            Event::Comment(event) => self.comment(item, event).await,
            Event::Push(event) => self.pushed(item, event).await,
            Event::MergeGroup(event) => self.merge_group(event).await,
            Event::CheckRequested(event) => self.check_requested(item, event).await,
            Event::Status(event) => self.posted(event).await,
            Event::Installation(event) => Ok(uninstalled(event)),
            Event::Ping => Ok(Effects::ignored("a ping")),
            Event::Ignored(why) => Ok(Effects::ignored(why)),
        }
    }

    /// An open pull request as it is now, or why there is nothing to do about it.
    pub(super) async fn open_pull(
        &self,
        repo: &RepoName,
        number: u64,
    ) -> Result<Result<PullRequest, Effects>, Trouble> {
        match self.context.ports.forge.pull_request(repo, number).await {
            Ok(pr) if pr.is_open => Ok(Ok(pr)),
            Ok(_) => Ok(Err(Effects::ignored("the pull request is closed"))),
            Err(ForgeError::NotFound(what)) => Ok(Err(Effects::ignored(format!("{what} is gone")))),
            Err(error) => Err(self.later(&error)),
        }
    }

    async fn ask_last_id(&self) -> Result<(), StoreError> {
        let last = self.context.store.newest_voice().await?.and_then(RunId::made_at);
        *self.last_id.lock().unwrap_or_else(PoisonError::into_inner) = last.unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(())
    }

    /// An id younger than every other, though the clock may have gone back: who is younger has the word.
    pub(super) fn next_id(&self) -> RunId {
        let mut last = self.last_id.lock().unwrap_or_else(PoisonError::into_inner);
        let after = last.saturating_add(SignedDuration::from_millis(1)).unwrap_or(*last);
        *last = self.context.now().max(after);
        RunId::new(*last)
    }

    /// Unfinished runs of a pull request that nobody has asked to end.
    pub(super) async fn live(&self, repo: &RepoName, pr: u64) -> Result<Vec<RunView>, Trouble> {
        let mut views = self.context.store.open_runs().await?;
        views.retain(|view| view.run.repo == *repo && view.run.pr == Some(pr) && view.run.cancel.is_none());
        Ok(views)
    }

    /// Statuses that no run speaks.
    pub(super) fn say(&self, over: Over, statuses: Vec<CommitStatus>) -> Effect {
        Effect::Say { voice: self.next_id(), over, statuses }
    }

    pub(super) fn later(&self, error: &ForgeError) -> Trouble {
        later(error, self.context.now())
    }
}

/// What we may not see any more cannot be told anything; its clusters are still taken away.
fn uninstalled(event: &InstallationEvent) -> Effects {
    let by = || event.account.clone();
    let cancel = |whose| Effect::Cancel { whose, reason: CancelReason::Uninstalled, by: by() };
    let cancels = match &event.change {
        InstallationChange::Deleted | InstallationChange::Suspended if !event.account.is_empty() => {
            vec![cancel(Whose::Account(event.account.clone()))]
        }
        InstallationChange::RepositoriesRemoved(repos) => {
            repos.iter().map(|repo| cancel(Whose::Repo(repo.clone()))).collect()
        }
        InstallationChange::Deleted
        | InstallationChange::Suspended
        | InstallationChange::Created
        | InstallationChange::Unsuspended
        | InstallationChange::RepositoriesAdded(_) => {
            return Effects::ignored("labelled pull requests are found by themselves");
        }
    };
    Effects::of("runs out of reach were cancelled", cancels)
}

pub(super) fn later(error: &ForgeError, now: Timestamp) -> Trouble {
    let pause = match error {
        ForgeError::RateLimited { until } => until.duration_since(now).max(SignedDuration::from_secs(1)),
        ForgeError::Forbidden(_) => SignedDuration::from_secs(60),
        ForgeError::NotFound(_) | ForgeError::Rejected(_) | ForgeError::Transient(_) => SignedDuration::from_secs(2),
    };
    Trouble::Later(chain(error), pause)
}
