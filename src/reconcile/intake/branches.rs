//! A base branch that moved, and the button that runs a check again. Both come with a commit, not with a pull request.

use super::choice::Choice;
use super::desk::{Desk, Trouble};
use super::lanes::Item;
use super::policy::Policy;
use super::start::{Start, Subject, Suites};
use crate::domain::effect::{Basis, Effects, Replaces};
use crate::domain::event::{CheckEvent, PushEvent};
use crate::domain::gate::Gate;
use crate::domain::names::{RepoName, SuiteName};
use crate::domain::rules::OnBaseMove;
use crate::domain::run::{Coverage, Run, Trigger};
use crate::ports::{ForgeError, PullRequest};

/// Runs of a commit that are looked through.
const LOOKED_THROUGH: u32 = 50;

impl Desk {
    /// Where the gate wants it, every labelled pull request into the branch is run again on the new base.
    pub(super) async fn pushed(&self, item: &Item, event: &PushEvent) -> Result<Effects, Trouble> {
        if !self.context.store.is_base(&event.repo, &event.branch).await? {
            return Ok(Effects::ignored("no pull request into that branch was ever tested"));
        }
        let gate = match self.policy(&event.repo, &event.after).await? {
            Policy::Gate(gate) if gate.rules.on_base_move == OnBaseMove::RerunBeforeMerge => gate,
            Policy::Gate(_) => return Ok(Effects::ignored("results stand when the base branch moves")),
            Policy::None | Policy::Broken(_) => return Ok(Effects::ignored("the branch has no gate that reads")),
        };
        let open = self.context.ports.recall.open_pulls(&event.repo).await.map_err(|error| self.later(&error))?;
        let labelled = open.iter().filter(|pull| pull.base_ref == event.branch && pull.labels.contains(&gate.label));
        let (mut effects, mut unmerged) = (vec![], false);
        for number in labelled.map(|pull| pull.number) {
            let pr = match self.context.ports.forge.pull_request(&event.repo, number).await {
                Ok(pr) => pr,
                Err(ForgeError::NotFound(_)) => continue,
                Err(error) => return Err(self.later(&error)),
            };
            if !self.outdated(&event.repo, number, &pr, &gate).await? {
                continue;
            }
            let subject = Subject { repo: &event.repo, number, pr: &pr, looks: item.looks() };
            let start = Start {
                gate: &gate,
                trigger: Trigger::Base,
                actor: &event.sender,
                basis: Basis::Pull,
                why: format!("{} moved to {}", event.branch, event.after.short()),
                suites: Suites::Needed,
                retry_of: None,
                replaces: Replaces::Everything,
            };
            match self.start(&subject, start).await {
                Ok(more) => effects.extend(more),
                // Looking at it is what has GitHub make it: the others are looked at before all of them are again.
                Err(Trouble::Unmerged) => unmerged = true,
                Err(error) => return Err(error),
            }
        }
        if unmerged {
            return Err(Trouble::Unmerged);
        }
        Ok(Effects::of("no labelled pull request into that branch", effects))
    }

    /// Whether a labelled, approved pull request was last tested on another base.
    async fn outdated(&self, repo: &RepoName, number: u64, pr: &PullRequest, gate: &Gate) -> Result<bool, Trouble> {
        let store = &self.context.store;
        let wanted = pr.is_open && pr.labels.contains(&gate.label);
        if !wanted || !store.is_approved(repo, number, &pr.head).await? {
            return Ok(false);
        }
        if pr.is_draft && store.seen(repo, number).await?.is_none_or(|seen| seen.draft_labelled != Some(true)) {
            return Ok(false);
        }
        // Some suites alone say nothing of the others.
        let is_whole = |run: &&Run| run.pr == Some(number) && run.coverage == Coverage::Whole;
        let runs = store.runs_of_commit(repo, &pr.head, LOOKED_THROUGH).await?;
        Ok(runs.iter().find(is_whole).is_none_or(|run| run.base != pr.base))
    }

    /// As `/retest` of the check's suite, or of everything that failed.
    pub(super) async fn check_requested(&self, item: &Item, event: &CheckEvent) -> Result<Effects, Trouble> {
        let store = &self.context.store;
        let known = store.runs_of_commit(&event.repo, &event.head, LOOKED_THROUGH).await?;
        let Some(number) = known.iter().find_map(|run| run.pr) else {
            return Ok(Effects::ignored("no pull request was tested at that commit"));
        };
        let pr = match self.open_pull(&event.repo, number).await? {
            Ok(pr) if pr.head == event.head => pr,
            Ok(_) => return Ok(Effects::ignored("the commit is not the head of the pull request any more")),
            Err(effects) => return Ok(effects),
        };
        let subject = Subject { repo: &event.repo, number, pr: &pr, looks: item.looks() };
        let gate = match self.policy(&event.repo, &pr.base).await? {
            Policy::Gate(gate) => gate,
            Policy::None => return Ok(Effects::ignored("the base branch has no gate")),
            // Only who may write sees the button.
            Policy::Broken(why) => {
                let refused = self.refuse(&subject, Trigger::Recheck, &event.sender, &why, Replaces::Nothing);
                return Ok(Effects::of("", refused));
            }
        };
        if !self.people.may_run(&event.repo, &gate.rules, &event.sender).await? {
            return Ok(Effects::ignored(format!("{} may not start runs", event.sender)));
        }
        let choice = Choice::new(self, &event.repo, &pr, &gate).await?;
        let suites: Vec<SuiteName> = match &event.check {
            Some(check) => choice.of_context(check).into_iter().filter(|suite| !choice.is_live(suite)).collect(),
            None => choice.failed(),
        };
        if suites.is_empty() {
            return Ok(Effects::ignored("nothing of that commit failed"));
        }
        if let Some(why) = choice.refusal(self, &suites).await? {
            return Ok(Effects::ignored(why));
        }
        let start = Start {
            gate: &gate,
            trigger: Trigger::Recheck,
            actor: &event.sender,
            basis: Basis::Pull,
            why: "the check was asked for again".to_owned(),
            suites: Suites::Exactly(&suites),
            retry_of: None,
            replaces: Replaces::Nothing,
        };
        Ok(Effects::of("", self.start(&subject, start).await?))
    }
}
