//! Commit statuses, single and combined.

use serde_json::{Value, json};

use super::View;
use crate::clock::stamp;
use crate::state::repository::Repository;
use crate::state::status::{Status, StatusState};

impl View<'_> {
    /// A `status`.
    pub(crate) fn status(&self, repository: &Repository, status: &Status) -> Value {
        let mut object = self.status_short(repository, status);
        object["creator"] = self.account(&status.creator);
        object
    }

    fn status_short(&self, repository: &Repository, status: &Status) -> Value {
        let creator = self.account(&status.creator);
        json!({
            "url": format!("{}/statuses/{}", self.repository_url(&repository.full_name()), status.sha),
            "avatar_url": creator["avatar_url"], "id": status.id, "node_id": format!("SC_{}", status.id),
            "state": status.state.as_str(), "description": status.description, "target_url": status.target_url,
            "context": status.context, "created_at": stamp(status.created_at), "updated_at": stamp(status.created_at),
        })
    }

    /// A `combined-commit-status` of the latest status per context.
    pub(crate) fn combined_status(&self, repository: &Repository, sha: &str, latest: &[&Status]) -> Value {
        let states: Vec<StatusState> = latest.iter().map(|status| status.state).collect();
        let url = self.repository_url(&repository.full_name());
        let statuses: Vec<Value> = latest.iter().map(|status| self.status_short(repository, status)).collect();
        json!({
            "state": StatusState::combined(&states).as_str(), "sha": sha, "total_count": latest.len(),
            "statuses": statuses, "repository": self.repository(repository),
            "commit_url": format!("{url}/commits/{sha}"), "url": format!("{url}/commits/{sha}/status"),
        })
    }
}
