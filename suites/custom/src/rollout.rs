//! When a Deployment, StatefulSet or DaemonSet is rolled out, and waiting for it. The rules are those of
//! `kubectl rollout status`; how objects come to be is not decided here.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ContainerState, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::describe;
use crate::spec::{NotPassed, SpecResult};
use crate::wait::{Seen, until};

/// Restarts after which a crashing container is given up on before the limit is over.
const CRASHES: i32 = 2;
/// Time that a crashing container is given in any case.
const PATIENCE: Duration = Duration::from_secs(10);

/// A workload that rolls out.
pub(crate) trait Workload:
    kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
    + Clone
    + DeserializeOwned
    + std::fmt::Debug
{
    /// Nothing when rolled out, else what is missing.
    fn missing(&self) -> Option<String>;
    /// The selector of its pods.
    fn selector(&self) -> Option<&LabelSelector>;
}

/// Waits until the workload exists, is rolled out and its former pods have ended, so that whatever answers
/// afterwards is the declared version. On failure says how the pods are.
pub(crate) async fn await_rollout<W: Workload>(
    client: &Client,
    namespace: &str,
    name: &str,
    limit: Duration,
) -> SpecResult<W> {
    let (workloads, pods) =
        (Api::<W>::namespaced(client.clone(), namespace), Api::namespaced(client.clone(), namespace));
    let start = Instant::now();
    let mut selector = None;
    let rolled_out = until(format!("{} {namespace}/{name}", W::kind(&())), limit, async || {
        let Some(workload) = workloads.get_opt(name).await? else {
            return Ok(Seen::NotYet("it does not exist".into()));
        };
        let ours = workload.selector().map(list_params).unwrap_or_default();
        let pods: Vec<Pod> = pods.list(&ours).await?.items;
        selector = Some(ours);
        Ok(judge(workload, &pods, start.elapsed()))
    })
    .await;
    match (rolled_out, selector) {
        (Err(NotPassed::Failed(text)), Some(selector)) => {
            let pods = describe::pods(client, namespace, &selector).await;
            Err(NotPassed::Failed(format!("{text}\n{pods}")))
        }
        (other, _) => other,
    }
}

fn judge<W: Workload>(workload: W, pods: &[Pod], waited: Duration) -> Seen<W> {
    if let Some(missing) = workload.missing() {
        // Crashing pods of the version before are cleared away first, so they do not count at once.
        return match pods.iter().find(|pod| is_crashing(pod)) {
            Some(pod) if waited >= PATIENCE => {
                Seen::Never(format!("{missing}, and pod {} keeps crashing", pod.name_any()))
            }
            Some(_) | None => Seen::NotYet(missing),
        };
    }
    match pods.iter().find(|pod| is_ending(pod)) {
        Some(pod) => Seen::NotYet(format!("its former pod {} has not ended", pod.name_any())),
        None => Seen::Ready(workload),
    }
}

fn is_ending(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

fn is_crashing(pod: &Pod) -> bool {
    let waits_to_restart = |state: &ContainerState| {
        state.waiting.as_ref().is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"))
    };
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .into_iter()
        .any(|status| status.restart_count >= CRASHES && status.state.as_ref().is_some_and(waits_to_restart))
}

/// A label selector as list parameters.
pub(crate) fn list_params(selector: &LabelSelector) -> ListParams {
    let equal = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let terms = selector.match_expressions.iter().flatten().map(|term| {
        let values = term.values.clone().unwrap_or_default().join(",");
        match term.operator.as_str() {
            "In" => format!("{} in ({values})", term.key),
            "NotIn" => format!("{} notin ({values})", term.key),
            "DoesNotExist" => format!("!{}", term.key),
            _ => term.key.clone(),
        }
    });
    ListParams::default().labels(&equal.chain(terms).collect::<Vec<_>>().join(","))
}

fn unobserved(metadata: &ObjectMeta, observed: Option<i64>) -> Option<String> {
    let is_seen = observed >= metadata.generation;
    (!is_seen).then(|| "its controller has not seen the latest change".to_owned())
}

fn fewer(have: Option<i32>, want: i32, what: &str) -> Option<String> {
    let have = have.unwrap_or(0);
    (have < want).then(|| format!("{have} of {want} replicas are {what}"))
}

impl Workload for Deployment {
    fn missing(&self) -> Option<String> {
        let status = self.status.clone().unwrap_or_default();
        let want = self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let old = status.replicas.unwrap_or(0) - status.updated_replicas.unwrap_or(0);
        unobserved(&self.metadata, status.observed_generation)
            .or_else(|| fewer(status.updated_replicas, want, "updated"))
            .or_else(|| (old > 0).then(|| format!("{old} old replicas have not ended")))
            .or_else(|| fewer(status.available_replicas, want, "available"))
    }

    fn selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().map(|spec| &spec.selector)
    }
}

