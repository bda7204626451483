//! What happens to comments, with `issue_comment` told each time.

use serde_json::{Value, json};

use super::kind_of;
use crate::state::World;
use crate::state::comment::Comment;
use crate::view::View;
use crate::webhooks::{Deliveries, Event};

impl World {
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
}
