//! A StatefulSet with volumes: rolling out a new version keeps what the old one wrote, in the order of ordinals.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::cluster::Fixture;
use crate::pods;
use crate::rollout::await_rollout;
use crate::spec::{NotPassed, SpecResult, While};
use crate::wait::{Seen, until};

const NAME: &str = "ledger";
const REPLICAS: usize = 2;
const ROLLOUT_LIMIT: Duration = Duration::from_secs(120);
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// Writes a marker only when it is told one, and always says what is on its volume.
const SERVER: &str = r#"
    trap 'exit 0' TERM
    [ -z "$MARKER" ] || echo "$MARKER-$HOSTNAME" > /data/marker
    echo "$VERSION has $(cat /data/marker)"
    touch /tmp/ready
    while :; do sleep 3600 & wait $!; done"#;

pub(super) async fn roll_out_keeps_data(fixture: Fixture) -> SpecResult {
    await_default_class(&fixture).await?;
    let namespace = fixture.namespace().await?;
    // The namespace's random name: a marker that no other run can have left behind.
    let marker = namespace.as_str();
    start(&fixture, &namespace, marker).await?;
    let first = generation(&fixture, &namespace).await?;
    expect_ascending_start(&first)?;
    expect_logs(&fixture, &namespace, "v1", marker).await?;

    let containers = json!([container(&fixture, &[("VERSION", "v2")])]);
    let update = Patch::Merge(json!({ "spec": { "template": { "spec": { "containers": containers } } } }));
    let sets = fixture.api::<StatefulSet>(&namespace);
    sets.patch(NAME, &PatchParams::default(), &update).await.while_("updating the template")?;
    let second = generation(&fixture, &namespace).await?;
    expect_logs(&fixture, &namespace, "v2", marker).await?;
    expect_descending_update(&second)?;
    expect_same_volumes(&first, &second)
}

/// What one version of the set consists of, by ordinal.
struct Generation {
    pods: Vec<Pod>,
    /// UIDs of the volume claims.
    claims: Vec<String>,
}

async fn generation(fixture: &Fixture, namespace: &str) -> SpecResult<Generation> {
    await_rollout::<StatefulSet>(&fixture.cluster.client, namespace, NAME, ROLLOUT_LIMIT).await?;
    let (mut pods, mut claims) = (Vec::new(), Vec::new());
    for ordinal in 0..REPLICAS {
        let (pod, claim) = (format!("{NAME}-{ordinal}"), format!("data-{NAME}-{ordinal}"));
        pods.push(fixture.api::<Pod>(namespace).get(&pod).await.while_(&format!("reading pod {pod}"))?);
        let claimed = fixture.api::<PersistentVolumeClaim>(namespace).get(&claim).await;
        claims.push(claimed.while_(&format!("reading volume claim {claim}"))?.uid().unwrap_or_default());
    }
    Ok(Generation { pods, claims })
}

async fn start(fixture: &Fixture, namespace: &str, marker: &str) -> SpecResult {
    let service = json!({
        "metadata": { "name": NAME },
        "spec": { "clusterIP": "None", "selector": { "app": NAME }, "ports": [{ "port": 80 }] },
    });
    let _: Service = fixture.create(namespace, service).await?;
    let set = json!({
        "metadata": { "name": NAME },
        "spec": {
            "serviceName": NAME,
            "replicas": REPLICAS,
            "selector": { "matchLabels": { "app": NAME } },
            "template": {
                "metadata": { "labels": { "app": NAME } },
                "spec": {
                    "terminationGracePeriodSeconds": 5,
                    "automountServiceAccountToken": false,
                    "securityContext": pods::restricted_pod(),
                    "containers": [container(fixture, &[("VERSION", "v1"), ("MARKER", marker)])],
                },
            },
            "volumeClaimTemplates": [{
                "metadata": { "name": "data" },
                "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "16Mi" } } },
            }],
        },
    });
    fixture.create::<StatefulSet>(namespace, set).await.map(drop)
}

