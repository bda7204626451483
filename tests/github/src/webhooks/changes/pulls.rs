//! What happens to pull requests, with `pull_request` told each time.

use serde_json::{Value, json};

use super::kind_of;
use crate::git::files::Files;
use crate::state::World;
use crate::state::pull::{Pull, PullState, TestMerge, test_merge};
use crate::state::repository::{Label, Labelling};
use crate::view::View;
use crate::webhooks::{Deliveries, Event};

/// What a new pull request is made of.
#[derive(Debug, Clone)]
pub(crate) struct NewPull {
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) author: String,
    pub(crate) head_repository: String,
    pub(crate) head_ref: String,
    pub(crate) base_ref: String,
    pub(crate) draft: bool,
}

impl World {
    /// Opens a pull request from a branch that exists.
    pub(crate) fn open_pull(&mut self, full_name: &str, new: NewPull) -> (u64, Deliveries) {
        self.ensure_account(&new.author, kind_of(&new.author));
        let (id, now, delay) = (self.next_id(), self.clock.now(), self.merge_delay);
        let head = self.known(&new.head_repository);
        let head_sha = head.branches[&new.head_ref].clone();
        let commits = head.commits.clone();
        let repository = self.known_mut(full_name);
        // Forks share one store of objects with their parent.
        repository.commits.extend(commits);
        let number = repository.pulls.keys().last().map_or(1, |last| last + 1);
        let base_sha = repository.branches[&new.base_ref].clone();
        let author = new.author.clone();
        let mut pull = Pull {
            id,
            number,
            title: new.title,
            body: new.body,
            author: new.author,
            state: PullState::Open,
            draft: new.draft,
            head_repository: new.head_repository,
            head_ref: new.head_ref,
            head_sha,
            base_ref: new.base_ref,
            base_sha,
            labels: Vec::new(),
            merge: TestMerge::Conflict,
            created_at: now,
            updated_at: now,
        };
        pull.merge = test_merge(repository, &pull, now);
        repository.merge_reads.insert(number, delay);
        repository.pulls.insert(number, pull);
        let sent = self.send_pull(full_name, number, "opened", &author, Vec::new());
        (number, sent)
    }

    /// Pushes to a pull request's branch. A closed pull request does not follow its branch.
    pub(crate) fn push_to_pull(
        &mut self,
        full_name: &str,
        number: u64,
        files: &Files,
        by: &str,
    ) -> (String, Deliveries) {
        let pull = &self.known(full_name).pulls[&number];
        let (head, branch) = (pull.head_repository.clone(), pull.head_ref.clone());
        self.push(&head, &branch, files, by, "Change what was asked for")
    }

    /// Lets every open pull request from a branch follow it.
    pub(super) fn follow_branch(&mut self, head: &str, branch: &str, sha: &str, by: &str) -> Deliveries {
        let mut following = Vec::new();
        for repository in self.repositories.values() {
            for pull in repository.pulls.values().filter(|pull| pull.state.is_open()) {
                if pull.head_repository.eq_ignore_ascii_case(head) && pull.head_ref == branch {
                    following.push((repository.full_name(), pull.number));
                }
            }
        }
        following.into_iter().fold(Deliveries::default(), |sent, (full_name, number)| {
            sent.and(self.synchronize(&full_name, number, sha, by))
        })
    }

    /// Moves the head of a pull request to a commit of its branch.
    fn synchronize(&mut self, full_name: &str, number: u64, sha: &str, by: &str) -> Deliveries {
        let before = self.move_head(full_name, number, sha);
        let parts = vec![("before", json!(before)), ("after", json!(sha))];
        self.send_pull(full_name, number, "synchronize", by, parts)
    }

    /// Takes over a new head and the base branch's tip. Gives the head before.
    fn move_head(&mut self, full_name: &str, number: u64, sha: &str) -> String {
        let now = self.clock.now();
        let head_repository = self.known(full_name).pulls[&number].head_repository.clone();
        let commits = self.known(&head_repository).commits.clone();
        let repository = self.known_mut(full_name);
        repository.commits.extend(commits);
        let base = repository.branches.get(&repository.pulls[&number].base_ref).cloned();
        let pull = repository.pulls.get_mut(&number).expect("handles exist only for pull requests that do");
        let before = std::mem::replace(&mut pull.head_sha, sha.to_owned());
        pull.base_sha = base.unwrap_or_else(|| pull.base_sha.clone());
        pull.updated_at = now;
        let base_ref = pull.base_ref.clone();
        self.remake_test_merges(full_name, &base_ref);
        before
    }

