//! A suite's container: limits, no privileges, no host mounts, and the contract's paths and variables. What runs in it is hostile.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{ContainerCreateBody, HostConfig, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum};
use secrecy::ExposeSecret;

use super::error::EngineError;
use super::image::Image;
use super::node::log_config;
use super::{DockerSettings, labels, limits};
use crate::domain::contract::{KUBECONFIG, RESULTS_DIR, WORKSPACE_DIR};
use crate::domain::suite::Limits;
use crate::ports::Execution;

/// The container's name: readable, and unique by its attempt.
pub(super) fn name(execution: &Execution) -> String {
    format!("portcullis-{}-{}", execution.attempt.short(), execution.name)
}

/// The container as asked of Docker.
///
/// # Errors
/// [`EngineError::Refused`] when the image keeps a volume where the contract has a folder.
pub(super) fn body(
    execution: &Execution,
    image: &Image,
    cpus: i64,
    settings: &DockerSettings,
) -> Result<ContainerCreateBody, EngineError> {
    let (entrypoint, cmd) = match execution.invocation.command.split_first() {
        Some((program, args)) => (Some(vec![program.clone()]), Some(args.to_vec())),
        None => (None, None),
    };
    let env = execution.invocation.env.iter().map(|(name, value)| format!("{name}={value}"));
    let secrets = execution.secrets.iter().map(|(name, value)| format!("{name}={}", value.expose_secret()));
    Ok(ContainerCreateBody {
        image: Some(execution.image.clone()),
        entrypoint,
        cmd,
        env: Some(env.chain(secrets).collect()),
        labels: Some(labels::of_execution(settings, execution)),
        host_config: Some(host_config(execution, image, cpus)?),
        ..ContainerCreateBody::default()
    })
}

fn host_config(execution: &Execution, image: &Image, cpus: i64) -> Result<HostConfig, EngineError> {
    let Limits { memory_bytes, cpu_millis, pids, disk_bytes, log_bytes: _ } = execution.limits;
    let wanted_cpus = saturated(cpu_millis).saturating_mul(1_000_000);
    Ok(HostConfig {
        init: Some(true),
        network_mode: Some(execution.access.network.clone().unwrap_or_else(|| "bridge".to_owned())),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        memory: Some(saturated(memory_bytes)),
        memory_swap: Some(saturated(memory_bytes)),
        nano_cpus: Some(wanted_cpus.min(cpus.saturating_mul(1_000_000_000))),
        pids_limit: Some(saturated(pids)),
        ulimits: Some(vec![largest_file(disk_bytes)]),
        tmpfs: Some(volumes_in_memory(&execution.image, image, memory_bytes)?),
        log_config: Some(log_config(limits::SUITE_LOG_FILE)),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        ..HostConfig::default()
    })
}

/// No single file may be larger than the whole disk allowance; the kernel enforces it at once, the watch on the disk only later.
fn largest_file(bytes: u64) -> ResourcesUlimits {
    let bytes = saturated(bytes);
    ResourcesUlimits { name: Some("fsize".to_owned()), soft: Some(bytes), hard: Some(bytes) }
}

/// Volumes that an image declares would be disk that nobody counts. They become memory, which is limited.
fn volumes_in_memory(name: &str, image: &Image, memory_bytes: u64) -> Result<HashMap<String, String>, EngineError> {
    let ours = [KUBECONFIG, RESULTS_DIR, WORKSPACE_DIR].map(Path::new);
    for volume in &image.volumes {
        if ours.iter().any(|path| path.starts_with(volume) || Path::new(volume).starts_with(path)) {
            return Err(EngineError::Refused(format!(
                "image {name} declares a volume at {volume}, where the suite's own files go"
            )));
        }
    }
    Ok(image.volumes.iter().map(|volume| (volume.clone(), format!("size={memory_bytes}"))).collect())
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::ids::{AttemptId, ClusterId, RunId};
    use crate::domain::invocation::Invocation;
    use crate::ports::ClusterAccess;
    use crate::ports::Privileged;

    fn execution(command: &[&str]) -> Execution {
        let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        Execution {
            attempt: AttemptId::new(now),
            run: RunId::new(now),
            cluster: ClusterId::new(now),
            name: "smoke".parse().unwrap(),
            image: "i:v1".into(),
            invocation: Invocation {
                command: command.iter().map(|&word| word.to_owned()).collect(),
                env: BTreeMap::from([("MODE".to_owned(), "full".to_owned())]),
            },
            secrets: vec![("TOKEN".to_owned(), "hunter2".into())],
            limits: Limits { memory_bytes: 1 << 30, cpu_millis: 64_000, pids: 99, disk_bytes: 1 << 20, log_bytes: 1 },
            access: ClusterAccess { kubeconfig: "k".into(), network: Some("net".into()) },
            workspace: None,
        }
    }

    fn made(command: &[&str], volumes: &[&str]) -> Result<ContainerCreateBody, EngineError> {
        let settings = DockerSettings {
            instance: "main".into(),
            host: None,
            node_images: vec![],
            privileged: Privileged::Auto,
            runtime: None,
        };
        let image = Image {
            name: "i".into(),
            id: "sha256:1".into(),
            volumes: volumes.iter().map(|&path| path.to_owned()).collect(),
        };
        body(&execution(command), &image, 2, &settings)
    }

    #[test]
    fn a_suite_gets_limits_and_no_privileges() {
        let config = made(&[], &[]).unwrap().host_config.unwrap();
        assert_eq!(config.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(config.security_opt, Some(vec!["no-new-privileges".to_owned()]));
        assert_eq!((config.memory, config.memory_swap, config.pids_limit), (Some(1 << 30), Some(1 << 30), Some(99)));
        assert_eq!(config.nano_cpus, Some(2_000_000_000), "no more than the host has");
        assert_eq!((config.privileged, config.binds, config.mounts), (None, None, None));
    }

    #[test]
    fn a_command_takes_the_place_of_the_images_own() {
        let own = made(&[], &[]).unwrap();
        assert_eq!((own.entrypoint, own.cmd), (None, None));
        let command = made(&["/bin/t", "-x"], &[]).unwrap();
        assert_eq!((command.entrypoint, command.cmd), (Some(vec!["/bin/t".to_owned()]), Some(vec!["-x".to_owned()])));
        assert_eq!(command.env, Some(vec!["MODE=full".to_owned(), "TOKEN=hunter2".to_owned()]));
        let labels = format!("{:?} {:?}", command.labels, command.host_config);
        assert!(!labels.contains("hunter2"), "{labels}");
    }

    #[test]
    fn volumes_of_an_image_are_memory_or_refused() {
        let config = made(&[], &["/data"]).unwrap().host_config.unwrap();
        assert_eq!(config.tmpfs.unwrap()["/data"], format!("size={}", 1 << 30));
        for path in ["/results", "/results/sub", "/run", "/"] {
            assert!(matches!(made(&[], &[path]), Err(EngineError::Refused(_))), "{path}");
        }
    }
}
