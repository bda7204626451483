//! What webhooks missed is found: by GitHub's record of deliveries, by looking at pull requests, by looking at statuses.

use std::time::Duration;

use portcullis_github::{Fault, Match, Permission, PrSpec, StatusState};
use serde_json::json;

use crate::support::engine::figure;
use crate::support::gate::{Gate, LABEL, ONE_SUITE, WAITING};
use crate::support::http::Hook;
use crate::support::values::labelled;

async fn watching(role: Permission) -> Gate {
    Gate::watching(ONE_SUITE, role).await
}

/// The one suite of a commit waits for Docker.
async fn announced(gate: &Gate, sha: &str) {
    gate.shows(sha, &["smoke"], StatusState::Pending, WAITING).await;
}

/// How many runs there are of a commit.
async fn runs_of(gate: &Gate, sha: &str) -> usize {
    gate.runs().await.iter().filter(|run| run["head"] == json!(sha)).count()
}

#[tokio::test]
async fn a_lost_delivery_is_fetched_and_its_late_arrival_changes_nothing() {
    let gate = watching(Permission::Admin).await;
    let pr = gate.open_pr("feature");
    gate.github.deliveries_settled().await;
    gate.github.drop_deliveries(1);
    let lost = pr.label(LABEL, "alice").answered().await.remove(0);
    assert_eq!(lost.status(), 0);
    announced(&gate, &pr.head_sha()).await;
    assert_eq!(gate.github.redeliver(lost.delivery).answered().await[0].status(), 200, "known by its GUID");
    gate.handled().await;
    assert_eq!(runs_of(&gate, &pr.head_sha()).await, 1);
}

#[tokio::test]
async fn a_github_app_fetches_what_its_hook_could_not_deliver() {
    let gate = Gate::as_app(ONE_SUITE).await;
    let pr = gate.open_pr("feature");
    gate.github.deliveries_settled().await;
    gate.github.drop_deliveries(1);
    pr.label(LABEL, "alice").answered().await;
    announced(&gate, &pr.head_sha()).await;
    assert_eq!(runs_of(&gate, &pr.head_sha()).await, 1);
}

/// With a role that sees no deliveries, and none that arrives.
#[tokio::test]
async fn a_labelled_pull_request_nobody_told_of_gets_its_run() {
    let gate = watching(Permission::Write).await;
    gate.github.drop_deliveries(1000);
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    announced(&gate, &pr.head_sha()).await;
    assert_eq!(runs_of(&gate, &pr.head_sha()).await, 1);
}

#[tokio::test]
async fn a_pull_request_that_we_may_not_look_at_hides_no_other() {
    let gate = watching(Permission::Write).await;
    let closed = gate.open_pr("closed-to-us");
    gate.shows(&closed.head_sha(), &["smoke"], StatusState::Pending, "waiting").await;
    gate.published().await;
    let events = format!("/repos/acme/infra/issues/{}/events", closed.number());
    let shown = format!("/repos/acme/infra/commits/{}/status", closed.head_sha());
    for path in [&events, &shown] {
        gate.github.fail_next(Match::get(path), 10_000, Fault::Status(403));
    }
    gate.github.drop_deliveries(1000);
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    // Changed last, it is looked at first.
    closed.label("help wanted", "alice");
    announced(&gate, &pr.head_sha()).await;
    gate.until("the other was asked for", |github| {
        github.requests().iter().find(|request| request.path == events && request.status == Some(403)).map(|_| ())
    })
    .await;
    gate.published().await;
    gate.repo.post_status(&pr.head_sha(), "portcullis/smoke", StatusState::Success, "trust me", "mallory");
    announced(&gate, &pr.head_sha()).await;
}

#[tokio::test]
async fn a_delivery_that_waits_keeps_only_its_own_repository_from_being_looked_at() {
    let gate = watching(Permission::Write).await;
    gate.github.fail_next(Match::path("/repos/globex/shop/*"), 10_000, Fault::Status(403));
    for (guid, number) in [("a", 1), ("b", 1), ("c", 2)] {
        let hook = Hook::new(guid).body(labelled("globex/shop", number));
        assert_eq!(gate.deliver(&hook).await.status, 202);
    }
    gate.eventually("it waits", async || gate.log().contains("delivery waits")).await;
    gate.github.drop_deliveries(1000);
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    announced(&gate, &pr.head_sha()).await;
}

#[tokio::test]
async fn what_changed_while_the_service_was_down_is_found() {
    let mut gate = watching(Permission::Write).await;
    let [closed, unlabelled, pushed] = ["one", "two", "three"].map(|branch| gate.open_pr(branch));
    for pr in [&closed, &unlabelled, &pushed] {
        pr.label(LABEL, "alice");
        announced(&gate, &pr.head_sha()).await;
    }
    gate.kill().await;
    closed.close("alice");
    unlabelled.unlabel(LABEL, "alice");
    let before = pushed.head_sha();
    let (after, _) = pushed.push([("CHANGES.md", "another change\n")], "alice");
    gate.github.deliveries_settled().await;
    gate.start_again().await;

    gate.shows(&closed.head_sha(), &["smoke"], StatusState::Error, "cancelled: the pull request was closed").await;
    gate.shows(&unlabelled.head_sha(), &["smoke"], StatusState::Error, "cancelled: the label was taken off").await;
    gate.shows(&before, &["smoke"], StatusState::Error, "cancelled: a newer commit replaced this one").await;
    announced(&gate, &after).await;
}

