//! Whoever makes clusters, and how a cluster is reached.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::cluster::ClusterPlan;
use crate::domain::ids::{ClusterId, RunId};

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

/// Whether nodes that are containers run with `--privileged`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privileged {
    /// Tried first; hosts whose capability set does not allow it get the narrower flags.
    Auto,
    Always,
    /// The narrower flags from the start.
    Never,
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
