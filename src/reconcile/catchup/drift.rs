//! Statuses that GitHub does not show as it was told: told again a few times, then left to whoever overwrites them.

use jiff::{SignedDuration, Timestamp};

use super::{Trouble, ago, or_passed_over};
use crate::domain::missed::OpenPull;
use crate::domain::names::{RepoName, Sha};
use crate::domain::status::Overwritten;
use crate::ports::recall::Shown;
use crate::reconcile::Context;
use crate::store::Told;

/// Commits compared in one look at a repository; the others have their turn at the next.
const PER_LOOK: usize = 20;
/// GitHub may show for a moment what it was told before.
const SETTLES: SignedDuration = SignedDuration::from_secs(30);

pub(super) struct Drift {
    context: Context,
    /// Where the next look goes on.
    turn: usize,
}

impl Drift {
    pub(super) fn new(context: Context) -> Self {
        Self { context, turn: 0 }
    }

    /// How many statuses are to be told again.
    pub(super) async fn look(&mut self, repo: &RepoName, pulls: &[OpenPull], now: Timestamp) -> Result<usize, Trouble> {
        self.turn = self.turn.wrapping_add(PER_LOOK);
        let begin = if pulls.len() > PER_LOOK { self.turn % pulls.len() } else { 0 };
        let settled = ago(now, SETTLES.min(self.context.settings.catch_up));
        let mut found = 0;
        for pull in pulls.iter().cycle().skip(begin).take(PER_LOOK.min(pulls.len())) {
            found += or_passed_over(repo, self.commit(repo, &pull.head, settled).await)?;
        }
        Ok(found)
    }

    async fn commit(&self, repo: &RepoName, sha: &Sha, settled: Timestamp) -> Result<usize, Trouble> {
        let told = self.context.store.told(repo, sha, settled).await?;
        if told.is_empty() {
            return Ok(0);
        }
        let shown = self.context.ports.recall.shown(repo, sha).await?;
        self.compare(repo, sha, &told, &shown).await
    }

    async fn compare(&self, repo: &RepoName, sha: &Sha, told: &[Told], shown: &[Shown]) -> Result<usize, Trouble> {
        let mut found = 0;
        for one in told.iter().filter(|told| !is_shown(told, shown)) {
            let (store, context) = (&self.context.store, &one.context);
            match Overwritten::after(one.repairs) {
                Overwritten::ToldAgain => {
                    tracing::info!(%repo, head.sha = sha.short(), context, "GitHub shows something else; it is told again");
                    store.repair(repo, sha, context).await?;
                    found += 1;
                }
                Overwritten::LeftToThem if store.leave_contested(repo, sha, context).await? => {
                    tracing::warn!(%repo, head.sha = sha.short(), context, "somebody else keeps overwriting this status; it is left");
                }
                Overwritten::LeftToThem => {}
            }
        }
        Ok(found)
    }
}

/// Whether a status is among those shown. GitHub compares contexts without regard to case.
pub(in crate::reconcile) fn is_shown(told: &Told, shown: &[Shown]) -> bool {
    shown.iter().any(|shown| {
        shown.context.eq_ignore_ascii_case(&told.context)
            && shown.state == told.state
            && shown.description == told.description
    })
}
