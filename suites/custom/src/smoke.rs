//! The `smoke` suite: whether a cluster is worth testing on, in seconds. Each spec reads on one thing and
//! changes nothing outside its own namespace.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::cluster::Fixture;
use crate::pods;
use crate::rollout::await_rollout;
use crate::spec::{NotPassed, Spec, SpecResult, While};
use crate::wait::{Seen, until};

const READY_LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn specs() -> Vec<Spec> {
    vec![
        Spec::parallel("api: is ready and tells its version", api_is_ready),
        Spec::parallel("nodes: every node is Ready", nodes_are_ready),
        Spec::parallel("namespace: gets its default ServiceAccount", namespace_has_account),
        Spec::parallel("dns: CoreDNS is rolled out", core_dns_is_rolled_out),
        Spec::parallel("pod: runs to its end and its log reads back", pod_log_reads_back),
        Spec::parallel("service: its name resolves from a pod", service_name_resolves),
    ]
}

async fn api_is_ready(fixture: Fixture) -> SpecResult {
    let client = &fixture.cluster.client;
    until("GET /readyz", READY_LIMIT, async || {
        let request = http::Request::get("/readyz").body(Vec::new()).expect("a constant path is valid");
        let answer = client.request_text(request).await?;
        Ok(if answer == "ok" { Seen::Ready(()) } else { Seen::NotYet(format!("it answers `{answer}`")) })
    })
    .await?;
    let version = client.apiserver_version().await.while_("asking for the version")?;
    let is_version = version.git_version.strip_prefix('v').is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    if is_version {
        return Ok(());
    }
    Err(NotPassed::failed(format!("expected a version such as v1.34.4, the API server says `{}`", version.git_version)))
}

async fn nodes_are_ready(fixture: Fixture) -> SpecResult {
    let nodes = Api::<Node>::all(fixture.cluster.client.clone());
    until("nodes", READY_LIMIT, async || {
        let nodes = nodes.list(&ListParams::default()).await?.items;
        if nodes.is_empty() {
            return Ok(Seen::NotYet("there is none".into()));
        }
        let unready: Vec<_> = nodes.iter().filter_map(why_unready).collect();
        Ok(if unready.is_empty() { Seen::Ready(()) } else { Seen::NotYet(unready.join("\n")) })
    })
    .await
}

fn why_unready(node: &Node) -> Option<String> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    match ready {
        Some(ready) if ready.status == "True" => None,
        Some(ready) => {
            let message = ready.message.as_deref().unwrap_or("no message");
            Some(format!("node {} is not Ready: {message}", node.name_any()))
        }
        None => Some(format!("node {} has no Ready condition", node.name_any())),
    }
}

async fn namespace_has_account(fixture: Fixture) -> SpecResult {
    fixture.namespace().await.map(drop)
}

/// Distributions name the Deployment differently; the label is the one the `kube-dns` Service selects by.
async fn core_dns_is_rolled_out(fixture: Fixture) -> SpecResult {
    let client = &fixture.cluster.client;
    let deployments = Api::<Deployment>::namespaced(client.clone(), "kube-system");
    let labelled = ListParams::default().labels("k8s-app=kube-dns");
    let name = until("DNS Deployment in kube-system", READY_LIMIT, async || {
        Ok(match deployments.list(&labelled).await?.items.first() {
            Some(deployment) => Seen::Ready(deployment.name_any()),
            None => Seen::NotYet("none is labelled k8s-app=kube-dns".into()),
        })
    })
    .await?;
    let deployment: Deployment = await_rollout(client, "kube-system", &name, READY_LIMIT).await?;
    // Scaled to nothing it would be rolled out, too.
    match deployment.status.and_then(|status| status.available_replicas) {
        Some(1..) => Ok(()),
        Some(_) | None => Err(NotPassed::failed(format!("Deployment kube-system/{name} has no available replica"))),
    }
}

async fn pod_log_reads_back(fixture: Fixture) -> SpecResult {
    let namespace = fixture.namespace().await?;
    let log = pods::script(&fixture, &namespace, "echo", r#"echo "hello $1""#, &[&namespace]).await?;
    let expected = format!("hello {namespace}\n");
    if log == expected {
        return Ok(());
    }
    Err(NotPassed::failed(format!("expected the log {expected:?}, read {log:?}")))
}

/// The cluster's DNS learns of a Service a moment after the API does, so the pod asks more than once.
async fn service_name_resolves(fixture: Fixture) -> SpecResult {
    let namespace = fixture.namespace().await?;
    let service = json!({ "metadata": { "name": "target" }, "spec": { "ports": [{ "port": 80 }] } });
    let service: Service = fixture.create(&namespace, service).await?;
    let address = service.spec.and_then(|spec| spec.cluster_ip).unwrap_or_default();
    let name = format!("target.{namespace}.svc.cluster.local");
    let ask = r#"end=$(($(date +%s) + 20))
        until nslookup -type=a "$1"; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.25; done"#;
    let log = pods::script(&fixture, &namespace, "lookup", ask, &[&name]).await?;
    let answer = pods::looked_up(&log);
    if answer.last() == Some(&address) {
        return Ok(());
    }
    Err(NotPassed::failed(format!("expected {name} to resolve to {address}, got {answer:?}\n{log}")))
}
