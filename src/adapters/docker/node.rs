//! What a node container is: k3s's contract, spelt for Docker. Also which privileges this host allows, learnt once per process.
//! Nothing here decides when nodes are made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount, MountType,
    MountVolumeOptions, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use super::image::Image;
use super::labels::{self, Labels, NODES, Role};
use super::{DockerSettings, limits, network};
use crate::domain::ids::ClusterId;
use crate::ports::{ClusterSpec, Privileged};

/// The API server's port inside the server node.
pub(super) const API_PORT: &str = "6443/tcp";
pub(super) const TOKEN: &str = "K3S_TOKEN";

/// A shared host's disk is often fuller than the kubelet's defaults like; without these a node is tainted before it is used.
const EVICTION: &str =
    "--kubelet-arg=eviction-hard=memory.available<100Mi,imagefs.available<1%,nodefs.available<1%,nodefs.inodesFree<1%";

/// One node of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Server,
    Agent(u8),
}

impl Node {
    /// All nodes of a cluster of this size, the server first.
    pub(super) fn all(nodes: u8) -> impl Iterator<Item = Node> {
        std::iter::once(Node::Server).chain((0..nodes.saturating_sub(1)).map(Node::Agent))
    }

    /// The container's and the host's name, short enough for a host's 63 characters.
    pub(super) fn name(self, cluster: ClusterId) -> String {
        match self {
            Node::Server => format!("{}-server-0", network::name(cluster)),
            Node::Agent(n) => format!("{}-agent-{n}", network::name(cluster)),
        }
    }

    fn role(self) -> Role {
        match self {
            Node::Server => Role::Server,
            Node::Agent(_) => Role::Agent,
        }
    }
}

