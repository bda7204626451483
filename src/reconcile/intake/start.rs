//! A run is put together: which commit is tested, which suites are needed, what is known of them already.

use super::desk::{Desk, Trouble};
use crate::domain::effect::{Basis, Effect, NewRun, Replaces, Waiver, WaiverKind};
use crate::domain::gate::{Checkout, Gate};
use crate::domain::ids::RunId;
use crate::domain::names::{RepoName, Sha, SuiteName};
use crate::domain::plan::RunView;
use crate::domain::run::{Commits, Conclusion, Coverage, Run, Trigger};
use crate::domain::secret;
use crate::domain::suite::Suite;
use crate::domain::verdict::Verdict;
use crate::domain::wording;
use crate::ports::{ForgeError, Mergeability, PullRequest};

/// GitHub makes a test merge within seconds; after this many looks, some twenty minutes, somebody has to know that it does not.
const MERGE_LOOKS: u32 = 20;

/// The pull request a decision is about, as the forge shows it now.
pub(super) struct Subject<'a> {
    pub(super) repo: &'a RepoName,
    pub(super) number: u64,
    pub(super) pr: &'a PullRequest,
    /// How often GitHub was asked for a test merge that it had not made.
    pub(super) looks: u32,
}

/// A run that is wanted.
pub(super) struct Start<'a> {
    pub(super) gate: &'a Gate,
    pub(super) trigger: Trigger,
    pub(super) actor: &'a str,
    /// How the start itself stands to the commit.
    pub(super) basis: Basis,
    pub(super) why: String,
    pub(super) suites: Suites<'a>,
    pub(super) retry_of: Option<RunId>,
    pub(super) replaces: Replaces,
}

