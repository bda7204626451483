//! Reconcilers: each looks at stored state, takes at most one step per item and may die at any point.
//! None takes input; the driver wakes them. All branching on a run's state is `domain::plan`'s.

mod admit;
mod catchup;
mod clusters;
mod conclude;
mod converse;
mod diagnose;
pub mod driver;
mod execute;
mod failed;
mod hands;
mod intake;
mod janitor;
mod keep;
mod lint;
mod prepare;
mod publish;
pub mod specs;
mod summarize;
pub mod vault;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use self::driver::Waker;
use self::vault::Vault;
use crate::artifacts::Artifacts;
use crate::domain::names::RepoName;
use crate::domain::overrides::Overrides;
use crate::domain::wording::Links;
use crate::ports::Ports;
use crate::store::Store;

/// Between tries when GitHub does not let us do something and only an operator can help.
const FORBIDDEN: SignedDuration = SignedDuration::from_mins(5);
/// A day of these.
const TRIES_TO_ENTER: u32 = 288;

/// What every reconciler works with.
#[derive(Clone)]
pub struct Context {
    pub store: Store,
    pub ports: Ports,
    pub artifacts: Artifacts,
    pub settings: Arc<Settings>,
    /// Secrets for suites.
    pub vault: Arc<Vault>,
    /// Has every reconciler look again.
    pub waker: Waker,
}

/// What an operator decides about the reconcilers.
#[derive(Debug, Clone)]
pub struct Settings {
    pub links: Links,
    /// What holds for single repositories.
    pub overrides: Overrides,
    /// Clusters that may exist at once.
    pub capacity: usize,
    /// Runs of one repository that may be active at once.
    pub runs_per_repo: usize,
    /// Clusters of one repository that may break within an hour before the next has to wait.
    pub broken_per_hour: usize,
    /// A cluster is taken away after this, whatever happened.
    pub lease: SignedDuration,
    /// How long processed deliveries are kept.
    pub keep_deliveries: SignedDuration,
    /// How long files of runs are kept.
    pub keep_artifacts: SignedDuration,
    /// How long what was seen of specs is kept.
    pub keep_statistics: SignedDuration,
    /// Repositories whose pull requests are compared with what is stored, beside those a GitHub App was let into.
    pub watched: Vec<RepoName>,
    /// Between two such comparisons.
    pub catch_up: SignedDuration,
    /// Where GitHub delivers webhooks for us.
    pub webhook_url: String,
    /// Largest repository archive that is fetched, in bytes.
    pub max_archive_bytes: u64,
    /// Most that is copied out of a suite's results folder, in bytes.
    pub max_results_bytes: u64,
}

impl Context {
    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}

/// One part of the engine.
#[async_trait]
pub trait Reconciler: Send {
    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// Looks once and takes one step per item. Safe to call again after a crash at any point.
    async fn activate(&mut self) -> anyhow::Result<Activity>;
}

/// What an activation came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// Rows that were changed; others are woken to look at them.
    pub changed: usize,
    /// When to look again, if nobody wakes it before.
    pub again_in: Option<SignedDuration>,
}

impl Activity {
    fn changed(changed: usize) -> Self {
        Self { changed, again_in: None }
    }

    /// The same, looking again after `pause` at the latest.
    fn again(mut self, pause: SignedDuration) -> Self {
        self.again_in = Some(self.again_in.map_or(pause, |earlier| earlier.min(pause)));
        self
    }

    fn add(self, other: Activity) -> Activity {
        let sum = Activity { changed: self.changed + other.changed, ..self };
        other.again_in.map_or(sum, |pause| sum.again(pause))
    }
}

/// Every reconciler, in the order in which a delivery becomes a verdict.
pub fn all(context: &Context) -> Vec<Box<dyn Reconciler>> {
    vec![
        Box::new(intake::Intake::new(context.clone())),
        Box::new(lint::Lints::new(context.clone())),
        Box::new(admit::Admit::new(context.clone())),
        Box::new(clusters::Clusters::new(context.clone())),
        Box::new(prepare::Prepare::new(context.clone())),
        Box::new(execute::Execute::new(context.clone())),
        Box::new(conclude::Conclude::new(context.clone())),
        Box::new(publish::Publish::new(context.clone())),
        Box::new(converse::Converse::new(context.clone())),
        Box::new(keep::Keep::new(context.clone())),
        Box::new(summarize::Summarize::new(context.clone())),
        Box::new(catchup::CatchUp::new(context.clone())),
        Box::new(janitor::Janitor::new(context.clone())),
    ]
}

/// An error with everything that caused it, on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
