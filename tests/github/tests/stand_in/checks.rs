//! Check runs.

use http::StatusCode;
use portcullis_github::AppSpec;
use serde_json::json;

use crate::support::{Http, receiver, scene};

#[tokio::test]
async fn only_apps_write_check_runs_and_completion_needs_a_conclusion() {
    let scene = scene().await;
    let sha = scene.pr.head_sha();
    let path = "/repos/acme/infra/check-runs";
    let body = json!({ "name": "smoke", "head_sha": sha, "status": "in_progress" });
    scene.http.post(path, body.clone()).await.expect(403);
    let (app, token) = crate::checks::app_token(&scene.github).await;
    let receiver = receiver(StatusCode::ACCEPTED).await;
    scene.github.app_webhook(&receiver.url, "s");
    let run = app.post(path, body).await.expect(201);
    assert_eq!((&run["status"], &run["app"]["slug"]), (&json!("in_progress"), &json!("portcullis")));
    let own = format!("{path}/{}", run["id"]);
    let refused = app.patch(&own, json!({ "status": "completed" })).await.expect(422);
    assert_eq!(refused["errors"][0]["field"], "conclusion");
    let annotation =
        json!({ "path": "a.yaml", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "no" });
    let output = json!({ "title": "1 failed", "summary": "s", "annotations": [annotation] });
    let done = app.patch(&own, json!({ "conclusion": "failure", "output": output })).await.expect(200);
    assert_eq!((&done["status"], &done["output"]["annotations_count"]), (&json!("completed"), &json!(1)));
    app.get(&format!("{own}/annotations")).await.expect(200);
    let listed = app.get(&format!("/repos/acme/infra/commits/{sha}/check-runs")).await.expect(200);
    assert_eq!(listed["total_count"], 1);
    let suite = app.get(&format!("/repos/acme/infra/check-suites/{}", done["check_suite"]["id"])).await.expect(200);
    assert_eq!((&suite["status"], &suite["conclusion"]), (&json!("completed"), &json!("failure")));
    app.get(&format!("/repos/acme/infra/commits/{sha}/check-suites")).await.expect(200);
    scene.http.post(&format!("{own}/rerequest"), json!(null)).await.expect(201);
    scene.github.deliveries_settled().await;
    let rerequested = scene.github.deliveries().pop().unwrap();
    assert_eq!((rerequested.event.as_str(), rerequested.action.as_deref()), ("check_run", Some("rerequested")));
    assert_eq!(rerequested.json()["check_run"]["head_sha"], sha);
    assert!(rerequested.json()["installation"]["id"].is_u64(), "{token}");
}

/// A client with an installation token for `acme`.
pub(crate) async fn app_token(github: &portcullis_github::Github) -> (Http, String) {
    let app = github.register_app(AppSpec::default()).unwrap();
    let installation = github.install_app("acme", &[]);
    let now = github.now().as_second();
    let claims = json!({ "iss": app.app_id, "iat": now - 60, "exp": now + 500 });
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(app.private_key_pem.as_bytes()).unwrap();
    let jwt = jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), &claims, &key).unwrap();
    let path = format!("/app/installations/{installation}/access_tokens");
    let made = Http::new(github.url(), Some(&jwt)).post(&path, json!({})).await.expect(201);
    let token = made["token"].as_str().unwrap().to_owned();
    (Http::new(github.url(), Some(&token)), token)
}
