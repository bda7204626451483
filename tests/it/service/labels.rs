//! A label that we take off while somebody who may puts it on again: whoever comes last is heard, and no run is lost.

use portcullis_github::{Fault, Match, PrSpec, Pull};

use crate::support::gate::{Gate, LABEL};

fn removals() -> Match {
    Match::delete("/repos/acme/infra/issues/*/labels/*")
}

/// A pull request that mallory labels; our taking it off goes wrong as ordered.
async fn labelled_by_mallory(gate: &Gate) -> Pull {
    let pr = gate.repo.open_pr(PrSpec { author: "mallory".into(), ..PrSpec::default() });
    gate.handled().await;
    drop(pr.label(LABEL, "mallory"));
    pr
}

/// The next second: GitHub's clock tells no less.
async fn a_second_later(gate: &Gate) {
    let from = gate.github.now();
    gate.eventually("a second has passed", async || gate.github.now().duration_since(from).as_secs_f64() > 1.1).await;
}

#[tokio::test]
async fn taking_it_off_late_spares_the_label_that_was_put_on_since() {
    let gate = Gate::start().await;
    // GitHub takes ours off, and we do not hear of it: it is tried again for some seconds.
    gate.github.fail_next(removals(), 1, Fault::LoseAnswer);
    gate.github.fail_next(removals(), 2, Fault::Status(502));
    let pr = labelled_by_mallory(&gate).await;
    gate.until("the label is taken off", |_| pr.labels().is_empty().then_some(())).await;
    a_second_later(&gate).await;
    drop(pr.label(LABEL, "alice"));
    gate.announced(&pr.head_sha()).await;
    gate.settled().await;
    assert_eq!(pr.labels(), [LABEL]);
    assert_eq!((gate.runs().await.len(), gate.runs().await[0]["state"].as_str()), (1, Some("queued")));
}

#[tokio::test]
async fn mallorys_own_label_is_taken_off_however_often_it_goes_wrong() {
    let gate = Gate::start().await;
    gate.github.fail_next(removals(), 2, Fault::Status(502));
    let pr = labelled_by_mallory(&gate).await;
    gate.until("the label is taken off", |_| pr.labels().is_empty().then_some(())).await;
    gate.started_nothing(&pr.head_sha()).await;
}

/// The webhook of a removal comes after that of the label which was put on later.
#[tokio::test]
async fn an_old_removal_does_not_cancel_what_a_newer_label_started() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    drop(pr.label(LABEL, "alice"));
    gate.announced(&pr.head_sha()).await;
    drop(pr.unlabel(LABEL, "alice"));
    gate.settled().await;
    let old = gate.github.deliveries().into_iter().rfind(|delivery| delivery.action.as_deref() == Some("unlabeled"));
    let body = old.unwrap().payload;
    a_second_later(&gate).await;
    drop(pr.label(LABEL, "alice"));
    gate.announced(&pr.head_sha()).await;
    drop(gate.hook.deliver_raw(portcullis_github::RawDelivery::new("pull_request", body)));
    gate.settled().await;
    assert_eq!(gate.runs().await[0]["state"], "queued");
    drop(pr.unlabel(LABEL, "alice"));
    gate.settled().await;
    assert_eq!(gate.runs().await[0]["state"], "finished", "the newer removal counts");
}

#[tokio::test]
async fn a_base_that_moves_runs_every_labelled_pull_request_again_however_many_there_are() {
    let policy = "version: 1\nannounce: false\non_base_move: rerun_before_merge\nsuites:\n  smoke:\n  statefulset:\n";
    let gate = Gate::with_policy(policy).await;
    let oldest = gate.open_pr("the-first-of-many");
    drop(oldest.label(LABEL, "alice"));
    gate.announced(&oldest.head_sha()).await;
    for n in 0..110 {
        drop(gate.open_pr(&format!("another-{n}")));
    }
    gate.handled().await;
    let (_, sent) = gate.repo.push("main", [("elsewhere.txt", "moved\n")], "alice");
    drop(sent);
    gate.handled().await;
    let runs = gate.runs().await;
    assert_eq!((runs.len(), runs[0]["trigger"].as_str()), (2, Some("base")), "{runs:#?}");
}
