//! The published description: what is refused because of it, and that the stand-in keeps it too.

use http::Method;
use serde_json::json;

use crate::support::{Http, scene};

#[tokio::test]
async fn requests_that_break_the_description_are_refused() {
    let scene = scene().await;
    let statuses = format!("/repos/acme/infra/statuses/{}", scene.pr.head_sha());
    let malformed = scene.http.try_send(Method::POST, &statuses, "{".into()).await.unwrap();
    assert_eq!(malformed.expect(400)["message"], "Problems parsing JSON");
    let wrong = scene.http.post(&statuses, json!({ "state": "success", "description": 7 })).await.expect(422);
    assert_eq!(
        (&wrong["errors"][0]["resource"], &wrong["errors"][0]["field"]),
        (&json!("Status"), &json!("description"))
    );
    assert!(wrong["documentation_url"].as_str().unwrap().starts_with("https://docs.github.com/"));
    // `null` is allowed where GitHub says so.
    scene
        .http
        .post(&statuses, json!({ "state": "success", "description": null, "target_url": null }))
        .await
        .expect(201);
}

#[tokio::test]
async fn paths_beyond_github_or_beyond_the_stand_in_are_told_apart() {
    let scene = scene().await;
    scene.http.get("/nothing/here").await.expect(404);
    scene.http.delete("/repos/acme/infra/pulls/1").await.expect(404);
    let answer = scene.http.send(Method::PUT, "/repos/acme/infra/pulls/1/update-branch", json!({})).await.expect(501);
    assert_eq!(answer["message"], "the stand-in does not serve pulls/update-branch");
}

#[tokio::test]
async fn clients_introduce_themselves_and_speak_a_known_version() {
    let scene = scene().await;
    let silent = Http::new(scene.github.url(), Some(&scene.token)).with("user-agent", "");
    silent.get("/repos/acme/infra").await.expect(403);
    let version = |version| scene.http.clone().with("x-github-api-version", version);
    version("2022-11-28").get("/repos/acme/infra").await.expect(200);
    version("1999-01-01").get("/repos/acme/infra").await.expect(400);
}

#[tokio::test]
async fn private_repositories_do_not_exist_for_strangers() {
    let scene = scene().await;
    Http::new(scene.github.url(), None).get("/repos/acme/infra").await.expect(200);
    scene.repo.make_private();
    Http::new(scene.github.url(), None).get("/repos/acme/infra").await.expect(404);
    Http::new(scene.github.url(), Some(&scene.github.token("mallory"))).get("/repos/acme/infra").await.expect(404);
    scene.http.get("/repos/acme/infra").await.expect(200);
}

/// Every read the stand-in serves is answered by the description's rules: a breach would be a 500.
#[tokio::test]
async fn reads_keep_the_description() {
    let scene = scene().await;
    scene.github.team_member("acme", "platform", "alice");
    drop(scene.pr.label("ready-to-test", "alice"));
    drop(scene.pr.comment("alice", "hello"));
    let head = scene.pr.head_sha();
    let sha = head.as_str();
    scene.http.post(&format!("/repos/acme/infra/statuses/{sha}"), json!({ "state": "pending" })).await.expect(201);
    let paths = [
        "/repos/acme/infra",
        "/repos/acme/infra/pulls",
        "/repos/acme/infra/pulls/1",
        "/repos/acme/infra/pulls/1/files",
        "/repos/acme/infra/pulls/1/commits",
        "/repos/acme/infra/issues/1",
        "/repos/acme/infra/issues/1/labels",
        "/repos/acme/infra/issues/1/comments",
        "/repos/acme/infra/issues/comments",
        "/repos/acme/infra/issues/1/reactions",
        "/repos/acme/infra/contents/",
        "/repos/acme/infra/contents/app/deploy.yaml",
        "/repos/acme/infra/commits/main",
        "/repos/acme/infra/commits/heads/main/status",
        "/repos/acme/infra/branches/main",
        "/repos/acme/infra/rules/branches/main",
        "/repos/acme/infra/git/ref/heads/main",
        "/repos/acme/infra/git/trees/main",
        "/orgs/acme/teams/platform/memberships/alice",
        "/user",
        "/rate_limit",
        "/meta",
        "/zen",
        "/repos/acme/infra/collaborators/alice/permission",
    ];
    for path in paths {
        let answer = scene.http.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    }
    for path in ["git/commits", "commits"] {
        scene.http.get(&format!("/repos/acme/infra/{path}/{sha}")).await.expect(200);
    }
    for part in ["status", "statuses", "pulls", "check-runs", "check-suites"] {
        scene.http.get(&format!("/repos/acme/infra/commits/{sha}/{part}")).await.expect(200);
    }
    scene.http.get("/orgs/acme/teams/platform/memberships/mallory").await.expect(404);
    scene.http.get("/repos/acme/infra/commits/nowhere").await.expect(422);
}
