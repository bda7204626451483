//! Policies that do not read, and what people see of them until they do.

use portcullis_github::{Permission, Pull, RawDelivery, StatusState};
use serde_json::json;

use crate::support::gate::{Gate, LABEL, POLICY, TWO_SUITES, policy};

const UNKNOWN_SUITE: &str = "version: 1\nsuites:\n  smkoe:\n";

#[tokio::test]
async fn a_broken_policy_is_an_error_that_names_the_line() {
    let gate = Gate::start().await;
    let broken = [
        ("syntax", "version: 1\nsuites:\n  smoke: [\n", "", ""),
        ("unknown", UNKNOWN_SUITE, "3:3", "smkoe"),
        ("duration", "version: 1\nsuites:\n  smoke:\n    timeout: soon\n", "4:14", "soon"),
    ];
    for (branch, text, place, word) in broken {
        gate.repo.commit("main", policy(text));
        let pr = gate.open_pr(branch);
        pr.label(LABEL, "alice");
        gate.shows(&pr.head_sha(), &["gate"], StatusState::Error, &format!("{POLICY}:{place}")).await;
        let (_, description) = &gate.shown(&pr.head_sha())["portcullis/gate"];
        let line = description[POLICY.len() + 1..].chars().next().unwrap();
        assert!(line.is_ascii_digit() && description.contains(word), "{branch}: {description}");
    }
}

#[tokio::test]
async fn once_the_policy_is_mended_the_same_commit_says_so_and_is_tested() {
    let gate = Gate::with_policy(UNKNOWN_SUITE).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["gate"], StatusState::Error, POLICY).await;
    gate.handled().await;

    gate.repo.commit("main", policy(TWO_SUITES));
    pr.unlabel(LABEL, "alice");
    pr.label(LABEL, "alice");
    mended(&gate, &pr.head_sha()).await;
}

#[tokio::test]
async fn a_commit_pushed_after_the_policy_was_mended_is_tested() {
    let gate = Gate::with_policy(UNKNOWN_SUITE).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let before = pr.head_sha();
    gate.shows(&before, &["gate"], StatusState::Error, POLICY).await;
    gate.handled().await;

    gate.repo.commit("main", policy(TWO_SUITES));
    let (after, _) = pr.push([("CHANGES.md", "another change\n")], "alice");
    gate.announced(&after).await;
    gate.shows(&before, &["gate"], StatusState::Error, POLICY).await;
}

/// One comment of ours, whoever asked, and an error on the commit.
async fn refused(gate: &Gate, pr: &Pull) {
    gate.shows(&pr.head_sha(), &["gate"], StatusState::Error, &format!("{POLICY}:3:3")).await;
    gate.until("the mistake is told in a comment", |_| {
        pr.comments().iter().any(|comment| comment.body.contains("smkoe")).then_some(())
    })
    .await;
    gate.handled().await;
    gate.published().await;
    let told = pr.comments().into_iter().filter(|comment| comment.body.contains("smkoe")).count();
    assert_eq!(told, 1, "{:#?}", pr.comments());
}

#[tokio::test]
async fn whatever_reads_a_broken_policy_says_so_by_a_status_and_once_in_a_comment() {
    let gate = Gate::with_policy(TWO_SUITES).await;
    let pr = gate.open_pr("feature");
    gate.settled().await;
    gate.repo.commit("main", policy(UNKNOWN_SUITE));
    let says = |words: &str| {
        let told = gate.shown(&pr.head_sha()).get("portcullis/gate").cloned();
        told.is_some_and(|(state, text)| state == StatusState::Error && text.contains(words))
    };
    // A command is the first to find out. Somebody who may nothing finds nothing out.
    drop(pr.comment("mallory", "/test"));
    gate.handled().await;
    assert_eq!(gate.runs().await.len(), 0);
    let (asked, _) = pr.comment("alice", "/test");
    gate.until("the command is answered by a status", |_| says("smkoe").then_some(())).await;
    gate.until("and by a reaction", |_| {
        let comment = pr.comments().into_iter().find(|comment| comment.id == asked)?;
        (comment.reactions.first()?.1 == "confused").then_some(())
    })
    .await;
    drop(pr.label(LABEL, "alice"));
    drop(pr.comment("alice", "/retest"));
    drop(pr.push([("CHANGES.md", "another change\n")], "alice"));
    refused(&gate, &pr).await;
    let runs = gate.runs().await.len();
    let body = json!({
        "action": "rerequested", "check_run": {"name": "portcullis/smoke", "head_sha": pr.head_sha()},
        "repository": {"full_name": "acme/infra"}, "sender": {"login": "alice", "type": "User"},
    });
    drop(gate.hook.deliver_raw(RawDelivery::new("check_run", body.to_string())));
    gate.handled().await;
    assert_eq!(gate.runs().await.len(), runs + 1, "a check that is asked for again");
    drop(pr.convert_to_draft("alice"));
    drop(pr.ready_for_review("alice"));
    refused(&gate, &pr).await;

    let comments = pr.comments().len();
    let (group, _) = pr.enqueue().unwrap();
    gate.shows(&group, &["gate"], StatusState::Error, POLICY).await;
    gate.handled().await;
    assert_eq!(pr.comments().len(), comments, "a merge group has nobody to tell");
}

#[tokio::test]
async fn a_pull_request_that_nobody_told_us_of_hears_of_a_broken_policy_as_well() {
    let gate = Gate::watching(UNKNOWN_SUITE, Permission::Write).await;
    gate.github.drop_deliveries(1000);
    let pr = gate.open_pr("feature");
    drop(pr.label(LABEL, "alice"));
    refused(&gate, &pr).await;
}

/// The policy's own context is green, the suites' wait.
async fn mended(gate: &Gate, sha: &str) {
    gate.until("the policy is said to be valid and the suites are announced", |_| {
        let shown = gate.shown(sha);
        let state = |context: &str| shown.get(context).map(|(state, _)| *state);
        let suites = ["portcullis/smoke", "portcullis/statefulset"];
        (state("portcullis/gate") == Some(StatusState::Success)
            && suites.iter().all(|suite| state(suite) == Some(StatusState::Pending)))
        .then_some(())
    })
    .await;
}
