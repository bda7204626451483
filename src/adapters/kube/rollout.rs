//! Whether what was applied has taken effect, and if not, what it waits for in words that help.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt};

use super::objects::{Object, objects};
use super::sorted;
use crate::domain::text::{cut, plain_line};
use crate::ports::{KubernetesError, Manifest};

/// Bytes of a crashing container's log that are read for its last line.
const LOG_BYTES: i64 = 4096;

pub(super) async fn not_rolled_out(client: &Client, manifests: &[Manifest]) -> Result<Vec<String>, KubernetesError> {
    let mut missing = Vec::new();
    for object in &objects(manifests)? {
        missing.extend(waits_for(client, object).await?);
    }
    Ok(missing)
}

/// What one object still waits for; `None` when it has taken effect or is of a kind that takes effect at once.
pub(super) async fn waits_for(client: &Client, object: &Object) -> Result<Option<String>, KubernetesError> {
    let (namespace, name) = (object.namespace(), object.name());
    let failed = |error| sorted(&object.place, error);
    match (object.gvk.group.as_str(), object.gvk.kind.as_str()) {
        ("apps", "Deployment") => {
            let found: Deployment = Api::namespaced(client.clone(), namespace).get(name).await.map_err(failed)?;
            let selector = found.spec.as_ref().map(|spec| spec.selector.clone());
            blame(client, namespace, selector, deployment(&found)).await
        }
        ("apps", "StatefulSet") => {
            let found: StatefulSet = Api::namespaced(client.clone(), namespace).get(name).await.map_err(failed)?;
            let selector = found.spec.as_ref().map(|spec| spec.selector.clone());
            blame(client, namespace, selector, stateful_set(&found)).await
        }
        ("apps", "DaemonSet") => {
            let found: DaemonSet = Api::namespaced(client.clone(), namespace).get(name).await.map_err(failed)?;
            let selector = found.spec.as_ref().map(|spec| spec.selector.clone());
            blame(client, namespace, selector, daemon_set(&found)).await
        }
        ("batch", "Job") => {
            let found: Job = Api::namespaced(client.clone(), namespace).get(name).await.map_err(failed)?;
            job(client, namespace, &found).await
        }
        ("", "Pod") => {
            let found: Pod = Api::namespaced(client.clone(), namespace).get(name).await.map_err(failed)?;
            Ok(pod_trouble(client, &found).await)
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let found: CustomResourceDefinition = Api::all(client.clone()).get(name).await.map_err(failed)?;
            Ok(definition(&found))
        }
        _ => Ok(None),
    }
}

/// `None` when rolled out, else `Deployment web: 1 of 3 pods ready`.
pub(super) fn deployment(found: &Deployment) -> Option<String> {
    let status = found.status.clone().unwrap_or_default();
    let wanted = found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let counts = [status.updated_replicas, status.ready_replicas, status.available_replicas];
    let observed = status.observed_generation >= found.metadata.generation;
    lagging("Deployment", &found.name_any(), observed, wanted, counts)
}

pub(super) fn stateful_set(found: &StatefulSet) -> Option<String> {
    let status = found.status.clone().unwrap_or_default();
    let wanted = found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let on_delete = found.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref()?.type_.clone());
    // Pods of an `OnDelete` set are updated by whoever deletes them.
    let updated = if on_delete.as_deref() == Some("OnDelete") { Some(wanted) } else { status.updated_replicas };
    let observed = status.observed_generation >= found.metadata.generation;
    lagging(
        "StatefulSet",
        &found.name_any(),
        observed,
        wanted,
        [updated, status.ready_replicas, status.available_replicas],
    )
}

pub(super) fn daemon_set(found: &DaemonSet) -> Option<String> {
    let status = found.status.clone().unwrap_or_default();
    let counts = [status.updated_number_scheduled, Some(status.number_ready), status.number_available];
    let observed = status.observed_generation >= found.metadata.generation;
    lagging("DaemonSet", &found.name_any(), observed, status.desired_number_scheduled, counts)
}

fn lagging(kind: &str, name: &str, observed: bool, wanted: i32, counts: [Option<i32>; 3]) -> Option<String> {
    let fewest = counts.into_iter().map(Option::unwrap_or_default).min().unwrap_or_default();
    match (observed, fewest < wanted) {
        (false, _) => Some(format!("{kind} {name}: not looked at by its controller yet")),
        (true, true) => Some(format!("{kind} {name}: {fewest} of {wanted} pods ready")),
        (true, false) => None,
    }
}

