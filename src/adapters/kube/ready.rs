//! What keeps a cluster from being ready for work. Each check names what it misses; a later check that needs an earlier
//! one is not made before.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::{rollout, sorted};
use crate::ports::KubernetesError;

const SYSTEM: &str = "kube-system";

type Missing = Result<Vec<String>, KubernetesError>;

pub(super) async fn not_ready(client: &Client, nodes: u8) -> Missing {
    api_server(client).await?;
    let mut missing = self::nodes(client, nodes).await?;
    missing.extend(service_account(client).await?);
    missing.extend(system_workloads(client).await?);
    missing.extend(cluster_dns(client).await?);
    missing.extend(default_storage(client).await?);
    Ok(missing)
}

async fn api_server(client: &Client) -> Result<(), KubernetesError> {
    let request = http::Request::get("/readyz").body(Vec::new()).expect("a constant path is a valid request");
    let answer = client.request_text(request).await.map_err(|error| match error {
        // A server that is starting answers 500 with what it waits for.
        kube::Error::Api(status) => KubernetesError::Failed {
            what: "the API server's readiness".into(),
            source: anyhow::anyhow!("{}", status.message.lines().next().unwrap_or_default().to_owned()),
        },
        error => sorted("the API server's readiness", error),
    })?;
    drop(answer);
    Ok(())
}

async fn nodes(client: &Client, wanted: u8) -> Missing {
    let found = Api::<Node>::all(client.clone()).list(&ListParams::default()).await;
    let found = found.map_err(|error| sorted("listing nodes", error))?.items;
    let mut missing: Vec<String> = found.iter().filter_map(node).collect();
    if found.len() < usize::from(wanted) {
        missing.push(format!("{} of {wanted} nodes have joined", found.len()));
    }
    Ok(missing)
}

fn node(node: &Node) -> Option<String> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    let name = node.name_any();
    match ready {
        Some(condition) if condition.status == "True" => None,
        Some(condition) => Some(format!("node {name} is not ready: {}", condition.message.unwrap_or_default())),
        None => Some(format!("node {name} is not ready: its kubelet has not reported")),
    }
}

async fn service_account(client: &Client) -> Missing {
    let found = Api::<ServiceAccount>::namespaced(client.clone(), "default").get_opt("default").await;
    let found = found.map_err(|error| sorted("looking for the default ServiceAccount", error))?;
    Ok(if found.is_some() { vec![] } else { vec!["the default ServiceAccount does not exist yet".into()] })
}

async fn system_workloads(client: &Client) -> Missing {
    let failed = |error| sorted("listing the system's workloads", error);
    let all = ListParams::default();
    let deployments = Api::<Deployment>::namespaced(client.clone(), SYSTEM).list(&all).await.map_err(failed)?;
    let daemon_sets = Api::<DaemonSet>::namespaced(client.clone(), SYSTEM).list(&all).await.map_err(failed)?;
    let lagging: Vec<String> = deployments
        .iter()
        .filter_map(rollout::deployment)
        .chain(daemon_sets.iter().filter_map(rollout::daemon_set))
        .collect();
    if lagging.is_empty() {
        return Ok(lagging);
    }
    let pods = Api::<Pod>::namespaced(client.clone(), SYSTEM).list(&all).await.map_err(failed)?;
    for pod in &pods {
        if let Some(trouble) = rollout::pod_trouble(client, pod).await {
            return Ok(lagging.into_iter().map(|text| format!("{text}; {trouble}")).collect());
        }
    }
    Ok(lagging)
}

/// DNS answers when the Service named by convention has an endpoint that serves; clusters without that name are left alone.
async fn cluster_dns(client: &Client) -> Missing {
    let of_dns = ListParams::default().labels("kubernetes.io/service-name=kube-dns");
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), SYSTEM).list(&of_dns).await;
    let slices = slices.map_err(|error| sorted("looking for the cluster's DNS", error))?;
    let serves = |slice: &EndpointSlice| {
        slice.endpoints.iter().any(|endpoint| endpoint.conditions.as_ref().and_then(|c| c.ready) == Some(true))
    };
    Ok(if slices.iter().any(serves) {
        vec![]
    } else {
        vec!["the cluster's DNS (kube-dns) has no ready endpoint".into()]
    })
}

async fn default_storage(client: &Client) -> Missing {
    const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
    let classes = Api::<StorageClass>::all(client.clone()).list(&ListParams::default()).await;
    let classes = classes.map_err(|error| sorted("listing StorageClasses", error))?;
    let is_default = |notes: &BTreeMap<String, String>| notes.get(DEFAULT).is_some_and(|value| value == "true");
    let found = classes.iter().any(|class| is_default(class.annotations()));
    Ok(if found { vec![] } else { vec!["there is no default StorageClass".into()] })
}
