//! Pull requests and their test merges.
//! The base branch moving changes what `merge` says but, as on GitHub, not the recorded base commit.

use jiff::Timestamp;

use super::World;
use super::repository::Repository;
use crate::git::{Commit, history, merge};

#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) author: String,
    pub(crate) state: PullState,
    pub(crate) draft: bool,
    pub(crate) head_repository: String,
    pub(crate) head_ref: String,
    pub(crate) head_sha: String,
    pub(crate) base_ref: String,
    /// Tip of the base branch when the pull request was opened, last pushed to or last given a base.
    pub(crate) base_sha: String,
    pub(crate) labels: Vec<String>,
    pub(crate) merge: TestMerge,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PullState {
    Open,
    Closed { at: Timestamp },
    Merged { at: Timestamp, by: String, sha: String },
}

impl PullState {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    pub(crate) fn as_str(&self) -> &'static str {
        if self.is_open() { "open" } else { "closed" }
    }

    pub(crate) fn closed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Open => None,
            Self::Closed { at } | Self::Merged { at, .. } => Some(*at),
        }
    }
}

/// The merge of head into the base branch's tip that GitHub makes to see whether it is possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TestMerge {
    Clean { sha: String },
    Conflict,
}

impl TestMerge {
    pub(crate) fn sha(&self) -> Option<&str> {
        match self {
            Self::Clean { sha } => Some(sha),
            Self::Conflict => None,
        }
    }
}

impl World {
    /// Makes the test merges of every open pull request into a branch anew, after the branch or a head moved.
    pub(crate) fn remake_test_merges(&mut self, full_name: &str, base_ref: &str) {
        if self.merges_stay {
            return;
        }
        let now = self.clock.now();
        let delay = self.merge_delay;
        let repository = self.known_mut(full_name);
        let open: Vec<u64> = repository
            .pulls
            .values()
            .filter(|pull| pull.state.is_open() && pull.base_ref == base_ref)
            .map(|pull| pull.number)
            .collect();
        for number in open {
            let pull = repository.pulls[&number].clone();
            let merge = test_merge(repository, &pull, now);
            let pull = repository.pulls.get_mut(&number).expect("listed above");
            if pull.merge != merge {
                pull.merge = merge;
                repository.merge_reads.insert(number, delay);
            }
        }
    }
}

/// Merges head into the base branch's tip. The same two commits always give the same merge commit.
pub(crate) fn test_merge(repository: &mut Repository, pull: &Pull, now: Timestamp) -> TestMerge {
    let Some(base) = repository.branches.get(&pull.base_ref).cloned() else { return TestMerge::Conflict };
    if let TestMerge::Clean { sha } = &pull.merge
        && repository.commits[sha].parents == [base.clone(), pull.head_sha.clone()]
    {
        return pull.merge.clone();
    }
    let commits = &repository.commits;
    let ancestor = history::merge_base(commits, &base, &pull.head_sha);
    let common = ancestor.map(|sha| commits[&sha].tree.clone()).unwrap_or_default();
    let merged = merge::three_way(&common, &commits[&base].tree, &commits[&pull.head_sha].tree);
    match merged {
        Ok(tree) => {
            let message = format!("Merge {} into {base}", pull.head_sha);
            let parents = vec![base, pull.head_sha.clone()];
            TestMerge::Clean { sha: repository.keep(Commit::new(tree, parents, &message, &pull.author, now)) }
        }
        Err(_) => TestMerge::Conflict,
    }
}
