//! The few fields of GitHub's payloads that are used, as GitHub spells them. Everything else in a body is skipped unread.
//! Nothing here decides what an event means.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::BadPayload;
use crate::domain::names::{RepoName, Sha};
use crate::domain::status::StatusState;

/// How much of a parser's complaint is kept: it may quote the payload.
const MAX_PROBLEM: usize = 200;

/// GitHub's stand-in for accounts that were deleted.
const GHOST: &str = "ghost";

/// Whether the body is JSON at all.
pub(super) fn check(body: &[u8]) -> Result<(), BadPayload> {
    read::<IgnoredAny>(body).map(drop)
}

/// The payload's action alone, so that a payload of an unused action may look like anything.
pub(super) fn action<K: DeserializeOwned>(body: &[u8]) -> Result<K, BadPayload> {
    #[derive(Deserialize)]
    struct Acted<K> {
        action: K,
    }
    read::<Acted<K>>(body).map(|acted| acted.action)
}

/// The fields of `T`. Only a failure pays for finding out where it happened.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadPayload> {
    serde_json::from_slice(body).map_err(|error| locate::<T>(body).unwrap_or_else(|| bad(".".to_owned(), &error)))
}

fn locate<T: DeserializeOwned>(body: &[u8]) -> Option<BadPayload> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let error = serde_path_to_error::deserialize::<_, T>(&mut json).err()?;
    Some(bad(error.path().to_string(), error.inner()))
}

fn bad(mut path: String, error: &serde_json::Error) -> BadPayload {
    let problem: String = error.to_string().chars().take(MAX_PROBLEM).collect();
    // A missing field is reported at its parent.
    if let Some((field, _)) = problem.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
        path = if path == "." { field.to_owned() } else { format!("{path}.{field}") };
    }
    BadPayload { path, problem }
}

/// The account's name, or the name GitHub shows for a deleted one.
pub(super) fn login(user: Option<User>) -> String {
    user.map_or_else(|| GHOST.to_owned(), |user| user.login)
}

macro_rules! kinds {
    ($name:ident { $($kind:ident),+ }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum $name {
            $($kind,)+
            /// Any other, also one that does not exist yet.
            #[serde(other)]
            Unused,
        }
    };
}

kinds!(PullKind {
    Opened,
    Reopened,
    Labeled,
    Unlabeled,
    Synchronize,
    Edited,
    ReadyForReview,
    ConvertedToDraft,
    Closed
});
kinds!(CommentKind { Created });
kinds!(MergeKind { ChecksRequested, Destroyed });
kinds!(CheckKind { Rerequested });
kinds!(InstallationKind { Created, Deleted, Suspend, Unsuspend });
kinds!(RepositoriesKind { Added, Removed });

#[derive(Deserialize)]
pub(super) struct PullRequest {
    pub(super) pull_request: Pull,
    pub(super) repository: Repository,
    pub(super) sender: User,
    pub(super) label: Option<Label>,
    pub(super) changes: Option<Changes>,
    /// The head that was pushed.
    pub(super) after: Option<Sha>,
}

#[derive(Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) state: String,
    /// Absent where drafts do not exist: old servers, some private repositories.
    #[serde(default)]
    pub(super) draft: bool,
    pub(super) user: Option<User>,
    pub(super) head: Tip,
    pub(super) base: Tip,
    #[serde(default)]
    pub(super) labels: Vec<Label>,
    pub(super) updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Tip {
    pub(super) sha: Sha,
    #[serde(rename = "ref")]
    pub(super) branch: String,
}

#[derive(Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Changes {
    pub(super) base: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Repository {
    pub(super) full_name: RepoName,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

impl User {
    pub(super) fn is_bot(&self) -> bool {
        self.kind == "Bot"
    }
}

#[derive(Deserialize)]
pub(super) struct IssueComment {
    pub(super) issue: Issue,
    pub(super) comment: Comment,
    pub(super) repository: Repository,
    pub(super) sender: User,
}

#[derive(Deserialize)]
pub(super) struct Issue {
    pub(super) number: u64,
    pub(super) state: String,
    /// Present when the issue is a pull request.
    pub(super) pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) body: String,
    pub(super) user: Option<User>,
    pub(super) created_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Push {
    #[serde(rename = "ref")]
    pub(super) name: String,
    /// All zeros when deleted.
    pub(super) after: Sha,
    #[serde(default)]
    pub(super) deleted: bool,
    pub(super) repository: Repository,
    pub(super) sender: User,
}

#[derive(Deserialize)]
pub(super) struct Merge {
    pub(super) merge_group: MergeGroup,
    pub(super) repository: Repository,
}

#[derive(Deserialize)]
pub(super) struct MergeGroup {
    pub(super) head_sha: Sha,
    pub(super) head_ref: String,
    pub(super) base_sha: Sha,
    pub(super) base_ref: String,
}

#[derive(Deserialize)]
pub(super) struct CheckRun {
    pub(super) check_run: NamedCheck,
    pub(super) repository: Repository,
    pub(super) sender: User,
}

#[derive(Deserialize)]
pub(super) struct NamedCheck {
    pub(super) name: String,
    pub(super) head_sha: Sha,
}

#[derive(Deserialize)]
pub(super) struct CheckSuite {
    pub(super) check_suite: Checked,
    pub(super) repository: Repository,
    pub(super) sender: User,
}

#[derive(Deserialize)]
pub(super) struct Checked {
    pub(super) head_sha: Sha,
}

#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) sha: Sha,
    pub(super) context: String,
    pub(super) state: StatusState,
    pub(super) description: Option<String>,
    pub(super) target_url: Option<String>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) repository: Repository,
}

#[derive(Deserialize)]
pub(super) struct Installation {
    pub(super) installation: Installed,
}

#[derive(Deserialize)]
pub(super) struct InstallationRepositories {
    pub(super) installation: Installed,
    #[serde(default)]
    pub(super) repositories_added: Vec<Repository>,
    #[serde(default)]
    pub(super) repositories_removed: Vec<Repository>,
}

#[derive(Deserialize)]
pub(super) struct Installed {
    pub(super) id: u64,
    pub(super) account: Option<Account>,
}

/// An account of any kind.
#[derive(Deserialize)]
pub(super) struct Account {
    /// Enterprises have none.
    pub(super) login: Option<String>,
}
