//! What each kind of event needs decided, and the few things that every decision shares. Reads the store and the forge, writes nothing.

use jiff::{SignedDuration, Timestamp};

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
use crate::ports::ForgeError;
use crate::store::StoreError;

pub(super) struct Desk {
    pub(super) context: Context,
    pub(super) builtins: Builtins,
    pub(super) people: People,
}

/// Why acting on a delivery did not end in a decision.
pub(super) enum Trouble {
    /// Ask again after a pause; the text says why.
    Later(String, SignedDuration),
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
        Self { context, builtins: Builtins::embedded(), people }
    }

    /// What the delivery comes to.
    pub(super) async fn decide(&self, item: &Item) -> Result<Effects, Trouble> {
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

    /// Unfinished runs of a pull request that nobody has asked to end.
    pub(super) async fn live(&self, repo: &RepoName, pr: u64) -> Result<Vec<RunView>, Trouble> {
        let mut views = self.context.store.open_runs().await?;
        views.retain(|view| view.run.repo == *repo && view.run.pr == Some(pr) && view.run.cancel.is_none());
        Ok(views)
    }

    /// Statuses that no run speaks.
    pub(super) fn say(&self, over: Over, statuses: Vec<CommitStatus>) -> Effect {
        Effect::Say { voice: RunId::new(self.context.now()), over, statuses }
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
