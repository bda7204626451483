//! Clusters on Docker. Each step looks first and makes only what is missing, so that it may be cut off and repeated anywhere.

use async_trait::async_trait;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, InspectContainerOptions,
};
use futures_util::StreamExt;
use futures_util::future::try_join_all;

use super::engine::bounded;
use super::error::EngineError;
use super::image::Image;
use super::labels::{CLUSTER, NODES, ROLE, Role};
use super::node::{self, Node, TOKEN};
use super::objects::{Found, Phase};
use super::{Docker, kubeconfig, limits, network};
use crate::domain::cluster::ClusterPlan;
use crate::domain::ids::ClusterId;
use crate::domain::versions;
use crate::ports::{Audience, ClusterAccess, ClusterHealth, ClusterProvider, ClusterSpec, ProviderError};

#[async_trait]
impl ClusterProvider for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn version_of(&self, plan: &ClusterPlan) -> Option<String> {
        let configured = self.engine.settings.node_images.first();
        versions::of_image(plan.image.as_ref().or(configured)?)
    }

    async fn check(&self) -> Result<(), ProviderError> {
        bounded("asking Docker whether it is there", limits::CONNECT, self.engine.api().await?.ping()).await?;
        Ok(())
    }

    async fn ensure(&self, cluster: &ClusterSpec) -> Result<(), ProviderError> {
        let existing = self.nodes(cluster.id).await?;
        let missing: Vec<Node> =
            Node::all(cluster.plan.nodes).filter(|node| !is_started(&existing, *node, cluster.id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let image = match &cluster.plan.image {
            Some(name) => self.engine.image("node image", name).await?,
            None => self.engine.first_image("node image", &self.engine.settings.node_images).await?,
        };
        self.engine.ensure_network(cluster).await?;
        let token = self.token(cluster.id, &existing).await?;
        // The server goes first: it carries the token that a later process reads back for the agents.
        let (server, agents): (Vec<Node>, Vec<Node>) = missing.into_iter().partition(|node| *node == Node::Server);
        for node in server {
            self.ensure_node(node, cluster, &image, &token, &existing).await?;
        }
        try_join_all(agents.into_iter().map(|node| self.ensure_node(node, cluster, &image, &token, &existing))).await?;
        Ok(())
    }

    async fn observe(&self, cluster: ClusterId) -> Result<ClusterHealth, ProviderError> {
        let nodes = self.nodes(cluster).await?;
        let server = Node::Server.name(cluster);
        let Some(expected) =
            nodes.iter().find(|found| found.name == server).map(|found| found.label(NODES).parse().unwrap_or(1))
        else {
            return Ok(ClusterHealth::Down(format!("node container {server} is gone")));
        };
        for name in Node::all(expected).map(|node| node.name(cluster)) {
            match nodes.iter().find(|found| found.name == name) {
                Some(found) if found.phase == Phase::Running => {}
                Some(found) => return Ok(ClusterHealth::Down(self.last_words(found).await?)),
                None => return Ok(ClusterHealth::Down(format!("node container {name} is gone"))),
            }
        }
        Ok(ClusterHealth::Up)
    }

    async fn access(&self, cluster: ClusterId, from: Audience) -> Result<Option<ClusterAccess>, ProviderError> {
        let server = Node::Server.name(cluster);
        let Some(text) = self.admin_kubeconfig(&server).await? else { return Ok(None) };
        let (address, network) = match from {
            Audience::Suite => (format!("{server}:6443"), Some(network::name(cluster))),
            Audience::Service => match self.published_port(&server).await? {
                Some(port) => (format!("127.0.0.1:{port}"), None),
                None => return Ok(None),
            },
        };
        let kubeconfig = kubeconfig::rewritten(&text, &format!("https://{address}"))?;
        Ok(Some(ClusterAccess { kubeconfig, network }))
    }

    async fn diagnose(&self, cluster: ClusterId) -> Result<String, ProviderError> {
        Ok(self.engine.tails(&self.nodes(cluster).await?, limits::DIAGNOSIS_BYTES).await?)
    }

    async fn destroy(&self, cluster: ClusterId) -> Result<(), ProviderError> {
        let cluster = cluster.to_string();
        let wanted = [(CLUSTER, &*cluster)];
        let containers = self.engine.containers(&wanted).await?;
        try_join_all(containers.iter().map(|found| self.engine.remove_container(&found.id))).await?;
        for (network, _) in self.engine.networks(&wanted).await? {
            self.engine.remove_network(&network).await?;
        }
        for (volume, _) in self.engine.volumes(&wanted).await? {
            self.engine.remove_volume(&volume).await?;
        }
        let left = self.leftovers(&wanted).await?;
        if left.is_empty() {
            return Ok(());
        }
        let what = format!("removing everything of cluster {cluster}");
        Err(ProviderError::Failed { what, source: anyhow::anyhow!("still there: {}", left.join(", ")) })
    }

    async fn list(&self) -> Result<Vec<ClusterId>, ProviderError> {
        let any = [(CLUSTER, "")];
        let containers = self.engine.containers(&any).await?.into_iter().map(|found| found.labels);
        let networks = self.engine.networks(&any).await?.into_iter().map(|(_, labels)| labels);
        let volumes = self.engine.volumes(&any).await?.into_iter().map(|(_, labels)| labels);
        let all = containers.chain(networks).chain(volumes);
        let mut clusters: Vec<ClusterId> = all.filter_map(|labels| labels.get(CLUSTER)?.parse().ok()).collect();
        clusters.sort();
        clusters.dedup();
        Ok(clusters)
    }
}

impl Docker {
    /// The cluster's node containers, the server first.
    async fn nodes(&self, cluster: ClusterId) -> Result<Vec<Found>, EngineError> {
        let mut nodes = self.engine.containers(&[(CLUSTER, &cluster.to_string()), (ROLE, "")]).await?;
        nodes.retain(|found| [Role::Server, Role::Agent].iter().any(|role| found.label(ROLE) == role.as_str()));
        nodes.sort_by_key(|found| (found.label(ROLE) != Role::Server.as_str(), found.name.clone()));
        Ok(nodes)
    }

    /// The secret with which nodes join: random, and kept nowhere but in the server's own container, whose environment gives it back
    /// after a crash. Before that container exists no node knows it, and a new one does as well.
    async fn token(&self, cluster: ClusterId, existing: &[Found]) -> Result<String, EngineError> {
        let server = Node::Server.name(cluster);
        if !existing.iter().any(|found| found.name == server) {
            return random_token().await;
        }
        let call = self.engine.api().await?.inspect_container(&server, None::<InspectContainerOptions>);
        let inspected = bounded("looking at the server node", limits::CALL, call).await?;
        let env = inspected.config.and_then(|config| config.env).unwrap_or_default();
        let token = env.iter().find_map(|pair| pair.strip_prefix(TOKEN)?.strip_prefix('='));
        token.map(str::to_owned).ok_or_else(|| EngineError::Refused(format!("container {server} has no {TOKEN}")))
    }

    /// Creates and starts one node, with the most privileges that this host allows.
    async fn ensure_node(
        &self,
        node: Node,
        cluster: &ClusterSpec,
        image: &Image,
        token: &str,
        existing: &[Found],
    ) -> Result<(), EngineError> {
        let name = node.name(cluster.id);
        let mut exists = existing.iter().any(|found| found.name == name);
        loop {
            let privilege = self.privilege.current();
            let made_now = !exists;
            if made_now {
                let body = node::body(node, cluster, image, token, privilege, &self.engine.settings);
                let options = CreateContainerOptionsBuilder::new().name(&name).build();
                let call = self.engine.api().await?.create_container(Some(options), body);
                bounded(format!("creating container {name}"), limits::START, call).await?;
            }
            match self.engine.start(&name).await {
                Err(error) if error.is_capability_refusal() => {
                    self.engine.remove_container(&name).await?;
                    exists = false;
                    let learnt = self.privilege.refuse(privilege) || self.privilege.current() != privilege;
                    // One made by an earlier process may have asked for more than we would now: ours gets its own try.
                    if made_now && !learnt {
                        return Err(EngineError::Refused(
                            "this host does not allow containers what a node needs".to_owned(),
                        ));
                    }
                }
                started => return started,
            }
        }
    }

    /// Why a node ended, for people.
    async fn last_words(&self, found: &Found) -> Result<String, EngineError> {
        let call = self.engine.api().await?.inspect_container(&found.id, None::<InspectContainerOptions>);
        let state = match bounded("looking at a node", limits::CALL, call).await {
            Err(error) if error.is_missing() => return Ok(format!("node container {} is gone", found.name)),
            other => other?.state.unwrap_or_default(),
        };
        if found.phase == Phase::Created {
            return Ok(format!("node container {} was never started", found.name));
        }
        let code = state.exit_code.unwrap_or(-1);
        let memory = if state.oom_killed == Some(true) { ", out of memory" } else { "" };
        let tail = self.engine.tail(&found.id, 5, 2000).await?;
        Ok(format!("node container {} ended with exit code {code}{memory}; its last lines:\n{tail}", found.name))
    }

    /// The port on this host that leads to the API server; `None` while the server does not run.
    async fn published_port(&self, server: &str) -> Result<Option<u16>, EngineError> {
        let call = self.engine.api().await?.inspect_container(server, None::<InspectContainerOptions>);
        let inspected = match bounded("looking at the server node", limits::CALL, call).await {
            Err(error) if error.is_missing() => return Ok(None),
            other => other?,
        };
        let ports = inspected.network_settings.and_then(|network| network.ports).unwrap_or_default();
        let binding = ports.get(node::API_PORT).cloned().flatten().and_then(|bindings| bindings.into_iter().next());
        Ok(binding.and_then(|binding| binding.host_port?.parse().ok()))
    }

    /// The file as the node wrote it; `None` until it has, or when there is no such node.
    async fn admin_kubeconfig(&self, server: &str) -> Result<Option<String>, EngineError> {
        let options = DownloadFromContainerOptionsBuilder::new().path("/etc/rancher/k3s/k3s.yaml").build();
        let mut stream = self.engine.api().await?.download_from_container(server, Some(options));
        let read = async {
            let mut tar = Vec::new();
            while let Some(piece) = stream.next().await {
                tar.extend_from_slice(&piece?);
                if tar.len() > limits::KUBECONFIG_BYTES {
                    break;
                }
            }
            Ok(tar)
        };
        match bounded("reading the cluster's kubeconfig", limits::CALL, read).await {
            Ok(tar) => Ok(first_file(&tar)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn leftovers(&self, wanted: &[(&str, &str)]) -> Result<Vec<String>, EngineError> {
        let containers =
            self.engine.containers(wanted).await?.into_iter().map(|found| format!("container {}", found.name));
        let networks = self.engine.networks(wanted).await?.into_iter().map(|(id, _)| format!("network {id}"));
        let volumes = self.engine.volumes(wanted).await?.into_iter().map(|(name, _)| format!("volume {name}"));
        Ok(containers.chain(networks).chain(volumes).collect())
    }
}

/// Whether the node's container was started at some time. One that ended is not started again: its cluster is lost.
fn is_started(existing: &[Found], node: Node, cluster: ClusterId) -> bool {
    let name = node.name(cluster);
    existing.iter().any(|found| found.name == name && found.phase != Phase::Created)
}

/// 256 bits from the kernel.
async fn random_token() -> Result<String, EngineError> {
    use tokio::io::AsyncReadExt;
    let mut bytes = [0; 32];
    let read = async { tokio::fs::File::open("/dev/urandom").await?.read_exact(&mut bytes).await };
    match read.await {
        Ok(_) => Ok(hex::encode(bytes)),
        Err(error) => Err(EngineError::Failed { what: "reading random bytes".to_owned(), source: error.into() }),
    }
}

/// The only file of a tar that Docker made of one file.
fn first_file(tar: &[u8]) -> Option<String> {
    use std::io::Read;
    let mut archive = tar::Archive::new(tar);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let mut text = String::new();
    entry.read_to_string(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}
