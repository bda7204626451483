//! Comments, reactions and labels. Each call is made once; what may be there already is asked for by whoever retries.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;

use super::Github;
use super::answers::Comment;
use super::api::Call;
use super::base::segment;
use super::traffic::CallKind;
use crate::domain::message::Reaction;
use crate::domain::names::RepoName;
use crate::ports::{Conversation, ForgeError};

/// Comments that are looked through for one of ours.
const LOOKED_THROUGH: usize = 100;

#[async_trait]
impl Conversation for Github {
    async fn comment(&self, repo: &RepoName, pr: u64, body: &str) -> Result<(), ForgeError> {
        let (what, path) = (format!("a comment on #{pr} of {repo}"), format!("/repos/{repo}/issues/{pr}/comments"));
        let call = Call::post(CallKind::Conversation, what, path, json!({ "body": body }).to_string());
        self.api.call(repo, &call).await.map(drop)
    }

    async fn has_comment(&self, repo: &RepoName, pr: u64, text: &str, since: Timestamp) -> Result<bool, ForgeError> {
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
        let path = format!("/repos/{repo}/issues/{pr}/comments?since={since}&per_page={LOOKED_THROUGH}");
        let call = Call::get(CallKind::Conversation, format!("the comments on #{pr} of {repo}"), path);
        let found: Vec<Comment> = self.api.call(repo, &call).await?.json()?;
        Ok(found.iter().any(|comment| comment.body.contains(text)))
    }

    async fn react(&self, repo: &RepoName, comment: u64, reaction: Reaction) -> Result<(), ForgeError> {
        let (what, path) = (
            format!("a reaction to the comment {comment} of {repo}"),
            format!("/repos/{repo}/issues/comments/{comment}/reactions"),
        );
        let body = json!({ "content": reaction.as_str() }).to_string();
        self.api.call(repo, &Call::post(CallKind::Conversation, what, path, body)).await.map(drop)
    }

    async fn unlabel(&self, repo: &RepoName, pr: u64, label: &str) -> Result<(), ForgeError> {
        let what = format!("the label of #{pr} of {repo}");
        let path = format!("/repos/{repo}/issues/{pr}/labels/{}", segment(label));
        match self.api.call(repo, &Call::delete(CallKind::Conversation, what, path)).await {
            Ok(_) | Err(ForgeError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
