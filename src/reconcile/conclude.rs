//! The only one that fixes verdicts: a suite's from its attempts, a run's from its suites. Also says what runs wait for.

use async_trait::async_trait;

use super::{Activity, Context, Reconciler};
use crate::domain::plan::{RunView, Step, next_step};
use crate::domain::run::Conclusion;
use crate::domain::verdict::Verdict;
use crate::domain::wording;

pub(super) struct Conclude {
    context: Context,
}

impl Conclude {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn advance(&self, view: &RunView) -> anyhow::Result<u64> {
        let now = self.context.now();
        let (store, links) = (&self.context.store, &self.context.settings.links);
        match next_step(view, now) {
            Step::Conclude(suite, conclusion) => {
                let status = wording::concluded(&view.run, &suite, &conclusion, links);
                let news = store.conclude(view.run.id, &suite, &conclusion, &status, now).await?;
                let Conclusion { verdict, description } = &conclusion;
                tracing::info!(run.id = %view.run.id, %suite, ?verdict, description, "suite concluded");
                Ok(u64::from(news))
            }
            Step::Finish { verdict, rest } => self.finish(view, verdict, &rest).await,
            _ => Ok(store.desire(view.run.id, &wording::pending(view, links)).await?),
        }
    }

    async fn finish(&self, view: &RunView, verdict: Verdict, rest: &Conclusion) -> anyhow::Result<u64> {
        let (run, links) = (&view.run, &self.context.settings.links);
        let open = run.gate.suites.keys().filter(|suite| !view.conclusions.contains_key(*suite));
        let rest: Vec<_> =
            open.map(|suite| (suite.clone(), rest.clone(), wording::concluded(run, suite, rest, links))).collect();
        let message = rest.first().map(|(_, conclusion, _)| conclusion.description.as_str());
        let moved = self.context.store.finish(run, verdict, message, &rest, self.context.now()).await?;
        if moved {
            tracing::info!(run.id = %run.id, repo = %run.repo, pr = run.pr, ?verdict, message, "run finished");
        }
        Ok(u64::from(moved))
    }
}

#[async_trait]
impl Reconciler for Conclude {
    fn name(&self) -> &'static str {
        "conclude"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let mut changed = 0;
        for view in self.context.store.open_runs().await? {
            changed += self.advance(&view).await?;
        }
        Ok(Activity::changed(usize::try_from(changed).unwrap_or(usize::MAX)))
    }
}
