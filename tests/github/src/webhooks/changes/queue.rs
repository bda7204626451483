//! The merge queue: groups of one pull request each, told by `merge_group`.

use serde_json::{Value, json};

use crate::clock::stamp;
use crate::state::World;
use crate::state::pull::Pull;
use crate::webhooks::{Deliveries, Event};

impl World {
    /// Puts a pull request into the merge queue: a commit on a queue branch, and the request for checks on it.
    pub(crate) fn queue_pull(&mut self, full_name: &str, number: u64) -> Option<(String, Deliveries)> {
        let repository = self.known_mut(full_name);
        let pull = repository.pulls[&number].clone();
        let sha = pull.merge.sha()?.to_owned();
        let branch = format!("gh-readonly-queue/{}/pr-{number}-{}", pull.base_ref, repository.branches[&pull.base_ref]);
        repository.branches.insert(branch.clone(), sha.clone());
        let sent = self.send_merge_group(full_name, &pull, &branch, &sha, "checks_requested", Vec::new());
        Some((sha, sent))
    }

    /// Takes a pull request out of the merge queue. `reason` is `merged`, `invalidated` or `dequeued`.
    pub(crate) fn dequeue_pull(&mut self, full_name: &str, number: u64, reason: &str) -> Deliveries {
        let repository = self.known_mut(full_name);
        let pull = repository.pulls[&number].clone();
        let queued = repository.branches.keys().find(|name| name.contains(&format!("/pr-{number}-"))).cloned();
        let Some(branch) = queued else { return Deliveries::default() };
        let sha = repository.branches.remove(&branch).expect("found above");
        self.send_merge_group(full_name, &pull, &branch, &sha, "destroyed", vec![("reason", json!(reason))])
    }

    fn send_merge_group(
        &mut self,
        full_name: &str,
        pull: &Pull,
        branch: &str,
        sha: &str,
        action: &str,
        more: Vec<(&'static str, Value)>,
    ) -> Deliveries {
        let repository = self.known(full_name);
        let commit = &repository.commits[sha];
        let person = json!({ "name": commit.author, "email": crate::git::email(&commit.author) });
        let group = json!({
            "head_sha": sha, "head_ref": format!("refs/heads/{branch}"), "base_sha": commit.parents.first(),
            "base_ref": format!("refs/heads/{}", pull.base_ref),
            "head_commit": {
                "id": sha, "tree_id": commit.tree_sha, "message": commit.message, "timestamp": stamp(commit.at),
                "author": person, "committer": person,
            },
        });
        let mut parts = vec![("merge_group", group)];
        parts.extend(more);
        let event =
            Event { name: "merge_group", action: Some(action), repository: full_name, sender: &pull.author, parts };
        self.send(&event)
    }
}