impl Workload for StatefulSet {
    fn missing(&self) -> Option<String> {
        let status = self.status.clone().unwrap_or_default();
        let spec = self.spec.as_ref();
        let want = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let strategy = spec.and_then(|spec| spec.update_strategy.as_ref());
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let held_back = rolling.and_then(|rolling| rolling.partition).unwrap_or(0);
        let by_hand = strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete"));
        let is_updated = by_hand || status.current_revision == status.update_revision;
        let updated = if is_updated { None } else { fewer(status.updated_replicas, want - held_back, "updated") };
        unobserved(&self.metadata, status.observed_generation)
            .or(updated)
            .or_else(|| fewer(status.ready_replicas, want, "ready"))
    }

    fn selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().map(|spec| &spec.selector)
    }
}

impl Workload for DaemonSet {
    fn missing(&self) -> Option<String> {
        let status = self.status.clone().unwrap_or_default();
        let want = status.desired_number_scheduled;
        unobserved(&self.metadata, status.observed_generation)
            .or_else(|| fewer(status.updated_number_scheduled, want, "updated"))
            .or_else(|| fewer(status.number_available, want, "available"))
    }

    fn selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().map(|spec| &spec.selector)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::typed;

    fn deployment(status: serde_json::Value) -> Deployment {
        typed(json!({
            "metadata": { "generation": 2 },
            "spec": { "replicas": 2, "selector": {}, "template": {} },
            "status": status,
        }))
    }

    #[test]
    fn a_deployment_is_rolled_out_when_all_replicas_are_new_and_available() {
        for (status, missing) in [
            (json!({}), Some("has not seen the latest change")),
            (json!({ "observedGeneration": 1, "updatedReplicas": 2 }), Some("has not seen")),
            (json!({ "observedGeneration": 2, "updatedReplicas": 1 }), Some("1 of 2 replicas are updated")),
            (json!({ "observedGeneration": 2, "updatedReplicas": 2, "replicas": 3 }), Some("1 old replicas")),
            (
                json!({ "observedGeneration": 2, "updatedReplicas": 2, "replicas": 2 }),
                Some("0 of 2 replicas are available"),
            ),
            (json!({ "observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2 }), None),
        ] {
            let seen = deployment(status.clone()).missing();
            match missing {
                Some(text) => assert!(seen.clone().is_some_and(|seen| seen.contains(text)), "{status}: {seen:?}"),
                None => assert_eq!(seen, None, "{status}"),
            }
        }
    }

    #[test]
    fn a_stateful_set_counts_updated_replicas_only_during_an_update() {
        let set = |current: &str, updated: i32| -> StatefulSet {
            typed(json!({
                "spec": { "replicas": 2, "selector": {}, "template": {} },
                "status": { "replicas": 2, "readyReplicas": 2, "updatedReplicas": updated,
                            "currentRevision": current, "updateRevision": "b" },
            }))
        };
        assert_eq!(set("a", 1).missing(), Some("1 of 2 replicas are updated".into()));
        assert_eq!(set("a", 2).missing(), None);
        assert_eq!(set("b", 0).missing(), None);
    }

    fn pod(metadata: serde_json::Value, restarts: i32) -> Pod {
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        let container = json!({ "name": "web", "image": "", "imageID": "", "ready": false,
                                "restartCount": restarts, "state": waiting });
        typed(json!({ "metadata": metadata, "status": { "containerStatuses": [container] } }))
    }

    #[test]
    fn a_crashing_pod_ends_the_wait_after_a_while() {
        let unready = || deployment(json!({}));
        let judged = |restarts, waited| judge(unready(), &[pod(json!({ "name": "web-1" }), restarts)], waited);
        assert!(matches!(judged(CRASHES, Duration::ZERO), Seen::NotYet(_)));
        assert!(matches!(judged(0, PATIENCE), Seen::NotYet(_)));
        assert!(matches!(judged(CRASHES, PATIENCE), Seen::Never(why) if why.contains("pod web-1 keeps crashing")));
    }

    #[test]
    fn a_former_pod_that_still_ends_holds_the_roll_out_up() {
        let ready = json!({ "observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2 });
        let ending = pod(json!({ "name": "old", "deletionTimestamp": "2026-01-01T00:00:00Z" }), 0);
        let seen = judge(deployment(ready.clone()), &[ending], Duration::ZERO);
        assert!(matches!(seen, Seen::NotYet(why) if why.contains("old has not ended")));
        assert!(matches!(judge(deployment(ready), &[], Duration::ZERO), Seen::Ready(_)));
    }

    #[test]
    fn selectors_become_the_servers_syntax() {
        let selector: LabelSelector = typed(json!({
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["a", "b"] },
                { "key": "old", "operator": "DoesNotExist" },
            ],
        }));
        assert_eq!(list_params(&selector).label_selector.as_deref(), Some("app=web,tier in (a,b),!old"));
    }
}