    pub(crate) fn label_pull(&mut self, full_name: &str, number: u64, name: &str, by: &str) -> Deliveries {
        self.ensure_label(full_name, name);
        let pull = self.touched(full_name, number);
        if pull.labels.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Deliveries::default();
        }
        pull.labels.push(name.to_owned());
        self.note_labelling(full_name, number, "labeled", name, by);
        let label = self.label_part(full_name, name);
        self.send_pull(full_name, number, "labeled", by, vec![("label", label)])
    }

    pub(crate) fn unlabel_pull(&mut self, full_name: &str, number: u64, name: &str, by: &str) -> Deliveries {
        let pull = self.touched(full_name, number);
        let before = pull.labels.len();
        pull.labels.retain(|known| !known.eq_ignore_ascii_case(name));
        if pull.labels.len() == before {
            return Deliveries::default();
        }
        self.note_labelling(full_name, number, "unlabeled", name, by);
        let label = self.label_part(full_name, name);
        self.send_pull(full_name, number, "unlabeled", by, vec![("label", label)])
    }

    fn note_labelling(&mut self, full_name: &str, pull: u64, event: &'static str, label: &str, by: &str) {
        let (id, at) = (self.next_id(), self.clock.now());
        let (label, by) = (label.to_owned(), by.to_owned());
        self.known_mut(full_name).labellings.push(Labelling { id, pull, event, label, by, at });
    }

    fn ensure_label(&mut self, full_name: &str, name: &str) {
        let id = self.next_id();
        let label = Label { id, name: name.to_owned(), color: "ededed".to_owned(), description: None };
        self.known_mut(full_name).labels.entry(name.to_lowercase()).or_insert(label);
    }

    fn label_part(&self, full_name: &str, name: &str) -> Value {
        let repository = self.known(full_name);
        let label = repository.labels.get(&name.to_lowercase()).expect("labels in use exist");
        View::plain(self).label(repository, label)
    }

    pub(crate) fn close_pull(&mut self, full_name: &str, number: u64, by: &str) -> Deliveries {
        let now = self.clock.now();
        let pull = self.touched(full_name, number);
        if !pull.state.is_open() {
            return Deliveries::default();
        }
        pull.state = PullState::Closed { at: now };
        self.send_pull(full_name, number, "closed", by, Vec::new())
    }

    pub(crate) fn reopen_pull(&mut self, full_name: &str, number: u64, by: &str) -> Deliveries {
        let pull = self.touched(full_name, number);
        if !matches!(pull.state, PullState::Closed { .. }) {
            return Deliveries::default();
        }
        pull.state = PullState::Open;
        let (head, branch) = (pull.head_repository.clone(), pull.head_ref.clone());
        // What was pushed while it was closed counts from now on.
        let tip = self.repository(&head).and_then(|head| head.branches.get(&branch).cloned());
        if let Some(tip) = tip {
            self.move_head(full_name, number, &tip);
        }
        self.send_pull(full_name, number, "reopened", by, Vec::new())
    }

    /// Merges by a merge commit. `None` where GitHub would refuse: not open, or in conflict.
    pub(crate) fn merge_pull(&mut self, full_name: &str, number: u64, by: &str) -> Option<(String, Deliveries)> {
        let now = self.clock.now();
        let repository = self.known_mut(full_name);
        let pull = repository.pulls[&number].clone();
        let sha = pull.merge.sha().filter(|_| pull.state.is_open())?.to_owned();
        let before = repository.branches.insert(pull.base_ref.clone(), sha.clone());
        self.touched(full_name, number).state = PullState::Merged { at: now, by: by.to_owned(), sha: sha.clone() };
        let pushed = self.send_push(full_name, &pull.base_ref, before.as_deref(), &sha, by);
        let closed = self.send_pull(full_name, number, "closed", by, Vec::new());
        self.remake_test_merges(full_name, &pull.base_ref);
        Some((sha, pushed.and(closed)))
    }

    pub(crate) fn draft_pull(&mut self, full_name: &str, number: u64, draft: bool, by: &str) -> Deliveries {
        let pull = self.touched(full_name, number);
        if pull.draft == draft {
            return Deliveries::default();
        }
        pull.draft = draft;
        let action = if draft { "converted_to_draft" } else { "ready_for_review" };
        self.send_pull(full_name, number, action, by, Vec::new())
    }

    /// Changes title, body or base; `edited` names what was there before.
    pub(crate) fn edit_pull(
        &mut self,
        full_name: &str,
        number: u64,
        title: Option<String>,
        body: Option<String>,
        base: Option<String>,
        by: &str,
    ) -> Deliveries {
        let mut changes = json!({});
        let repository = self.known(full_name);
        let pull = &repository.pulls[&number];
        let (old_base, old_sha) = (pull.base_ref.clone(), pull.base_sha.clone());
        let new_sha = base.as_ref().and_then(|base| repository.branches.get(base).cloned());
        let pull = self.touched(full_name, number);
        if let Some(title) = title.filter(|title| *title != pull.title) {
            changes["title"] = json!({ "from": std::mem::replace(&mut pull.title, title) });
        }
        if let Some(body) = body.filter(|body| Some(body) != pull.body.as_ref()) {
            changes["body"] = json!({ "from": pull.body.replace(body) });
        }
        if let (Some(base), Some(sha)) = (base.filter(|base| *base != old_base), new_sha) {
            changes["base"] = json!({ "ref": { "from": old_base }, "sha": { "from": old_sha } });
            pull.base_ref.clone_from(&base);
            pull.base_sha = sha;
            self.remake_test_merges(full_name, &base);
        }
        if changes.as_object().is_some_and(serde_json::Map::is_empty) {
            return Deliveries::default();
        }
        self.send_pull(full_name, number, "edited", by, vec![("changes", changes)])
    }

    pub(super) fn touched(&mut self, full_name: &str, number: u64) -> &mut Pull {
        let now = self.clock.now();
        let pulls = &mut self.known_mut(full_name).pulls;
        let pull = pulls.get_mut(&number).expect("checked before anything is changed");
        pull.updated_at = now;
        pull
    }

    fn send_pull(
        &mut self,
        full_name: &str,
        number: u64,
        action: &str,
        by: &str,
        more: Vec<(&'static str, Value)>,
    ) -> Deliveries {
        self.ensure_account(by, kind_of(by));
        let repository = self.known(full_name);
        let pull = View::plain(self).pull(repository, &repository.pulls[&number]);
        let mut parts = vec![("number", json!(number)), ("pull_request", pull)];
        parts.extend(more);
        self.send(&Event { name: "pull_request", action: Some(action), repository: full_name, sender: by, parts })
    }
}