fn container(fixture: &Fixture, env: &[(&str, &str)]) -> Value {
    let env: Vec<_> = env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "name": "main",
        "image": fixture.cluster.images.busybox,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", SERVER],
        "env": env,
        "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
        "readinessProbe": { "exec": { "command": ["test", "-f", "/tmp/ready"] }, "periodSeconds": 1 },
        "securityContext": pods::restricted_container(),
    })
}

async fn await_default_class(fixture: &Fixture) -> SpecResult {
    let classes = Api::<StorageClass>::all(fixture.cluster.client.clone());
    until("default StorageClass", Duration::from_secs(20), async || {
        let classes = classes.list(&ListParams::default()).await?.items;
        let is_default = |class: &StorageClass| class.annotations().get(DEFAULT_CLASS).is_some_and(|v| v == "true");
        let names: Vec<_> = classes.iter().map(ResourceExt::name_any).collect();
        Ok(match classes.iter().any(is_default) {
            true => Seen::Ready(()),
            false => Seen::NotYet(format!("none of {names:?} is the default")),
        })
    })
    .await
}

/// Each pod says with its first line which version it is and what it found on its volume.
async fn expect_logs(fixture: &Fixture, namespace: &str, version: &str, marker: &str) -> SpecResult {
    for ordinal in 0..REPLICAS {
        let pod = format!("{NAME}-{ordinal}");
        let expected = format!("{version} has {marker}-{pod}");
        let log = pods::log(fixture, namespace, &pod).await?;
        if log.trim() != expected {
            let seen = log.trim();
            return Err(NotPassed::failed(format!("pod {pod}: expected its log to be `{expected}`, it is `{seen}`")));
        }
    }
    Ok(())
}

/// A set starts pod n + 1 when pod n is ready.
fn expect_ascending_start(generation: &Generation) -> SpecResult {
    expect_one_by_one("start", generation.pods.iter())
}

/// An update replaces the pods from the highest ordinal down, one at a time.
fn expect_descending_update(generation: &Generation) -> SpecResult {
    expect_one_by_one("update", generation.pods.iter().rev())
}

fn expect_one_by_one<'a>(what: &str, pods: impl Iterator<Item = &'a Pod>) -> SpecResult {
    let pods: Vec<_> = pods.collect();
    for pair in pods.windows(2) {
        let (earlier, later) = (pair[0], pair[1]);
        // Whole seconds on both sides, so equal times are in order.
        if ready_since(earlier) > later.metadata.creation_timestamp.as_ref() || ready_since(earlier).is_none() {
            let (earlier, later) = (earlier.name_any(), later.name_any());
            return Err(NotPassed::failed(format!("{what} out of order: {later} was made before {earlier} was ready")));
        }
    }
    Ok(())
}

fn ready_since(pod: &Pod) -> Option<&Time> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    ready.last_transition_time.as_ref()
}

fn expect_same_volumes(first: &Generation, second: &Generation) -> SpecResult {
    let is_replaced = |(old, new): (&Pod, &Pod)| old.uid() != new.uid();
    if !first.pods.iter().zip(&second.pods).all(is_replaced) {
        return Err(NotPassed::failed("the update left a pod of the old version in place"));
    }
    if first.claims != second.claims {
        let (old, new) = (&first.claims, &second.claims);
        return Err(NotPassed::failed(format!("the update replaced volume claims: {old:?} became {new:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::typed;

    fn pod(name: &str, created: &str, ready: Option<&str>) -> Pod {
        let since = ready.map(|since| json!([{ "type": "Ready", "status": "True", "lastTransitionTime": since }]));
        typed(json!({
            "metadata": { "name": name, "creationTimestamp": created },
            "status": { "conditions": since },
        }))
    }

    #[test]
    fn order_is_told_from_ready_and_creation_times() {
        let (early, late) = ("2026-01-01T00:00:01Z", "2026-01-01T00:00:05Z");
        let ordered = |first_ready| {
            let pods = [pod("a", early, first_ready), pod("b", "2026-01-01T00:00:03Z", Some(late))];
            expect_one_by_one("start", pods.iter())
        };
        assert_eq!(ordered(Some("2026-01-01T00:00:03Z")), Ok(()), "the same second is in order");
        assert!(ordered(Some(late)).is_err());
        assert!(ordered(None).is_err());
    }
}
