//! A suite on a real cluster through the whole service: a spec that fails once is run again by its name alone, and the skip list is
//! compared with the suite's own specs before the cluster is made.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use portcullis::adapters::docker::{Docker, DockerSettings};
use portcullis::adapters::kube::KubeApi;
use portcullis::config::server::NODE_IMAGES;
use portcullis::domain::attempt::{AttemptState, Part};
use portcullis::domain::plan::RunView;
use portcullis::ports::{Audience, ClusterAccess, ClusterProvider, Kubernetes, Manifest, Privileged};
use portcullis_github::StatusState;

use crate::support::engine::figure;
use crate::support::gate::{Gate, LABEL, POLICY};
use crate::support::values::dated;

const LIMIT: Duration = Duration::from_secs(780);

/// Forty-odd quick specs, one of which the cluster forbids at first. What `match` names is on no list of specs, or is on it.
const GATE: &str = r"
version: 1
setup:
- {name: policy, apply: [deploy]}
suites:
  conformance:
    focus:
    - '\[sig-node\] Lease lease API should be available'
    - '\[sig-node\] (ConfigMap|Secrets) .*\[Conformance\]'
    - '\[sig-storage\] (EmptyDir|Projected) .*\[Conformance\]'
    procs: 3
    no_output: 5m
skips:
- {match: no such spec anywhere, reason: stale, owner: '@net', expires: IN_30_DAYS}
- {match: should patch a secret, reason: wanted elsewhere, owner: '@net', expires: IN_30_DAYS}
";

/// Namespaces of one spec may hold no lease; the other text allows everything again.
fn policy(allowed: bool) -> String {
    let expression = if allowed { "true" } else { "!object.metadata.namespace.startsWith('lease-test')" };
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: no-leases}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {{apiGroups: [coordination.k8s.io], apiVersions: [v1], operations: [CREATE], resources: [leases]}}
  validations:
  - {{expression: \"{expression}\"}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: no-leases}}
spec: {{policyName: no-leases, validationActions: [Deny]}}
"
    )
}

async fn seen<T>(gate: &Gate, what: &str, mut look: impl FnMut(&RunView) -> Option<T>) -> T {
    let (begun, mut pause) = (Instant::now(), tokio::time::interval(Duration::from_millis(200)));
    loop {
        pause.tick().await;
        let open = gate.store().open_runs().await.unwrap();
        if let Some(found) = open.first().and_then(&mut look) {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "{what}: it never came to that\n{}", gate.log());
    }
}

/// The run's cluster, as somebody outside reaches it.
async fn access(gate: &Gate, view: &RunView) -> ClusterAccess {
    let docker = Docker::new(DockerSettings {
        instance: gate.store().instance("unused").await.unwrap(),
        host: None,
        node_images: NODE_IMAGES.map(str::to_owned).to_vec(),
        privileged: Privileged::Auto,
        runtime: None,
    });
    docker.access(view.cluster().unwrap().id, Audience::Service).await.unwrap().unwrap()
}

