//! Check runs and the comment on the pull request: posted once, changed in place, whatever gets lost on the way.

use portcullis_github::{Check, Fault, Match, StatusState};

use crate::support::engine::{NOBODY, busybox, figure};
use crate::support::gate::{Gate, LABEL, ONE_SUITE, policy};

const CHECKS: &str = "version: 1\nreport: checks\ncomment: true\nsuites:\n  smoke:\n";

/// Waits until the commit's only check run looks so.
async fn shows(gate: &Gate, sha: &str, what: &str, looks: impl Fn(&Check) -> bool) -> Check {
    gate.until(what, |github| {
        let checks = github.checks(sha);
        assert!(checks.len() <= 1, "{checks:#?}");
        checks.into_iter().find(|check| looks(check))
    })
    .await
}

#[tokio::test]
async fn an_app_posts_one_check_run_and_changes_it() {
    let gate = Gate::as_app(CHECKS).await;
    // GitHub takes the first one, and we never hear of it.
    gate.github.fail_next(Match::post("*/check-runs"), 1, Fault::LoseAnswer);
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let sha = pr.head_sha();
    let waiting = shows(&gate, &sha, "it waits", |check| check.title.contains("Docker is not reachable")).await;
    assert_eq!((waiting.name.as_str(), waiting.status.as_str()), ("portcullis/smoke", "in_progress"));
    pr.unlabel(LABEL, "alice");
    let ended = shows(&gate, &sha, "it ends", |check| check.status == "completed").await;
    assert_eq!((ended.id, ended.conclusion.as_deref()), (waiting.id, Some("cancelled")));
    assert!(ended.title.starts_with("cancelled: the label was taken off") && ended.summary.contains("/runs/"));
    assert_eq!(gate.github.statuses(&sha), [], "either statuses or check runs");

    // The same commit again is another check run: what ended stays ended.
    pr.label(LABEL, "alice");
    gate.until("a second check run", |github| (github.checks(&sha).len() == 2).then_some(())).await;
}

#[tokio::test]
async fn a_token_cannot_post_check_runs_and_posts_statuses() {
    let gate = Gate::with_policy(CHECKS).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], portcullis_github::StatusState::Pending, "").await;
    assert_eq!(gate.github.checks(&pr.head_sha()), []);
}

/// Else a merge that needs both would wait for the first one for ever.
#[tokio::test]
async fn what_was_told_before_the_policy_changed_ends_too() {
    for (before, after) in [(ONE_SUITE, CHECKS), (CHECKS, ONE_SUITE)] {
        let gate = Gate::as_app(before).await;
        let pr = gate.open_pr("feature");
        let sha = pr.head_sha();
        gate.until("it waits for the label", |github| {
            (github.checks(&sha).len() + github.statuses(&sha).len() == 1).then_some(())
        })
        .await;
        gate.published().await;
        gate.repo.commit("main", policy(after));
        pr.label(LABEL, "alice");
        gate.until("it is told in both ways", |github| {
            (github.checks(&sha).len() == 1 && !github.statuses(&sha).is_empty()).then_some(())
        })
        .await;
        pr.unlabel(LABEL, "alice");
        shows(&gate, &sha, "the check run ends", |check| check.conclusion.as_deref() == Some("cancelled")).await;
        gate.shows(&sha, &["smoke"], StatusState::Error, "cancelled").await;
    }
}

