//! Comments and reactions.

use serde_json::{Value, json};

use super::View;
use super::pull::association;
use crate::clock::stamp;
use crate::state::comment::{Comment, Reaction, Subject};
use crate::state::repository::Repository;

/// The reactions GitHub offers, by the names of its API.
pub(crate) const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

impl View<'_> {
    /// An `issue-comment`.
    pub(crate) fn comment(&self, repository: &Repository, comment: &Comment) -> Value {
        let url = self.repository_url(&repository.full_name());
        let own = format!("{url}/issues/comments/{}", comment.id);
        let page = format!("{}/{}/pull/{}", self.html(), repository.full_name(), comment.issue);
        let mut reactions = json!({ "url": format!("{own}/reactions"), "total_count": 0 });
        for content in REACTIONS {
            let count = repository
                .reactions
                .iter()
                .filter(|reaction| reaction.on == Subject::Comment(comment.id) && reaction.content == content)
                .count();
            reactions[content] = json!(count);
            reactions["total_count"] = json!(reactions["total_count"].as_u64().unwrap_or(0) + count as u64);
        }
        json!({
            "url": own, "html_url": format!("{page}#issuecomment-{}", comment.id),
            "issue_url": format!("{url}/issues/{}", comment.issue), "id": comment.id,
            "node_id": format!("IC_{}", comment.id), "user": self.account(&comment.author),
            "created_at": stamp(comment.created_at), "updated_at": stamp(comment.updated_at),
            "author_association": association(repository, &comment.author), "body": comment.body,
            "reactions": reactions, "performed_via_github_app": null,
        })
    }

    pub(crate) fn reaction(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id, "node_id": format!("REA_{}", reaction.id), "user": self.account(&reaction.by),
            "content": reaction.content, "created_at": stamp(reaction.at),
        })
    }
}
