//! Changes with the events they cause: the state moves and the webhooks go out in one step.
//! Called by tests through the handles and by clients through `rest`.

use serde_json::{Value, json};

use super::{Deliveries, Event};
use crate::clock::stamp;
use crate::git::files::Files;
use crate::state::World;
use crate::state::check::CheckRun;
use crate::state::comment::Comment;
use crate::state::pull::{Pull, PullState, TestMerge, test_merge};
use crate::state::repository::Label;
use crate::state::status::Status;
use crate::state::user::Kind;
use crate::view::View;

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
    /// Commits to a branch and tells `push`.
    pub(crate) fn push(
        &mut self,
        full_name: &str,
        branch: &str,
        files: &Files,
        by: &str,
        message: &str,
    ) -> (String, Deliveries) {
        self.ensure_account(by, kind_of(by));
        let now = self.clock.now();
        let repository = self.known_mut(full_name);
        let before = repository.branches.get(branch).cloned();
        let sha = repository.commit(branch, files, by, message, now);
        let sent = self.send_push(full_name, branch, before.as_deref(), &sha, by);
        self.remake_test_merges(full_name, branch);
        (sha, sent)
    }

    fn send_push(&mut self, full_name: &str, branch: &str, before: Option<&str>, after: &str, by: &str) -> Deliveries {
        const NOTHING: &str = "0000000000000000000000000000000000000000";
        let repository = self.known(full_name);
        let view = View::plain(self);
        let commit = &repository.commits[after];
        let person = json!({ "name": by, "email": crate::git::email(by), "username": by });
        let head = json!({
            "id": after, "tree_id": commit.tree_sha, "distinct": true, "message": commit.message,
            "timestamp": stamp(commit.at), "url": format!("{}/{full_name}/commit/{after}", view.html()),
            "author": person, "committer": person, "added": [], "removed": [], "modified": [],
        });
        let owner = json!({ "name": repository.owner, "email": crate::git::email(&repository.owner) });
        let parts = vec![
            ("ref", json!(format!("refs/heads/{branch}"))),
            ("before", json!(before.unwrap_or(NOTHING))),
            ("after", json!(after)),
            ("created", json!(before.is_none())),
            ("deleted", json!(false)),
            ("forced", json!(false)),
            ("base_ref", Value::Null),
            ("compare", json!(format!("{}/{full_name}/compare/{}...{after}", view.html(), before.unwrap_or(NOTHING)))),
            ("commits", json!([head])),
            ("head_commit", head),
            ("pusher", json!({ "name": by, "email": crate::git::email(by) })),
            // In this event alone GitHub writes these moments as seconds.
            (
                "repository",
                json!({
                    "created_at": repository.created_at.as_second(), "pushed_at": repository.pushed_at.as_second(),
                    "owner": owner,
                }),
            ),
        ];
        self.send(&Event { name: "push", action: None, repository: full_name, sender: by, parts })
    }

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

    /// Pushes to a pull request's branch: `push` where the branch lives, then `synchronize`.
    pub(crate) fn push_to_pull(
        &mut self,
        full_name: &str,
        number: u64,
        files: &Files,
        by: &str,
    ) -> (String, Deliveries) {
        let pull = self.known(full_name).pulls[&number].clone();
        let (sha, pushed) = self.push(&pull.head_repository, &pull.head_ref, files, by, "Change what was asked for");
        let synchronized = self.synchronize(full_name, number, &sha, by);
        (sha, pushed.and(synchronized))
    }

    /// Moves the head of a pull request to a commit of its branch.
    pub(crate) fn synchronize(&mut self, full_name: &str, number: u64, sha: &str, by: &str) -> Deliveries {
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
        let parts = vec![("before", json!(before)), ("after", json!(sha))];
        self.send_pull(full_name, number, "synchronize", by, parts)
    }

    pub(crate) fn label_pull(&mut self, full_name: &str, number: u64, name: &str, by: &str) -> Deliveries {
        self.ensure_label(full_name, name);
        let pull = self.touched(full_name, number);
        if pull.labels.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Deliveries::default();
        }
        pull.labels.push(name.to_owned());
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
        let label = self.label_part(full_name, name);
        self.send_pull(full_name, number, "unlabeled", by, vec![("label", label)])
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
        let base_ref = pull.base_ref.clone();
        self.remake_test_merges(full_name, &base_ref);
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

    fn touched(&mut self, full_name: &str, number: u64) -> &mut Pull {
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

    pub(crate) fn comment_on_pull(
        &mut self,
        full_name: &str,
        issue: u64,
        body: &str,
        by: &str,
    ) -> (Comment, Deliveries) {
        self.ensure_account(by, kind_of(by));
        let (id, now) = (self.next_id(), self.clock.now());
        let comment =
            Comment { id, issue, author: by.to_owned(), body: body.to_owned(), created_at: now, updated_at: now };
        self.known_mut(full_name).comments.insert(id, comment.clone());
        self.touched(full_name, issue);
        let sent = self.send_comment(full_name, &comment, "created", by, Vec::new());
        (comment, sent)
    }

    pub(crate) fn edit_comment(&mut self, full_name: &str, id: u64, body: &str, by: &str) -> (Comment, Deliveries) {
        let now = self.clock.now();
        let comment = self.known_mut(full_name).comments.get_mut(&id).expect("checked before anything is changed");
        let before = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated_at = now;
        let comment = comment.clone();
        let changes = vec![("changes", json!({ "body": { "from": before } }))];
        let sent = self.send_comment(full_name, &comment, "edited", by, changes);
        (comment, sent)
    }

    pub(crate) fn delete_comment(&mut self, full_name: &str, id: u64, by: &str) -> Deliveries {
        let removed = self.known_mut(full_name).comments.remove(&id);
        let comment = removed.expect("checked before anything is changed");
        self.send_comment(full_name, &comment, "deleted", by, Vec::new())
    }

    fn send_comment(
        &mut self,
        full_name: &str,
        comment: &Comment,
        action: &str,
        by: &str,
        more: Vec<(&'static str, Value)>,
    ) -> Deliveries {
        self.ensure_account(by, kind_of(by));
        let repository = self.known(full_name);
        let view = View::plain(self);
        let mut parts = vec![
            ("issue", view.issue(repository, &repository.pulls[&comment.issue])),
            ("comment", view.comment(repository, comment)),
        ];
        parts.extend(more);
        self.send(&Event { name: "issue_comment", action: Some(action), repository: full_name, sender: by, parts })
    }

    pub(crate) fn send_status(&mut self, status: &Status) {
        let repository = self.known(&status.repository);
        let view = View::plain(self);
        let branches: Vec<Value> = repository
            .branches
            .iter()
            .filter(|(_, sha)| **sha == status.sha)
            .map(|(name, sha)| {
                let url = format!("{}/repos/{}/commits/{sha}", view.api, status.repository);
                json!({ "name": name, "commit": { "sha": sha, "url": url }, "protected": false })
            })
            .collect();
        let parts = vec![
            ("id", json!(status.id)),
            ("sha", json!(status.sha)),
            ("name", json!(status.repository)),
            ("target_url", json!(status.target_url)),
            ("context", json!(status.context)),
            ("description", json!(status.description)),
            ("state", json!(status.state.as_str())),
            ("commit", view.commit(repository, &status.sha, false)),
            ("branches", json!(branches)),
            ("created_at", json!(stamp(status.created_at))),
            ("updated_at", json!(stamp(status.created_at))),
        ];
        let (full_name, sender) = (status.repository.as_str(), status.creator.as_str());
        drop(self.send(&Event { name: "status", action: None, repository: full_name, sender, parts }));
    }

    pub(crate) fn send_check_run(&mut self, full_name: &str, action: &str, run: &CheckRun) {
        let sender = self.app.as_ref().map(|app| app.bot()).unwrap_or_default();
        drop(self.send_check_run_by(full_name, action, run, &sender));
    }

    fn send_check_run_by(&mut self, full_name: &str, action: &str, run: &CheckRun, by: &str) -> Deliveries {
        let repository = self.known(full_name);
        let view = View::plain(self);
        let mut shown = view.check_run(repository, run);
        shown["check_suite"] = view.check_suite(repository, &repository.check_suites[&run.suite]);
        let parts = vec![("check_run", shown)];
        self.send(&Event { name: "check_run", action: Some(action), repository: full_name, sender: by, parts })
    }

    pub(crate) fn rerequest_check_run(&mut self, full_name: &str, id: u64, by: &str) -> Deliveries {
        self.ensure_account(by, kind_of(by));
        let run = self.known(full_name).check_runs[&id].clone();
        self.send_check_run_by(full_name, "rerequested", &run, by)
    }

    pub(crate) fn rerequest_check_suite(&mut self, full_name: &str, id: u64, by: &str) -> Deliveries {
        self.ensure_account(by, kind_of(by));
        let repository = self.known(full_name);
        let suite = View::plain(self).check_suite(repository, &repository.check_suites[&id]);
        let parts = vec![("check_suite", suite)];
        let event =
            Event { name: "check_suite", action: Some("rerequested"), repository: full_name, sender: by, parts };
        self.send(&event)
    }

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

    /// Tells a hook that it exists.
    pub(crate) fn send_ping(&mut self, id: u64) -> Deliveries {
        let Some(hook) = self.hooks.get(id).cloned() else { return Deliveries::default() };
        let view = View::plain(self);
        let payload = json!({ "zen": "Design for failure.", "hook_id": id, "hook": view.hook(&hook) });
        let (payload, repository) = match &hook.owner {
            crate::state::hook::HookOwner::Repository(name) => {
                let parts = payload.as_object().expect("made above").clone();
                let part = |key: &'static str| (key, parts[key].clone());
                let sender = self.known(name).owner.clone();
                let parts = vec![part("zen"), part("hook_id"), part("hook")];
                let event = Event { name: "ping", action: None, repository: name, sender: &sender, parts };
                (super::payload::build(self, &event, &hook), Some(self.known(name).id))
            }
            crate::state::hook::HookOwner::App => (payload, None),
        };
        let guid = uuid::Uuid::now_v7().to_string();
        let body = payload.to_string().into();
        let parcel = super::Parcel { event: "ping", action: None, guid: &guid, body, repository };
        super::gathered(vec![self.deliver(&hook, parcel, false)])
    }
}

/// Bots carry their kind in their names.
pub(crate) fn kind_of(login: &str) -> Kind {
    if login.ends_with("[bot]") { Kind::Bot } else { Kind::Person }
}
