//! A cluster's API: readiness, manifests, and what it says of itself when something failed.

use std::path::PathBuf;

use async_trait::async_trait;

use super::ClusterAccess;

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
