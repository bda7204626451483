//! Webhooks: signatures, shapes, the record of deliveries.

use http::StatusCode;
use portcullis_github::{Outcome, PrSpec, RawDelivery, signature_sha256};
use serde_json::{Value, json};

use crate::support::{receiver, scene};

#[tokio::test]
async fn a_label_arrives_signed_and_in_githubs_shape() {
    let scene = scene().await;
    let receiver = receiver(StatusCode::ACCEPTED).await;
    let hook = scene.github.webhook("acme/infra", &receiver.url, "größtes Geheimnis");
    let answers = scene.pr.label("ready-to-test", "alice").answered().await;
    assert_eq!((answers.len(), answers[0].status()), (1, 202));
    scene.github.deliveries_settled().await;
    let got = receiver.got.lock().unwrap().clone();
    assert_eq!(got[0].0["x-github-event"], "ping");
    let (headers, body) = &got[1];
    assert_eq!(headers["x-github-event"], "pull_request");
    assert_eq!(headers["x-hub-signature-256"], signature_sha256("größtes Geheimnis", body));
    assert_eq!(headers["x-github-hook-id"], hook.id().to_string());
    assert_eq!(headers["x-github-delivery"].to_str().unwrap(), answers[0].guid);
    assert!(headers["user-agent"].to_str().unwrap().starts_with("GitHub-Hookshot/"));
    let payload: Value = serde_json::from_slice(body).unwrap();
    assert_eq!((&payload["action"], &payload["number"]), (&json!("labeled"), &json!(1)));
    assert_eq!(payload["label"]["name"], "ready-to-test");
    assert_eq!(payload["pull_request"]["head"]["sha"], scene.pr.head_sha());
    assert_eq!(payload["pull_request"]["labels"][0]["name"], "ready-to-test");
    assert_eq!(
        (&payload["repository"]["full_name"], &payload["sender"]["login"]),
        (&json!("acme/infra"), &json!("alice"))
    );
    assert_eq!(payload["organization"]["login"], "acme");
    // The field is GitHub's own, from the example: nothing here knows of it.
    assert!(payload["repository"].get("custom_properties").is_some());
}

#[tokio::test]
async fn no_payload_speaks_of_the_examples_world() {
    let scene = scene().await;
    let receiver = receiver(StatusCode::OK).await;
    scene.github.webhook("acme/infra", &receiver.url, "s").subscribe(&["*"]);
    let (pr, repo) = (&scene.pr, &scene.repo);
    repo.commit("main", [("a", "1")]);
    drop(pr.label("x", "alice"));
    drop(pr.unlabel("x", "alice"));
    drop(pr.push([("b", "1")], "alice"));
    drop(pr.convert_to_draft("alice"));
    drop(pr.ready_for_review("alice"));
    drop(pr.retitle("Another title", "alice"));
    drop(pr.close("alice"));
    drop(pr.reopen("alice"));
    let (comment, _) = pr.comment("alice", "/test");
    drop(pr.edit_comment(comment, "alice", "/retest"));
    drop(pr.delete_comment(comment, "alice"));
    drop(pr.enqueue().unwrap());
    drop(pr.dequeue("dequeued"));
    scene
        .http
        .post(&format!("/repos/acme/infra/statuses/{}", pr.head_sha()), json!({ "state": "success" }))
        .await
        .expect(201);
    drop(repo.open_pr(PrSpec { head_branch: "second".to_owned(), ..PrSpec::default() }));
    scene.github.deliveries_settled().await;
    let deliveries = scene.github.deliveries();
    for delivery in &deliveries {
        let text = String::from_utf8_lossy(&delivery.payload).to_lowercase();
        for name in ["codertocat", "octocoders", "octocat", "octo-org", "hello-world", "api.github.com"] {
            assert!(!text.contains(name), "{} {:?} speaks of {name}: {text}", delivery.event, delivery.action);
        }
    }
    let told: Vec<String> = deliveries
        .iter()
        .map(|delivery| match &delivery.action {
            Some(action) => format!("{}.{action}", delivery.event),
            None => delivery.event.clone(),
        })
        .collect();
    assert_eq!(
        told,
        [
            "ping",
            "push",
            "pull_request.labeled",
            "pull_request.unlabeled",
            "push",
            "pull_request.synchronize",
            "pull_request.converted_to_draft",
            "pull_request.ready_for_review",
            "pull_request.edited",
            "pull_request.closed",
            "pull_request.reopened",
            "issue_comment.created",
            "issue_comment.edited",
            "issue_comment.deleted",
            "merge_group.checks_requested",
            "merge_group.destroyed",
            "status",
            "push",
            "pull_request.opened",
        ]
    );
    let synchronize = deliveries[5].json();
    assert_eq!(synchronize["after"], pr.head_sha());
    assert_ne!(synchronize["before"], synchronize["after"]);
}

