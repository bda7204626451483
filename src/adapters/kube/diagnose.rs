//! What a cluster says of itself when something failed: nodes, events, pods with what keeps them, workloads, volumes, logs of pods in
//! trouble. Every list and log is bounded. Secrets, ConfigMaps and containers' variables are never read or shown.

use std::fmt::Write as _;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Node, PersistentVolumeClaim, Pod};
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt};
use serde::de::DeserializeOwned;

use super::{rollout, sorted};
use crate::domain::text::plain;
use crate::ports::{Clue, KubernetesError};

/// Objects of one kind that are looked at.
const MOST: u32 = 1000;
/// Events that are told, newest last.
const EVENTS: usize = 500;
/// Pods in trouble whose logs are read, so many at once.
const LOGGED: usize = 20;
const AT_ONCE: usize = 4;
/// Of each container.
const LOG_LINES: i64 = 1000;
const LOG_BYTES: i64 = 128 * 1024;

pub(super) async fn diagnose(client: &Client) -> Result<Vec<Clue>, KubernetesError> {
    let nodes: Vec<Node> = all(client, "nodes").await?;
    let (events, pods) = tokio::try_join!(all::<Event>(client, "events"), all::<Pod>(client, "pods"))?;
    let mut clues = vec![
        clue("cluster/nodes.txt", nodes.iter().map(node).collect()),
        clue("cluster/events.txt", told(events)),
        clue("cluster/pods.txt", pods.iter().map(pod).collect()),
        clue("cluster/workloads.txt", workloads(client).await?),
        clue("cluster/volumes.txt", volumes(client).await?),
    ];
    let mut troubled = pods;
    troubled.retain(|pod| !is_well(pod));
    troubled.truncate(LOGGED);
    let logs = stream::iter(troubled).map(|pod| logs(client.clone(), pod)).buffered(AT_ONCE);
    clues.extend(logs.collect::<Vec<_>>().await.into_iter().flatten());
    Ok(clues)
}

fn clue(name: &str, text: String) -> Clue {
    let text = if text.is_empty() { "nothing\n".to_owned() } else { plain(&text) };
    Clue { name: name.to_owned(), text }
}

async fn all<K>(client: &Client, what: &str) -> Result<Vec<K>, KubernetesError>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let found = Api::<K>::all(client.clone()).list(&ListParams::default().limit(MOST)).await;
    Ok(found.map_err(|error| sorted(&format!("listing {what}"), error))?.items)
}

fn node(node: &Node) -> String {
    let status = node.status.clone().unwrap_or_default();
    let version = status.node_info.as_ref().map_or("", |info| info.kubelet_version.as_str());
    let mut text = format!("node {} {version}\n", node.name_any());
    for condition in status.conditions.iter().flatten() {
        let message = condition.message.as_deref().unwrap_or_default();
        let since = condition.last_transition_time.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
        let _ = writeln!(text, "  {:<20} {:<8} since {since} {message}", condition.type_, condition.status);
    }
    for taint in node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()) {
        let _ = writeln!(text, "  taint {} {}", taint.key, taint.effect);
    }
    for (what, amount) in status.allocatable.iter().flatten() {
        let _ = writeln!(text, "  allocatable {what} {}", amount.0);
    }
    text + "\n"
}

/// One line an event, the newest last; what is no warning stays, for it tells the order of things.
fn told(mut events: Vec<Event>) -> String {
    let time = |event: &Event| {
        let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        let first = event.event_time.as_ref().map(|time| time.0);
        series.or(last).or(first)
    };
    events.sort_by_key(time);
    let skipped = events.len().saturating_sub(EVENTS);
    let mut text = if skipped > 0 { format!("{skipped} earlier events are left out\n") } else { String::new() };
    for event in &events[skipped..] {
        let at = time(event).map(|time| time.to_string()).unwrap_or_default();
        let object = &event.involved_object;
        let [kind, name] = [&object.kind, &object.name].map(|text| text.as_deref().unwrap_or_default());
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let [type_, reason, message] =
            [&event.type_, &event.reason, &event.message].map(|text| text.as_deref().unwrap_or_default());
        let times = event.count.filter(|count| *count > 1).map(|count| format!(" ({count} times)")).unwrap_or_default();
        let message = message.trim().replace('\n', " ");
        let _ = writeln!(text, "{at} {type_:<7} {namespace}/{kind}/{name} {reason}: {message}{times}");
    }
    text
}

