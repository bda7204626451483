//! Policies that do not read, and what people see of them until they do.

use portcullis_github::StatusState;

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
