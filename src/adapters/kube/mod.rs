//! Clusters' own APIs through kube: readiness, set-up and roll-out. Knows nothing of how clusters are made.

mod apply;
mod diagnose;
mod objects;
mod ready;
mod rollout;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::ports::{Clue, ClusterAccess, Kubernetes, KubernetesError, Manifest};

const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(15);
/// Clients kept; clusters come and go, and a client is made anew in a moment.
const CLIENTS: usize = 64;

/// The port to clusters' APIs. Keeps a client per kubeconfig so that looking again is cheap.
#[derive(Default)]
pub struct KubeApi {
    clients: Mutex<HashMap<String, Client>>,
}

impl KubeApi {
    async fn client(&self, access: &ClusterAccess) -> Result<Client, KubernetesError> {
        if let Some(client) = self.clients().get(&access.kubeconfig) {
            return Ok(client.clone());
        }
        let client = connect(&access.kubeconfig).await?;
        let mut clients = self.clients();
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        clients.insert(access.kubeconfig.clone(), client.clone());
        Ok(client)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Kubernetes for KubeApi {
    async fn not_ready(&self, access: &ClusterAccess, nodes: u8) -> Result<Vec<String>, KubernetesError> {
        ready::not_ready(&self.client(access).await?, nodes).await
    }

    async fn version(&self, access: &ClusterAccess) -> Result<String, KubernetesError> {
        let version = self
            .client(access)
            .await?
            .apiserver_version()
            .await
            .map_err(|error| sorted("asking the version", error))?;
        Ok(release(&version.git_version))
    }

    async fn apply(&self, access: &ClusterAccess, manifests: &[Manifest]) -> Result<(), KubernetesError> {
        apply::apply(&self.client(access).await?, manifests).await
    }

    async fn not_rolled_out(
        &self,
        access: &ClusterAccess,
        manifests: &[Manifest],
    ) -> Result<Vec<String>, KubernetesError> {
        rollout::not_rolled_out(&self.client(access).await?, manifests).await
    }

    async fn diagnose(&self, access: &ClusterAccess) -> Result<Vec<Clue>, KubernetesError> {
        diagnose::diagnose(&self.client(access).await?).await
    }
}

async fn connect(kubeconfig: &str) -> Result<Client, KubernetesError> {
    let unusable = |what: &str| KubernetesError::Rejected(format!("the cluster's kubeconfig is not usable: {what}"));
    let parsed = Kubeconfig::from_yaml(kubeconfig).map_err(|error| unusable(&error.to_string()))?;
    let mut config = Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
        .await
        .map_err(|error| unusable(&error.to_string()))?;
    // Read from the environment behind our back; a throwaway cluster lies on this machine, not behind a proxy.
    config.proxy_url = None;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(ANSWER);
    config.write_timeout = Some(ANSWER);
    Client::try_from(config).map_err(|error| unusable(&error.to_string()))
}

/// `v1.34.4+k3s1` and `v1.29.3-gke.1282000` run the suites of the plain release; upstream's own pre-releases have their
/// own (`v1.37.0-rc.1`).
fn release(git_version: &str) -> String {
    let plain = git_version.split('+').next().unwrap_or(git_version);
    match plain.split_once('-') {
        Some((_, tail)) if ["alpha", "beta", "rc"].iter().any(|word| tail.starts_with(word)) => plain.to_owned(),
        Some((release, _)) => release.to_owned(),
        None => plain.to_owned(),
    }
}

/// An error by what the caller does next.
fn sorted(what: &str, error: kube::Error) -> KubernetesError {
    match error {
        kube::Error::Api(status) if matches!(status.code, 400 | 403 | 404 | 405 | 409 | 415 | 422) => {
            KubernetesError::Rejected(format!("{what}: {}", status.message))
        }
        error @ (kube::Error::HyperError(_) | kube::Error::Service(_)) => KubernetesError::Unreachable(error.into()),
        error => KubernetesError::Failed { what: what.to_owned(), source: error.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn a_distribution_runs_the_suites_of_the_plain_release() {
        for (given, expected) in [
            ("v1.34.4", "v1.34.4"),
            ("v1.31.4+k3s1", "v1.31.4"),
            ("v1.29.3-gke.1282000", "v1.29.3"),
            ("v1.15.10-eks-bac369", "v1.15.10"),
            ("v1.20.2-34+1dd53fe1c8b0f4", "v1.20.2"),
            ("v1.37.0-rc.1", "v1.37.0-rc.1"),
            ("v1.31.0-alpha.0.123+abc", "v1.31.0-alpha.0.123"),
        ] {
            assert_eq!(release(given), expected);
        }
    }
}
