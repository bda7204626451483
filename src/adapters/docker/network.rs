//! One network per cluster. Docker lets several networks share a name, so a network is found by label and extras are removed.

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::InspectNetworkOptions;

use super::engine::{Engine, bounded};
use super::error::EngineError;
use super::labels::{self, CLUSTER, Role};
use super::limits;
use super::objects::gone;
use crate::domain::ids::ClusterId;
use crate::ports::ClusterSpec;

/// The network's name, which is also its address for a suite's container.
pub(super) fn name(cluster: ClusterId) -> String {
    format!("portcullis-{}", cluster.short())
}

impl Engine {
    /// Sees to it that the cluster has exactly one network.
    pub(super) async fn ensure_network(&self, cluster: &ClusterSpec) -> Result<(), EngineError> {
        let wanted = [(CLUSTER, &*cluster.id.to_string())];
        let mut found = self.networks(&wanted).await?;
        if found.is_empty() {
            self.create_network(cluster).await?;
            found = self.networks(&wanted).await?;
        }
        // Whoever created a second one at the same moment sees the same order and keeps the same one.
        for (extra, _) in found.iter().skip(1) {
            self.remove_network(extra).await?;
        }
        Ok(())
    }

    async fn create_network(&self, cluster: &ClusterSpec) -> Result<(), EngineError> {
        let name = name(cluster.id);
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(labels::of_cluster(&self.settings, cluster, Role::Network)),
            ..NetworkCreateRequest::default()
        };
        bounded(format!("creating network {name}"), limits::CALL, self.api().await?.create_network(request)).await?;
        Ok(())
    }

    /// Removes a network, letting go of whatever still hangs on it.
    pub(super) async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        let mut retry = tokio::time::interval(limits::RETRY);
        let mut last = Ok(());
        for _ in 0..limits::NETWORK_TRIES {
            retry.tick().await;
            last = gone(bounded("removing a network", limits::CALL, self.api().await?.remove_network(id)).await);
            match &last {
                Err(EngineError::Answered { message, .. }) if message.contains("active endpoints") => {
                    self.detach_all(id).await?
                }
                _ => break,
            }
        }
        last
    }

    /// Takes foreign containers off one of our networks: somebody's debugging must not keep it alive.
    async fn detach_all(&self, id: &str) -> Result<(), EngineError> {
        let options = None::<InspectNetworkOptions>;
        let network =
            match bounded("looking at a network", limits::CALL, self.api().await?.inspect_network(id, options)).await {
                Err(error) if error.is_missing() => return Ok(()),
                other => other?,
            };
        for container in network.containers.unwrap_or_default().into_keys() {
            let request = bollard::models::NetworkDisconnectRequest { container, force: Some(true) };
            let call = self.api().await?.disconnect_network(id, request);
            match bounded("detaching a container", limits::CALL, call).await {
                // A dead endpoint answers with a server error and is gone a moment later.
                Ok(()) | Err(EngineError::Answered { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