#[tokio::test]
async fn a_status_that_somebody_else_overwrote_is_put_right_but_not_for_ever() {
    let gate = watching(Permission::Admin).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let sha = pr.head_sha();
    announced(&gate, &sha).await;
    pr.unlabel(LABEL, "alice");
    gate.shows(&sha, &["smoke"], StatusState::Error, "cancelled").await;
    for _ in 0..4 {
        gate.published().await;
        gate.repo.post_status(&sha, "portcullis/smoke", StatusState::Success, "trust me", "mallory");
        let theirs = gate.github.statuses(&sha).len();
        let repaired = gate.github.until(|github| (github.statuses(&sha).len() > theirs).then_some(()));
        if tokio::time::timeout(Duration::from_secs(8), repaired).await.is_err() {
            break;
        }
    }
    assert_eq!(gate.github.statuses(&sha).last().unwrap().creator, "mallory", "it is left to whoever insists");
    let mine = gate.github.statuses(&sha).into_iter().filter(|status| status.creator == "portcullis").count();
    assert!(mine >= 4, "it was put right three times: {mine}");
    let id = gate.runs().await[0]["id"].as_str().unwrap().to_owned();
    let page = gate.get(&format!("/runs/{id}")).await.body;
    assert!(page.contains("somebody else keeps overwriting it"), "{page}");
}

#[tokio::test]
async fn half_of_all_webhooks_may_get_lost() {
    let gate = watching(Permission::Admin).await;
    gate.github.drop_half(20_261_121);
    let mut heads = Vec::new();
    for n in 0..50 {
        let pr = gate.open_pr(&format!("change-{n}"));
        pr.label(LABEL, "alice");
        heads.push(pr.head_sha());
    }
    gate.github.deliveries_settled().await;
    let lost =
        gate.github.deliveries().iter().filter(|delivery| delivery.answer.as_ref().is_some_and(|a| !a.is_ok())).count();
    let sent = gate.github.deliveries().len();
    for sha in &heads {
        announced(&gate, sha).await;
    }
    gate.handled().await;
    for sha in &heads {
        assert_eq!(runs_of_all(&gate, sha).await, 1, "{sha}");
    }
    figure(&format!("{lost} of {sent} deliveries were lost; 50 of 50 labelled pull requests have exactly one run"));
    assert!((30..=80).contains(&lost), "{lost} of {sent}");
}

/// As the first page of runs may not hold all.
async fn runs_of_all(gate: &Gate, sha: &str) -> usize {
    let (mut count, mut path) = (0, "/api/v1/runs".to_owned());
    loop {
        let page: serde_json::Value = serde_json::from_str(&gate.get(&path).await.body).unwrap();
        count += page["runs"].as_array().unwrap().iter().filter(|run| run["head"] == json!(sha)).count();
        match page["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => return count,
        }
    }
}

#[tokio::test]
async fn looking_at_what_did_not_change_costs_nothing() {
    let gate = watching(Permission::Admin).await;
    for n in 0..5 {
        let pr = gate.repo.open_pr(PrSpec { head_branch: format!("change-{n}"), ..PrSpec::default() });
        pr.label(LABEL, "alice");
        announced(&gate, &pr.head_sha()).await;
    }
    gate.published().await;
    let asked = |path: &str| {
        let requests = gate.github.requests();
        requests.iter().filter(|request| request.path.ends_with(path) && request.status == Some(304)).count()
    };
    let passes = |wanted: usize| gate.until("some passes", move |_| (asked("/pulls") >= wanted).then_some(()));
    passes(asked("/pulls") + 5).await;
    let (before, spent, writes) = (gate.github.requests().len(), gate.github.spent("portcullis"), gate.github.writes());
    let begun = asked("/pulls");
    passes(begun + 5).await;
    let after = gate.github.requests();
    let per_pass = (after.len() - before) as f64 / (asked("/pulls") - begun) as f64;
    let cost = gate.github.spent("portcullis") - spent;
    figure(&format!(
        "idle with 5 open pull requests: {per_pass:.1} requests a look, {:.0} an hour at the usual 12 looks; \
         {cost} counted against the limit; {} writes",
        per_pass * 12.0,
        gate.github.writes() - writes,
    ));
    assert!(after[before..].iter().all(|request| request.status.is_none_or(|status| status == 304)), "{after:#?}");
    assert_eq!((cost, gate.github.writes()), (0, writes));
}
