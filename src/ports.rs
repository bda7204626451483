//! What the product needs from outside, in its own words. Adapters translate; reconcilers see only this room.
//! Errors are named by what the caller does next.

mod artifacts;
mod executor;
mod forge;
mod kubernetes;
pub mod notices;
mod provider;
pub mod recall;
pub mod registration;

use std::sync::Arc;

use jiff::Timestamp;

pub use self::artifacts::{ArtifactError, ArtifactPlace, ArtifactStore, Bucket, Kept, KeptFile, Part};
pub use self::executor::{ContainerState, Execution, ExecutorError, Observation, Question, Stop, SuiteExecutor};
pub use self::forge::{Commit, Conversation, Forge, ForgeError, Mergeability, Permission, PullRequest, Route};
pub use self::kubernetes::{Clue, Kubernetes, KubernetesError, Manifest};
pub use self::provider::{
    Audience, ClusterAccess, ClusterHealth, ClusterProvider, ClusterSpec, Privileged, ProviderError,
};
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
