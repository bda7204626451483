//! Suites and clusters, those that do not do as they should before all, through the whole service on a real engine: every context says
//! what was wrong, the disk stays bounded, and nothing is left.

use std::collections::BTreeMap;
use std::io::Read;

use portcullis_github::StatusState;
use serde_json::Value;

use crate::support::engine::{NO_NODE, NOBODY, busybox, figure, run};
use crate::support::gate::{Gate, LABEL, POLICY};

const MIB: u64 = 1 << 20;

/// Waits until the only run's clusters are gone and asserts that the engine has nothing of it left.
pub(super) async fn nothing_is_left(gate: &Gate) {
    let id = gate.runs().await[0]["id"].as_str().unwrap().to_owned();
    nothing_is_left_of(gate, &id).await;
}

/// The same of any run.
pub(super) async fn nothing_is_left_of(gate: &Gate, id: &str) {
    gate.eventually("the clusters are taken away", async || {
        let answer = gate.get(&format!("/api/v1/runs/{id}")).await;
        let page: Value = serde_json::from_str(&answer.body).unwrap();
        page["clusters"].as_array().unwrap().iter().all(|cluster| cluster["state"] == "destroyed")
    })
    .await;
    let label = format!("label=dev.portcullis.run={id}");
    for kind in [["ps", "-aq"], ["network", "ls"], ["volume", "ls"]] {
        let quiet = if kind[0] == "ps" { "--no-trunc" } else { "-q" };
        let left = run("docker", &[kind[0], kind[1], quiet, "--filter", &label]);
        assert_eq!(left.trim(), "", "{kind:?}");
    }
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn suites_that_misbehave_are_told_apart() {
    busybox();
    let gate = Gate::with_engine(&format!(
        "version: 1
suites:
  silent: {{ image: '{NOBODY}', command: [/bin/true] }}
  absent: {{ image: 'registry.invalid/suites/none:1' }}
  chatty:
    image: '{NOBODY}'
    command: [/bin/sh, -c, 'yes \"a line that says nothing and says it again and again and again\" | head -c 1073741824; exit 1']
    resources: {{ log: 1Mi }}
  bloated:
    image: '{NOBODY}'
    command: [/bin/sh, -c, 'head -c 1073741824 /dev/zero > $RESULTS_DIR/junit.xml; sleep 600']
    resources: {{ disk: 64Mi }}
"
    ))
    .await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let shown = gate.finals(&pr.head_sha(), 4).await;
    let said = |suite: &str| {
        let (state, text) = &shown[&format!("portcullis/{suite}")];
        figure(&format!("{suite}: {text}"));
        assert_eq!(*state, StatusState::Error, "{suite}: {text}");
        text.clone()
    };
    assert!(said("silent").starts_with("exited with status 0 without a result file"), "{shown:?}");
    let absent = said("absent");
    assert!(absent.contains("image") && absent.contains("registry.invalid/suites/none:1"), "{absent}");
    assert!(said("chatty").contains("without a result file"), "{shown:?}");
    assert!(said("bloated").contains("too much to its disk"), "{shown:?}");
    let stored = gate.stored_bytes();
    assert!(stored < 200 * MIB, "{} MiB are kept of two suites that wrote 1 GiB each", stored / MIB);
    nothing_is_left(&gate).await;
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_cluster_that_is_never_ready_is_given_up_and_taken_away() {
    busybox();
    let policy = format!("version: 1\ncluster: {{ image: '{NO_NODE}', ready_timeout: 5s }}\nsuites:\n  smoke:\n");
    let gate = Gate::with_engine(&policy).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Error, "no cluster: not ready after 5s: ").await;
    nothing_is_left(&gate).await;
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_cluster_whose_image_cannot_be_had_says_so() {
    busybox();
    let gate =
        Gate::with_engine("version: 1\ncluster: { image: 'registry.invalid/nodes/none:1' }\nsuites:\n  smoke:\n").await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Error, "no cluster: ").await;
    let (_, text) = &gate.shown(&pr.head_sha())["portcullis/smoke"];
    assert!(text.contains("registry.invalid/nodes/none:1"), "{text}");
    nothing_is_left(&gate).await;
}

/// Text files of an archive by name.
fn unpacked(archive: &[u8]) -> BTreeMap<String, String> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let mut texts = BTreeMap::new();
    for entry in tar.entries().unwrap() {
        let (mut entry, mut bytes) = (entry.unwrap(), vec![]);
        entry.read_to_end(&mut bytes).unwrap();
        texts.insert(entry.path().unwrap().display().to_string(), String::from_utf8_lossy(&bytes).into_owned());
    }
    texts
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn what_was_not_ready_is_told_and_its_traces_are_kept() {
    busybox();
    let policy = "version: 1\nsetup: [{name: platform, apply: [deploy]}]\nsetup_timeout: 20s\nsuites:\n  smoke:\n";
    let manifest = "apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: default}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: 'registry.invalid/shop:1'}]}
";
    let gate = Gate::with_engine_and(&[(POLICY, policy), ("deploy/shop.yaml", manifest)]).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Failure, "set-up failed: Deployment shop: ").await;
    let (_, text) = &gate.shown(&pr.head_sha())["portcullis/smoke"];
    figure(text);
    assert!(text.contains("ImagePullBackOff"), "{text}");
    nothing_is_left(&gate).await;
    let run = gate.newest_run().await;
    let (id, cluster) = (run["id"].as_str().unwrap(), run["clusters"][0]["id"].as_str().unwrap());
    let link = format!("/runs/{id}/clusters/{cluster}/diagnostics.tar.gz");
    assert!(gate.get(&format!("/runs/{id}")).await.body.contains(&link), "the page links the traces");
    let traces = unpacked(&gate.get(&link).await.bytes);
    for (name, text) in &traces {
        figure(&format!("{name}: {} bytes", text.len()));
    }
    let all = traces.values().fold(String::new(), |all, text| all + text);
    for words in ["registry.invalid/shop:1", "ImagePullBackOff", "Failed to pull", "kubelet is posting ready status"] {
        assert!(all.contains(words), "`{words}` is in none of {:?}", traces.keys());
    }
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn a_suite_may_have_a_cluster_of_its_own() {
    busybox();
    let script = "echo '<testsuite name=\\\"t\\\"><testcase name=\\\"good\\\"/></testsuite>' > $RESULTS_DIR/junit.xml; grep server: $KUBECONFIG";
    let suite = |more: &str| format!("{{image: '{NOBODY}', command: [/bin/sh, -c, \"{script}\"]{more}}}");
    let (shared, own) = (suite(""), suite(", cluster: own"));
    let gate = Gate::with_engine(&format!("version: 1\nsuites: {{one: {shared}, two: {shared}, own: {own}}}\n")).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["one", "own", "two"], StatusState::Success, "1 passed").await;
    nothing_is_left(&gate).await;
    let run = gate.newest_run().await;
    assert_eq!(run["clusters"].as_array().unwrap().len(), 2, "{run:#}");
    let mut servers = BTreeMap::new();
    for attempt in run["attempts"].as_array().unwrap() {
        let (run, id) = (run["id"].as_str().unwrap(), attempt["id"].as_str().unwrap());
        let log = gate.get(&format!("/runs/{run}/attempts/{id}/log.txt")).await.body;
        servers.insert(attempt["suite"].as_str().unwrap().to_owned(), log.split_once(' ').unwrap().1.to_owned());
    }
    assert!(servers["one"] == servers["two"] && servers["one"] != servers["own"], "{servers:?}");
}