#[tokio::test]
async fn one_comment_is_written_and_edited() {
    let gate = Gate::with_policy(CHECKS).await;
    gate.github.fail_next(Match::post("*/issues/*/comments"), 1, Fault::LoseAnswer);
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.until("the comment is there", |_| pr.comments().pop()).await;
    let first = pr.comments().remove(0);
    assert!(first.body.contains("Tests are running") && first.body.contains("`portcullis/smoke`"), "{}", first.body);
    pr.unlabel(LABEL, "alice");
    gate.until("it is edited", |_| pr.comments()[0].body.contains("cancelled: the label was taken off").then_some(()))
        .await;
    let all = pr.comments();
    assert_eq!((all.len(), all[0].id), (1, first.id));
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn a_run_costs_few_calls_and_says_what_failed() {
    busybox();
    let cases = "i=0; echo '<testsuite name=\"t\">'; while [ $i -lt 120 ]; do i=$((i+1)); \
                 echo \"<testcase name=\\\"spec $i\\\"><failure message=\\\"broke $i\\\"/></testcase>\"; done; echo '</testsuite>'";
    let gate = Gate::app_with_engine(&format!(
        "version: 1\nreport: checks\ncomment: true\nsuites:\n  red:\n    image: '{NOBODY}'\n    command: [/bin/sh, -c, '({}) > $RESULTS_DIR/junit.xml; exit 1']\n  green:\n    image: '{NOBODY}'\n    command: [/bin/sh, -c, 'echo \"<testsuite name=\\\"t\\\"><testcase name=\\\"a\\\"/></testsuite>\" > $RESULTS_DIR/junit.xml']\n",
        cases.replace('\'', "''"),
    ))
    .await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let sha = pr.head_sha();
    gate.until("both check runs end", |github| {
        (github.checks(&sha).iter().filter(|check| check.status == "completed").count() == 2).then_some(())
    })
    .await;
    let checks = gate.github.checks(&sha);
    let red = checks.iter().find(|check| check.name == "portcullis/red").unwrap();
    assert_eq!((red.conclusion.as_deref(), red.annotations), (Some("failure"), 120), "{red:?}");
    assert!(red.summary.contains("`spec 1`: `broke 1`"), "{}", red.summary);
    gate.until("the comment tells what failed", |_| {
        pr.comments().pop().filter(|comment| comment.body.contains("120 specs failed"))
    })
    .await;
    gate.published().await;
    let requests = gate.github.requests();
    let mut by_operation = std::collections::BTreeMap::<&str, usize>::new();
    for request in requests.iter().filter(|request| request.status != Some(304)) {
        *by_operation.entry(request.operation).or_default() += 1;
    }
    let writes = gate.github.writes();
    figure(&format!(
        "one run of two suites, as an App with check runs and a comment: {} calls, {writes} of them writes: {by_operation:?}",
        requests.len()
    ));
    let of_red =
        requests.iter().filter(|r| r.is_write() && String::from_utf8_lossy(&r.body).contains("portcullis/red")).count();
    assert!(of_red <= 12 + 2, "{of_red}");
    gate.over(&sha).await;
}

/// What a check run and the comment name is what the status counts: neither what is quarantined, nor less because running it again broke.
#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn a_check_run_names_the_specs_that_its_verdict_rests_on() {
    busybox();
    let bad = |name: &str| format!("<testcase name=\\\"{name}\\\"><failure message=\\\"no {name}\\\"/></testcase>");
    let good: String = (0..40).map(|n| format!("<testcase name=\\\"good {n}\\\"/>")).collect();
    let fails = |name: &str| {
        let cases = format!("{good}{}", bad(name));
        format!("echo '<testsuite name=\\\"t\\\">{cases}</testsuite>' > $RESULTS_DIR/junit.xml; exit 1")
    };
    let gate = Gate::app_with_engine(&format!(
        "version: 1
report: checks
comment: true
suites:
  red:
    image: '{NOBODY}'
    command: [/bin/sh, -c, \"{}\"]
    rerun: {{command: [/bin/sh, -c, 'kill -9 $$', '{{case}}']}}
  calm:
    image: '{NOBODY}'
    command: [/bin/sh, -c, \"{}\"]
skips:
- {{match: wobbly, action: quarantine, reason: known, owner: '@net', expires: 2027-01-30, suites: [calm]}}
",
        fails("broken"),
        fails("wobbly")
    ))
    .await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let sha = pr.head_sha();
    gate.over(&sha).await;
    let check = |name: &str| gate.github.checks(&sha).into_iter().find(|check| check.name == name).unwrap();
    let (red, calm) = (check("portcullis/red"), check("portcullis/calm"));
    assert_eq!((red.conclusion.as_deref(), red.annotations), (Some("failure"), 1), "{red:?}");
    assert!(red.title.starts_with("1 of 41 failed") && red.summary.contains("`broken`: `no broken`"), "{red:?}");
    assert_eq!((calm.conclusion.as_deref(), calm.annotations), (Some("success"), 0), "{calm:?}");
    assert!(!calm.summary.contains("wobbly"), "{}", calm.summary);
    let comment = pr.comments().remove(0).body;
    assert!(comment.contains("`no broken`") && !comment.contains("wobbly"), "{comment}");
}
