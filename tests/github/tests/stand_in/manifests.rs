//! Apps made from manifests: what is refused, and that a code is good once and for an hour.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Http, scene};

fn manifest() -> Value {
    json!({
        "name": "gate", "url": "https://gate.example", "redirect_url": "http://127.0.0.1:1/back?x=1",
        "hook_attributes": { "url": "https://gate.example/hook" },
        "default_permissions": { "issues": "read", "merge_queues": "read", "statuses": "write" },
        "default_events": ["issue_comment", "merge_group"],
    })
}

async fn post(http: &Http, path: &str, manifest: &Value) -> Answer {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("manifest", &manifest.to_string()).append_pair("state", "s");
    http.try_send(Method::POST, path, Bytes::from(form.finish())).await.unwrap()
}

/// The code that GitHub's redirect carries.
async fn code(http: &Http) -> String {
    let sent = post(http, "/organizations/acme/settings/apps", &manifest()).await;
    assert_eq!(sent.status, 302);
    let back = url::Url::parse(sent.header("location")).unwrap();
    let pairs: Vec<_> = back.query_pairs().into_owned().collect();
    assert_eq!((pairs[0].0.as_str(), &pairs[2]), ("x", &("state".to_owned(), "s".to_owned())));
    pairs[1].1.clone()
}

#[tokio::test]
async fn a_code_is_exchanged_once_for_an_app_that_works() {
    let scene = scene().await;
    let http = Http::new(scene.github.url(), None);
    let path = format!("/app-manifests/{}/conversions", code(&http).await);
    let app = http.post(&path, json!({})).await.expect(201);
    http.post(&path, json!({})).await.expect(404);
    assert_eq!((&app["slug"], &app["owner"]["login"]), (&json!("gate"), &json!("acme")));
    assert!(app["webhook_secret"].as_str().unwrap().len() > 20);
    assert!(app["pem"].as_str().unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(app["pem"].as_str().unwrap().as_bytes()).unwrap();
    let now = scene.github.now().as_second();
    let claims = json!({ "iss": app["id"], "iat": now - 60, "exp": now + 500 });
    let jwt = jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), &claims, &key).unwrap();
    let own = Http::new(scene.github.url(), Some(&jwt)).get("/app").await.expect(200);
    assert_eq!(own["permissions"], manifest()["default_permissions"]);
}

#[tokio::test]
async fn a_code_is_good_for_an_hour() {
    let scene = scene().await;
    let http = Http::new(scene.github.url(), None);
    let code = code(&http).await;
    scene.github.skip_time(Duration::from_secs(3_601));
    http.post(&format!("/app-manifests/{code}/conversions"), json!({})).await.expect(404);
}

#[tokio::test]
async fn manifests_are_refused_with_githubs_reasons() {
    let scene = scene().await;
    let http = Http::new(scene.github.url(), None);
    let shown = post(&http, "/settings/apps/new?state=s", &manifest()).await;
    assert!(shown.status == 200 && String::from_utf8_lossy(&shown.body).contains("Create GitHub App"));
    for (field, value, reason) in [
        ("url", json!("gate"), "url must be a valid URL"),
        ("redirect_url", Value::Null, "redirect_url must be a valid URL"),
        ("hook_attributes", json!({}), "hook_attributes.url must be"),
        ("name", json!("x".repeat(35)), "Name is too long"),
        ("default_permissions", json!({ "issues": "read", "moods": "read" }), "permissions are not valid"),
        ("default_permissions", json!({ "issues": "often" }), "permissions are not valid"),
        ("default_events", json!(["installation"]), "Default events unsupported: installation"),
        ("default_events", json!(["push"]), "Default events are not supported by permissions: push"),
        ("webhook", json!({}), "Unknown key: webhook"),
    ] {
        let mut broken = manifest();
        broken[field] = value;
        let answer = post(&http, "/settings/apps/new", &broken).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 422 && text.contains(reason), "{field}: {text}");
    }
}
