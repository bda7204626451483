//! What a label starts, what it does not, and what people see of a run that waits.

use portcullis::domain::ids::RunId;
use portcullis::domain::status::{CommitStatus, Report};
use portcullis_github::{PrSpec, StatusState};

use crate::support::databases::{on_both_databases, sqlite};
use crate::support::gate::{Gate, LABEL, ONE_SUITE, POLICY, TWO_SUITES, WAITING, policy};

/// A handful of seconds, on a machine that does much else as well.
const SECONDS: f64 = 20.0;

on_both_databases! {
    async fn a_label_announces_every_suite_and_what_it_waits_for(database: Database) {
        let gate = Gate::on(database, &[(POLICY, TWO_SUITES)]).await;
        let pr = gate.open_pr("feature");
        let answers = pr.label(LABEL, "alice").answered().await;
        assert_eq!(answers.iter().map(|answer| answer.status()).collect::<Vec<_>>(), [202]);
        gate.announced(&pr.head_sha()).await;

        let told = gate.github.statuses(&pr.head_sha());
        let labelled = gate.github.deliveries().pop().unwrap().at;
        let after = told[0].created_at.duration_since(labelled).as_secs_f64();
        assert!(after < SECONDS, "the first status came after {after} s");
        assert_eq!(gate.github.writes(), told.len(), "nothing but these statuses was written");
        for suite in ["portcullis/smoke", "portcullis/statefulset"] {
            let words: Vec<_> = told.iter().filter(|status| status.context == suite).map(|s| &s.description).collect();
            assert!(words.len() <= 3 && words.windows(2).all(|pair| pair[0] != pair[1]), "{suite}: {words:?}");
        }
    }
}

#[tokio::test]
async fn a_run_that_waits_has_a_page_and_readiness_names_what_is_missing() {
    let gate = Gate::with_policy(ONE_SUITE).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;

    let links: Vec<_> =
        gate.github.statuses(&pr.head_sha()).into_iter().map(|status| status.target_url.unwrap()).collect();
    for link in &links {
        assert_eq!(gate.get(&format!("/{}", link.splitn(4, '/').nth(3).unwrap())).await.status, 200, "{link}");
    }
    let path = links.last().unwrap().splitn(4, '/').nth(3).unwrap();
    let page = gate.get(&format!("/{path}")).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
    assert!(page.body.contains(&format!("#{}", pr.number())) && page.body.contains(WAITING), "{}", page.body);

    let ready = gate.get("/readyz").await;
    assert_eq!((ready.status, gate.get("/healthz").await.status), (503, 200));
    assert!(ready.body.contains("Docker is not reachable"), "{}", ready.body);
}

#[tokio::test]
async fn what_people_read_on_github_holds_no_path_of_the_server() {
    let gate = Gate::with_policy(ONE_SUITE).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    for status in gate.github.statuses(&pr.head_sha()) {
        assert!(!status.description.as_deref().unwrap_or_default().contains("/nonexistent"), "{status:?}");
    }
}

/// What was said last was said at a time that is still to come.
#[tokio::test]
async fn a_clock_that_went_back_silences_no_run() {
    let mut gate = Gate::with_policy(ONE_SUITE).await;
    let pr = gate.open_pr("feature");
    gate.settled().await;
    gate.kill().await;
    let later = gate.github.now().saturating_add(jiff::SignedDuration::from_hours(1)).unwrap();
    let said = CommitStatus {
        repo: "acme/infra".parse().unwrap(),
        sha: pr.head_sha().parse().unwrap(),
        context: "portcullis/smoke".into(),
        state: portcullis::domain::status::StatusState::Error,
        description: "said in an hour".into(),
        target_url: String::new(),
        report: Report::Statuses,
    };
    gate.store().desire(RunId::new(later), &[said]).await.unwrap();
    gate.start_again().await;
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
}

#[tokio::test]
async fn a_label_from_somebody_without_write_permission_starts_nothing() {
    let gate = Gate::start().await;
    for (branch, login) in [("one", "mallory"), ("two", "trent")] {
        let pr = gate.open_pr(branch);
        assert_eq!(pr.label(LABEL, login).answered().await[0].status(), 202);
        gate.started_nothing(&pr.head_sha()).await;
    }
}

#[tokio::test]
async fn the_author_counts_for_nothing_when_somebody_else_labels_at_once() {
    let gate = Gate::start().await;
    // Both deliveries are on their way before either is acted upon: `opened` by alice must not use mallory's label.
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "mallory");
    gate.started_nothing(&pr.head_sha()).await;
    pr.unlabel(LABEL, "mallory");
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
}

#[tokio::test]
async fn a_foreign_label_starts_nothing() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    pr.label("documentation", "alice");
    gate.started_nothing(&pr.head_sha()).await;
}

#[tokio::test]
async fn a_repository_without_a_policy_is_left_alone() {
    let gate = Gate::on(sqlite().await, &[("README.md", "no gate here\n")]).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.started_nothing(&pr.head_sha()).await;
}

#[tokio::test]
async fn a_change_cannot_bring_its_own_policy() {
    let gate = Gate::start().await;
    let files = policy("version: 1\ncluster: {nodes: 2}\nsuites:\n  conformance:\n");
    let pr = gate.repo.open_pr(PrSpec { files, ..PrSpec::default() });
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
}