/// The conformance image's own runner; of all specs only those of one file, for the whole set takes two hours.
#[tokio::test]
#[ignore = "needs Docker, the node image and the conformance image"]
async fn a_submission_is_packed_as_certification_wants_it() {
    let policy = "version: 1\ncluster: {nodes: 2}\nsuites:\n  conformance: {submission: true, min_specs: 1, extra_args: ['--ginkgo.focus-file=node/lease.go']}\n";
    let gate = Gate::with_engine(policy).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["conformance"], StatusState::Success, "1 passed").await;
    nothing_is_left(&gate).await;
    let run = gate.newest_run().await;
    let (id, attempts) = (run["id"].as_str().unwrap(), run["attempts"].as_array().unwrap());
    assert_eq!(attempts.len(), 1);
    let results = format!("/runs/{id}/attempts/{}/results", attempts[0]["id"].as_str().unwrap());
    let papers = unpacked(&gate.get(&format!("{results}/submission.tar.gz")).await.bytes);
    let names: Vec<&str> = papers.keys().map(String::as_str).collect();
    assert_eq!(names, ["v1.34/PRODUCT.yaml", "v1.34/README.md", "v1.34/e2e.log", "v1.34/junit_01.xml"]);
    assert!(papers["v1.34/e2e.log"].contains("Ran 1 of"), "{}", papers["v1.34/e2e.log"]);
    assert!(papers["v1.34/junit_01.xml"].contains("lease API should be available"));
}
