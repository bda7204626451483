//! Webhooks that come twice, at once, forged, broken or of kinds nobody knows.

use jiff::SignedDuration;
use portcullis::store::NewDelivery;
use portcullis_github::{Deliveries, Fault, Match, PrSpec, RawDelivery};

use crate::support::engine::now;
use crate::support::gate::{Gate, LABEL, SECRET};
use crate::support::values::labelled;

async fn status(sent: Deliveries) -> u16 {
    sent.answered().await[0].status()
}

/// GitHub's number of the last delivery.
fn last(gate: &Gate) -> u64 {
    gate.github.deliveries().pop().unwrap().id
}

#[tokio::test]
async fn a_delivery_sent_again_starts_nothing_again() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    assert_eq!(status(pr.label(LABEL, "alice")).await, 202);
    gate.announced(&pr.head_sha()).await;
    let writes = gate.github.writes();
    assert_eq!(status(gate.github.redeliver(last(&gate))).await, 200);
    gate.handled().await;
    assert_eq!((gate.runs().await.len(), gate.github.writes()), (1, writes));
}

#[tokio::test]
async fn opened_and_labelled_at_once_is_one_run() {
    let gate = Gate::start().await;
    let pr = gate.repo.open_pr(PrSpec { labels: vec![LABEL.into()], ..PrSpec::default() });
    gate.announced(&pr.head_sha()).await;
    gate.handled().await;
    assert_eq!(gate.runs().await.len(), 1);
}

#[tokio::test]
async fn a_forged_delivery_is_refused_and_not_stored() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    gate.hook.change_secret("guessed");
    assert_eq!(status(pr.label(LABEL, "alice")).await, 401);
    gate.started_nothing(&pr.head_sha()).await;

    // The same GUID is news to the service: it kept nothing of the forgery.
    gate.hook.change_secret(SECRET);
    assert_eq!(status(gate.github.redeliver(last(&gate))).await, 202);
    gate.announced(&pr.head_sha()).await;
}

#[tokio::test]
async fn unknown_events_are_stored_and_ignored() {
    let gate = Gate::start().await;
    let weather = RawDelivery::new("weather", r#"{"action":"clouded","sky":["grey"]}"#);
    assert_eq!(status(gate.hook.deliver_raw(weather.clone())).await, 202);
    assert_eq!(status(gate.hook.deliver_raw(weather)).await, 200, "it was stored");
    gate.handled().await;
    assert_eq!((gate.runs().await.len(), gate.github.writes()), (0, 0));
}

#[tokio::test]
async fn payloads_that_make_no_sense_do_not_stop_those_that_do() {
    let gate = Gate::start().await;
    assert_eq!(status(gate.hook.deliver_raw(RawDelivery::new("pull_request", "{ not json"))).await, 400);
    for body in [r#"{"action":"labeled"}"#, r#"{"action":"labeled","number":-1,"pull_request":[]}"#, "{}"] {
        assert_eq!(status(gate.hook.deliver_raw(RawDelivery::new("pull_request", body))).await, 202);
    }
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
    gate.handled().await;
    assert_eq!(gate.runs().await.len(), 1);
}

#[tokio::test]
async fn a_repository_that_we_are_not_let_into_keeps_no_other_waiting() {
    let gate = Gate::start().await;
    gate.github.fail_next(Match::path("/repos/globex/*"), 100_000, Fault::Status(403));
    let hopeless = |number: u64| NewDelivery {
        guid: format!("hopeless-{number}"),
        event: "pull_request".into(),
        body: labelled("globex/shop", number).into(),
        received_at: now(),
        settled: None,
    };
    for first in (0..3000).step_by(500) {
        let batch: Vec<NewDelivery> = (first..first + 500).map(hopeless).collect();
        gate.store().accept(&batch).await.unwrap();
    }
    gate.eventually("more of them wait than are kept in mind", async || {
        let refused = gate.github.requests().iter().filter(|request| request.status == Some(403)).count();
        refused >= 2000
    })
    .await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
}

#[tokio::test]
async fn deliveries_past_their_time_go_as_fast_as_they_come() {
    let mut gate = Gate::start().await;
    gate.kill().await;
    let received_at = now().saturating_sub(SignedDuration::from_hours(8 * 24)).unwrap();
    let guids: Vec<String> = (0..4500).map(|number| format!("old-{number}")).collect();
    let old = |guid: &String| NewDelivery {
        guid: guid.clone(),
        event: "pull_request".into(),
        body: "{}".into(),
        received_at,
        settled: Some("ignored"),
    };
    for some in guids.chunks(500) {
        gate.store().accept(&some.iter().map(old).collect::<Vec<_>>()).await.unwrap();
    }
    gate.start_again().await;
    gate.eventually("all of them are forgotten", async || {
        gate.store().never_stored(&guids).await.unwrap().len() == guids.len()
    })
    .await;
}
