//! What the product needs from outside, in its own words. Adapters translate; reconcilers see only this file.
//! Errors are named by what the caller does next.

pub mod notices;
pub mod recall;
pub mod registration;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::cluster::ClusterPlan;
use crate::domain::ids::{AttemptId, ClusterId, RunId};
use crate::domain::invocation::Invocation;
use crate::domain::mask::Masker;
use crate::domain::message::Reaction;
use crate::domain::names::{RepoName, Sha, SuiteName};
use crate::domain::progress::Progress;
use crate::domain::rules::Team;
use crate::domain::status::{Allowance, CommitStatus};
use crate::domain::suite::Limits;
use notices::Notices;
use recall::Recall;

/// Everything outside, as the composition root hands it to the reconcilers.
#[derive(Clone)]
pub struct Ports {
    pub forge: Arc<dyn Forge>,
    pub conversation: Arc<dyn Conversation>,
    pub recall: Arc<dyn Recall>,
    pub notices: Arc<dyn Notices>,
    pub provider: Arc<dyn ClusterProvider>,
    pub kubernetes: Arc<dyn Kubernetes>,
    pub executor: Arc<dyn SuiteExecutor>,
    pub clock: Arc<dyn Clock>,
    /// Where files of runs go when they are over; absent, they stay in the data directory.
    pub artifacts: Option<Arc<dyn ArtifactStore>>,
}

/// The only source of time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Where code and statuses live: GitHub.
#[async_trait]
pub trait Forge: Send + Sync {
    /// The pull request as it is now; its base is the tip of the base branch.
    async fn pull_request(&self, repo: &RepoName, number: u64) -> Result<PullRequest, ForgeError>;

    /// What a user may do in the repository. Somebody without any access has [`Permission::None`].
    async fn permission(&self, repo: &RepoName, login: &str) -> Result<Permission, ForgeError>;

    /// A file of at most 1 MiB at a commit; `None` where the commit has no such file.
    async fn file(&self, repo: &RepoName, sha: &Sha, path: &str) -> Result<Option<Vec<u8>>, ForgeError>;

    /// Writes the commit's files as a gzipped tar to `into`, replacing it only when complete. Refuses more than `max_bytes`.
    async fn archive(&self, repo: &RepoName, sha: &Sha, into: &Path, max_bytes: u64) -> Result<(), ForgeError>;

    /// The commit a branch points at; `None` where there is no such branch (any more).
    async fn tip(&self, repo: &RepoName, branch: &str) -> Result<Option<Sha>, ForgeError>;

    /// Paths of the files a pull request touches; `None` where there are more than GitHub lists.
    async fn changed_files(&self, repo: &RepoName, pr: u64) -> Result<Option<Vec<String>>, ForgeError>;

    /// The id of the tree that a commit holds: equal trees are equal files.
    async fn tree(&self, repo: &RepoName, sha: &Sha) -> Result<Sha, ForgeError>;

    /// Whether somebody belongs to a team. Asked as whoever may speak for the repository.
    async fn is_member(&self, repo: &RepoName, team: &Team, login: &str) -> Result<bool, ForgeError>;

    /// Posts a commit status. Posting the same twice adds a line to GitHub's history and changes nothing else.
    async fn set_status(&self, status: &CommitStatus) -> Result<(), ForgeError>;

    /// What GitHub still allows whoever we speak as in the repository, as far as it has told. Asks nobody.
    fn allowance(&self, repo: &RepoName) -> Option<Allowance>;
}

/// Talk on pull requests. Whatever is done twice is done once, except a comment.
#[async_trait]
pub trait Conversation: Send + Sync {
    /// Writes a comment.
    async fn comment(&self, repo: &RepoName, pr: u64, body: &str) -> Result<(), ForgeError>;

    /// Whether a comment that holds this text was written since then.
    async fn has_comment(&self, repo: &RepoName, pr: u64, text: &str, since: Timestamp) -> Result<bool, ForgeError>;

