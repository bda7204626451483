//! Limits and faults: what GitHub does when it does not do as asked.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use portcullis_github::{Fault, Match};
use serde_json::json;

use crate::support::scene;

#[tokio::test]
async fn every_answer_tells_the_limit_and_unchanged_ones_are_free() {
    let scene = scene().await;
    let first = scene.http.get("/repos/acme/infra").await;
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("5000", "4999"));
    assert!(!first.header("x-github-request-id").is_empty());
    let again = scene.http.clone().with("if-none-match", first.header("etag")).get("/repos/acme/infra").await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(again.header("x-ratelimit-remaining"), "4999");
    let rate = scene.http.get("/rate_limit").await.expect(200);
    assert_eq!(rate["resources"]["core"]["remaining"], 4_999);
}

#[tokio::test]
async fn the_primary_limit_is_kept_and_lifted_after_an_hour() {
    let scene = scene().await;
    scene.github.limit_requests(2);
    scene.http.get("/repos/acme/infra").await.expect(200);
    scene.http.get("/repos/acme/infra").await.expect(200);
    let over = scene.http.get("/repos/acme/infra").await;
    over.expect(403);
    assert_eq!(over.header("x-ratelimit-remaining"), "0");
    scene.github.skip_time(Duration::from_secs(3_601));
    scene.http.get("/repos/acme/infra").await.expect(200);
}

#[tokio::test]
async fn ordered_faults_hit_what_they_match_and_nothing_else() {
    let scene = scene().await;
    let statuses = format!("/repos/acme/infra/statuses/{}", scene.pr.head_sha());
    let body = || Bytes::from(json!({ "state": "success" }).to_string());
    let at_statuses = || Match::post("/repos/*/statuses/*");
    scene.github.fail_next(at_statuses(), 1, Fault::Status(502));
    scene.github.fail_next(at_statuses(), 1, Fault::Disconnect);
    scene.github.fail_next(
        at_statuses(),
        1,
        Fault::SecondaryLimit { status: 403, retry_after: Duration::from_secs(60) },
    );
    scene.github.fail_next(at_statuses(), 1, Fault::PrimaryLimit { status: 429, reset_in: Duration::from_secs(9) });
    scene.http.get("/repos/acme/infra").await.expect(200);
    let post = async || scene.http.try_send(Method::POST, &statuses, body()).await;
    post().await.unwrap().expect(502);
    post().await.unwrap_err();
    let secondary = post().await.unwrap();
    assert_eq!((secondary.status.as_u16(), secondary.header("retry-after")), (403, "60"));
    let primary = post().await.unwrap();
    assert_eq!((primary.status.as_u16(), primary.header("x-ratelimit-remaining")), (429, "0"));
    assert!(scene.github.statuses(&scene.pr.head_sha()).is_empty());
    post().await.unwrap().expect(201);
    assert_eq!(scene.github.requests().iter().filter(|request| request.is_write()).count(), 5);
}

#[tokio::test]
async fn a_lost_answer_was_carried_out_and_a_cut_body_breaks_off() {
    let scene = scene().await;
    let sha = scene.pr.head_sha();
    scene.github.fail_next(Match::post("/repos/*"), 1, Fault::LoseAnswer);
    let body = Bytes::from(json!({ "state": "success" }).to_string());
    scene.http.try_send(Method::POST, &format!("/repos/acme/infra/statuses/{sha}"), body).await.unwrap_err();
    assert_eq!(scene.github.statuses(&sha).len(), 1);
    scene.github.fail_next(Match::get("/_codeload/*"), 1, Fault::Truncate(20));
    let location = scene.http.get("/repos/acme/infra/tarball/main").await.header("location").to_owned();
    scene.http.try_send(Method::GET, &location, Bytes::new()).await.unwrap_err();
    scene.http.get(&location).await;
}

#[tokio::test]
async fn a_request_that_hangs_is_never_answered() {
    let scene = scene().await;
    scene.github.fail_next(Match::any(), 1, Fault::Hang);
    let arrived = scene.github.until(|github| github.requests().last().cloned());
    tokio::select! {
        answer = scene.http.get("/repos/acme/infra") => panic!("{answer:?}"),
        request = arrived => assert_eq!(request.status, None),
    }
    scene.http.get("/repos/acme/infra").await.expect(200);
}
