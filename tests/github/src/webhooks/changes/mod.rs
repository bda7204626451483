//! Changes with the events they cause: the state moves and the webhooks go out in one step.
//! Called by tests through the handles and by clients through `rest`.

mod checks;
mod comments;
mod pulls;
mod queue;

use serde_json::{Value, json};

pub(crate) use pulls::NewPull;

use super::{Deliveries, Event, Parcel, gathered, payload};
use crate::clock::stamp;
use crate::git::files::Files;
use crate::state::World;
use crate::state::hook::HookOwner;
use crate::state::user::Kind;
use crate::view::View;

impl World {
    /// Commits to a branch and tells `push`, and `synchronize` where a pull request follows the branch.
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
        let followed = self.follow_branch(full_name, branch, &sha, by);
        (sha, sent.and(followed))
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

    /// Tells a hook that it exists.
    pub(crate) fn send_ping(&mut self, id: u64) -> Deliveries {
        let Some(hook) = self.hooks.get(id).cloned() else { return Deliveries::default() };
        let view = View::plain(self);
        let payload = json!({ "zen": "Design for failure.", "hook_id": id, "hook": view.hook(&hook) });
        let (payload, repository) = match &hook.owner {
            HookOwner::Repository(name) => {
                let parts = payload.as_object().expect("made above").clone();
                let part = |key: &'static str| (key, parts[key].clone());
                let sender = self.known(name).owner.clone();
                let parts = vec![part("zen"), part("hook_id"), part("hook")];
                let event = Event { name: "ping", action: None, repository: name, sender: &sender, parts };
                (payload::build(self, &event, &hook), Some(self.known(name).id))
            }
            HookOwner::App => (payload, None),
        };
        let guid = uuid::Uuid::now_v7().to_string();
        let body = payload.to_string().into();
        let parcel = Parcel { event: "ping", action: None, guid: &guid, body, repository };
        gathered(vec![self.deliver(&hook, parcel, false)])
    }
}

/// Bots carry their kind in their names.
pub(crate) fn kind_of(login: &str) -> Kind {
    if login.ends_with("[bot]") { Kind::Bot } else { Kind::Person }
}
