//! Whoever runs suites' containers and brings back their logs and results.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::ClusterAccess;
use crate::domain::ids::{AttemptId, ClusterId, RunId};
use crate::domain::invocation::Invocation;
use crate::domain::mask::Masker;
use crate::domain::names::SuiteName;
use crate::domain::progress::Progress;
use crate::domain::suite::Limits;

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

    /// Takes away what is left of questions that had to have their answer by now: whoever asked was stopped in the middle.
    async fn forget_questions(&self, now: Timestamp) -> Result<(), ExecutorError>;

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
    pub asked_at: Timestamp,
}

impl Question {
    /// Longer than any answer takes.
    pub const LIFE: SignedDuration = SignedDuration::from_mins(15);
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