/// A node container as asked of Docker.
pub(super) fn body(
    node: Node,
    cluster: &ClusterSpec,
    image: &Image,
    token: &str,
    privilege: Privilege,
    settings: &DockerSettings,
) -> ContainerCreateBody {
    let server = Node::Server.name(cluster.id);
    // The init that Docker puts in front reaps; the image's own must not complain that it is not the first process.
    let mut env = vec![format!("{TOKEN}={token}"), "TINI_SUBREAPER=1".to_owned()];
    let mut labels = labels::of_cluster(settings, cluster, node.role());
    let mut args = Vec::new();
    match node {
        Node::Server => {
            labels.insert(NODES.to_owned(), cluster.plan.nodes.to_string());
            args.extend([
                "server".to_owned(),
                format!("--tls-san={server}"),
                "--tls-san=127.0.0.1".to_owned(),
                EVICTION.to_owned(),
            ]);
            args.extend(cluster.plan.server_args.iter().cloned());
        }
        Node::Agent(_) => {
            env.push(format!("K3S_URL=https://{server}:6443"));
            args.extend(["agent".to_owned(), EVICTION.to_owned()]);
        }
    }
    let volume_labels = labels::of_cluster(settings, cluster, Role::Volume);
    ContainerCreateBody {
        image: Some(image.name.clone()),
        hostname: Some(node.name(cluster.id)),
        cmd: Some(args),
        env: Some(env),
        labels: Some(labels),
        exposed_ports: Some(vec![API_PORT.to_owned()]),
        host_config: Some(host_config(node, cluster, image, volume_labels, privilege, settings)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(
    node: Node,
    cluster: &ClusterSpec,
    image: &Image,
    volume_labels: Labels,
    privilege: Privilege,
    settings: &DockerSettings,
) -> HostConfig {
    let loopback = vec![PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) }];
    let ports = match node {
        Node::Server => Some(HashMap::from([(API_PORT.to_owned(), Some(loopback))])),
        Node::Agent(_) => None,
    };
    let tmpfs = ["/run", "/var/run"].map(|path| (path.to_owned(), String::new()));
    let mut config = HostConfig {
        init: Some(true),
        network_mode: Some(network::name(cluster.id)),
        port_bindings: ports,
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        userns_mode: Some("host".to_owned()),
        tmpfs: Some(HashMap::from(tmpfs)),
        mounts: Some(image.volumes.iter().map(|path| labelled_volume(path, &volume_labels)).collect()),
        // A node that Docker starts again behind our back is a cluster that nobody asked for.
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        log_config: Some(log_config(limits::NODE_LOG_FILE)),
        runtime: settings.runtime.clone(),
        ..HostConfig::default()
    };
    privilege.grant(&mut config);
    config
}

/// A volume without a name, removed with its container, whose labels let a sweep find it should that fail.
fn labelled_volume(path: &str, labels: &Labels) -> Mount {
    Mount {
        target: Some(path.to_owned()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions { labels: Some(labels.clone()), ..MountVolumeOptions::default() }),
        ..Mount::default()
    }
}

/// The engine's log of a container, kept on its disk in at most two files of this size.
pub(super) fn log_config(file_size: &str) -> HostConfigLogConfig {
    let options = [("max-size", file_size), ("max-file", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(HashMap::from(options)) }
}

/// What a node container is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privilege {
    /// `--privileged`.
    Full,
    /// The same in effect, without the one capability that such hosts withhold.
    Narrow,
}

impl Privilege {
    fn grant(self, config: &mut HostConfig) {
        match self {
            Privilege::Full => config.privileged = Some(true),
            Privilege::Narrow => {
                config.cap_add = Some(vec!["ALL".to_owned()]);
                config.cap_drop = Some(vec!["SYS_RESOURCE".to_owned()]);
                config.security_opt = Some(vec!["seccomp=unconfined".to_owned(), "apparmor=unconfined".to_owned()]);
                config.device_cgroup_rules = Some(vec!["a *:* rwm".to_owned()]);
                // The command line's `systempaths=unconfined`: the API knows it as nothing masked and nothing read-only.
                config.masked_paths = Some(Vec::new());
                config.readonly_paths = Some(Vec::new());
            }
        }
    }
}

/// Which privileges to ask for: the setting, and what this engine answered so far.
pub(super) struct PrivilegeMemory {
    setting: Privileged,
    refused: Mutex<bool>,
}

impl PrivilegeMemory {
    pub(super) fn new(setting: Privileged) -> Self {
        PrivilegeMemory { setting, refused: Mutex::new(false) }
    }

    pub(super) fn current(&self) -> Privilege {
        match self.setting {
            Privileged::Always => Privilege::Full,
            Privileged::Never => Privilege::Narrow,
            Privileged::Auto if *self.refused.lock().unwrap_or_else(PoisonError::into_inner) => Privilege::Narrow,
            Privileged::Auto => Privilege::Full,
        }
    }

    /// Notes a refusal. Says whether that leaves something else to try.
    pub(super) fn refuse(&self, tried: Privilege) -> bool {
        let can_narrow = tried == Privilege::Full && self.setting == Privileged::Auto;
        if can_narrow {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        can_narrow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cluster::ClusterPlan;
    use crate::domain::ids::RunId;

    fn settings() -> DockerSettings {
        DockerSettings {
            instance: "main".into(),
            host: None,
            node_images: vec![],
            privileged: Privileged::Auto,
            runtime: Some("sysbox-runc".into()),
        }
    }

    fn cluster() -> ClusterSpec {
        let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        let plan =
            ClusterPlan { image: None, nodes: 3, server_args: vec!["--disable=traefik".into()], ready_timeout_s: 60 };
        ClusterSpec { id: ClusterId::new(now), run: RunId::new(now), plan, expires_at: now }
    }

    #[test]
    fn nodes_follow_the_contract() {
        let cluster = cluster();
        let image = Image { name: "node:1".into(), id: "sha256:1".into(), volumes: vec!["/var/log".into()] };
        assert_eq!(Node::all(3).collect::<Vec<_>>(), [Node::Server, Node::Agent(0), Node::Agent(1)]);
        let server = body(Node::Server, &cluster, &image, "secret", Privilege::Full, &settings());
        let name = Node::Server.name(cluster.id);
        assert!(name.len() <= 63 && server.hostname.as_deref() == Some(&name));
        let args = server.cmd.unwrap();
        assert_eq!((args[0].as_str(), args.last().unwrap().as_str()), ("server", "--disable=traefik"));
        assert_eq!((server.image.as_deref(), &*server.labels.unwrap()[NODES]), (Some("node:1"), "3"));
        let config = server.host_config.unwrap();
        assert_eq!((config.privileged, config.runtime.as_deref()), (Some(true), Some("sysbox-runc")));
        let published = config.port_bindings.unwrap()[API_PORT].clone().unwrap();
        assert_eq!(published[0].host_ip.as_deref(), Some("127.0.0.1"));
        let volume = config.mounts.unwrap()[0].volume_options.clone().unwrap().labels.unwrap();
        assert_eq!(volume[labels::ROLE], "volume");

        let agent = body(Node::Agent(1), &cluster, &image, "secret", Privilege::Narrow, &settings());
        assert!(agent.env.unwrap().contains(&format!("K3S_URL=https://{name}:6443")));
        let config = agent.host_config.unwrap();
        assert_eq!((config.privileged, config.port_bindings), (None, None));
        assert_eq!(config.masked_paths, Some(vec![]));
    }

    #[test]
    fn a_refusal_is_remembered_only_where_there_is_a_choice() {
        let auto = PrivilegeMemory::new(Privileged::Auto);
        assert_eq!(auto.current(), Privilege::Full);
        assert!(auto.refuse(Privilege::Full));
        assert_eq!(auto.current(), Privilege::Narrow);
        assert!(!auto.refuse(Privilege::Narrow));
        let always = PrivilegeMemory::new(Privileged::Always);
        assert!(!always.refuse(Privilege::Full));
        assert_eq!(always.current(), Privilege::Full);
    }
}
