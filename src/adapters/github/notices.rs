//! Check runs and the summary comment.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Github;
use super::api::Call;
use super::base::segment;
use super::traffic::CallKind;
use crate::domain::names::{RepoName, Sha};
use crate::domain::notice::{Annotation, Check, CheckState};
use crate::ports::ForgeError;
use crate::ports::notices::{FoundCheck, Notices};

/// Comments of a pull request that are looked through.
const MAX_PAGES: usize = 10;

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    external_id: Option<String>,
    status: String,
    output: Output,
}

#[derive(Deserialize)]
struct Output {
    annotations_count: usize,
}

fn check_body(check: &Check, is_new: bool, add: &[Annotation]) -> Value {
    let annotations: Vec<Value> = add
        .iter()
        .map(|one| {
            json!({
                "path": one.path, "start_line": one.line, "end_line": one.line, "annotation_level": "failure",
                "title": one.title, "message": one.message,
            })
        })
        .collect();
    let mut output = json!({ "title": check.title, "summary": check.summary });
    if !annotations.is_empty() {
        output["annotations"] = annotations.into();
    }
    let mut body = json!({ "name": check.name, "details_url": check.details_url, "external_id": check.run.to_string(), "output": output });
    if is_new {
        body["head_sha"] = json!(check.sha);
    }
    match conclusion(check.state) {
        None => body["status"] = json!("in_progress"),
        Some(conclusion) => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion);
        }
    }
    body
}

fn conclusion(state: CheckState) -> Option<&'static str> {
    match state {
        CheckState::Running => None,
        CheckState::Success => Some("success"),
        CheckState::Failure => Some("failure"),
        CheckState::Cancelled => Some("cancelled"),
        CheckState::ActionRequired => Some("action_required"),
    }
}

#[async_trait]
impl Notices for Github {
    fn takes_checks(&self) -> bool {
        self.api.is_app()
    }

    async fn put_check(&self, check: &Check, id: Option<u64>, add: &[Annotation]) -> Result<u64, ForgeError> {
        let (repo, body) = (&check.repo, check_body(check, id.is_none(), add).to_string());
        let what = format!("the check run {} on {repo} at {}", check.name, check.sha.short());
        let path = format!("/repos/{repo}/check-runs");
        let call = match id {
            None => Call::post(CallKind::Check, what, path, body),
            Some(id) => Call::patch(CallKind::Check, what, format!("{path}/{id}"), body),
        };
        Ok(self.api.call(repo, &call).await?.json::<Numbered>()?.id)
    }

    async fn find_check(&self, repo: &RepoName, sha: &Sha, name: &str) -> Result<Option<FoundCheck>, ForgeError> {
        let what = format!("the check run {name} on {repo} at {}", sha.short());
        let path = format!("/repos/{repo}/commits/{sha}/check-runs?check_name={}&filter=latest", segment(name));
        let found: CheckRuns = self.api.call(repo, &Call::get(CallKind::Check, what, path)).await?.json()?;
        Ok(found.check_runs.into_iter().max_by_key(|run| run.id).map(|run| FoundCheck {
            id: run.id,
            external_id: run.external_id.unwrap_or_default(),
            is_completed: run.status == "completed",
            annotations: run.output.annotations_count,
        }))
    }

    async fn put_comment(&self, repo: &RepoName, pr: u64, id: Option<u64>, body: &str) -> Result<u64, ForgeError> {
        let (what, body) = (format!("the comment on #{pr} of {repo}"), json!({ "body": body }).to_string());
        let call = match id {
            None => Call::post(CallKind::Summary, what, format!("/repos/{repo}/issues/{pr}/comments"), body),
            Some(id) => Call::patch(CallKind::Summary, what, format!("/repos/{repo}/issues/comments/{id}"), body),
        };
        Ok(self.api.call(repo, &call).await?.json::<Numbered>()?.id)
    }

    async fn find_comment(&self, repo: &RepoName, pr: u64, mark: &str) -> Result<Option<u64>, ForgeError> {
        for page in 1..=MAX_PAGES {
            let what = format!("the comments on #{pr} of {repo}");
            let path = format!("/repos/{repo}/issues/{pr}/comments?per_page=100&page={page}");
            let answer = self.api.call(repo, &Call::get(CallKind::Summary, what, path).at_most(16 << 20)).await?;
            let comments: Vec<Comment> = answer.json()?;
            let ours = |comment: &&Comment| comment.body.as_ref().is_some_and(|body| body.contains(mark));
            if let Some(found) = comments.iter().find(ours) {
                return Ok(Some(found.id));
            }
            if comments.len() < 100 {
                break;
            }
        }
        Ok(None)
    }
}