    /// Reacts to a comment.
    async fn react(&self, repo: &RepoName, comment: u64, reaction: Reaction) -> Result<(), ForgeError>;

    /// Takes a label off. One that is not there is success.
    async fn unlabel(&self, repo: &RepoName, pr: u64, label: &str) -> Result<(), ForgeError>;
}

/// A pull request as far as the gate cares.
#[derive(Debug, Clone)]
pub struct PullRequest {
    pub number: u64,
    pub is_open: bool,
    pub is_draft: bool,
    pub author: String,
    pub head: Sha,
    pub base: Sha,
    pub base_ref: String,
    pub labels: Vec<String>,
    pub mergeability: Mergeability,
}

/// What GitHub says of merging head into base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mergeability {
    /// The test merge's commit.
    Merges(Sha),
    Conflicts,
    /// GitHub has not computed it yet; ask again shortly.
    Unknown,
}

/// A user's role in a repository, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    None,
    Read,
    Write,
    Admin,
}

#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The thing is gone or was never visible to us. Asking again does not help.
    #[error("not found: {0}")]
    NotFound(String),
    /// Credentials are missing, wrong or too weak. An operator must act.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// Ask again after this.
    #[error("rate limited until {until}")]
    RateLimited { until: Timestamp },
    /// GitHub refuses the request as such. Asking again does not help.
    #[error("rejected: {0}")]
    Rejected(String),
    /// Network trouble or a server error. Ask again with back-off.
    #[error("GitHub did not answer as it should")]
    Transient(#[source] anyhow::Error),
}

/// Makes and destroys clusters. Every method may be called again after a crash at any point.
#[async_trait]
pub trait ClusterProvider: Send + Sync {
    /// What policies call it, such as `docker`.
    fn name(&self) -> &'static str;

    /// The Kubernetes version that clusters of a plan will have, such as `v1.34.4`, where that is known before they are made.
    fn version_of(&self, plan: &ClusterPlan) -> Option<String>;

    /// Whether clusters can be made at all right now.
    async fn check(&self) -> Result<(), ProviderError>;

    /// Creates what is missing of the cluster. Returns before it is ready.
    async fn ensure(&self, cluster: &ClusterSpec) -> Result<(), ProviderError>;

    /// Whether what `ensure` created still runs.
    async fn observe(&self, cluster: ClusterId) -> Result<ClusterHealth, ProviderError>;

    /// How to reach the API server; `None` until the cluster has written its credentials.
    async fn access(&self, cluster: ClusterId, from: Audience) -> Result<Option<ClusterAccess>, ProviderError>;

    /// The nodes' own logs, newest lines last, at most 64 KiB.
    async fn diagnose(&self, cluster: ClusterId) -> Result<String, ProviderError>;

    /// Removes everything labelled with the cluster and verifies it by listing. "Already gone" is success.
    async fn destroy(&self, cluster: ClusterId) -> Result<(), ProviderError>;

    /// Clusters of this instance of which anything still exists. What lacks our instance label is never listed.
    async fn list(&self) -> Result<Vec<ClusterId>, ProviderError>;
}

/// What `ensure` needs to know.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    pub id: ClusterId,
    pub run: RunId,
    pub plan: ClusterPlan,
    pub expires_at: Timestamp,
}

/// What became of a cluster's machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterHealth {
    /// All machines run.
    Up,
    /// A machine is missing or has ended; the text says which and why.
    Down(String),
}

/// Who wants to reach the API server: the addresses differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// This process.
    Service,
    /// A suite's container.
    Suite,
}

/// A way to a cluster. The kubeconfig is a secret of the throwaway cluster and is never stored.
#[derive(Clone)]
pub struct ClusterAccess {
    pub kubeconfig: String,
    /// The container network on which the cluster answers, for suites.
    pub network: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The engine does not answer. Wait; nothing is wrong with the cluster.
    #[error("{engine} is not reachable")]
    Unreachable {
        engine: &'static str,
        #[source]
        source: anyhow::Error,
    },
    /// This cluster cannot be made as asked (image missing, argument refused). Asking again does not help.
    #[error("{0}")]
    Refused(String),
    /// Something failed that may pass. Ask again.
    #[error("{what} failed")]
    Failed {
        what: String,
        #[source]
        source: anyhow::Error,
    },
}

