//! What commands share that ask suites' images or run them without a service: the engine, a gate from the disk, a runtime.

use std::path::Path;
use std::sync::Arc;

use crate::adapters::docker::Docker;
use crate::app;
use crate::artifacts::Artifacts;
use crate::config::server::Local;
use crate::config::{ConfigError, ServerConfig};

/// A Docker engine of one's own corner: what a service on the same engine made is not seen and not touched.
pub(super) struct Engine {
    pub(super) docker: Arc<Docker>,
    pub(super) artifacts: Artifacts,
}

impl Engine {
    pub(super) fn open(config: Option<&Path>) -> Result<Self, Vec<ConfigError>> {
        let Local { docker, data_dir, .. } = ServerConfig::load_local(config)?;
        let instance = format!("cli-{}", std::process::id());
        Ok(Self {
            docker: Arc::new(Docker::new(app::docker_settings(&docker, instance))),
            artifacts: Artifacts::new(data_dir),
        })
    }
}

/// Runs a command's asynchronous part.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("the operating system gives a process its threads and an event queue").block_on(future)
}

#[expect(clippy::disallowed_methods, reason = "a command of its own has no engine's clock to ask")]
pub(super) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