/// Ready, or done with success.
fn is_well(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let restarted = containers(pod).any(|container| container.restart_count > 0);
    (ready && !restarted) || status.phase.as_deref() == Some("Succeeded")
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status.flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    })
}

/// One line for a pod that is well, a description for one that is not.
fn pod(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("-");
    let phase = status.phase.as_deref().unwrap_or("Unknown");
    let restarts: i32 = containers(pod).map(|container| container.restart_count).sum();
    let [namespace, name] = [pod.namespace().unwrap_or_default(), pod.name_any()];
    let mut text = format!("{namespace}/{name} {phase} on {node}, {restarts} restarts\n");
    if is_well(pod) {
        return text;
    }
    for text_of in [&status.reason, &status.message].into_iter().flatten() {
        let _ = writeln!(text, "  {text_of}");
    }
    for condition in status.conditions.iter().flatten().filter(|condition| condition.status != "True") {
        let [reason, message] = [&condition.reason, &condition.message].map(|said| said.as_deref().unwrap_or_default());
        let _ = writeln!(text, "  not {}: {reason} {message}", condition.type_);
    }
    for container in containers(pod) {
        let _ = writeln!(text, "  container {} {}", container.name, container.image);
        for (when, state) in [("now", &container.state), ("before", &container.last_state)] {
            let Some(state) = state else { continue };
            if let Some(waiting) = &state.waiting {
                let [reason, message] = [&waiting.reason, &waiting.message].map(|s| s.as_deref().unwrap_or_default());
                let _ = writeln!(text, "    {when} waiting: {reason} {message}");
            }
            if let Some(ended) = &state.terminated {
                let [reason, message] = [&ended.reason, &ended.message].map(|s| s.as_deref().unwrap_or_default());
                let _ = writeln!(text, "    {when} ended with {}: {reason} {message}", ended.exit_code);
            }
            if state.running.is_some() {
                let _ = writeln!(text, "    {when} running, ready: {}", container.ready);
            }
        }
    }
    text
}

async fn workloads(client: &Client) -> Result<String, KubernetesError> {
    let (deployments, sets, daemons) = tokio::try_join!(
        all::<Deployment>(client, "deployments"),
        all::<StatefulSet>(client, "StatefulSets"),
        all::<DaemonSet>(client, "DaemonSets"),
    )?;
    let lagging = |namespace: Option<String>, said: Option<String>| {
        said.map(|said| format!("{}: {said}\n", namespace.unwrap_or_default()))
    };
    let deployments = deployments.iter().filter_map(|found| lagging(found.namespace(), rollout::deployment(found)));
    let sets = sets.iter().filter_map(|found| lagging(found.namespace(), rollout::stateful_set(found)));
    let daemons = daemons.iter().filter_map(|found| lagging(found.namespace(), rollout::daemon_set(found)));
    Ok(deployments.chain(sets).chain(daemons).collect())
}

async fn volumes(client: &Client) -> Result<String, KubernetesError> {
    let claims: Vec<PersistentVolumeClaim> = all(client, "volume claims").await?;
    let line = |claim: &PersistentVolumeClaim| {
        let phase = claim.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.clone()).unwrap_or_default();
        format!("{}/{} {phase}, class {class}\n", claim.namespace().unwrap_or_default(), claim.name_any())
    };
    Ok(claims.iter().map(line).collect())
}

/// What a pod in trouble printed, each container apart; of one that restarted also what it printed before.
async fn logs(client: Client, pod: Pod) -> Vec<Clue> {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let api = Api::<Pod>::namespaced(client, &namespace);
    let mut clues = Vec::new();
    for container in containers(&pod) {
        let rounds: &[bool] = if container.restart_count > 0 { &[true, false] } else { &[false] };
        for previous in rounds {
            let wanted = LogParams {
                container: Some(container.name.clone()),
                tail_lines: Some(LOG_LINES),
                limit_bytes: Some(LOG_BYTES),
                timestamps: true,
                previous: *previous,
                ..LogParams::default()
            };
            let Ok(text) = api.logs(&name, &wanted).await else { continue };
            let which = if *previous { ".before" } else { "" };
            clues.push(clue(&format!("logs/{namespace}_{name}_{}{which}.log", container.name), text));
        }
    }
    clues
}