async fn job(client: &Client, namespace: &str, found: &Job) -> Result<Option<String>, KubernetesError> {
    let name = found.name_any();
    let conditions = found.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let condition = |wanted: &str| conditions.iter().find(|c| c.type_ == wanted && c.status == "True").cloned();
    if condition("Complete").is_some() {
        return Ok(None);
    }
    if let Some(failed) = condition("Failed") {
        let why = failed.message.or(failed.reason).unwrap_or_default();
        return Err(KubernetesError::Rejected(format!("Job {name} failed: {why}")));
    }
    let selector = found.spec.as_ref().and_then(|spec| spec.selector.clone());
    blame(client, namespace, selector, Some(format!("Job {name}: not complete"))).await
}

fn definition(found: &CustomResourceDefinition) -> Option<String> {
    let conditions = found.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let established = conditions.iter().any(|c| c.type_ == "Established" && c.status == "True");
    (!established).then(|| format!("CustomResourceDefinition {}: not established", found.name_any()))
}

/// Adds to a lagging workload what its most troubled pod says.
async fn blame(
    client: &Client,
    namespace: &str,
    selector: Option<LabelSelector>,
    lagging: Option<String>,
) -> Result<Option<String>, KubernetesError> {
    let Some(lagging) = lagging else { return Ok(None) };
    let labels: Vec<String> = selector
        .and_then(|selector| selector.match_labels)
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if labels.is_empty() {
        return Ok(Some(lagging));
    }
    let parameters = ListParams::default().labels(&labels.join(",")).limit(50);
    let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&parameters).await;
    for pod in pods.map_err(|error| sorted(&lagging, error))? {
        if let Some(trouble) = pod_trouble(client, &pod).await {
            return Ok(Some(format!("{lagging}; {trouble}")));
        }
    }
    Ok(Some(lagging))
}

/// Why a pod is not ready, with the last line of a container that crashes; `None` when it is ready or done.
pub(super) async fn pod_trouble(client: &Client, pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    if ready || status.phase.as_deref() == Some("Succeeded") {
        return None;
    }
    let name = pod.name_any();
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    for container in containers {
        let state = container.state.as_ref();
        if let Some(waiting) = state.and_then(|state| state.waiting.as_ref()) {
            let reason = waiting.reason.as_deref().unwrap_or("waiting");
            if matches!(reason, "ContainerCreating" | "PodInitializing") {
                continue;
            }
            let detail = match last_line(client, pod, &container.name).await {
                Some(line) => line,
                None => waiting.message.clone().unwrap_or_default(),
            };
            return Some(joined(&format!("pod {name}: {reason}"), &detail));
        }
        if let Some(ended) = state.and_then(|state| state.terminated.as_ref()).filter(|ended| ended.exit_code != 0) {
            let detail = last_line(client, pod, &container.name).await.unwrap_or_default();
            return Some(joined(&format!("pod {name}: exited with {}", ended.exit_code), &detail));
        }
    }
    let unschedulable = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    let reason = unschedulable.and_then(|condition| condition.message.clone());
    let phase = status.phase.clone().unwrap_or_else(|| "Unknown".into());
    Some(joined(
        &format!("pod {name}: {}", if reason.is_some() { "not scheduled" } else { &phase }),
        &reason.unwrap_or_default(),
    ))
}

fn joined(what: &str, detail: &str) -> String {
    if detail.is_empty() { what.to_owned() } else { format!("{what}: {}", cut(&plain_line(detail), 200)) }
}

/// The last line that a crashing container printed; of the crash, not of the try that follows it.
async fn last_line(client: &Client, pod: &Pod, container: &str) -> Option<String> {
    let api = Api::<Pod>::namespaced(client.clone(), pod.namespace().as_deref().unwrap_or("default"));
    for previous in [true, false] {
        let parameters = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(5),
            limit_bytes: Some(LOG_BYTES),
            previous,
            ..LogParams::default()
        };
        let log = api.logs(&pod.name_any(), &parameters).await.unwrap_or_default();
        if let Some(line) = log.lines().rev().find(|line| !line.trim().is_empty()) {
            return Some(line.trim().to_owned());
        }
    }
    None
}