/// What the product does through a cluster's API.
#[async_trait]
pub trait Kubernetes: Send + Sync {
    /// What keeps the cluster from being ready for work, one line each; empty when ready.
    async fn not_ready(&self, access: &ClusterAccess, nodes: u8) -> Result<Vec<String>, KubernetesError>;

    /// The server's version such as `v1.34.4`.
    async fn version(&self, access: &ClusterAccess) -> Result<String, KubernetesError>;

    /// Applies manifests by server-side apply, definitions before their resources. Applying twice does no harm.
    async fn apply(&self, access: &ClusterAccess, manifests: &[Manifest]) -> Result<(), KubernetesError>;

    /// What of the manifests is not rolled out yet, one line each with the reason; empty when all is.
    async fn not_rolled_out(
        &self,
        access: &ClusterAccess,
        manifests: &[Manifest],
    ) -> Result<Vec<String>, KubernetesError>;

    /// What the cluster says of itself when something failed: nodes, events, pods, workloads, logs of pods in trouble. Bounded in size,
    /// and without the content of any Secret.
    async fn diagnose(&self, access: &ClusterAccess) -> Result<Vec<Clue>, KubernetesError>;
}

/// One file of a diagnosis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clue {
    /// A path of plain names, such as `cluster/events.txt`.
    pub name: String,
    pub text: String,
}

/// One file of Kubernetes manifests.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Path inside the checkout, for messages.
    pub path: PathBuf,
    /// YAML, possibly several documents.
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// The API server does not answer.
    #[error("the API server is not reachable")]
    Unreachable(#[source] anyhow::Error),
    /// The manifests are wrong: text, kind or content. The message names file and object.
    #[error("{0}")]
    Rejected(String),
    /// Something failed that may pass. Ask again.
    #[error("{what} failed")]
    Failed {
        what: String,
        #[source]
        source: anyhow::Error,
    },
}

/// Runs suites' containers. One container per attempt, found again by its label.
#[async_trait]
pub trait SuiteExecutor: Send + Sync {
    /// Creates and starts the attempt's container unless it exists already; one that was created and never started is started.
    async fn ensure_started(&self, execution: &Execution) -> Result<(), ExecutorError>;

    /// What these variables of the attempt's container hold; nothing where there is no container (any more).
    async fn held(&self, attempt: AttemptId, variables: &[&str]) -> Result<Vec<SecretString>, ExecutorError>;

    /// Sees to it that the container's log is being written to `log`, masked, continuing where an earlier process stopped.
    /// Returns at once; does nothing when the log is being followed already.
    fn follow(&self, attempt: AttemptId, log: &Path, max_bytes: u64, mask: &Arc<Masker>);

    /// What the container does, and what its log said so far.
    async fn observe(&self, attempt: AttemptId) -> Result<Observation, ExecutorError>;

    /// Waits for the log's end and copies the results folder into `into`, masked. Problems are limits that were hit.
    async fn collect(
        &self,
        attempt: AttemptId,
        into: &Path,
        max_bytes: u64,
        mask: &Arc<Masker>,
    ) -> Result<Vec<String>, ExecutorError>;

    /// Sends the signal to the container's process group. A container that has ended is success.
    async fn stop(&self, attempt: AttemptId, how: Stop) -> Result<(), ExecutorError>;

    /// Removes the container with its volumes. "Already gone" is success.
    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError>;

    /// Runs an image to its end without a cluster or a network and gives its exit status. What it printed is then in `into` as
    /// `stdout.txt`, what it wrote as results in the folder `results`. For questions to an image; nothing of it remains.
    async fn ask(&self, question: &Question, into: &Path) -> Result<i64, ExecutorError>;

