//! A status that somebody posted. Where it stands over one of ours, ours is told again, a few times; then it is left to them.
//! What webhooks do not tell of, catch-up finds.

use super::desk::{Desk, Trouble};
use crate::domain::effect::{Effect, Effects};
use crate::domain::event::StatusEvent;
use crate::domain::status::Overwritten;
use crate::ports::ForgeError;
use crate::ports::recall::Shown;
use crate::reconcile::catchup::is_shown;

impl Desk {
    pub(super) async fn posted(&self, event: &StatusEvent) -> Result<Effects, Trouble> {
        let (repo, sha) = (&event.repo, &event.sha);
        let all = self.context.store.told(repo, sha, jiff::Timestamp::MAX).await?;
        let Some(told) = all.into_iter().find(|told| told.context.eq_ignore_ascii_case(&event.context)) else {
            return Ok(Effects::ignored("no status that we have told, or one that is about to be told again"));
        };
        let (context, state, description) = (event.context.clone(), event.state, event.description.clone());
        if is_shown(&told, &[Shown { context, state, description }]) {
            return Ok(Effects::ignored("it says what we say"));
        }
        // Anybody can copy our link; what we told after it stands over it, whoever's it is.
        let is_older = event.at.is_some_and(|at| told.at.is_some_and(|told| at <= told));
        if is_older && self.context.settings.links.is_ours(&event.target_url) {
            return Ok(Effects::ignored("it says what we said before"));
        }
        // The webhook may be old: what counts is what GitHub shows now.
        let shown = match self.context.ports.recall.shown(repo, sha).await {
            Ok(shown) => shown,
            Err(ForgeError::NotFound(what)) => return Ok(Effects::ignored(format!("{what} is gone"))),
            Err(error) => return Err(self.later(&error)),
        };
        if is_shown(&told, &shown) {
            return Ok(Effects::ignored("GitHub shows what we say"));
        }
        let (repo, sha, context) = (repo.clone(), sha.clone(), told.context);
        Ok(match Overwritten::after(told.repairs) {
            Overwritten::ToldAgain => {
                Effects::of("somebody else overwrote a status: told again", vec![Effect::Repair { repo, sha, context }])
            }
            Overwritten::LeftToThem => Effects::of(
                "somebody else keeps overwriting a status: left",
                vec![Effect::Leave { repo, sha, context }],
            ),
        })
    }
}
