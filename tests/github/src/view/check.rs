//! Check runs and check suites.

use serde_json::{Value, json};

use super::View;
use crate::clock::stamp;
use crate::state::check::{CheckRun, CheckSuite};
use crate::state::repository::Repository;

impl View<'_> {
    /// A `check-run`.
    pub(crate) fn check_run(&self, repository: &Repository, run: &CheckRun) -> Value {
        let own = format!("{}/check-runs/{}", self.repository_url(&repository.full_name()), run.id);
        let page = format!("{}/{}/runs/{}", self.html(), repository.full_name(), run.id);
        json!({
            "id": run.id, "node_id": format!("CR_{}", run.id), "head_sha": run.head_sha, "name": run.name,
            "external_id": run.external_id, "url": own, "html_url": page,
            "details_url": run.details_url.clone().unwrap_or(page), "status": run.status,
            "conclusion": run.conclusion, "started_at": stamp(run.started_at),
            "completed_at": run.completed_at.map(stamp), "check_suite": { "id": run.suite },
            "output": {
                "title": run.title, "summary": run.summary, "text": run.text,
                "annotations_count": run.annotations.len(), "annotations_url": format!("{own}/annotations"),
            },
            "app": self.world.app.as_ref().map(|app| self.app(app)), "pull_requests": [],
        })
    }

    /// A `check-suite`.
    pub(crate) fn check_suite(&self, repository: &Repository, suite: &CheckSuite) -> Value {
        let url = self.repository_url(&repository.full_name());
        let runs: Vec<&CheckRun> = repository.check_runs.values().filter(|run| run.suite == suite.id).collect();
        let (status, conclusion) = summary(&runs);
        let commit = &repository.commits[&suite.head_sha];
        let signature = json!({ "name": commit.author, "email": crate::git::email(&commit.author) });
        let branch = repository.branches.iter().find(|(_, sha)| **sha == suite.head_sha).map(|(name, _)| name);
        json!({
            "id": suite.id, "node_id": format!("CS_{}", suite.id), "head_branch": branch,
            "head_sha": suite.head_sha, "status": status, "conclusion": conclusion,
            "url": format!("{url}/check-suites/{}", suite.id), "before": commit.parents.first(),
            "after": suite.head_sha, "pull_requests": [],
            "app": self.world.app.as_ref().map(|app| self.app(app)), "repository": self.repository(repository),
            "created_at": stamp(suite.created_at), "updated_at": stamp(suite.updated_at),
            "head_commit": {
                "id": suite.head_sha, "tree_id": commit.tree_sha, "message": commit.message,
                "timestamp": stamp(commit.at), "author": signature, "committer": signature,
            },
            "latest_check_runs_count": runs.len(),
            "check_runs_url": format!("{url}/check-suites/{}/check-runs", suite.id),
            "rerequestable": true, "runs_rerequestable": true,
        })
    }
}

/// A suite is done when its runs are; the worst conclusion speaks for it.
fn summary(runs: &[&CheckRun]) -> (&'static str, Option<&'static str>) {
    const WORST_FIRST: [&str; 8] =
        ["failure", "timed_out", "action_required", "cancelled", "stale", "success", "neutral", "skipped"];
    if runs.is_empty() {
        return ("queued", None);
    }
    if runs.iter().any(|run| run.status != "completed") {
        return ("in_progress", None);
    }
    let worst = WORST_FIRST.into_iter().find(|name| runs.iter().any(|run| run.conclusion.as_deref() == Some(name)));
    ("completed", worst)
}
