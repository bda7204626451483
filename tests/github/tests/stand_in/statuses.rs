//! Commit statuses: what is taken, what is refused, what is kept.

use portcullis_github::StatusState;
use serde_json::json;

use crate::support::{Http, scene};

fn path(sha: &str) -> String {
    format!("/repos/acme/infra/statuses/{sha}")
}

#[tokio::test]
async fn a_status_is_kept_in_order_and_listed_newest_first() {
    let scene = scene().await;
    let sha = scene.pr.head_sha();
    for state in ["pending", "success"] {
        let body = json!({ "state": state, "context": "portcullis/smoke", "description": state, "target_url": "http://127.0.0.1/runs/1" });
        let answer = scene.http.post(&path(&sha), body).await.expect(201);
        assert_eq!((&answer["state"], &answer["creator"]["login"]), (&json!(state), &json!("gate-bot")));
    }
    let history: Vec<StatusState> = scene.github.statuses(&sha).iter().map(|status| status.state).collect();
    assert_eq!(history, [StatusState::Pending, StatusState::Success]);
    assert_eq!(scene.github.status(&sha, "PORTCULLIS/smoke").unwrap().state, StatusState::Success);
    let list = scene.http.get(&format!("/repos/acme/infra/commits/{sha}/statuses")).await.expect(200);
    assert_eq!(list[0]["state"], "success");
    let combined = scene.http.get("/repos/acme/infra/commits/feature/status").await.expect(200);
    assert_eq!((&combined["state"], &combined["total_count"]), (&json!("success"), &json!(1)));
}

#[tokio::test]
async fn what_github_refuses_is_refused_in_its_words() {
    let scene = scene().await;
    let sha = scene.pr.head_sha();
    let cases = [
        (
            json!({ "state": "pending", "description": "ä".repeat(141) }),
            "description",
            "description is too long (maximum is 140 characters)",
        ),
        (
            json!({ "state": "success", "target_url": "ftp://127.0.0.1/x" }),
            "target_url",
            "target_url must use http(s) scheme",
        ),
    ];
    for (body, field, message) in cases {
        let answer = scene.http.post(&path(&sha), body).await.expect(422);
        assert_eq!(answer["message"], "Validation Failed");
        assert_eq!(
            answer["errors"][0],
            json!({ "resource": "Status", "code": "custom", "field": field, "message": message })
        );
    }
    let answer = scene.http.post(&path(&sha), json!({ "state": "running" })).await.expect(422);
    assert_eq!((&answer["errors"][0]["field"], &answer["errors"][0]["code"]), (&json!("state"), &json!("invalid")));
    let answer = scene.http.post(&path(&sha), json!({})).await.expect(422);
    assert_eq!(
        (&answer["errors"][0]["field"], &answer["errors"][0]["code"]),
        (&json!("state"), &json!("missing_field"))
    );
    let unknown = "0123456789012345678901234567890123456789";
    let answer = scene.http.post(&path(unknown), json!({ "state": "success" })).await.expect(422);
    assert_eq!(answer["message"], format!("No commit found for SHA: {unknown}"));
    scene.http.post("/repos/acme/nothing/statuses/abc", json!({ "state": "success" })).await.expect(404);
    assert!(scene.github.statuses(&sha).is_empty());
    let longest = json!({ "state": "pending", "description": "ä".repeat(140) });
    scene.http.post(&path(&sha), longest).await.expect(201);
}

#[tokio::test]
async fn the_thousand_and_first_status_of_a_context_is_refused() {
    let scene = scene().await;
    let sha = scene.pr.head_sha();
    for _ in 0..1_000 {
        let answer = scene.http.post(&path(&sha), json!({ "state": "pending", "context": "a" })).await;
        assert_eq!(answer.status, 201);
    }
    let answer = scene.http.post(&path(&sha), json!({ "state": "success", "context": "A" })).await.expect(422);
    assert_eq!(answer["errors"][0]["message"], "This SHA and context has reached the maximum number of statuses.");
    scene.http.post(&path(&sha), json!({ "state": "success", "context": "b" })).await.expect(201);
}

#[tokio::test]
async fn only_those_who_may_write_post_statuses() {
    let scene = scene().await;
    let sha = scene.pr.head_sha();
    let body = json!({ "state": "success" });
    Http::new(scene.github.url(), None).post(&path(&sha), body.clone()).await.expect(401);
    Http::new(scene.github.url(), Some("ghp_unknown")).post(&path(&sha), body.clone()).await.expect(401);
    let reader = scene.github.token("mallory");
    Http::new(scene.github.url(), Some(&reader)).post(&path(&sha), body.clone()).await.expect(403);
    let narrow = scene.github.user("gate-bot").token_with(&[("statuses", portcullis_github::Level::Read)]);
    Http::new(scene.github.url(), Some(&narrow)).post(&path(&sha), body.clone()).await.expect(403);
    scene.repo.make_private();
    Http::new(scene.github.url(), Some(&reader)).post(&path(&sha), body).await.expect(404);
}

#[tokio::test]
async fn octocrab_posts_statuses() {
    let scene = scene().await;
    let sha = scene.pr.head_sha();
    let octocrab = scene.octocrab();
    let repos = octocrab.repos("acme", "infra");
    let status = repos
        .create_status(sha.clone(), octocrab::models::StatusState::Failure)
        .context("portcullis/smoke".to_owned())
        .target("http://127.0.0.1/runs/1".to_owned())
        .description("1 failed".to_owned())
        .send()
        .await
        .unwrap();
    assert_eq!(status.context.as_deref(), Some("portcullis/smoke"));
    assert_eq!(scene.github.status(&sha, "portcullis/smoke").unwrap().state, StatusState::Failure);
}
