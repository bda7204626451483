//! Docker: clusters as node containers on a network of their own, and suites as containers beside them. One engine, one connection.
//! Everything made here carries our labels; what lacks our instance's label is never touched.

mod ask;
mod collect;
mod container;
mod diagnose;
mod engine;
mod error;
mod executor;
mod follow;
mod image;
mod kubeconfig;
mod labels;
mod limits;
mod lines;
mod listen;
mod logfile;
mod network;
mod node;
mod objects;
mod provider;
mod upload;

use std::sync::Arc;

use engine::Engine;
use follow::Followers;
use node::PrivilegeMemory;

use crate::ports::Privileged;

/// A Docker engine as cluster provider and suite executor. Connects on first use and again after the engine was away.
pub struct Docker {
    engine: Arc<Engine>,
    privilege: PrivilegeMemory,
    followers: Followers,
}

impl Docker {
    /// Does not talk to the engine yet. Must live inside a Tokio runtime: it follows logs in tasks of its own.
    pub fn new(settings: DockerSettings) -> Self {
        let privilege = PrivilegeMemory::new(settings.privileged);
        Docker { engine: Arc::new(Engine::new(settings)), privilege, followers: Followers::default() }
    }

    /// Ends pulls and log followers and waits until what they read is written. Their containers run on and are taken up again by the next process.
    pub async fn close(&self) {
        self.followers.close().await;
        self.engine.pulls.close().await;
    }
}

/// How to reach and use an engine.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// Tells this installation's objects from everybody else's on the same engine.
    pub instance: String,
    /// `unix://…` or `tcp://…`; where absent, `DOCKER_HOST` or the usual socket.
    pub host: Option<String>,
    /// Node images for plans that name none, never empty: the first that the engine has, or else the last is pulled.
    pub node_images: Vec<String>,
    pub privileged: Privileged,
    /// OCI runtime of the node containers, such as `sysbox-runc`; the engine's default where absent.
    pub runtime: Option<String>,
}
