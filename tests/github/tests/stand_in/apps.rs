//! GitHub Apps: signed tokens, installation tokens, what they open and when they end.

use portcullis_github::AppSpec;
use serde_json::json;

use crate::support::{Http, scene};

#[tokio::test]
async fn octocrab_gets_an_installation_token_and_works_with_it() {
    let scene = scene().await;
    let app = scene.github.register_app(AppSpec::default()).unwrap();
    let installation = scene.github.install_app("acme", &[]);
    let key = octocrab::models::AppId(app.app_id);
    let pem = jsonwebtoken::EncodingKey::from_rsa_pem(app.private_key_pem.as_bytes()).unwrap();
    let octocrab = octocrab::Octocrab::builder().base_uri(scene.github.url()).unwrap().app(key, pem).build().unwrap();
    let found = octocrab.apps().get_repository_installation("acme", "infra").await.unwrap();
    assert_eq!(found.id.0, installation);
    let inside = octocrab.installation(found.id).unwrap();
    let sha = scene.pr.head_sha();
    let status = inside
        .repos("acme", "infra")
        .create_status(sha.clone(), octocrab::models::StatusState::Pending)
        .context("portcullis/smoke".to_owned())
        .send()
        .await
        .unwrap();
    assert_eq!(status.creator.unwrap().login, "portcullis[bot]");
    assert_eq!(scene.github.statuses(&sha).len(), 1);
}

#[tokio::test]
async fn wrong_keys_wrong_times_and_plain_users_are_refused() {
    let scene = scene().await;
    let app = scene.github.register_app(AppSpec::default()).unwrap();
    let other = scene.github.register_app(AppSpec::default()).unwrap();
    let jwt = |key: &str, issuer: u64, from: i64, to: i64| {
        let now = scene.github.now().as_second();
        let claims = json!({ "iss": issuer, "iat": now + from, "exp": now + to });
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
        jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), &claims, &key).unwrap()
    };
    let ask = async |token: String| Http::new(scene.github.url(), Some(&token)).get("/app").await.status.as_u16();
    let key = &other.private_key_pem;
    assert_eq!(ask(jwt(key, other.app_id, -60, 540)).await, 200);
    assert_eq!(ask(jwt(&app.private_key_pem, other.app_id, -60, 540)).await, 401);
    assert_eq!(ask(jwt(key, app.app_id, -60, 540)).await, 401);
    assert_eq!(ask(jwt(key, other.app_id, -600, -1)).await, 401);
    assert_eq!(ask(jwt(key, other.app_id, -60, 3_600)).await, 401);
    assert_eq!(ask(scene.token.clone()).await, 401);
    assert_eq!(Http::new(scene.github.url(), None).get("/app").await.status, 401);
}

#[tokio::test]
async fn installation_tokens_are_narrow_and_expire() {
    let scene = scene().await;
    drop(scene.github.repo("acme/other"));
    let app = scene.github.register_app(AppSpec::default()).unwrap();
    let installation = scene.github.install_app("acme", &["acme/infra"]);
    let claims = json!({ "iss": app.app_id.to_string(), "iat": scene.github.now().as_second() - 60, "exp": scene.github.now().as_second() + 500 });
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(app.private_key_pem.as_bytes()).unwrap();
    let jwt = jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), &claims, &key).unwrap();
    let owner = Http::new(scene.github.url(), Some(&jwt));
    let path = format!("/app/installations/{installation}/access_tokens");
    owner.post(&path, json!({ "permissions": { "administration": "write" } })).await.expect(422);
    owner.post(&path, json!({ "repositories": ["other"] })).await.expect(422);
    let made = owner
        .post(&path, json!({ "repositories": ["infra"], "permissions": { "statuses": "read" } }))
        .await
        .expect(201);
    assert_eq!(
        (&made["permissions"], &made["repository_selection"]),
        (&json!({ "statuses": "read" }), &json!("selected"))
    );
    let narrow = Http::new(scene.github.url(), made["token"].as_str());
    let sha = scene.pr.head_sha();
    narrow.get(&format!("/repos/acme/infra/commits/{sha}/statuses")).await.expect(200);
    narrow.post(&format!("/repos/acme/infra/statuses/{sha}"), json!({ "state": "success" })).await.expect(403);
    narrow.get("/repos/acme/infra/contents/app").await.expect(403);
    let visible = narrow.get("/installation/repositories").await.expect(200);
    assert_eq!((&visible["total_count"], &visible["repositories"][0]["name"]), (&json!(1), &json!("infra")));
    scene.github.expire_installation_tokens();
    narrow.get(&format!("/repos/acme/infra/commits/{sha}/statuses")).await.expect(401);
}