#[tokio::test]
async fn octocrab_reads_the_payloads() {
    let scene = scene().await;
    let receiver = receiver(StatusCode::OK).await;
    scene.github.webhook("acme/infra", &receiver.url, "s");
    drop(scene.pr.label("ready-to-test", "alice"));
    drop(scene.pr.push([("b", "1")], "alice"));
    drop(scene.pr.comment("alice", "/test"));
    scene.github.deliveries_settled().await;
    for delivery in scene.github.deliveries() {
        octocrab::models::webhook_events::WebhookEvent::try_from_header_and_body(&delivery.event, &delivery.payload)
            .unwrap_or_else(|error| panic!("{} {:?}: {error}", delivery.event, delivery.action));
    }
}

#[tokio::test]
async fn failed_deliveries_are_on_record_and_can_be_sent_again() {
    let scene = scene().await;
    scene.github.user("boss").permission("acme/infra", portcullis_github::Permission::Admin);
    let admin = crate::support::Http::new(scene.github.url(), Some(&scene.github.token("boss")));
    let receiver = receiver(StatusCode::ACCEPTED).await;
    let hook = scene.github.webhook("acme/infra", &receiver.url, "s");
    scene.github.deliveries_settled().await;
    scene.github.drop_deliveries(1);
    let lost = scene.pr.label("ready-to-test", "alice").answered().await;
    assert_eq!(lost[0].outcome, Outcome::Lost);
    assert_eq!(receiver.got.lock().unwrap().len(), 1, "only the ping arrived");
    let list = format!("/repos/acme/infra/hooks/{}/deliveries", hook.id());
    let failed = admin.get(&format!("{list}?status=failure")).await.expect(200);
    assert_eq!((&failed[0]["guid"], &failed[0]["status_code"]), (&json!(lost[0].guid), &json!(502)));
    let one = format!("{list}/{}", failed[0]["id"]);
    assert_eq!(admin.get(&one).await.expect(200)["request"]["payload"]["action"], "labeled");
    admin.post(&format!("{one}/attempts"), Value::Null).await.expect(202);
    scene.github.deliveries_settled().await;
    let got = receiver.got.lock().unwrap().clone();
    assert_eq!(got[1].0["x-github-delivery"].to_str().unwrap(), lost[0].guid);
    let listed = admin.get(&format!("{list}?per_page=2")).await;
    assert_eq!(listed.expect(200)[0]["redelivery"], true);
    assert!(listed.header("link").contains("cursor="));
    scene.http.get(&list).await.expect(403);
}

#[tokio::test]
async fn a_receiver_that_is_away_does_not_stop_the_stand_in() {
    let scene = scene().await;
    scene.github.webhook("acme/infra", "http://127.0.0.1:1/", "s");
    let answers = scene.pr.label("x", "alice").answered().await;
    assert!(matches!(answers[0].outcome, Outcome::Unreachable(_)), "{answers:?}");
}

#[tokio::test]
async fn any_bytes_can_be_delivered_under_any_guid() {
    let scene = scene().await;
    let receiver = receiver(StatusCode::BAD_REQUEST).await;
    let hook = scene.github.webhook("acme/infra", &receiver.url, "s");
    let raw = RawDelivery::new("weather", "{ not json").guid("72d3162e-cc78-11e3-81ab-4c9367dc0958");
    let answers = hook.deliver_raw(raw).answered().await;
    assert_eq!((answers[0].status(), answers[0].guid.as_str()), (400, "72d3162e-cc78-11e3-81ab-4c9367dc0958"));
    let got = receiver.got.lock().unwrap();
    assert_eq!(got.last().unwrap().0["x-hub-signature-256"], signature_sha256("s", b"{ not json"));
}
