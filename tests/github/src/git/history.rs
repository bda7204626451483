//! Questions about the graph of commits.
//! Linear searches: the stand-in's histories are short.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::Commit;

/// Commits by their ids.
pub(crate) type Commits = HashMap<String, Arc<Commit>>;

/// The commit itself and everything before it, nearest first.
pub(crate) fn ancestry(commits: &Commits, from: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    let mut next = VecDeque::from([from.to_owned()]);
    while let Some(sha) = next.pop_front() {
        if !seen.insert(sha.clone()) {
            continue;
        }
        if let Some(commit) = commits.get(&sha) {
            next.extend(commit.parents.iter().cloned());
        }
        order.push(sha);
    }
    order
}

/// The nearest commit both sides grew from.
pub(crate) fn merge_base(commits: &Commits, left: &str, right: &str) -> Option<String> {
    let known: HashSet<String> = ancestry(commits, left).into_iter().collect();
    ancestry(commits, right).into_iter().find(|sha| known.contains(sha))
}

/// Commits of `head` that `base` does not have, oldest first, as a pull request lists them.
pub(crate) fn ahead(commits: &Commits, base: &str, head: &str) -> Vec<String> {
    let known: HashSet<String> = ancestry(commits, base).into_iter().collect();
    let mut ahead: Vec<String> = ancestry(commits, head).into_iter().filter(|sha| !known.contains(sha)).collect();
    ahead.reverse();
    ahead
}
