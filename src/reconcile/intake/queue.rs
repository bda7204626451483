//! The merge queue: its groups are tested as they would land. A result is carried over from the pull request only when the very
//! same files were tested onto the very same base.

use super::desk::{Desk, Trouble};
use super::policy::Policy;
use crate::domain::effect::{Effect, Effects, NewRun, Replaces, Whose};
use crate::domain::event::{MergeGroupAction, MergeGroupEvent};
use crate::domain::gate::{GATE_PATH, Gate};
use crate::domain::names::SuiteName;
use crate::domain::plan::RunView;
use crate::domain::run::{CancelReason, Commits, Conclusion, Run, Trigger};
use crate::domain::verdict::Verdict;
use crate::domain::wording;
use crate::ports::ForgeError;

/// Runs of the pull request that are looked through for a result to carry over.
const LOOKED_THROUGH: u32 = 10;

impl Desk {
    pub(super) async fn merge_group(&self, event: &MergeGroupEvent) -> Result<Effects, Trouble> {
        match event.action {
            MergeGroupAction::ChecksRequested => self.grouped(event).await,
            MergeGroupAction::Destroyed => {
                let whose = Whose::Commit(event.repo.clone(), event.head.clone());
                let cancel = Effect::Cancel { whose, reason: CancelReason::Dequeued, by: "GitHub".into() };
                Ok(Effects::of("runs were cancelled", vec![cancel]))
            }
        }
    }

    async fn grouped(&self, event: &MergeGroupEvent) -> Result<Effects, Trouble> {
        // The group's own base may be another group that has yet to land: the policy is the branch's.
        let tip = self.context.ports.forge.tip(&event.repo, &event.base_ref).await;
        let Some(tip) = tip.map_err(|error| self.later(&error))? else {
            return Ok(Effects::ignored(format!("the branch {} is gone", event.base_ref)));
        };
        let why = "the merge queue asked for it".to_owned();
        let gate = match self.policy(&event.repo, &tip).await? {
            Policy::None => return Ok(Effects::ignored(format!("{} has no {GATE_PATH}", event.repo))),
            Policy::Gate(gate) => *gate,
            Policy::Broken(broken) => {
                let run = self.group_run(event, Gate::empty());
                let status = wording::policy(&run, Verdict::Error, &broken, &self.context.settings.links);
                let run = run.ended(&broken);
                let new = NewRun { run, concluded: vec![], statuses: vec![status], replaces: Replaces::Nothing, why };
                return Ok(Effects::of("", vec![Effect::Create(Box::new(new))]));
            }
        };
        let mut concluded = self.carried(event, &gate).await?;
        // Only a group that stands on the branch itself holds the files of one pull request alone: one behind others brings
        // theirs too, and may land in their place.
        let unneeded = match pull_number(&event.head_ref).filter(|_| event.base == tip) {
            Some(pr) => self.unneeded(&event.repo, pr, &gate).await?,
            None => vec![],
        };
        for suite in unneeded {
            if !concluded.iter().any(|(known, _)| *known == suite) {
                let description = wording::NOT_NEEDED.to_owned();
                concluded.push((suite, Conclusion { verdict: Verdict::Success, description }));
            }
        }
        let create = self.announced(self.group_run(event, gate), concluded, Replaces::Nothing, why).await?;
        Ok(Effects::of("", vec![create]))
    }

    /// Green results of the pull request's own runs that hold for the group as well.
    async fn carried(&self, event: &MergeGroupEvent, gate: &Gate) -> Result<Vec<(SuiteName, Conclusion)>, Trouble> {
        let Some(pr) = pull_number(&event.head_ref) else { return Ok(vec![]) };
        let runs = self.context.store.runs_of_pull(&event.repo, pr, LOOKED_THROUGH).await?;
        let mut same_base = runs.into_iter().filter(|run| run.base == event.base).peekable();
        if same_base.peek().is_none() {
            return Ok(vec![]);
        }
        let wanted = self.context.ports.forge.commit(&event.repo, &event.head).await;
        let wanted = wanted.map_err(|error| self.later(&error))?.tree;
        let mut carried: Vec<(SuiteName, Conclusion)> = vec![];
        for run in same_base {
            let tree = match self.context.ports.forge.commit(&event.repo, &run.tested).await {
                Ok(commit) => commit.tree,
                Err(ForgeError::NotFound(_) | ForgeError::Rejected(_)) => continue,
                Err(error) => return Err(self.later(&error)),
            };
            let view = self.context.store.run_view(run.id).await?.filter(|_| tree == wanted);
            for (suite, conclusion) in view.iter().flat_map(|view| green(view, gate)) {
                if !carried.iter().any(|(known, _)| *known == suite) {
                    let description = format!("as in #{pr}: {}", conclusion.description);
                    carried.push((suite, Conclusion { description, ..conclusion }));
                }
            }
        }
        Ok(carried)
    }

    fn group_run(&self, event: &MergeGroupEvent, gate: Gate) -> Run {
        let of = Commits {
            repo: event.repo.clone(),
            pr: None,
            head: event.head.clone(),
            base: event.base.clone(),
            base_ref: event.base_ref.clone(),
            tested: event.head.clone(),
        };
        Run::asked(self.next_id(), self.context.now(), of, Trigger::MergeGroup, "merge queue", gate)
    }
}

/// Suites that passed by the same policy as the group's.
fn green(view: &RunView, gate: &Gate) -> Vec<(SuiteName, Conclusion)> {
    let passed = view.conclusions.iter().filter(|(_, conclusion)| conclusion.verdict == Verdict::Success);
    passed
        .filter(|(name, _)| view.run.gate.treats_alike(gate, name))
        .map(|(name, found)| (name.clone(), found.clone()))
        .collect()
}

/// The pull request a queue branch is named after: `gh-readonly-queue/main/pr-7-<commit>`.
fn pull_number(head_ref: &str) -> Option<u64> {
    let name = head_ref.strip_prefix("gh-readonly-queue/")?.rsplit('/').next()?;
    name.strip_prefix("pr-")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::pull_number;

    #[test]
    fn a_queue_branch_names_its_pull_request() {
        assert_eq!(pull_number("gh-readonly-queue/main/pr-7-0123abc"), Some(7));
        assert_eq!(pull_number("gh-readonly-queue/release/v1/pr-104-0123abc"), Some(104));
        for other in ["main", "feature/pr-7-x", "gh-readonly-queue/main/x-7"] {
            assert_eq!(pull_number(other), None, "{other}");
        }
    }
}
