//! GitHub's bodies, only the fields that are used. Nothing in here leaves the adapter.

use serde::{Deserialize, Serialize};

use crate::domain::names::Sha;
use crate::domain::status::CommitStatus;
use crate::ports;

#[derive(Deserialize)]
pub(super) struct PullRequest {
    number: u64,
    state: State,
    #[serde(default)]
    draft: bool,
    user: Option<User>,
    head: Tip,
    base: BaseTip,
    #[serde(default)]
    labels: Vec<Label>,
    /// `null` while GitHub has not computed it.
    mergeable: Option<bool>,
    merge_commit_sha: Option<Sha>,
}

#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    #[serde(other)]
    Closed,
}

#[derive(Deserialize)]
pub(super) struct User {
    login: String,
}

/// The account's name. GitHub shows the work of deleted accounts as `ghost`'s.
pub(super) fn login(user: Option<&User>) -> String {
    user.map_or_else(|| "ghost".to_owned(), |user| user.login.clone())
}

#[derive(Deserialize)]
pub(super) struct Tip {
    pub(super) sha: Sha,
}

#[derive(Deserialize)]
struct BaseTip {
    sha: Sha,
    #[serde(rename = "ref")]
    branch: String,
}

#[derive(Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

/// A branch as git knows it.
#[derive(Deserialize)]
pub(super) struct Reference {
    object: Tip,
}

impl From<Reference> for Sha {
    fn from(answer: Reference) -> Self {
        answer.object.sha
    }
}

impl From<PullRequest> for ports::PullRequest {
    fn from(answer: PullRequest) -> Self {
        let mergeability = match (answer.mergeable, answer.merge_commit_sha) {
            (Some(true), Some(sha)) => ports::Mergeability::Merges(sha),
            (Some(false), _) => ports::Mergeability::Conflicts,
            (Some(true), None) | (None, _) => ports::Mergeability::Unknown,
        };
        Self {
            number: answer.number,
            is_open: answer.state == State::Open,
            is_draft: answer.draft,
            author: login(answer.user.as_ref()),
            head: answer.head.sha,
            base: answer.base.sha,
            base_ref: answer.base.branch,
            labels: answer.labels.into_iter().map(|label| label.name).collect(),
            mergeability,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Collaborator {
    pub(super) permission: Role,
}

/// The four base roles. GitHub folds `maintain` into write, `triage` into read, and custom roles into their base.
/// Source: GitHub REST documentation, "Get repository permissions for a user".
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    Admin,
    #[serde(alias = "maintain")]
    Write,
    #[serde(alias = "triage")]
    Read,
    /// None, and whatever is not known: no more is granted than is understood.
    #[serde(other)]
    None,
}

impl From<Role> for ports::Permission {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Write => Self::Write,
            Role::Read => Self::Read,
            Role::None => Self::None,
        }
    }
}

/// A place in a team.
#[derive(Deserialize)]
pub(super) struct Membership {
    state: String,
}

impl Membership {
    /// An invitation that nobody has accepted is no membership.
    pub(super) fn is_active(&self) -> bool {
        self.state == "active"
    }
}

/// A file that a change touches.
#[derive(Deserialize)]
pub(super) struct ChangedFile {
    pub(super) filename: String,
    /// A renamed file touches both places.
    pub(super) previous_filename: Option<String>,
}

/// A commit as git knows it.
#[derive(Deserialize)]
pub(super) struct GitCommit {
    pub(super) tree: Tip,
    pub(super) parents: Vec<Tip>,
}

#[derive(Deserialize)]
pub(super) struct Comment {
    #[serde(default)]
    pub(super) body: String,
}

/// Where the App is installed.
#[derive(Deserialize)]
pub(super) struct Installation {
    pub(super) id: u64,
}

/// A new installation token.
#[derive(Deserialize)]
pub(super) struct InstallationToken {
    pub(super) token: secrecy::SecretString,
    pub(super) expires_at: jiff::Timestamp,
}

/// A commit status as GitHub takes it.
pub(super) fn status_body(status: &CommitStatus) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        state: &'a str,
        context: &'a str,
        description: &'a str,
        target_url: &'a str,
    }
    let CommitStatus { context, description, target_url, .. } = status;
    let body = Body { state: status.state.as_str(), context, description, target_url };
    serde_json::to_string(&body).expect("text is always JSON")
}
