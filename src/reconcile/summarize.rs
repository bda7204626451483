//! Keeps one comment on a pull request equal to how its last run stands, where the policy asks for it. Stopping between
//! posting and noting it is found out by the mark that the comment carries.

use async_trait::async_trait;
use jiff::SignedDuration;

use super::{Activity, Context, FORBIDDEN, Reconciler, TRIES_TO_ENTER, chain, failed};
use crate::domain::notice::comment;
use crate::domain::status::back_off;
use crate::ports::ForgeError;
use crate::store::Summary;

/// Comments looked at in one activation.
const BATCH: u32 = 20;
/// Between two changes of one comment.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

pub(super) struct Summarize {
    context: Context,
}

impl Summarize {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn summarize(&self, summary: &Summary) -> anyhow::Result<()> {
        let (store, notices, now) = (&self.context.store, &self.context.ports.notices, self.context.now());
        let Some(body) = self.body(summary).await? else {
            return Ok(store.give_up_summary(summary, "its run is gone").await?);
        };
        let id = match (summary.comment, summary.is_begun) {
            (Some(id), _) => Ok(Some(id)),
            (None, true) => notices.find_comment(&summary.repo, summary.pr, &summary.mark).await,
            (None, false) => Ok(None),
        };
        store.begin_summary(summary).await?;
        let put = match id {
            Ok(id) => notices.put_comment(&summary.repo, summary.pr, id, &body).await,
            Err(error) => Err(error),
        };
        let error = match put {
            Ok(id) => {
                tracing::info!(repo = %summary.repo, pr = summary.pr, run.id = %summary.run, "comment written");
                return Ok(store.summarized(summary, id, now.saturating_add(PAUSE)?).await?);
            }
            Err(error) => error,
        };
        let text = chain(&error);
        tracing::warn!(repo = %summary.repo, pr = summary.pr, error = text, "the comment was not taken");
        let until = match error {
            // Somebody removed it. The next change writes another.
            ForgeError::NotFound(_) if summary.comment.is_some() => return Ok(store.forget_comment(summary).await?),
            ForgeError::Forbidden(_) if summary.tries < TRIES_TO_ENTER => now.saturating_add(FORBIDDEN)?,
            ForgeError::NotFound(_) | ForgeError::Rejected(_) | ForgeError::Forbidden(_) => {
                return Ok(store.give_up_summary(summary, &text).await?);
            }
            ForgeError::RateLimited { until } => until,
            ForgeError::Transient(_) => now.saturating_add(back_off(summary.tries, &summary.mark))?,
        };
        Ok(store.put_off_summary(summary, until, &text).await?)
    }

    async fn body(&self, summary: &Summary) -> anyhow::Result<Option<String>> {
        let Some(view) = self.context.store.run_view(summary.run).await? else { return Ok(None) };
        let mut failing = Vec::new();
        for suite in view.conclusions.keys() {
            failing.push((suite.clone(), failed::with_messages(&self.context.store, &view, suite).await?));
        }
        failing.sort_by(|(one, _), (other, _)| one.cmp(other));
        let contexts = self.context.store.contexts(&view.run.repo, &view.run.head).await?;
        let url = self.context.settings.links.run(summary.run);
        Ok(Some(comment(&summary.mark, &view.run.head, &url, &contexts, &failing)))
    }
}

#[async_trait]
impl Reconciler for Summarize {
    fn name(&self) -> &'static str {
        "summarize"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        for summary in self.context.store.due_summaries(now, BATCH).await? {
            self.summarize(&summary).await?;
        }
        let next = self.context.store.next_summary_at().await?;
        Ok(match next.map(|next| next.duration_since(self.context.now()).max(SignedDuration::from_millis(100))) {
            Some(pause) => Activity::default().again(pause),
            None => Activity::default(),
        })
    }
}