/// Which suites a run is about.
#[derive(Clone, Copy)]
pub(super) enum Suites<'a> {
    /// The gate's, as far as the change needs them and nobody has waived them.
    Needed,
    /// Of these, what the change needs and nobody has waived.
    NeededOf(&'a [SuiteName]),
    /// Exactly these: somebody named them, or they have failed.
    Exactly(&'a [SuiteName]),
}

impl Desk {
    /// The effects of a start; a change of which there is no merge to test gets a run that has ended.
    pub(super) async fn start(&self, subject: &Subject<'_>, start: Start<'_>) -> Result<Vec<Effect>, Trouble> {
        let links = &self.context.settings.links;
        let (gate, coverage) = chosen(start.gate, start.suites);
        let pr = subject.pr;
        let tested = match self.tested(subject, &start).await? {
            Ok(tested) => tested,
            Err(why) => {
                let run = Run { coverage, ..self.ended_run(subject, start.trigger, start.actor, gate, &why) };
                let statuses = wording::all(&run, Verdict::Error, &why, links);
                let new = NewRun { run, concluded: vec![], statuses, replaces: start.replaces, why: start.why };
                return Ok(vec![Effect::Create(Box::new(new))]);
            }
        };
        let mut effects = vec![];
        let mut concluded = match start.suites {
            Suites::Exactly(named) => {
                let (repo, sha) = (subject.repo, &pr.head);
                let unwaive =
                    |suite: &SuiteName| Effect::Unwaive { repo: repo.clone(), sha: sha.clone(), suite: suite.clone() };
                effects.extend(named.iter().map(unwaive));
                vec![]
            }
            Suites::Needed | Suites::NeededOf(_) => self.known(subject, &gate).await?,
        };
        for (suite, conclusion) in self.withheld(subject, &gate, &start).await? {
            if !concluded.iter().any(|(known, _)| *known == suite) {
                concluded.push((suite, conclusion));
            }
        }
        let run = Run {
            coverage,
            retry_of: start.retry_of,
            ..self.new_run(subject, start.trigger, start.actor, gate, tested)
        };
        effects.push(self.announced(run, concluded, start.replaces, start.why).await?);
        Ok(effects)
    }

    /// The commit to test, or why there is none.
    async fn tested(&self, subject: &Subject<'_>, start: &Start<'_>) -> Result<Result<Sha, String>, Trouble> {
        let pr = subject.pr;
        match (start.gate.checkout, &pr.mergeability) {
            (Checkout::Head, _) => Ok(Ok(pr.head.clone())),
            (Checkout::Merge, Mergeability::Conflicts) => Ok(Err(wording::in_conflict(&pr.base_ref))),
            // What an earlier run has tested was looked at then.
            (Checkout::Merge, Mergeability::Merges(sha)) if start.retry_of.is_some() => Ok(Ok(sha.clone())),
            (Checkout::Merge, Mergeability::Merges(sha)) if self.is_merge(subject, sha).await? => Ok(Ok(sha.clone())),
            (Checkout::Merge, Mergeability::Merges(_) | Mergeability::Unknown) if subject.looks < MERGE_LOOKS => {
                Err(Trouble::Unmerged)
            }
            (Checkout::Merge, Mergeability::Merges(_) | Mergeability::Unknown) => {
                Ok(Err(wording::unmerged(&pr.base_ref)))
            }
        }
    }

    /// Whether a commit is the merge of this head into this base: right after one of them moved GitHub shows the merge before.
    async fn is_merge(&self, subject: &Subject<'_>, sha: &Sha) -> Result<bool, Trouble> {
        match self.context.ports.forge.commit(subject.repo, sha).await {
            Ok(commit) => Ok(commit.parents == [subject.pr.base.clone(), subject.pr.head.clone()]),
            Err(ForgeError::NotFound(_) | ForgeError::Rejected(_)) => Ok(false),
            Err(error) => Err(self.later(&error)),
        }
    }

    /// A run with the statuses that announce it.
    pub(super) async fn announced(
        &self,
        run: Run,
        concluded: Vec<(SuiteName, Conclusion)>,
        replaces: Replaces,
        why: String,
    ) -> Result<Effect, Trouble> {
        let links = &self.context.settings.links;
        let mut view = RunView::new(run.clone());
        view.conclusions.extend(concluded.iter().cloned());
        let mut statuses = wording::pending(&view, links);
        statuses.extend(concluded.iter().map(|(suite, conclusion)| wording::concluded(&run, suite, conclusion, links)));
        statuses.extend(self.policy_mended(&run).await?);
        Ok(Effect::Create(Box::new(NewRun { run, concluded, statuses, replaces, why })))
    }

    /// Suites of which the end is known before anything is started: waived, or not touched by the change.
    async fn known(&self, subject: &Subject<'_>, gate: &Gate) -> Result<Vec<(SuiteName, Conclusion)>, Trouble> {
        let success = |description: String| Conclusion { verdict: Verdict::Success, description };
        let waivers = self.context.store.waivers(subject.repo, &subject.pr.head).await?;
        // A suite may have become required since it was skipped.
        let holds = |waiver: &&Waiver, suite: &Suite| waiver.kind == WaiverKind::Override || !suite.required;
        let waived = |name: &SuiteName, suite: &Suite| {
            waivers.iter().find(|waiver| waiver.suite == *name && holds(waiver, suite))
        };
        let unneeded = self.unneeded(subject.repo, subject.number, gate).await?;
        let known = |name: &SuiteName, suite: &Suite| match waived(name, suite) {
            Some(waiver) => Some(success(waiver.text())),
            None => unneeded.contains(name).then(|| success(wording::NOT_NEEDED.to_owned())),
        };
        Ok(gate.suites.iter().filter_map(|(name, suite)| Some((name.clone(), known(name, suite)?))).collect())
    }

    /// Suites with secrets are for changes that people who may start runs have written, pushed or approved, and asked for. Who
    /// moves the base branch asks for nothing.
    async fn withheld(
        &self,
        subject: &Subject<'_>,
        gate: &Gate,
        start: &Start<'_>,
    ) -> Result<Vec<(SuiteName, Conclusion)>, Trouble> {
        let mut suites = secret::withheld(&gate.suites).peekable();
        if suites.peek().is_none() {
            return Ok(vec![]);
        }
        let Some(description) = self.why_withheld(subject, gate, start).await? else { return Ok(vec![]) };
        let conclusion = Conclusion { verdict: Verdict::Error, description };
        Ok(suites.map(|suite| (suite.clone(), conclusion.clone())).collect())
    }

    async fn why_withheld(
        &self,
        subject: &Subject<'_>,
        gate: &Gate,
        start: &Start<'_>,
    ) -> Result<Option<String>, Trouble> {
        let asked = (start.trigger != Trigger::Base).then_some((start.actor, "asked for it"));
        for (login, did) in [(subject.pr.author.as_str(), "wrote the change")].into_iter().chain(asked) {
            if !self.people.may_run(subject.repo, &gate.rules, login).await? {
                return Ok(Some(wording::secrets_withheld(login, did)));
            }
        }
        let vouched = start.basis == Basis::Commit || self.is_vouched_for(subject, gate).await?;
        Ok((!vouched).then(|| wording::secrets_unapproved(&subject.pr.head)))
    }

    /// Whether somebody who may start runs has approved this very commit or pushed it. Whoever wrote the pull request may let others
    /// push to its branch.
    async fn is_vouched_for(&self, subject: &Subject<'_>, gate: &Gate) -> Result<bool, Trouble> {
        let (store, head) = (&self.context.store, &subject.pr.head);
        if store.approval(subject.repo, subject.number, head).await? == Some(Basis::Commit) {
            return Ok(true);
        }
        let seen = store.seen(subject.repo, subject.number).await?.filter(|seen| seen.head == *head);
        match seen.and_then(|seen| seen.pusher) {
            Some(pusher) => self.people.may_run(subject.repo, &gate.rules, &pusher).await,
            None => Ok(false),
        }
    }

    /// Suites that no changed file needs. Too many files need them all.
    pub(super) async fn unneeded(&self, repo: &RepoName, pr: u64, gate: &Gate) -> Result<Vec<SuiteName>, Trouble> {
        if gate.suites.values().all(|suite| suite.paths.is_empty()) {
            return Ok(vec![]);
        }
        let files = self.context.ports.forge.changed_files(repo, pr).await.map_err(|error| self.later(&error))?;
        let Some(files) = files else { return Ok(vec![]) };
        let unneeded = gate.suites.iter().filter(|(_, suite)| !suite.paths.need(&files));
        Ok(unneeded.map(|(name, _)| name.clone()).collect())
    }

    pub(super) fn new_run(&self, subject: &Subject<'_>, trigger: Trigger, actor: &str, gate: Gate, tested: Sha) -> Run {
        let pr = subject.pr;
        let of = Commits {
            repo: subject.repo.clone(),
            pr: Some(subject.number),
            head: pr.head.clone(),
            base: pr.base.clone(),
            base_ref: pr.base_ref.clone(),
            tested,
        };
        Run::asked(self.next_id(), self.context.now(), of, trigger, actor, gate)
    }

    /// A run that ended before anything was started.
    pub(super) fn ended_run(&self, subject: &Subject<'_>, trigger: Trigger, actor: &str, gate: Gate, why: &str) -> Run {
        self.new_run(subject, trigger, actor, gate, subject.pr.head.clone()).ended(why)
    }
}

/// The gate with the suites that the run is about.
fn chosen(gate: &Gate, suites: Suites<'_>) -> (Gate, Coverage) {
    let mut gate = gate.clone();
    let all = gate.suites.len();
    match suites {
        Suites::Needed => {}
        Suites::NeededOf(names) | Suites::Exactly(names) => gate.suites.retain(|name, _| names.contains(name)),
    }
    let coverage = if gate.suites.len() == all { Coverage::Whole } else { Coverage::Chosen };
    (gate, coverage)
}
