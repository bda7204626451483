//! What stops a run, and what its statuses say then.

use portcullis_github::{Fault, Match, PrSpec, Pull, RawDelivery, StatusState};

use crate::support::gate::{Gate, LABEL};

const SUITES: [&str; 2] = ["smoke", "statefulset"];

async fn waiting_run() -> (Gate, Pull) {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
    (gate, pr)
}

/// The commit's statuses end so and stay so: nothing is written after the last of them.
async fn ended(gate: &Gate, sha: &str, words: &str) {
    gate.shows(sha, &SUITES, StatusState::Error, words).await;
    gate.handled().await;
    let last: Vec<_> = gate.github.statuses(sha).into_iter().rev().take(SUITES.len()).map(|s| s.state).collect();
    assert_eq!(last, [StatusState::Error; 2], "{}", gate.log());
}

#[tokio::test]
async fn taking_the_label_off_cancels_and_putting_it_back_starts_again() {
    let (gate, pr) = waiting_run().await;
    pr.unlabel(LABEL, "alice");
    ended(&gate, &pr.head_sha(), "cancelled: the label was taken off").await;
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
    assert_eq!(gate.runs().await.len(), 2);
}

#[tokio::test]
async fn a_label_that_was_taken_off_before_anybody_looked_starts_nothing() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    gate.handled().await;
    gate.github.fail_next(Match::get("/repos/acme/infra/pulls/*"), 1, Fault::Status(500));
    pr.label(LABEL, "alice").answered().await;
    pr.unlabel(LABEL, "alice");
    gate.started_nothing(&pr.head_sha()).await;
}

#[tokio::test]
async fn taking_another_label_off_changes_nothing() {
    let (gate, pr) = waiting_run().await;
    pr.label("documentation", "alice");
    pr.unlabel("documentation", "alice");
    gate.handled().await;
    gate.announced(&pr.head_sha()).await;
    assert_eq!(gate.runs().await[0]["state"], "queued");
}

#[tokio::test]
async fn closing_the_pull_request_cancels() {
    let (gate, pr) = waiting_run().await;
    pr.close("alice");
    ended(&gate, &pr.head_sha(), "cancelled: the pull request was closed").await;
}

#[tokio::test]
async fn a_push_by_a_writer_replaces_the_run() {
    let (gate, pr) = waiting_run().await;
    let before = pr.head_sha();
    let (after, _) = pr.push([("CHANGES.md", "another change\n")], "alice");
    gate.announced(&after).await;
    ended(&gate, &before, "cancelled: a newer commit replaced this one").await;
    assert_eq!(gate.runs().await.len(), 2);
}

#[tokio::test]
async fn a_push_by_a_stranger_cancels_and_starts_nothing() {
    let gate = Gate::start().await;
    let pr = gate.repo.open_pr(PrSpec { author: "mallory".into(), ..PrSpec::default() });
    pr.label(LABEL, "alice");
    let before = pr.head_sha();
    gate.announced(&before).await;
    let (after, _) = pr.push([("CHANGES.md", "something nobody has read\n")], "mallory");
    ended(&gate, &before, "cancelled: a newer commit replaced this one").await;
    let words = format!("waiting for {LABEL} on {}", &after[..12]);
    gate.shows(&after, &SUITES, StatusState::Pending, &words).await;
    gate.until("the label is taken off", |_| pr.labels().is_empty().then_some(())).await;
    assert_eq!(gate.runs().await.len(), 1);
}

/// The same webhook once more, as if it came only now.
fn late(gate: &Gate, action: &str) {
    let sent = gate.github.deliveries().into_iter().rfind(|delivery| delivery.action.as_deref() == Some(action));
    drop(gate.hook.deliver_raw(RawDelivery::new("pull_request", sent.unwrap().payload)));
}

/// Webhooks come in any order, and what got lost is fetched later.
#[tokio::test]
async fn news_of_an_older_head_ends_nothing() {
    let (gate, pr) = waiting_run().await;
    gate.repo.commit("release", [("release.txt", "another branch\n")]);
    let (second, _) = pr.push([("CHANGES.md", "a second change\n")], "alice");
    gate.announced(&second).await;
    drop(pr.change_base("release", "alice"));
    gate.settled().await;
    let pushed = gate.github.deliveries().into_iter().rfind(|sent| sent.action.as_deref() == Some("synchronize"));
    let (third, _) = pr.push([("CHANGES.md", "a third change\n")], "alice");
    gate.announced(&third).await;
    gate.settled().await;
    drop(gate.hook.deliver_raw(RawDelivery::new("pull_request", pushed.unwrap().payload)));
    late(&gate, "edited");
    gate.settled().await;
    let runs = gate.runs().await;
    assert_eq!((runs[0]["head"].as_str(), runs[0]["state"].as_str()), (Some(third.as_str()), Some("queued")));
    gate.announced(&third).await;
}

#[tokio::test]
async fn a_push_that_is_told_late_ends_no_run_of_its_own_commit() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    let (head, _) = pr.push([("CHANGES.md", "another change\n")], "alice");
    gate.settled().await;
    drop(pr.comment("alice", "/test"));
    gate.announced(&head).await;
    late(&gate, "synchronize");
    gate.settled().await;
    assert_eq!(gate.runs().await[0]["state"], "queued");
}

/// What one suite came to says nothing of the others.
#[tokio::test]
async fn a_commit_of_which_some_suites_ran_as_a_draft_is_tested_once_it_is_ready() {
    let (gate, pr) = waiting_run().await;
    drop(pr.convert_to_draft("alice"));
    let (head, _) = pr.push([("CHANGES.md", "another change\n")], "alice");
    gate.settled().await;
    drop(pr.comment("alice", "/test smoke"));
    gate.settled().await;
    drop(pr.comment("alice", "/cancel smoke"));
    gate.settled().await;
    assert!(gate.shown(&head)["portcullis/statefulset"].1.starts_with("waiting: a draft"));
    drop(pr.ready_for_review("alice"));
    gate.announced(&head).await;
}
