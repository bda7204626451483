//! One passage through the gate: what was asked, of which commits, and how far it is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gate::Gate;
use super::ids::RunId;
use super::names::{RepoName, Sha};
use super::verdict::Verdict;

/// A run as stored. Its verdict is fixed once, by `conclude`.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: RunId,
    pub repo: RepoName,
    /// The pull request, absent for runs on a branch.
    pub pr: Option<u64>,
    /// The commit that statuses are posted on.
    pub head: Sha,
    /// The commit whose gate policy holds and whose state the cluster starts from.
    pub base: Sha,
    /// The branch that the base commit was the tip of.
    pub base_ref: String,
    /// The commit that is tested: the merge of head into base, or the head itself.
    pub tested: Sha,
    /// Whether the gate names every suite of the policy or only those asked for.
    pub coverage: Coverage,
    /// The earlier run of the same commit whose failed specs alone are run again.
    pub retry_of: Option<RunId>,
    pub trigger: Trigger,
    /// Who caused it, as GitHub names them.
    pub actor: String,
    pub state: RunState,
    /// Counts state changes; a change made on stale sight does not apply.
    pub generation: i64,
    pub gate: Gate,
    pub cancel: Option<CancelReason>,
    /// How long the run's cluster is kept once the run is over, in seconds.
    pub hold_s: Option<u64>,
    pub verdict: Option<Verdict>,
    /// Why the run as a whole ended as it did, where that is not the suites' own doing.
    pub message: Option<String>,
    pub created_at: Timestamp,
    pub admitted_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// What a run is of.
#[derive(Debug, Clone)]
pub struct Commits {
    pub repo: RepoName,
    pub pr: Option<u64>,
    pub head: Sha,
    pub base: Sha,
    pub base_ref: String,
    pub tested: Sha,
}

impl Run {
    /// A run of the whole gate that was asked for just now.
    pub fn asked(id: RunId, now: Timestamp, of: Commits, trigger: Trigger, actor: &str, gate: Gate) -> Self {
        let Commits { repo, pr, head, base, base_ref, tested } = of;
        Self {
            id,
            repo,
            pr,
            head,
            base,
            base_ref,
            tested,
            coverage: Coverage::Whole,
            retry_of: None,
            trigger,
            actor: actor.to_owned(),
            state: RunState::Queued,
            generation: 0,
            gate,
            cancel: None,
            hold_s: None,
            verdict: None,
            message: None,
            created_at: now,
            admitted_at: None,
            finished_at: None,
        }
    }
}

impl Run {
    /// The same, ended before anything was started.
    pub fn ended(self, why: &str) -> Self {
        Self {
            state: RunState::Finished,
            verdict: Some(Verdict::Error),
            message: Some(why.to_owned()),
            finished_at: Some(self.created_at),
            ..self
        }
    }
}

/// Why a run exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Label,
    Push,
    /// A command in a comment.
    Comment,
    /// GitHub's merge queue.
    MergeGroup,
    /// The button that runs a check again.
    Recheck,
    /// The pull request goes into another branch, or its base branch moved.
    Base,
}

impl Trigger {
    /// Which runs go first when there is no room for all: what blocks a merge, then what somebody has pushed or let in, then what
    /// is tried again, then what a moved base asks for.
    pub fn rank(self) -> u8 {
        match self {
            Trigger::MergeGroup => 0,
            Trigger::Label | Trigger::Push => 1,
            Trigger::Comment | Trigger::Recheck => 2,
            Trigger::Base => 3,
        }
    }
}

/// How much of its policy a run covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    Whole,
    /// Only suites that somebody chose; the others keep their statuses.
    Chosen,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Accepted; nothing was started.
    Queued,
    /// Admitted: it holds a place within capacity and may own a cluster.
    Active,
    /// Its verdict is fixed for ever and no attempt is live. Its cluster may still be on its way out.
    Finished,
}

impl RunState {
    /// The states from which this one may be reached.
    pub fn predecessors(self) -> &'static [RunState] {
        match self {
            RunState::Queued => &[],
            RunState::Active => &[RunState::Queued],
            RunState::Finished => &[RunState::Queued, RunState::Active],
        }
    }
}

/// Why a run is being stopped, weakest first: a stronger reason replaces a weaker one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    Unlabelled,
    Drafted,
    /// A comment asked for it.
    Commanded,
    /// The base changed underneath it.
    Rebased,
    /// A newer run of the same commit covers it.
    Replaced,
    Superseded,
    /// The merge group is gone.
    Dequeued,
    /// We may not see the repository any more.
    Uninstalled,
    Closed,
}

impl CancelReason {
    /// What a status says of it.
    pub fn text(self) -> &'static str {
        match self {
            CancelReason::Unlabelled => "cancelled: the label was taken off",
            CancelReason::Drafted => "cancelled: the pull request became a draft",
            CancelReason::Commanded => "cancelled: a comment asked for it",
            CancelReason::Rebased => "cancelled: the base changed",
            CancelReason::Replaced => "cancelled: a newer run of this commit replaced this one",
            CancelReason::Dequeued => "cancelled: the merge group is gone",
            CancelReason::Uninstalled => "cancelled: the repository is out of reach",
            CancelReason::Superseded => "cancelled: a newer commit replaced this one",
            CancelReason::Closed => "cancelled: the pull request was closed",
        }
    }
}

/// What a suite came to, in the words of its commit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    pub verdict: Verdict,
    pub description: String,
}
