//! Why something is not ready, in a few lines: pod phases and reasons, last log lines, warning events.
//! Reads only, and never fails: what cannot be read is left out.

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, ResourceExt};

const PODS_SHOWN: usize = 4;
const EVENTS_SHOWN: usize = 4;
const LOG_LINES: i64 = 3;
/// Longest line taken from a log or an event; both may hold anything.
const LINE_LIMIT: usize = 300;

/// Describes the pods that `selector` finds, those that are not ready first, and the namespace's warnings.
pub(crate) async fn pods(client: &Client, namespace: &str, selector: &ListParams) -> String {
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    let mut pods = api.list(selector).await.map(|list| list.items).unwrap_or_default();
    let mut lines = Vec::new();
    if pods.is_empty() {
        lines.push("there is no pod".to_owned());
    }
    pods.sort_by_key(is_ready);
    for pod in pods.iter().take(PODS_SHOWN) {
        lines.push(pod_line(pod));
        lines.extend(log_lines(&api, pod).await);
    }
    if pods.len() > PODS_SHOWN {
        lines.push(format!("and {} more pods", pods.len() - PODS_SHOWN));
    }
    lines.extend(warnings(client, namespace, &pods).await);
    lines.dedup();
    lines.join("\n")
}

/// Whether the pod's Ready condition is true.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// `pod web-1: Running; container web waiting: CrashLoopBackOff, 3 restarts, last exit code 1`.
pub(crate) fn pod_line(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let mut text = format!("pod {}: {}", pod.name_any(), status.phase.as_deref().unwrap_or("no phase"));
    if let Some(reason) = &status.reason {
        text += &format!(" ({reason})");
    }
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    if let Some(message) = unscheduled.and_then(|condition| condition.message.as_deref()) {
        text += &format!("; not scheduled: {message}");
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    for container in containers.filter(|container| !container.ready) {
        text += &format!("; {}", container_text(container));
    }
    cut(&text)
}

fn container_text(container: &ContainerStatus) -> String {
    let state = container.state.clone().unwrap_or_default();
    let mut text = format!("container {}", container.name);
    if let Some(waiting) = &state.waiting {
        text += &format!(" waiting: {}", waiting.reason.as_deref().unwrap_or("no reason"));
        // The kubelet's text for a back-off only repeats the pod's name; that of an image it cannot pull helps.
        let message = waiting.message.as_deref().filter(|message| !message.starts_with("back-off "));
        text += &message.map(|message| format!(" ({message})")).unwrap_or_default();
    } else if let Some(ended) = &state.terminated {
        text += &format!(" ended with exit code {}", ended.exit_code);
    } else if state.running.is_some() {
        text += " running, not ready";
    }
    if container.restart_count > 0 {
        text += &format!(", {} restarts", container.restart_count);
    }
    let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    if let Some(ended) = last {
        text += &format!(", last exit code {}", ended.exit_code);
    }
    text
}

/// The last lines of the first container that is not ready, else of the first; of its last life if it is down.
async fn log_lines(api: &Api<Pod>, pod: &Pod) -> Vec<String> {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let statuses: Vec<_> = statuses.collect();
    let Some(container) = statuses.iter().find(|status| !status.ready).or(statuses.first()) else {
        return Vec::new();
    };
    let is_waiting = container.state.as_ref().is_some_and(|state| state.waiting.is_some());
    let asked = LogParams {
        container: Some(container.name.clone()),
        tail_lines: Some(LOG_LINES),
        limit_bytes: Some(4096),
        previous: is_waiting && container.restart_count > 0,
        ..LogParams::default()
    };
    let log = api.logs(&pod.name_any(), &asked).await.unwrap_or_default();
    log.lines().filter(|line| !line.trim().is_empty()).map(|line| cut(&format!("  log: {line}"))).collect()
}

async fn warnings(client: &Client, namespace: &str, pods: &[Pod]) -> Vec<String> {
    let api = Api::<Event>::namespaced(client.clone(), namespace);
    let warnings = ListParams::default().fields("type=Warning").limit(500);
    let mut events = api.list(&warnings).await.map(|list| list.items).unwrap_or_default();
    events.retain(|event| concerns(event, pods));
    events.sort_by_key(|event| event.last_timestamp.clone().or_else(|| event.metadata.creation_timestamp.clone()));
    events.iter().rev().take(EVENTS_SHOWN).map(event_line).collect()
}

/// Whether an event is about one of the pods or about what makes pods and volumes, rather than about pods of
/// the past or a node.
fn concerns(event: &Event, pods: &[Pod]) -> bool {
    let object = &event.involved_object;
    match object.kind.as_deref() {
        Some("Pod") => pods.iter().any(|pod| pod.metadata.uid == object.uid),
        Some("Node") | None => false,
        Some(_) => true,
    }
}

fn event_line(event: &Event) -> String {
    let object = &event.involved_object;
    cut(&format!(
        "event {} {}: {}: {}",
        object.kind.as_deref().unwrap_or("object"),
        object.name.as_deref().unwrap_or("?"),
        event.reason.as_deref().unwrap_or("no reason"),
        event.message.as_deref().unwrap_or_default(),
    ))
}

fn cut(line: &str) -> String {
    let line = line.replace(['\n', '\r'], " ");
    match line.char_indices().nth(LINE_LIMIT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::typed;

    #[test]
    fn a_crashing_container_is_told_with_reason_restarts_and_exit_code() {
        let pod: Pod = typed(json!({
            "metadata": { "name": "web-1" },
            "status": { "phase": "Running", "containerStatuses": [{
                "name": "web", "image": "", "imageID": "", "ready": false, "restartCount": 3,
                "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s restarting" } },
                "lastState": { "terminated": { "exitCode": 1 } },
            }]},
        }));
        let expected = "pod web-1: Running; container web waiting: CrashLoopBackOff, 3 restarts, last exit code 1";
        assert_eq!(pod_line(&pod), expected);
        assert!(!is_ready(&pod));
    }

    #[test]
    fn an_unschedulable_pod_is_told_with_the_schedulers_words() {
        let pod: Pod = typed(json!({
            "metadata": { "name": "web-1" },
            "status": { "phase": "Pending", "conditions": [
                { "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available" },
            ]},
        }));
        assert_eq!(pod_line(&pod), "pod web-1: Pending; not scheduled: 0/1 nodes are available");
    }

    #[test]
    fn only_events_that_can_explain_are_shown() {
        let pods = [typed::<Pod>(json!({ "metadata": { "name": "web-1", "uid": "new" } }))];
        let about = |kind: &str, uid: &str| -> Event {
            typed(json!({ "metadata": {}, "involvedObject": { "kind": kind, "uid": uid } }))
        };
        assert!(concerns(&about("Pod", "new"), &pods));
        assert!(concerns(&about("ReplicaSet", "any"), &pods));
        assert!(!concerns(&about("Pod", "old"), &pods));
        assert!(!concerns(&about("Node", "any"), &pods));
    }

    #[test]
    fn lines_are_cut_and_stay_one_line() {
        let line = cut(&format!("a\nb{}", "ü".repeat(400)));
        assert_eq!(line.chars().count(), LINE_LIMIT + 1);
        assert!(!line.contains('\n'));
    }
}
