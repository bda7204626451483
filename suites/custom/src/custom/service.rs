//! Services and DNS: a name answers from a pod, a headless name resolves to the pods, endpoints follow them.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::Fixture;
use crate::describe;
use crate::pods;
use crate::rollout::await_rollout;
use crate::spec::{NotPassed, SpecResult, While};
use crate::wait::{Seen, until};

const APP: &str = "web";
const ROLLOUT_LIMIT: Duration = Duration::from_secs(90);
const ENDPOINTS_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn answers_by_name(fixture: Fixture) -> SpecResult {
    let namespace = fixture.namespace().await?;
    let pods = serve(&fixture, &namespace, json!({ "ports": [{ "port": 80, "targetPort": 8080 }] })).await?;
    // Rules for a new Service reach a node a moment after its endpoints are known.
    let get = r#"end=$(($(date +%s) + 20))
        until wget -q -T 3 -O - "$1"; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.5; done"#;
    for (client, host) in [("short", APP.to_owned()), ("full", format!("{APP}.{namespace}.svc.cluster.local"))] {
        let url = format!("http://{host}/hostname");
        let answer = pods::script(&fixture, &namespace, client, get, &[&url]).await?;
        let from = answer.lines().last().unwrap_or_default().trim();
        if !pods.iter().any(|pod| pod.name_any() == from) {
            let names: Vec<_> = pods.iter().map(ResourceExt::name_any).collect();
            return Err(NotPassed::failed(format!("{url}: expected one of {names:?} to answer, got {answer:?}")));
        }
    }
    Ok(())
}

pub(super) async fn headless_name_resolves(fixture: Fixture) -> SpecResult {
    let namespace = fixture.namespace().await?;
    let pods = serve(&fixture, &namespace, json!({ "clusterIP": "None", "ports": [{ "port": 8080 }] })).await?;
    let expected: BTreeSet<_> = pods.iter().filter_map(pod_ip).collect();
    let name = format!("{APP}.{namespace}.svc.cluster.local");
    // An answer with too few addresses may be cached for some seconds.
    let ask = r#"end=$(($(date +%s) + 40))
        until answer=$(nslookup -type=a "$1") && [ "$(echo "$answer" | grep -c ^Name:)" -ge "$2" ]; do
            [ $(date +%s) -lt $end ] || break; sleep 0.5
        done; echo "$answer""#;
    let log = pods::script(&fixture, &namespace, "lookup", ask, &[&name, &expected.len().to_string()]).await?;
    let answer: BTreeSet<_> = pods::looked_up(&log).into_iter().collect();
    if answer == expected {
        return Ok(());
    }
    Err(NotPassed::failed(format!("{name}: expected the pods' addresses {expected:?}, got {answer:?}\n{log}")))
}

pub(super) async fn endpoints_follow_pods(fixture: Fixture) -> SpecResult {
    let namespace = fixture.namespace().await?;
    serve(&fixture, &namespace, json!({ "ports": [{ "port": 80, "targetPort": 8080 }] })).await?;
    let deployments = fixture.api::<Deployment>(&namespace);
    for replicas in [1, 3] {
        let scale = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        let step = format!("scaling to {replicas} replicas");
        deployments.patch(APP, &PatchParams::default(), &scale).await.while_(&step)?;
        await_rollout::<Deployment>(&fixture.cluster.client, &namespace, APP, ROLLOUT_LIMIT).await?;
        await_endpoints(&fixture, &namespace).await?;
    }
    Ok(())
}

/// Starts two web pods behind a Service with this spec; returns them once they are its endpoints.
async fn serve(fixture: &Fixture, namespace: &str, mut service: serde_json::Value) -> SpecResult<Vec<Pod>> {
    service["selector"] = json!({ "app": APP });
    let service = json!({ "metadata": { "name": APP }, "spec": service });
    let _: Service = fixture.create(namespace, service).await?;
    let mut pod = pods::one_shot(APP, &fixture.cluster.images.agnhost, &[]);
    let container = &mut pod["spec"]["containers"][0];
    container["command"].take();
    container["args"] = json!(["netexec", "--http-port=8080"]);
    container["readinessProbe"] = json!({ "httpGet": { "path": "/healthz", "port": 8080 }, "periodSeconds": 1 });
    pod["spec"]["restartPolicy"] = json!("Always");
    let deployment = json!({
        "metadata": { "name": APP },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": APP } }, "template": pod },
    });
    let _: Deployment = fixture.create(namespace, deployment).await?;
    await_rollout::<Deployment>(&fixture.cluster.client, namespace, APP, ROLLOUT_LIMIT).await?;
    await_endpoints(fixture, namespace).await
}

/// Waits until the Service's ready endpoints are exactly the addresses of its pods, and returns these pods.
async fn await_endpoints(fixture: &Fixture, namespace: &str) -> SpecResult<Vec<Pod>> {
    let slices = fixture.api::<EndpointSlice>(namespace);
    let pods = fixture.api::<Pod>(namespace);
    let ours = ListParams::default().labels(&format!("kubernetes.io/service-name={APP}"));
    let labelled = ListParams::default().labels(&format!("app={APP}"));
    until(format!("endpoints of Service {APP}"), ENDPOINTS_LIMIT, async || {
        let have: BTreeSet<_> = slices.list(&ours).await?.iter().flat_map(ready_addresses).collect();
        let mut pods = pods.list(&labelled).await?.items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none() && describe::is_ready(pod));
        let want: BTreeSet<_> = pods.iter().filter_map(pod_ip).collect();
        Ok(if have == want && !want.is_empty() {
            Seen::Ready(pods)
        } else {
            Seen::NotYet(format!("they are {have:?}, the ready pods {want:?}"))
        })
    })
    .await
}

fn ready_addresses(slice: &EndpointSlice) -> Vec<String> {
    // Absent means ready, says the API's documentation of the condition.
    let is_ready = |ready: Option<bool>| ready.unwrap_or(true);
    let ready = slice
        .endpoints
        .iter()
        .filter(|endpoint| is_ready(endpoint.conditions.as_ref().and_then(|conditions| conditions.ready)));
    ready.flat_map(|endpoint| endpoint.addresses.clone()).collect()
}

fn pod_ip(pod: &Pod) -> Option<String> {
    pod.status.as_ref()?.pod_ip.clone()
}
