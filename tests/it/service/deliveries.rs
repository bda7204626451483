//! Webhooks that come twice, at once, forged, broken or of kinds nobody knows.

use portcullis_github::{Deliveries, PrSpec, RawDelivery};

use crate::support::gate::{Gate, LABEL, SECRET};

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
