//! A leased throwaway cluster: what was asked for, how far it is, and when it must be gone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{ClusterId, RunId};

/// A cluster as stored. Moved only by `clusters`; the row exists before the first outside call and outlives the last.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub id: ClusterId,
    pub run: RunId,
    pub plan: ClusterPlan,
    pub state: ClusterState,
    pub generation: i64,
    /// What it waits for or why it failed, for people.
    pub message: Option<String>,
    /// Nobody needs it any more; `clusters` takes it away.
    pub released_at: Option<Timestamp>,
    /// Its run is over and somebody asked to keep it until then.
    pub held_until: Option<Timestamp>,
    /// Whatever happened, it is taken away after this.
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    pub ready_at: Option<Timestamp>,
    pub destroyed_at: Option<Timestamp>,
}

/// What a cluster should be, from the gate policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// Node image; the server's default where the gate names none.
    pub image: Option<String>,
    /// Number of nodes, 1 to 9; the first one is the control plane and runs workloads too.
    pub nodes: u8,
    /// Extra arguments for the control plane, in k3s's spelling.
    pub server_args: Vec<String>,
    /// How long creation and readiness may take, in seconds.
    pub ready_timeout_s: u64,
}

/// How far a cluster is. Each state says what is true while it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterState {
    /// The row is committed; nothing was created.
    Requested,
    /// Creation may have begun; resources may exist.
    Creating,
    /// API, nodes, system workloads and DNS answer.
    Ready,
    /// Broken; still owns resources.
    Failing,
    /// Tear-down is wanted; resources may exist.
    Destroying,
    /// A listing by label came back empty.
    Destroyed,
}

impl ClusterState {
    /// The states from which this one may be reached.
    pub fn predecessors(self) -> &'static [ClusterState] {
        use ClusterState::{Creating, Destroyed, Destroying, Failing, Ready, Requested};
        match self {
            Requested => &[],
            Creating => &[Requested],
            Ready => &[Creating],
            Failing => &[Requested, Creating, Ready],
            Destroying => &[Requested, Creating, Ready, Failing],
            Destroyed => &[Destroying],
        }
    }

    /// Whether suites may still run on it, now or soon.
    pub fn is_usable(self) -> bool {
        match self {
            ClusterState::Requested | ClusterState::Creating | ClusterState::Ready => true,
            ClusterState::Failing | ClusterState::Destroying | ClusterState::Destroyed => false,
        }
    }
}

/// Bringing a ready cluster to the state a commit describes.
#[derive(Debug, Clone)]
pub struct Setup {
    pub cluster: ClusterId,
    pub stage: Stage,
    pub state: SetupState,
    pub generation: i64,
    /// What it waits for or why it failed, for people.
    pub message: Option<String>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// Which commit's description is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The base branch's, so that the head's is an upgrade.
    Base,
    /// The tested commit's.
    Head,
}

/// How far a set-up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupState {
    /// Manifests may have been applied in part; applying again does no harm.
    Applying,
    /// Everything was applied; roll-outs are being waited for.
    RollingOut,
    /// The cluster is as described.
    Done,
    /// It cannot become as described; the message says why.
    Failed,
}

impl SetupState {
    /// The states from which this one may be reached.
    pub fn predecessors(self) -> &'static [SetupState] {
        use SetupState::{Applying, Done, Failed, RollingOut};
        match self {
            Applying => &[],
            RollingOut => &[Applying],
            Done => &[Applying, RollingOut],
            Failed => &[Applying, RollingOut],
        }
    }
}