async fn allow(gate: &Gate, view: &RunView) {
    let access = access(gate, view).await;
    let manifests = [Manifest { path: "policy.yaml".into(), text: policy(true) }];
    KubeApi::default().apply(&access, &manifests).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker, the node image and the conformance image"]
async fn cluster_a_spec_that_fails_once_is_run_again_alone() {
    let forbidding = policy(false);
    let gate = Gate::with_engine_and(&[(POLICY, &dated(GATE)), ("deploy/policy.yaml", &forbidding)]).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");

    let linted = seen(&gate, "the skip list is compared with the specs", |view| view.lint.clone()).await;
    let lint = &linted.suites[0];
    let hits: Vec<u64> = lint.entries.iter().map(|entry| entry.hits).collect();
    assert_eq!((lint.problem.as_deref(), hits.as_slice()), (None, [0, 1].as_slice()), "{}", gate.log());
    figure(&format!("lint: {} specs listed without a cluster", lint.total.unwrap()));

    let view = seen(&gate, "a spec fails", |view| {
        let failing = view.attempts.iter().any(|attempt| attempt.progress.failed > 0);
        failing.then(|| view.clone())
    })
    .await;
    allow(&gate, &view).await;
    let run = view.run.id;
    let done = seen(&gate, "the spec is run again", |view| {
        let ended = view.attempts.iter().filter(|attempt| attempt.state == AttemptState::Done).count();
        (ended >= 2 || !view.conclusions.is_empty()).then_some(())
    });
    done.await;
    let (begun, mut pause) = (Instant::now(), tokio::time::interval(Duration::from_millis(200)));
    let view = loop {
        pause.tick().await;
        let view = gate.store().run_view(run).await.unwrap().unwrap();
        if view.run.verdict.is_some() {
            break view;
        }
        assert!(begun.elapsed() < LIMIT, "the run never ends\n{}", gate.log());
    };
    let shown = gate.shown(&pr.head_sha());
    let reruns: Vec<_> = view.attempts.iter().filter(|attempt| matches!(attempt.part, Part::Specs(_))).collect();
    let [again] = reruns.as_slice() else { panic!("{} attempts ran specs again\n{}", reruns.len(), gate.log()) };
    let Part::Specs(specs) = &again.part else { panic!("specs") };
    assert_eq!(specs.len(), 1, "{specs:?}");
    assert!(specs[0].name.contains("lease API should be available"), "{specs:?}");
    let took = |attempt: &portcullis::domain::attempt::Attempt| attempt.evidence.as_ref().unwrap().took_ms.unwrap();
    let whole: u64 = view.attempts.iter().filter(|attempt| matches!(attempt.part, Part::Phase(_))).map(took).sum();
    figure(&format!(
        "whole: {:.1} s, the failed spec again: {:.1} s, saved {:.1} s; {shown:?}",
        whole as f64 / 1e3,
        took(again) as f64 / 1e3,
        (whole - took(again)) as f64 / 1e3
    ));
    let (state, text) = &view.conclusions.values().next().map(|c| (c.verdict, c.description.clone())).unwrap();
    assert_eq!(*state, portcullis::domain::verdict::Verdict::Success, "{text}\n{}", gate.log());
    assert!(text.contains("1 flaky"), "{text}");
    gate.over(&pr.head_sha()).await;
    let (state, _) = &gate.shown(&pr.head_sha())["portcullis/conformance"];
    assert_eq!(*state, StatusState::Success);
    let page = gate.get(&format!("/runs/{run}")).await.body;
    for words in ["1 spec again", "matches no spec; it can go", "should patch a secret", "JUnit of all attempts"] {
        assert!(page.contains(words), "the page lacks `{words}`");
    }
    let merged = gate.get(&format!("/runs/{run}/suites/conformance/junit.xml")).await;
    assert!(merged.status == 200 && merged.body.contains("flakyFailure"), "{}", merged.status);
}

/// Takes the first pod away whose name starts so, as soon as it is there.
async fn snatch(access: &ClusterAccess, name: &str) -> String {
    let kubeconfig = Kubeconfig::from_yaml(&access.kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let all: Api<Pod> = Api::all(client.clone());
    let (begun, mut pause) = (Instant::now(), tokio::time::interval(Duration::from_millis(50)));
    loop {
        pause.tick().await;
        let pods = all.list(&ListParams::default()).await.unwrap();
        if let Some(pod) = pods.iter().find(|pod| pod.name_any().starts_with(name)) {
            let (namespace, name) = (pod.namespace().unwrap(), pod.name_any());
            let mine: Api<Pod> = Api::namespaced(client, &namespace);
            mine.delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
            return format!("{namespace}/{name}");
        }
        assert!(begun.elapsed() < LIMIT, "no pod {name}");
    }
}

#[tokio::test]
#[ignore = "needs Docker, the node image and the suites' image"]
async fn a_pod_that_is_taken_away_in_mid_spec_is_a_flake_everywhere() {
    let policy = "version: 1\nsuites: {smoke: {flake_attempts: 2}}\n";
    let gate = Gate::with_engine(policy).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let view = seen(&gate, "the suite starts", |view| (!view.attempts.is_empty()).then(|| view.clone())).await;
    figure(&format!("taken away: {}", snatch(&access(&gate, &view).await, "echo").await));
    gate.over(&pr.head_sha()).await;
    let (state, text) = gate.shown(&pr.head_sha())["portcullis/smoke"].clone();
    figure(&format!("{state:?}: {text}"));
    assert!(state == StatusState::Success && text.contains("1 flaky"), "{text}");
    let (run, spec) = (view.run.id, "pod: runs to its end and its log reads back");
    let page = gate.get(&format!("/runs/{run}")).await.body;
    assert!(page.contains("flaky") && page.contains(spec), "the page hides the flake");
    let attempt = &gate.newest_run().await["attempts"][0];
    let junit = gate.get(&format!("/runs/{run}/attempts/{}/junit.xml", attempt["id"].as_str().unwrap())).await.body;
    assert!(junit.contains("<flakyFailure") && junit.contains(spec), "{}", &junit[..junit.len().min(2000)]);
    let told: serde_json::Value = serde_json::from_str(&gate.get("/api/v1/flakes?repo=acme/infra").await.body).unwrap();
    figure(&told.to_string());
    let specs = told["specs"].as_array().unwrap();
    assert!(specs.len() == 1 && specs[0].to_string().contains(spec), "{told}");
    assert!(gate.get("/flakes").await.body.contains(spec), "the statistics' page hides the flake");
}