    /// What tells one content of an image's name from another.
    async fn image_id(&self, image: &str) -> Result<String, ExecutorError>;

    /// Attempts of this instance that have a container.
    async fn list(&self) -> Result<Vec<AttemptId>, ExecutorError>;
}

/// One attempt as the executor needs it.
#[derive(Clone)]
pub struct Execution {
    pub attempt: AttemptId,
    pub run: RunId,
    pub cluster: ClusterId,
    pub name: SuiteName,
    /// The suite's image with the version filled in.
    pub image: String,
    pub invocation: Invocation,
    /// Variables beside the invocation's own that nobody else may see.
    pub secrets: Vec<(String, SecretString)>,
    pub limits: Limits,
    pub access: ClusterAccess,
    /// Gzipped tar of the tested commit, given to the container as `/workspace`.
    pub workspace: Option<PathBuf>,
}

/// Something an image is asked, such as for the names of its specs.
#[derive(Clone)]
pub struct Question {
    pub image: String,
    pub invocation: Invocation,
    /// Containers of questions asked long before are taken away.
    pub asked_at: Timestamp,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub state: ContainerState,
    pub progress: Progress,
    /// How long ago the last line was printed, as far as this process saw.
    pub silent_for: Duration,
    /// Bytes on the container's own disk; asked for only now and then.
    pub disk_bytes: Option<u64>,
    /// The kernel killed one of its processes for want of memory; others may run on, and wait for it for good.
    pub oom_killed: bool,
}

/// Whether a container runs, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    Running,
    Exited {
        code: i64,
        oom_killed: bool,
    },
    /// No such container: it was taken away underneath us.
    Lost,
}

/// How a container is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// SIGINT to the process group: reports are still written.
    Interrupt,
    /// SIGQUIT to the process group: a Go program prints where each of its goroutines stands, and ends without its reports.
    Dump,
    /// SIGKILL.
    Kill,
}

#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The engine does not answer. Wait.
    #[error("{engine} is not reachable")]
    Unreachable {
        engine: &'static str,
        #[source]
        source: anyhow::Error,
    },
    /// The container cannot be made as asked, for example because its image cannot be pulled. Asking again does not help.
    #[error("{0}")]
    Refused(String),
    /// Something failed that may pass. Ask again.
    #[error("{what} failed")]
    Failed {
        what: String,
        #[source]
        source: anyhow::Error,
    },
}

/// Keeps files of runs that are over. Keys are paths with slashes, such as `runs/<run>/<attempt>/log.txt`.
#[async_trait]
pub trait ArtifactStore: Send + Sync {
    /// Keeps a file under a key. Keeping it again replaces it.
    async fn keep(&self, key: &str, file: &Path) -> Result<(), ArtifactError>;

    /// Keeps these bytes under a key.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ArtifactError>;

    /// A file that is kept; `None` where there is none of this key.
    async fn open(&self, key: &str, part: Part) -> Result<Option<Kept>, ArtifactError>;

    /// Files below a folder, at most `limit` of them.
    async fn list(&self, folder: &str, limit: usize) -> Result<Vec<KeptFile>, ArtifactError>;

    /// Names of the folders right below a folder.
    async fn folders(&self, folder: &str) -> Result<Vec<String>, ArtifactError>;

    /// Deletes everything below a folder. "Already gone" is success.
    async fn forget(&self, folder: &str) -> Result<(), ArtifactError>;
}

/// How much of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    All,
    /// So many bytes of its end.
    Last(u64),
}

/// A file that is kept, on its way.
pub struct Kept {
    /// Bytes of the whole file.
    pub length: u64,
    /// Which of them come.
    pub range: Range<u64>,
    pub bytes: BoxStream<'static, std::io::Result<Bytes>>,
}

/// A file that is kept, in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    pub key: String,
    pub bytes: u64,
}

/// The object store does not do as asked. Ask again later.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed")]
pub struct ArtifactError {
    pub what: &'static str,
    #[source]
    pub source: anyhow::Error,
}
