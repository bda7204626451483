//! The connection to one engine, made on first use. Every call goes through [`bounded`], because the library has no time-outs of its own.

use std::future::Future;
use std::time::Duration;

use anyhow::anyhow;
use bollard::Docker as Api;
use bollard::errors::Error as Bollard;
use tokio::sync::OnceCell;

use super::DockerSettings;
use super::error::EngineError;
use super::image::Pulls;
use super::limits;

pub(super) struct Engine {
    pub(super) settings: DockerSettings,
    pub(super) pulls: Pulls,
    connection: OnceCell<Connection>,
}

struct Connection {
    api: Api,
    cpus: i64,
}

impl Engine {
    pub(super) fn new(settings: DockerSettings) -> Self {
        Engine { settings, pulls: Pulls::default(), connection: OnceCell::new() }
    }

    /// The API. Each call opens a socket of its own, so that an engine that was restarted needs no new connection.
    pub(super) async fn api(&self) -> Result<&Api, EngineError> {
        Ok(&self.connection().await?.api)
    }

    /// Processors the engine can give. It refuses a container that asks for more.
    pub(super) async fn cpus(&self) -> Result<i64, EngineError> {
        Ok(self.connection().await?.cpus)
    }

    async fn connection(&self) -> Result<&Connection, EngineError> {
        self.connection.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Connection, EngineError> {
        let what = "connecting to Docker";
        let api = match &self.settings.host {
            Some(host) => Api::connect_with_host(host),
            None => Api::connect_with_defaults(),
        }
        .map_err(|error| EngineError::new(what, error))?;
        let api = bounded(what, limits::CONNECT, api.negotiate_version()).await?;
        let host = bounded("asking Docker about its host", limits::CONNECT, api.info()).await?;
        Ok(Connection { api, cpus: host.ncpu.filter(|&cpus| cpus > 0).unwrap_or(1) })
    }
}

/// Waits for a call, but not for ever. An engine that does not answer in time counts as unreachable.
pub(super) async fn bounded<T>(
    what: impl Into<String>,
    limit: Duration,
    call: impl Future<Output = Result<T, Bollard>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| EngineError::new(what, error)),
        Err(_) => Err(EngineError::Unreachable(anyhow!("{}: no answer within {} s", what.into(), limit.as_secs()))),
    }
}
