//! The process itself: killed, started twice, told to end, misconfigured.

use std::process::{Command, Stdio};
use std::time::Duration;

use portcullis_github::{Fault, Match, StatusState};

use crate::support::databases::on_both_databases;
use crate::support::gate::{Gate, LABEL, POLICY, TWO_SUITES};

on_both_databases! {
    /// GitHub's answer to the first question about the pull request never comes, so the kill hits before anything is decided.
    async fn what_was_acknowledged_survives_a_kill(database: Database) {
        let mut gate = Gate::on(database, &[(POLICY, TWO_SUITES)]).await;
        gate.github.fail_next(Match::get("/repos/acme/infra/pulls/*"), 1, Fault::Hang);
        let pr = gate.open_pr("feature");
        assert_eq!(pr.label(LABEL, "alice").answered().await[0].status(), 202);
        gate.kill().await;
        assert_eq!(gate.github.statuses(&pr.head_sha()), []);
        gate.github.heal();
        gate.start_again().await;
        gate.announced(&pr.head_sha()).await;
        assert_eq!(gate.runs().await.len(), 1);
    }
}

#[tokio::test]
async fn a_run_that_waits_survives_a_kill_and_can_still_be_cancelled() {
    let mut gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
    gate.published().await;
    let writes = gate.github.writes();
    gate.kill().await;
    gate.start_again().await;
    pr.unlabel(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke", "statefulset"], StatusState::Error, "cancelled").await;
    assert_eq!(gate.github.writes(), writes + 2, "nothing that GitHub knew was said again");
}

#[tokio::test]
async fn a_second_process_on_the_same_data_refuses_to_start() {
    let gate = Gate::start().await;
    let ended = gate.another().await;
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("another portcullis uses the data directory"), "{said}");
    assert_eq!(gate.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn it_ends_when_told_to_and_goes_on_where_it_was() {
    let mut gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
    let (status, after) = gate.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", gate.log());
    assert!(after < Duration::from_secs(10), "it took {after:?}");
    gate.start_again().await;
    assert_eq!(gate.runs().await[0]["state"], "queued");
}

#[tokio::test]
async fn it_ends_soon_even_while_github_keeps_it_waiting() {
    let mut gate = Gate::start().await;
    gate.github.fail_next(Match::get("/repos/acme/infra/pulls/*"), 1, Fault::Hang);
    let pr = gate.open_pr("feature");
    let asked = format!("/repos/acme/infra/pulls/{}", pr.number());
    gate.until("the pull request is asked for", |github| github.requests().into_iter().find(|r| r.path == asked)).await;
    let (status, after) = gate.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", gate.log());
    assert!(after < Duration::from_secs(10), "it took {after:?}");
    gate.start_again().await;
    gate.handled().await;
}

#[test]
fn a_broken_configuration_is_named_by_file_and_line_and_nothing_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[github]\ntoken = \"t\"\nwebhook_secrets = [\"s\"]\n\n[capacity]\nclusters = \"many\"\n";
    std::fs::write(folder.path().join("broken.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["serve", "--config", "broken.toml"]).current_dir(folder.path()).env_clear().stdin(Stdio::null());
    let ended = command.output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.starts_with("broken.toml:6:"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only the configuration is there");
}
