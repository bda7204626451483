//! GitHub in trouble: errors, limits and things that are gone. The last word gets there, and not by hammering.

use std::time::Duration;

use portcullis_github::{Fault, Match, Permission, PrSpec, Request, StatusState};

use crate::support::gate::{Gate, LABEL, ONE_SUITE, SECRET, WAITING, policy};

const CANCELLED: &str = "cancelled: the label was taken off";

fn to_statuses() -> Match {
    Match::post("/repos/acme/infra/statuses/*")
}

fn posts(gate: &Gate) -> Vec<Request> {
    let mut requests = gate.github.requests();
    requests.retain(|request| request.is_write() && request.path.starts_with("/repos/acme/infra/statuses/"));
    requests
}

#[tokio::test]
async fn after_an_outage_only_the_last_word_is_said() {
    let gate = Gate::with_policy(ONE_SUITE).await;
    gate.github.fail_next(to_statuses(), 1000, Fault::Status(502));
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.until("the status was refused twice", |_| (posts(&gate).len() >= 2).then_some(())).await;
    pr.unlabel(LABEL, "alice");
    let is_last = |post: &Request| String::from_utf8_lossy(&post.body).contains(CANCELLED) && post.status.is_some();
    gate.until("the last word was refused", |_| posts(&gate).iter().any(is_last).then_some(())).await;
    gate.github.heal();

    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Error, CANCELLED).await;
    assert_eq!(gate.github.statuses(&pr.head_sha()).len(), 1, "what was out of date was not said any more");
    let posts = posts(&gate);
    assert!(posts.len() <= 15, "{} posts", posts.len());
}

#[tokio::test]
async fn an_outage_while_a_delivery_is_acted_upon_only_delays_it() {
    let gate = Gate::start().await;
    for fault in [Fault::Status(500), Fault::Disconnect, Fault::Truncate(40)] {
        gate.github.fail_next(Match::get("/repos/acme/infra/*"), 1, fault);
    }
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
    gate.handled().await;
    assert_eq!(gate.runs().await.len(), 1);
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let gate = Gate::with_policy(ONE_SUITE).await;
    let wait = Duration::from_secs(4);
    gate.github.fail_next(to_statuses(), 1, Fault::SecondaryLimit { status: 429, retry_after: wait });
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    let posts = posts(&gate);
    let pause = posts[1].at.duration_since(posts[0].at);
    assert_eq!(posts[0].status, Some(429));
    assert!(pause.as_secs_f64() >= wait.as_secs_f64() - 0.1, "asked again after {pause:?}");
}

#[tokio::test]
async fn a_repository_that_is_gone_does_not_hold_up_others() {
    let gate = Gate::with_policy(ONE_SUITE).await;
    gate.github.fail_next(to_statuses(), 1000, Fault::Status(404));
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice").answered().await;

    let other = gate.github.repo("acme/other");
    other.commit("main", policy(ONE_SUITE));
    for login in ["alice", "portcullis"] {
        gate.github.user(login).permission("acme/other", Permission::Write);
    }
    other.webhook(&gate.webhook_url(), SECRET);
    let neighbour = other.open_pr(PrSpec::default());
    neighbour.label(LABEL, "alice");
    gate.shows(&neighbour.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;

    pr.unlabel(LABEL, "alice");
    gate.eventually("both runs are known, one has ended", async || {
        gate.runs().await.iter().filter(|run| run["state"] == "finished").count() == 1
    })
    .await;
    // A commit that is news may not be known everywhere yet: each word is tried a few times, then given up.
    assert!(posts(&gate).len() <= 9, "{} tries", posts(&gate).len());
    assert_eq!(gate.github.statuses(&pr.head_sha()), []);
}

#[tokio::test]
async fn a_status_that_github_refuses_is_not_repeated_and_the_next_one_is_said() {
    let gate = Gate::with_policy(ONE_SUITE).await;
    let pr = gate.open_pr("feature");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, "waiting for the").await;
    gate.published().await;
    let before = posts(&gate).len();
    gate.github.fail_next(to_statuses(), 1, Fault::Status(422));
    pr.label(LABEL, "alice");
    gate.until("the run's first word was refused", |_| posts(&gate).get(before).and_then(|post| post.status)).await;
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    pr.unlabel(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Error, CANCELLED).await;
    let posts = posts(&gate).split_off(before);
    assert_eq!(posts[0].status, Some(422));
    assert!(posts[1..].iter().all(|post| post.body != posts[0].body), "the refused one was sent again");
}
