//! What a gate wants kept of a suite's results, through the whole service on a real engine.

use portcullis_github::StatusState;
use serde_json::Value;

use crate::support::engine::{BUSYBOX, NOBODY, busybox};
use crate::support::gate::{Gate, LABEL};

const WRITE: &str = r#"
      cd $RESULTS_DIR; mkdir -p deep shots/a core
      echo '<testsuite tests="2"><testcase name="buys"/><testcase name="pays"/></testsuite>' > junit.xml
      echo '<testsuite tests="1"><testcase name="deep"/></testsuite>' > deep/junit.xml
      touch shots/one.png shots/a/two.png core/dump notes.txt
"#;

/// The files that are listed of a suite's only attempt.
async fn kept(gate: &Gate, suite: &str) -> Vec<String> {
    let run = gate.runs().await[0]["id"].as_str().unwrap().to_owned();
    let answer = gate.get(&format!("/api/v1/runs/{run}")).await;
    let page: Value = serde_json::from_str(&answer.body).unwrap();
    let attempt = page["attempts"].as_array().unwrap().iter().find(|attempt| attempt["suite"] == suite).unwrap();
    let attempt = attempt["id"].as_str().unwrap();
    let mut found = vec![];
    for file in ["junit.xml", "deep/junit.xml", "shots/one.png", "shots/a/two.png", "core/dump", "notes.txt"] {
        let answer = gate.get(&format!("/runs/{run}/attempts/{attempt}/results/{file}")).await;
        if answer.status == 200 {
            found.push(file.to_owned());
        }
    }
    let listed = gate.get(&format!("/runs/{run}/attempts/{attempt}/results")).await.body;
    assert!(found.iter().all(|file| listed.contains(file.as_str())), "{listed}");
    assert!(!listed.contains("core"), "a folder of which nothing is kept is not there: {listed}");
    found
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn of_the_results_only_what_the_gate_chose_is_kept_and_all_of_it_is_read() {
    busybox();
    let gate = Gate::with_engine(&format!(
        "version: 1
suites:
  chosen:
    image: '{NOBODY}'
    artifacts: ['*.xml', 'shots/**']
    command:
    - /bin/sh
    - -c
    - |{WRITE}
  gone: {{ image: '{BUSYBOX}', artifacts: ['*.xml'], command: [/bin/sh, -c, 'rm -rf /results'] }}
"
    ))
    .await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let shown = gate.finals(&pr.head_sha(), 2).await;
    let (state, text) = &shown["portcullis/chosen"];
    assert_eq!((*state, text.split(" ·").next().unwrap()), (StatusState::Success, "3 passed"));
    let (state, text) = &shown["portcullis/gone"];
    assert_eq!((*state, text.as_str()), (StatusState::Error, "exited with status 0 without a result file"));
    assert_eq!(kept(&gate, "chosen").await, ["junit.xml", "shots/one.png", "shots/a/two.png"]);
    super::cluster::nothing_is_left(&gate).await;
}

/// A suite that reports what it has when it is interrupted, and says something in between or nothing.
fn lasting(between: &str) -> String {
    let report =
        r#"echo '<testsuite tests="1"><testcase name="was-done"/></testsuite>' > $RESULTS_DIR/junit.xml; exit 1"#;
    format!(
        "
    image: '{NOBODY}'
    stop_grace: 20s
    command:
    - /bin/sh
    - -c
    - |
      trap 'echo stopping; {}' INT
      echo begun; while :; do sleep 0.2; {between}; done
",
        report.replace('\'', "'\\''")
    )
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn what_is_stopped_for_its_time_its_silence_or_a_cancel_keeps_its_report() {
    busybox();
    let gate = Gate::with_engine(&format!(
        "version: 1\nsuites:\n  late:{}    timeout: 4s\n  silent:{}    no_output: 4s\n  unwanted:{}",
        lasting("echo on"),
        lasting(":"),
        lasting("echo on")
    ))
    .await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.eventually("the last suite has begun", async || {
        let run = gate.newest_run().await;
        let attempts = run["attempts"].as_array().unwrap();
        let Some(last) = attempts.iter().find(|one| one["suite"] == "unwanted" && one["state"] == "running") else {
            return false;
        };
        let (run, attempt) = (run["id"].as_str().unwrap(), last["id"].as_str().unwrap());
        gate.get(&format!("/runs/{run}/attempts/{attempt}/log.txt")).await.body.contains("begun")
    })
    .await;
    pr.unlabel(LABEL, "alice").answered().await;
    gate.over(&pr.head_sha()).await;
    for (suite, words) in [("late", "timed out"), ("silent", "stalled without output"), ("unwanted", "cancelled")] {
        let (state, text) = gate.shown(&pr.head_sha())[&format!("portcullis/{suite}")].clone();
        crate::support::engine::figure(&format!("{suite}: {state:?} {text}"));
        assert!(state == StatusState::Error && text.contains(words), "{suite}: {state:?} {text}");
    }
    let run = gate.newest_run().await;
    for attempt in run["attempts"].as_array().unwrap() {
        let (run, id) = (run["id"].as_str().unwrap(), attempt["id"].as_str().unwrap());
        let report = gate.get(&format!("/runs/{run}/attempts/{id}/junit.xml")).await;
        assert!(report.body.contains("was-done"), "{}: {} {}", attempt["suite"], report.status, report.body);
    }
    super::cluster::nothing_is_left(&gate).await;
}
