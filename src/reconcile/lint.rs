//! Compares a queued run's skip list with the specs of its suites, once, before a cluster is asked for. Asking an image for its specs
//! takes seconds, or a pull: it is a task of its own, and a suite that cannot be asked is said to be unknown, not waited for for ever.

use async_trait::async_trait;
use jiff::SignedDuration;

use super::hands::Hands;
use super::specs::{self, Wait};
use super::{Activity, Context, Reconciler};
use crate::domain::ids::RunId;
use crate::domain::plan::{RunView, Step, next_step};
use crate::domain::skip::Circumstances;

/// A run does not wait longer for its suites' lists.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

pub(super) struct Lints {
    context: Context,
    hands: Hands<RunId>,
}

impl Lints {
    pub(super) fn new(context: Context) -> Self {
        Self { hands: Hands::new(context.waker.clone()), context }
    }
}

#[async_trait]
impl Reconciler for Lints {
    fn name(&self) -> &'static str {
        "lint"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        let activity = self.hands.reap(now).await;
        for view in self.context.store.open_runs().await? {
            if next_step(&view, now) == Step::Lint {
                let context = self.context.clone();
                self.hands.take(view.run.id, now, async move { lint(&context, &view).await });
            }
        }
        Ok(activity)
    }
}

/// If we stop in here, the lists that were got are in the cache and the rest is asked for again.
async fn lint(context: &Context, view: &RunView) -> anyhow::Result<Activity> {
    let (gate, now) = (&view.run.gate, context.now());
    let version = context.ports.provider.version_of(&gate.cluster);
    let here = Circumstances {
        today: now.to_zoned(jiff::tz::TimeZone::UTC).date(),
        kubernetes: version.as_deref(),
        provider: context.ports.provider.name(),
    };
    let is_late = now.duration_since(view.run.created_at) > PATIENCE;
    let wait = if is_late { Wait::NoLonger } else { Wait::Long };
    let cache = context.artifacts.specs();
    let report = match specs::lint(&*context.ports.executor, &cache, gate, &here, now, wait).await {
        Ok(report) => report,
        Err(error) => {
            // Statuses are public: the error's causes name what only an operator may know.
            context.store.explain_run(view.run.id, &format!("waiting: {error}")).await?;
            return Err(error);
        }
    };
    for finding in report.findings(&gate.skips, &here) {
        let entry = gate.skips.get(finding.entry() as usize);
        tracing::info!(run.id = %view.run.id, finding = entry.map(|entry| finding.text(entry)), "skip list");
    }
    let noted = context.store.note_lint(view.run.id, &report).await?;
    Ok(Activity::changed(usize::from(noted)))
}
