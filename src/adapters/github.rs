//! GitHub as the product's forge: every call through octocrab, every answer translated into the port's words.
//! It decides nothing, retries nothing and keeps no token anywhere but in memory.

mod answers;
mod api;
mod base;
mod changes;
mod conversation;
mod credentials;
mod download;
mod failure;
mod gauge;
mod notices;
mod recall;
mod registration;
mod traffic;
mod transport;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use crate::domain::names::{RepoName, Sha};
use crate::domain::rules::Team;
use crate::domain::status::{Allowance, CommitStatus};
use crate::ports::{Clock, Commit, Forge, ForgeError, Permission, PullRequest, Route};
use api::{Accept, Api, Call};
use base::{Base, segment};
use credentials::Credentials;
pub use registration::{Level, NewApp, RegisteredApp, Registrar, addresses, events, permissions};
pub use traffic::{CallKind, RateLimit, Traffic};

/// What `file` reads at most.
const MAX_FILE: usize = 1024 * 1024;

/// How GitHub is reached and as whom.
#[derive(Debug, Clone)]
pub struct GithubSettings {
    /// `https://api.github.com`, or `https://HOST/api/v3` for GitHub Enterprise Server. Plain HTTP only to loopback.
    pub api_url: Url,
    pub auth: Auth,
    pub timeouts: Timeouts,
    pub route: Route,
}

/// As whom GitHub is asked.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A personal access token.
    Token(SecretString),
    /// A GitHub App, through its installation on each repository.
    App {
        app_id: u64,
        /// RSA, PEM.
        private_key: SecretString,
    },
}

/// How long GitHub may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a TCP connection stands.
    pub connect: Duration,
    /// One call with everything it needs, its token included.
    pub call: Duration,
    /// One archive.
    pub archive: Duration,
    /// Between two pieces of an archive.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(5), call: seconds(15), archive: seconds(120), idle: seconds(30) }
    }
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    #[error("the API's address {0} is neither https nor plain http to loopback")]
    Address(Url),
    #[error("the GitHub App's private key is not an RSA key in PEM")]
    PrivateKey,
    #[error("the certificates of `ca_file` do not read: {0}")]
    ExtraCertificates(String),
    #[error("no trusted certificates were found on this machine")]
    Certificates,
}

/// GitHub's REST API as one account or App sees it.
pub struct Github {
    api: Api,
}

impl Github {
    /// Connects nothing yet. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// The settings cannot work, whatever GitHub says.
    pub fn new(settings: GithubSettings, clock: Arc<dyn Clock>) -> Result<Self, BadSettings> {
        let base = Base::new(&settings.api_url).ok_or(BadSettings::Address(settings.api_url))?;
        let octocrab = transport::octocrab(base.clone(), settings.timeouts.connect, &settings.route)?;
        let credentials = Credentials::new(settings.auth)?;
        Ok(Self { api: Api::new(octocrab, base, credentials, settings.timeouts, clock) })
    }

    /// What was asked of GitHub so far, and how much it still allows.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.api.traffic)
    }
}

#[async_trait]
impl Forge for Github {
    async fn pull_request(&self, repo: &RepoName, number: u64) -> Result<PullRequest, ForgeError> {
        let what = format!("pull request #{number} of {repo}");
        let call = Call::get(CallKind::PullRequest, what, format!("/repos/{repo}/pulls/{number}"));
        let answer: answers::PullRequest = self.api.call(repo, &call).await?.json()?;
        let mut found: PullRequest = answer.into();
        // The base that GitHub records with a pull request stays behind when its branch moves; the test merge does not.
        if let Some(tip) = self.tip(repo, &found.base_ref).await? {
            found.base = tip;
        }
        Ok(found)
    }

    async fn permission(&self, repo: &RepoName, login: &str) -> Result<Permission, ForgeError> {
        let path = format!("/repos/{repo}/collaborators/{}/permission", segment(login));
        let call = Call::get(CallKind::Permission, format!("{login}'s permission in {repo}"), path);
        match self.api.call(repo, &call).await {
            Ok(answer) => answer.json::<answers::Collaborator>().map(|collaborator| collaborator.permission.into()),
            Err(ForgeError::NotFound(_)) => Ok(Permission::None),
            Err(error) => Err(error),
        }
    }

    async fn file(&self, repo: &RepoName, sha: &Sha, path: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        let what = format!("`{path}` of {repo} at {}", sha.short());
        let encoded = base::file_path(path).ok_or_else(|| ForgeError::Rejected(format!("{what} is not a path")))?;
        let url = format!("/repos/{repo}/contents/{encoded}?ref={sha}");
        let call = Call::get(CallKind::File, what, url).accept(Accept::Raw).at_most(MAX_FILE);
        match self.api.call(repo, &call).await {
            // Asked for raw bytes, GitHub answers with JSON only where there are none: for folders and submodules.
            Ok(answer) if answer.is_json() => Err(ForgeError::Rejected(format!("{} is not a file", call.what))),
            Ok(answer) => Ok(Some(answer.body.into())),
            Err(ForgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn archive(&self, repo: &RepoName, sha: &Sha, into: &Path, max_bytes: u64) -> Result<(), ForgeError> {
        let what = format!("the archive of {repo} at {}", sha.short());
        let call = Call::get(CallKind::Archive, what, format!("/repos/{repo}/tarball/{sha}"));
        self.api.download(repo, &call, into, max_bytes).await
    }

    async fn tip(&self, repo: &RepoName, branch: &str) -> Result<Option<Sha>, ForgeError> {
        let Some(encoded) = base::file_path(branch) else { return Ok(None) };
        let what = format!("the branch {branch} of {repo}");
        let call = Call::get(CallKind::Branch, what, format!("/repos/{repo}/git/ref/heads/{encoded}"));
        match self.api.call(repo, &call).await {
            Ok(answer) => answer.json::<answers::Reference>().map(|reference| Some(reference.into())),
            Err(ForgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn changed_files(&self, repo: &RepoName, pr: u64) -> Result<Option<Vec<String>>, ForgeError> {
        changes::files(&self.api, repo, pr).await
    }

    async fn commit(&self, repo: &RepoName, sha: &Sha) -> Result<Commit, ForgeError> {
        changes::commit(&self.api, repo, sha).await
    }

    async fn is_member(&self, repo: &RepoName, team: &Team, login: &str) -> Result<bool, ForgeError> {
        let path = format!("/orgs/{}/teams/{}/memberships/{}", segment(&team.org), segment(&team.slug), segment(login));
        let what = format!("{login}'s place in the team {}/{}", team.org, team.slug);
        match self.api.call(repo, &Call::get(CallKind::Team, what, path)).await {
            Ok(answer) => answer.json::<answers::Membership>().map(|membership| membership.is_active()),
            Err(ForgeError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn set_status(&self, status: &CommitStatus) -> Result<(), ForgeError> {
        let CommitStatus { repo, sha, context, .. } = status;
        let what = format!("the status {context} on {repo} at {}", sha.short());
        let body = answers::status_body(status);
        let call = Call::post(CallKind::Status, what, format!("/repos/{repo}/statuses/{sha}"), body);
        self.api.call(repo, &call).await.map(drop)
    }

    fn allowance(&self, repo: &RepoName) -> Option<Allowance> {
        self.api.allowance(repo)
    }
}
