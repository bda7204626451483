//! Failed specs that a comment has run again: on what they failed on, and worth no more elsewhere than what they were joined with.

use portcullis_github::StatusState;

use crate::support::engine::{NOBODY, busybox};
use crate::support::gate::{Gate, LABEL};

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn failed_specs_are_run_again_on_the_base_they_failed_on() {
    busybox();
    let junit = |cases: &str, then: &str| {
        format!("echo '<testsuite name=\\\"t\\\">{cases}</testsuite>' > $RESULTS_DIR/junit.xml; {then}")
    };
    let bad = "<testcase name=\\\"bad\\\"><failure message=\\\"no\\\"/></testcase>";
    let first = junit(&format!("<testcase name=\\\"good\\\"/>{bad}"), "exit 1");
    let again = junit("<testcase name=\\\"bad\\\"/>", "exit 0");
    let gate = Gate::with_engine(&format!(
        "version: 1
suites:
  one:
    image: '{NOBODY}'
    command: [/bin/sh, -c, \"{first}\"]
    rerun: {{rounds: 0, command: [/bin/sh, -c, \"{again}\", '{{case}}']}}
"
    ))
    .await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["one"], StatusState::Failure, "1 of 2 failed").await;
    gate.over(&pr.head_sha()).await;
    let before = gate.newest_run().await;
    let moved = gate.repo.commit("main", [("elsewhere.txt", "moved\n")]);
    drop(pr.comment("alice", "/retest specs"));
    gate.shows(&pr.head_sha(), &["one"], StatusState::Success, "1 passed, 1 flaky").await;
    let after = gate.newest_run().await;
    assert_ne!(after["id"], before["id"]);
    assert_eq!((&after["base"], &after["tested"]), (&before["base"], &before["tested"]));
    assert_ne!(after["base"].as_str(), Some(moved.as_str()));

    // `good` never ran on the base that the group would land on.
    let (group, _) = pr.enqueue().unwrap();
    gate.shows(&group, &["one"], StatusState::Failure, "1 of 2 failed").await;
    gate.over(&group).await;
}
