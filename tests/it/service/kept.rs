//! Logs and files in an object store, through the whole service on a real engine: logs as they arrive, everything when a run is over.

use std::sync::Mutex;

use portcullis_github::{Pull, StatusState};

use crate::support::engine::{NOBODY, busybox, run};
use crate::support::gate::{Gate, LABEL};
use crate::support::s3::{ACCESS_KEY, S3, SECRET_KEY};

/// Ends when it is told, after a line that says so.
const SUITE: &str = r#"
      i=0; while [ $i -lt 400 ] && ! [ -e /tmp/end ]; do i=$((i+1)); echo "line $i"; sleep 0.3; done; echo "the last line"
      echo '<testsuite tests="1"><testcase name="buys"/></testsuite>' > $RESULTS_DIR/junit.xml
"#;

/// The path of the pull request's log, once the store has more than one piece of it; and its container.
async fn growing(gate: &Gate, s3: &S3, pr: &Pull) -> (String, String) {
    let found = Mutex::new(String::new());
    gate.eventually("pieces of the log are in the store", async || {
        let views = gate.store().open_runs().await.unwrap();
        let view = views.iter().find(|view| view.run.head.as_str() == pr.head_sha());
        let Some(attempt) = view.and_then(|view| view.attempts.first()) else { return false };
        let path = format!("runs/{}/attempts/{}/log.txt", attempt.run, attempt.id);
        *found.lock().unwrap() = path;
        s3.keys().iter().filter(|key| key.contains(&format!("{}/log.pieces/", attempt.id))).count() > 1
    })
    .await;
    let path = found.into_inner().unwrap();
    let label = format!("label=dev.portcullis.attempt={}", path.split('/').nth(3).unwrap());
    (format!("/{path}"), run("docker", &["ps", "-q", "--filter", &label]).trim().to_owned())
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn a_log_is_in_the_store_while_it_grows_and_as_a_whole_when_its_run_is_over() {
    busybox();
    let s3 = S3::start("ci").await;
    let settings = format!(
        "[artifacts]\nstore = \"s3://ci/files\"\nendpoint = \"{}\"\nregion = \"eu-central-1\"\naccess_key = \"{ACCESS_KEY}\"\nsecret_key = \"{SECRET_KEY}\"\n",
        s3.url()
    );
    let policy = format!(
        "version: 1\ncluster: {{retries: 0}}\nsuites:\n  slow:\n    image: '{NOBODY}'\n    command:\n    - /bin/sh\n    - -c\n    - |{SUITE}"
    );
    let mut gate = Gate::with_engine_and_settings(&policy, &settings).await;

    let whole = gate.open_pr("whole");
    whole.label(LABEL, "alice");
    let (log, container) = growing(&gate, &s3, &whole).await;
    run("docker", &["exec", &container, "touch", "/tmp/end"]);
    gate.shows(&whole.head_sha(), &["slow"], StatusState::Success, "1 passed").await;
    let told = gate.get(&log).await.body;
    assert!(told.ends_with("Z the last line\n"), "{told}");
    let attempt = log.split('/').nth(4).unwrap();
    gate.eventually("the run's files are moved", async || {
        let of_attempt: Vec<String> = s3.keys().into_iter().filter(|key| key.contains(attempt)).collect();
        of_attempt.iter().any(|key| key.ends_with("/log.txt"))
            && of_attempt.iter().all(|key| !key.contains("log.pieces"))
    })
    .await;
    assert_eq!(gate.get(&log).await.body, told);

    let lost = gate.open_pr("lost");
    lost.label(LABEL, "alice");
    let (log, container) = growing(&gate, &s3, &lost).await;
    gate.kill().await;
    gate.lose_files();
    run("docker", &["rm", "-f", &container]);
    gate.start_again().await;
    gate.shows(&lost.head_sha(), &["slow"], StatusState::Error, "the suite's container was taken away").await;
    let told = gate.get(&log).await;
    assert_eq!(told.status, 200, "{}", gate.log());
    let lines: Vec<&str> = told.body.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
    assert!(lines.len() > 3, "{lines:?}");
    let expected: Vec<String> = (1..=lines.len()).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, expected, "whole lines from the first on, each once");
    let page = gate.get(log.trim_end_matches(".txt")).await.body;
    assert!(page.contains(&format!("line {}", lines.len())), "{page}");
    super::cluster::nothing_is_left(&gate).await;
}
