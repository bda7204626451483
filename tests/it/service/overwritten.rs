//! Statuses that somebody else posts over ours, told of by GitHub's `status` event: put right at once, but not for ever.

use std::time::Duration;

use portcullis_github::{Github, Permission, StatusState};

use crate::support::gate::{Gate, LABEL, ONE_SUITE, WAITING};

const CONTEXT: &str = "portcullis/smoke";

/// A service that hears of statuses, with one that is final, and looks for nothing by itself for minutes.
async fn ended() -> (Gate, String) {
    let gate = Gate::with_policy(ONE_SUITE).await;
    gate.hook.subscribe(&["pull_request", "push", "status"]);
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    pr.unlabel(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Error, "cancelled").await;
    gate.published().await;
    (gate, pr.head_sha())
}

fn last_by(github: &Github, sha: &str) -> String {
    github.statuses(sha).pop().unwrap().creator
}

async fn overwrite(gate: &Gate, sha: &str, context: &str) {
    gate.repo.post_status(sha, context, StatusState::Success, "trust me", "mallory");
    gate.handled().await;
    gate.published().await;
}

#[tokio::test]
async fn what_somebody_else_says_under_our_name_is_told_again_and_in_the_end_left_to_them() {
    let (gate, sha) = ended().await;
    for context in [CONTEXT, "Portcullis/Smoke", CONTEXT] {
        overwrite(&gate, &sha, context).await;
        let last = gate.github.status(&sha, CONTEXT).unwrap();
        assert_eq!((last.creator.as_str(), last.state), ("portcullis", StatusState::Error), "after {context}");
    }
    for _ in 0..3 {
        overwrite(&gate, &sha, CONTEXT).await;
        assert_eq!(last_by(&gate.github, &sha), "mallory", "whoever insists may have it");
    }
    let id = gate.runs().await[0]["id"].as_str().unwrap().to_owned();
    let page = gate.get(&format!("/runs/{id}")).await.body;
    assert!(page.contains("somebody else keeps overwriting it"), "{page}");
}

#[tokio::test]
async fn our_own_words_and_those_of_others_under_their_names_change_nothing() {
    let (gate, sha) = ended().await;
    let before = gate.github.statuses(&sha).len();
    gate.repo.post_status(&sha, "somebody/else", StatusState::Failure, "no", "mallory");
    gate.handled().await;
    gate.published().await;
    let earlier = gate
        .github
        .deliveries()
        .into_iter()
        .find(|one| one.event == "status" && String::from_utf8_lossy(&one.payload).contains(WAITING));
    let body = earlier.expect("we said so before").payload;
    drop(gate.hook.deliver_raw(portcullis_github::RawDelivery::new("status", body)));
    gate.handled().await;
    gate.published().await;
    assert_eq!(gate.github.statuses(&sha).len(), before + 1);
    let looks = gate.github.requests().into_iter().filter(|request| request.path.ends_with("/status")).count();
    assert_eq!(looks, 0, "nothing of it was worth a question");
}

/// Whose link it carries says nothing about whose word it is.
#[tokio::test]
async fn a_forged_status_with_our_link_is_put_right_all_the_same() {
    let (gate, sha) = ended().await;
    let link = gate.github.status(&sha, CONTEXT).unwrap().target_url.unwrap();
    gate.github.skip_time(Duration::from_secs(5));
    gate.github.drop_deliveries(1);
    gate.repo.post_status(&sha, CONTEXT, StatusState::Success, "trust me", "mallory");
    gate.github.deliveries_settled().await;
    let mut body: serde_json::Value = serde_json::from_slice(&gate.github.deliveries().pop().unwrap().payload).unwrap();
    body["target_url"] = link.into();
    drop(gate.hook.deliver_raw(portcullis_github::RawDelivery::new("status", body.to_string())));
    gate.handled().await;
    gate.published().await;
    assert_eq!(last_by(&gate.github, &sha), "portcullis");
}

/// The webhook comes after ours was told again already.
#[tokio::test]
async fn an_old_webhook_is_compared_with_what_github_shows_now() {
    let (gate, sha) = ended().await;
    overwrite(&gate, &sha, CONTEXT).await;
    let told = gate.github.statuses(&sha).len();
    let old = gate
        .github
        .deliveries()
        .into_iter()
        .rfind(|one| one.event == "status" && String::from_utf8_lossy(&one.payload).contains("trust me"));
    let body = old.unwrap().payload;
    drop(gate.hook.deliver_raw(portcullis_github::RawDelivery::new("status", body)));
    gate.handled().await;
    gate.published().await;
    assert_eq!(gate.github.statuses(&sha).len(), told);
}

/// What statuses show is compared anyway: a busy repository has many, and their lost webhooks are not fetched one by one.
#[tokio::test]
async fn a_lost_webhook_of_a_status_is_not_fetched_and_what_it_told_of_is_found_all_the_same() {
    let gate = Gate::watching(ONE_SUITE, Permission::Admin).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let sha = pr.head_sha();
    gate.shows(&sha, &["smoke"], StatusState::Pending, WAITING).await;
    gate.published().await;
    gate.handled().await;
    gate.hook.subscribe(&["pull_request", "push", "status"]);
    gate.github.drop_deliveries(1);
    gate.repo.post_status(&sha, CONTEXT, StatusState::Success, "trust me", "mallory");
    let lost = gate.github.deliveries().pop().unwrap();
    assert_eq!(lost.event, "status");
    gate.shows(&sha, &["smoke"], StatusState::Pending, WAITING).await;
    let fetched = format!("/deliveries/{}", lost.id);
    assert!(gate.github.requests().iter().all(|request| !request.path.ends_with(&fetched)));
}
