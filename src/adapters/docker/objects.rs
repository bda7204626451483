//! Finding and removing what we made, by label. "Already gone" is success everywhere.

use std::collections::HashMap;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};

use futures_util::StreamExt;

use super::engine::{Engine, bounded};
use super::error::EngineError;
use super::labels;
use super::limits;
use crate::domain::ids::AttemptId;

/// A container of ours.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) labels: HashMap<String, String>,
    pub(super) phase: Phase,
}

/// How far a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Made, never started: we stopped between the two.
    Created,
    Running,
    Ended,
    /// On its way out.
    Removing,
}

/// How a container fares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Vitals {
    /// Bytes on its own disk, once measured.
    pub(super) disk_bytes: Option<u64>,
    /// The kernel killed one of its processes for want of memory.
    pub(super) oom_killed: bool,
}

/// Vitals with the engine's time, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) vitals: Vitals,
    pub(super) at: i64,
}

impl Found {
    fn new(summary: ContainerSummary) -> Option<Self> {
        use ContainerSummaryStateEnum::{
            CREATED, DEAD, EMPTY, EXITED, PAUSED, REMOVING, RESTARTING, RUNNING, STOPPING,
        };
        let name = summary.names.unwrap_or_default().into_iter().next().unwrap_or_default();
        let phase = match summary.state.unwrap_or(EMPTY) {
            CREATED => Phase::Created,
            RUNNING | PAUSED | RESTARTING | STOPPING => Phase::Running,
            EXITED | EMPTY => Phase::Ended,
            DEAD | REMOVING => Phase::Removing,
        };
        let labels = summary.labels.unwrap_or_default();
        Some(Found { id: summary.id?, name: name.trim_start_matches('/').to_owned(), labels, phase })
    }

    pub(super) fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }
}

impl Engine {
    /// Our containers with all these labels, running or not.
    pub(super) async fn containers(&self, wanted: &[(&str, &str)]) -> Result<Vec<Found>, EngineError> {
        let filters = labels::filter(&self.settings, wanted);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let all = bounded("listing containers", limits::CALL, self.api().await?.list_containers(Some(options))).await?;
        Ok(all.into_iter().filter_map(Found::new).collect())
    }

    /// The container of an attempt.
    pub(super) async fn attempt(&self, attempt: AttemptId) -> Result<Option<Found>, EngineError> {
        Ok(self.containers(&[(labels::ATTEMPT, &attempt.to_string())]).await?.into_iter().next())
    }

    /// How an attempt's container fares. `since` is the moment of the measurement before, 0 for none. The engine walks all files for
    /// the disk.
    pub(super) async fn vitals(&self, attempt: AttemptId, since: i64) -> Result<Option<Measured>, EngineError> {
        let Some(found) = self.attempt(attempt).await? else { return Ok(None) };
        let options = InspectContainerOptionsBuilder::new().size(true).build();
        let call = self.api().await?.inspect_container(&found.id, Some(options));
        let inspected = bounded("measuring a container's disk", limits::DISK, call).await?;
        let info = bounded("asking the engine for its time", limits::CALL, self.api().await?.info()).await?;
        let at =
            info.system_time.and_then(|time| time.parse::<jiff::Timestamp>().ok()).map_or(since, |t| t.as_second());
        let said_so = inspected.state.and_then(|state| state.oom_killed).unwrap_or(false);
        let oom_killed = said_so || self.was_oom(&found.id, since, at).await?;
        let disk_bytes = inspected.size_rw.and_then(|bytes| u64::try_from(bytes).ok());
        Ok(Some(Measured { vitals: Vitals { disk_bytes, oom_killed }, at }))
    }

    /// Whether the engine saw the kernel kill a process of this container. Older engines note it with the container only when all of it
    /// has ended, but tell it as an event at once.
    async fn was_oom(&self, container: &str, since: i64, until: i64) -> Result<bool, EngineError> {
        let filters = HashMap::from([("container", vec![container]), ("event", vec!["oom"])]);
        let options = EventsOptionsBuilder::new()
            .since(&since.saturating_sub(1).max(0).to_string())
            .until(&until.to_string())
            .filters(&filters)
            .build();
        let mut events = self.api().await?.events(Some(options));
        let first = async { events.next().await.transpose() };
        Ok(bounded("asking for a container's events", limits::CALL, first).await?.is_some())
    }

    /// Our networks with all these labels, as (id, labels), the oldest first.
    pub(super) async fn networks(
        &self,
        wanted: &[(&str, &str)],
    ) -> Result<Vec<(String, HashMap<String, String>)>, EngineError> {
        let filters = labels::filter(&self.settings, wanted);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let mut all = bounded("listing networks", limits::CALL, self.api().await?.list_networks(Some(options))).await?;
        all.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        Ok(all.into_iter().filter_map(|network| Some((network.id?, network.labels.unwrap_or_default()))).collect())
    }

    /// Our volumes with all these labels, as (name, labels).
    pub(super) async fn volumes(
        &self,
        wanted: &[(&str, &str)],
    ) -> Result<Vec<(String, HashMap<String, String>)>, EngineError> {
        let filters = labels::filter(&self.settings, wanted);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let all = bounded("listing volumes", limits::CALL, self.api().await?.list_volumes(Some(options))).await?;
        Ok(all.volumes.unwrap_or_default().into_iter().map(|volume| (volume.name, volume.labels)).collect())
    }

    /// Kills and removes a container with its unnamed volumes.
    pub(super) async fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let call = self.api().await?.remove_container(id, Some(options));
        gone(bounded("removing a container", limits::REMOVE, call).await)
    }

    pub(super) async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let options = RemoveVolumeOptionsBuilder::new().force(true).build();
        let call = self.api().await?.remove_volume(name, Some(options));
        gone(bounded("removing a volume", limits::REMOVE, call).await)
    }

    /// Starts a container. One that runs already is success.
    pub(super) async fn start(&self, found: &str) -> Result<(), EngineError> {
        let call = self.api().await?.start_container(found, None);
        bounded(format!("starting container {found}"), limits::START, call).await
    }
}

/// Takes "no such object" and "being removed already" for success; whoever needs certainty lists afterwards.
pub(super) fn gone(answer: Result<(), EngineError>) -> Result<(), EngineError> {
    match answer {
        Err(error) if error.is_missing() || error.is_conflict() => Ok(()),
        other => other,
    }
}
