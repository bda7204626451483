//! Clusters of a real engine that somebody holds, lets go or loses: opened by the instructions in the reply, gone when their time is
//! over, on release and with the installation; and results of real suites that merge groups take over, or do not.

use portcullis_github::{PrSpec, Pull, StatusState};
use serde_json::Value;

use super::cluster::{nothing_is_left, nothing_is_left_of};
use crate::support::engine::{NO_NODE, busybox, figure, run};
use crate::support::gate::{Gate, LABEL};

/// What a reply tells people to type, typed where the service runs.
fn typed(gate: &Gate, reply: &str) -> String {
    let lines = reply.split("```").nth(1).unwrap_or_else(|| panic!("no instructions: {reply}")).trim();
    gate.shell(lines)
}

/// The text of our last comment.
async fn answered(gate: &Gate, pr: &Pull, body: &str) -> String {
    let (id, _) = pr.comment("alice", body);
    gate.until(&format!("{body} is answered"), |_| {
        let comments = pr.comments();
        comments.iter().find(|comment| comment.id == id)?.reactions.first()?;
        let reply = comments.into_iter().rfind(|comment| comment.id > id).map(|comment| comment.body);
        reply.or_else(|| (body == "/release").then(String::new))
    })
    .await
}

async fn ready(gate: &Gate) {
    gate.eventually("the cluster is ready", async || {
        gate.shell("portcullis clusters list --config portcullis.toml").contains("ready")
    })
    .await;
}

/// Waits until no cluster is left, neither known nor on the engine.
async fn let_go(gate: &Gate, run: &str) {
    gate.eventually("the cluster is gone", async || {
        gate.shell("portcullis clusters list --config portcullis.toml").is_empty()
    })
    .await;
    nothing_is_left_of(gate, run).await;
}

async fn run_of(gate: &Gate, pr: &Pull) -> String {
    let runs = gate.runs().await;
    let run = runs.iter().find(|run| run["pr"].as_u64() == Some(pr.number())).unwrap();
    run["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn cluster_a_held_cluster_opens_as_told_and_goes_when_its_time_is_over() {
    let gate = Gate::with_engine("version: 1\nsuites:\n  smoke:\n").await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    ready(&gate).await;
    let reply = answered(&gate, &pr, "/hold 2h").await;
    assert!(reply.contains("is kept for 2h00m"), "{reply}");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Success, "").await;
    let told = gate.shown(&pr.head_sha())["portcullis/smoke"].1.clone();

    gate.eventually("the cluster is held", async || {
        gate.shell("portcullis clusters list --config portcullis.toml").contains("kept until")
    })
    .await;
    let pods = typed(&gate, &reply);
    assert!(pods.contains("kube-system") && pods.contains("coredns"), "{pods}");
    let json: Value =
        serde_json::from_str(&gate.shell("portcullis clusters list --json --config portcullis.toml")).unwrap();
    figure(&format!("held: {}; pods: {}", json[0]["held_until"], pods.lines().count() - 1));
    let kubeconfig = gate
        .shell(&format!("portcullis clusters kubeconfig {} --config portcullis.toml", json[0]["id"].as_str().unwrap()));
    assert!(kubeconfig.contains("apiVersion: v1"));

    // The very same files onto the very same base: what the suite came to counts, without another cluster.
    let (group, _) = pr.enqueue().unwrap();
    gate.shows(&group, &["smoke"], StatusState::Success, &format!("as in #{}: {told}", pr.number())).await;
    let clusters: Value =
        serde_json::from_str(&gate.shell("portcullis clusters list --json --config portcullis.toml")).unwrap();
    assert_eq!(clusters.as_array().unwrap().len(), 1);

    let reply = answered(&gate, &pr, "/hold 1m").await;
    assert!(reply.contains("is kept until"), "{reply}");
    let_go(&gate, &run_of(&gate, &pr).await).await;
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn cluster_a_held_cluster_is_released_and_a_group_on_another_base_is_tested_itself() {
    let gate = Gate::with_engine("version: 1\nsuites:\n  smoke:\n").await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    ready(&gate).await;
    answered(&gate, &pr, "/hold").await;
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Success, "").await;
    let run = run_of(&gate, &pr).await;
    gate.eventually("the cluster is held", async || {
        gate.shell("portcullis clusters list --config portcullis.toml").contains("kept until")
    })
    .await;
    answered(&gate, &pr, "/release").await;
    let_go(&gate, &run).await;

    gate.repo.commit("main", [("elsewhere.txt", "moved\n")]);
    let (group, _) = pr.enqueue().unwrap();
    gate.until("the group's own run says what it came to", |_| {
        let shown = gate.shown(&group);
        let (state, words) = shown.get("portcullis/smoke")?;
        assert!(!words.starts_with("as in #"), "{words}");
        (*state == StatusState::Success && words.contains("passed")).then_some(())
    })
    .await;
    nothing_is_left(&gate).await;
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn the_cluster_of_an_installation_that_is_revoked_goes_and_that_of_another_stays() {
    busybox();
    let policy = format!("version: 1\ncluster: {{ image: '{NO_NODE}', ready_timeout: 10m }}\nsuites:\n  smoke:\n");
    let gate = Gate::app_with_engine(&policy).await;
    let shop = gate.neighbour("globex/shop", &policy);
    let installation = gate.github.install_app("globex", &[]);
    let (ours, theirs) = (gate.open_pr("feature"), shop.open_pr(PrSpec::default()));
    let nodes = |run: &str| run_docker_ps(run);
    let mut runs = Vec::new();
    for pr in [&ours, &theirs] {
        let head = pr.head_sha();
        pr.label(LABEL, "alice");
        gate.eventually("its cluster is being made", async || {
            let found = gate.runs().await.into_iter().find(|run| run["head"] == serde_json::json!(head));
            found.is_some_and(|run| !nodes(run["id"].as_str().unwrap()).is_empty())
        })
        .await;
        let found = gate.runs().await.into_iter().find(|run| run["head"] == serde_json::json!(head)).unwrap();
        runs.push(found["id"].as_str().unwrap().to_owned());
    }
    gate.github.uninstall_app(installation);
    nothing_is_left_of(&gate, &runs[1]).await;
    assert!(!nodes(&runs[0]).is_empty(), "the other goes on");
    drop(ours.close("alice"));
    nothing_is_left_of(&gate, &runs[0]).await;
}

/// The containers of a run.
fn run_docker_ps(run_id: &str) -> String {
    run("docker", &["ps", "-q", "--filter", &format!("label=dev.portcullis.run={run_id}")])
}
