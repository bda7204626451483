//! Suites and clusters that do not do as they should, through the whole service on a real engine: every context says what was
//! wrong, the disk stays bounded, and nothing is left.

use portcullis_github::StatusState;
use serde_json::Value;

use crate::support::engine::{NO_NODE, NOBODY, busybox, figure, run};
use crate::support::gate::{Gate, LABEL};

const MIB: u64 = 1 << 20;

/// Waits until the only run's clusters are gone and asserts that the engine has nothing of it left.
pub(super) async fn nothing_is_left(gate: &Gate) {
    let id = gate.runs().await[0]["id"].as_str().unwrap().to_owned();
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
    let shown = gate
        .until("every context is final", |_| {
            let shown = gate.shown(&pr.head_sha());
            let is_final = |(state, _): &(StatusState, String)| *state != StatusState::Pending;
            (shown.len() == 4 && shown.values().all(is_final)).then_some(shown)
        })
        .await;
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
