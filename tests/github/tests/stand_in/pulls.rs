//! Pull requests: their shape, their test merges, their labels and comments, and who may what.

use http::Method;
use portcullis_github::{Files, Permission, PrSpec};
use serde_json::{Value, json};

use crate::support::{Http, scene};

#[tokio::test]
async fn a_pull_request_carries_what_a_gate_needs() {
    let scene = scene().await;
    drop(scene.pr.label("ready-to-test", "alice"));
    let pull = scene.http.get("/repos/acme/infra/pulls/1").await.expect(200);
    assert_eq!(pull["head"]["sha"], scene.pr.head_sha());
    assert_eq!((&pull["base"]["sha"], &pull["base"]["ref"]), (&json!(scene.base), &json!("main")));
    assert_eq!(pull["base"]["repo"]["full_name"], "acme/infra");
    assert_eq!((&pull["user"]["login"], &pull["state"]), (&json!("alice"), &json!("open")));
    assert_eq!((&pull["draft"], &pull["merged"], &pull["mergeable"]), (&json!(false), &json!(false), &json!(true)));
    assert_eq!(pull["labels"][0]["name"], "ready-to-test");
    assert_eq!((&pull["changed_files"], &pull["additions"]), (&json!(1), &json!(1)));
    let octocrab = scene.octocrab();
    let seen = octocrab.pulls("acme", "infra").get(1).await.unwrap();
    assert_eq!(seen.head.sha, scene.pr.head_sha());
}

#[tokio::test]
async fn the_test_merge_holds_both_sides_and_conflicts_are_told() {
    let scene = scene().await;
    scene.repo.commit("main", [("other.yaml", "x: 1\n")]);
    let pull = scene.http.get("/repos/acme/infra/pulls/1").await.expect(200);
    let merge = pull["merge_commit_sha"].as_str().unwrap();
    let files: Vec<(String, String)> = scene
        .repo
        .files(merge)
        .into_iter()
        .map(|(path, bytes)| (path, String::from_utf8_lossy(&bytes).into_owned()))
        .collect();
    assert!(files.contains(&("other.yaml".to_owned(), "x: 1\n".to_owned())), "{files:?}");
    assert!(files.contains(&("app/deploy.yaml".to_owned(), "replicas: 2\n".to_owned())), "{files:?}");
    assert_eq!(scene.http.get("/repos/acme/infra/git/ref/pull/1/merge").await.expect(200)["object"]["sha"], merge);
    let parents = scene.http.get(&format!("/repos/acme/infra/commits/{merge}")).await.expect(200)["parents"].clone();
    assert_eq!(parents[1]["sha"], scene.pr.head_sha());
    // As on GitHub, the recorded base stays where it was until the next push.
    assert_eq!(pull["base"]["sha"], scene.base);

    scene.repo.commit("main", [("app/deploy.yaml", "replicas: 3\n")]);
    let pull = scene.http.get("/repos/acme/infra/pulls/1").await.expect(200);
    assert_eq!((&pull["mergeable"], &pull["merge_commit_sha"]), (&json!(false), &Value::Null));
    assert_eq!(pull["mergeable_state"], "dirty");
    scene.http.get("/repos/acme/infra/git/ref/pull/1/merge").await.expect(404);

    drop(scene.pr.push([("app/deploy.yaml", "replicas: 1\n")], "alice"));
    assert_eq!(scene.http.get("/repos/acme/infra/pulls/1").await.expect(200)["mergeable"], true);
}

#[tokio::test]
async fn mergeability_can_take_its_time() {
    let scene = scene().await;
    scene.github.delay_mergeability(2);
    drop(scene.pr.push([("more", "1")], "alice"));
    for expected in [Value::Null, Value::Null, json!(true)] {
        let pull = scene.http.get("/repos/acme/infra/pulls/1").await.expect(200);
        assert_eq!(pull["mergeable"], expected);
        assert_eq!(pull["merge_commit_sha"].is_null(), expected.is_null());
    }
}

#[tokio::test]
async fn permissions_are_told_to_those_who_may_push() {
    let scene = scene().await;
    let path = |login: &str| format!("/repos/acme/infra/collaborators/{login}/permission");
    for (role, legacy, name) in [
        (Permission::Admin, "admin", "admin"),
        (Permission::Maintain, "write", "maintain"),
        (Permission::Triage, "read", "triage"),
        (Permission::None, "read", "read"),
    ] {
        scene.github.user("bob").permission("acme/infra", role);
        let answer = scene.http.get(&path("bob")).await.expect(200);
        assert_eq!((&answer["permission"], &answer["role_name"]), (&json!(legacy), &json!(name)));
        assert_eq!(answer["user"]["login"], "bob");
    }
    assert_eq!(scene.http.get(&path("nobody")).await.expect(404)["message"], "nobody is not a user");
    scene.repo.make_private();
    assert_eq!(scene.http.get(&path("bob")).await.expect(200)["permission"], "none");
    scene.github.user("bob").permission("acme/infra", Permission::Read);
    let reader = Http::new(scene.github.url(), Some(&scene.github.token("bob")));
    reader.get(&path("bob")).await.expect(403);
}

#[tokio::test]
async fn lists_are_paged_with_links_that_lead_on() {
    let scene = scene().await;
    for number in 2..=5 {
        let spec = PrSpec { head_branch: format!("branch-{number}"), ..PrSpec::default() };
        assert_eq!(scene.repo.open_pr(spec).number(), number);
    }
    scene.repo.pr(2).unwrap().close("alice");
    let mut next = Some("/repos/acme/infra/pulls?per_page=2".to_owned());
    let mut numbers = Vec::new();
    while let Some(path) = next {
        let answer = scene.http.get(&path).await;
        let pulls = answer.expect(200);
        numbers.extend(pulls.as_array().unwrap().iter().filter_map(|pull| pull["number"].as_u64()));
        next = answer
            .header("link")
            .split(", ")
            .find(|link| link.ends_with("rel=\"next\""))
            .map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
    }
    assert_eq!(numbers, [5, 4, 3, 1]);
    let closed = scene.http.get("/api/v3/repos/acme/infra/pulls?state=closed").await.expect(200);
    assert_eq!(closed[0]["number"], 2);
    assert!(closed[0]["url"].as_str().unwrap().contains("/api/v3/repos/"));
    scene.http.get("/repos/acme/infra/pulls?state=ajar").await.expect(422);
    scene.http.get("/repos/acme/infra/pulls/one").await.expect(404);
}

#[tokio::test]
async fn labels_are_added_and_removed() {
    let scene = scene().await;
    let labels = "/repos/acme/infra/issues/1/labels";
    let added = scene.http.post(labels, json!({ "labels": ["ready-to-test", "größe: XL"] })).await.expect(200);
    assert_eq!(added.as_array().unwrap().len(), 2);
    assert_eq!(scene.pr.labels(), ["ready-to-test", "größe: XL"]);
    let left = scene.http.delete(&format!("{labels}/READY-TO-TEST")).await.expect(200);
    assert_eq!(left[0]["name"], "größe: XL");
    let missing = scene.http.delete(&format!("{labels}/ready-to-test")).await.expect(404);
    assert_eq!(missing["message"], "Label does not exist");
    scene.http.send(Method::PUT, labels, json!({ "labels": ["a", "b"] })).await.expect(200);
    assert_eq!(scene.pr.labels(), ["a", "b"]);
    scene.http.post("/repos/acme/infra/issues/7/labels", json!({ "labels": ["a"] })).await.expect(404);
}

#[tokio::test]
async fn comments_are_written_edited_and_reacted_to() {
    let scene = scene().await;
    let comments = "/repos/acme/infra/issues/1/comments";
    let made = scene.http.post(comments, json!({ "body": "| suite | result |" })).await.expect(201);
    let own = format!("/repos/acme/infra/issues/comments/{}", made["id"]);
    assert_eq!(scene.http.patch(&own, json!({ "body": "done" })).await.expect(200)["body"], "done");
    let (id, _) = scene.pr.comment("alice", "/test all");
    let reactions = format!("/repos/acme/infra/issues/comments/{id}/reactions");
    scene.http.post(&reactions, json!({ "content": "rocket" })).await.expect(201);
    scene.http.post(&reactions, json!({ "content": "rocket" })).await.expect(200);
    scene.http.post(&reactions, json!({ "content": "shrug" })).await.expect(422);
    assert_eq!(scene.pr.comments()[1].reactions, [("gate-bot".to_owned(), "rocket".to_owned())]);
    let stranger = Http::new(scene.github.url(), Some(&scene.github.token("mallory")));
    stranger.patch(&own, json!({ "body": "mine" })).await.expect(403);
    scene.http.post(comments, json!({ "body": "x".repeat(65_537) })).await.expect(422);
    scene.http.post(comments, json!({})).await.expect(422);
    scene.http.delete(&own).await.expect(204);
    assert_eq!(scene.http.get(comments).await.expect(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn forks_keep_their_branches_and_share_their_commits() {
    let scene = scene().await;
    let spec = PrSpec {
        author: "mallory".to_owned(),
        from_fork: true,
        files: Files::new().delete("app").file("evil.yaml", "x"),
        ..PrSpec::default()
    };
    let pr = scene.repo.open_pr(spec);
    let pull = scene.http.get(&format!("/repos/acme/infra/pulls/{}", pr.number())).await.expect(200);
    assert_eq!(pull["head"]["repo"]["full_name"], "mallory/infra");
    assert_eq!((&pull["head"]["repo"]["fork"], &pull["head"]["label"]), (&json!(true), &json!("mallory:feature")));
    assert_eq!(pull["author_association"], "NONE");
    let body = json!({ "state": "pending" });
    scene.http.post(&format!("/repos/acme/infra/statuses/{}", pr.head_sha()), body).await.expect(201);
    let path = format!("/repos/acme/infra/pulls/{}/files", pr.number());
    let files = scene.http.get(&path).await.expect(200);
    assert_eq!((&files[0]["status"], &files[1]["status"]), (&json!("removed"), &json!("added")));
}

#[tokio::test]
async fn merging_moves_the_base_branch() {
    let scene = scene().await;
    let (sha, _) = scene.pr.merge("alice").unwrap();
    assert_eq!(scene.repo.sha("main").unwrap(), sha);
    let pull = scene.http.get("/repos/acme/infra/pulls/1").await.expect(200);
    assert_eq!((&pull["merged"], &pull["merge_commit_sha"]), (&json!(true), &json!(sha)));
    scene.http.get("/repos/acme/infra/pulls/1/merge").await.expect(204);
    assert!(scene.pr.merge("alice").is_none());
}

#[tokio::test]
async fn an_open_pull_request_follows_its_branch_and_a_closed_one_when_reopened() {
    let scene = scene().await;
    let pushed = scene.repo.commit("feature", [("more", "1")]);
    assert_eq!(scene.pr.head_sha(), pushed);
    drop(scene.pr.close("alice"));
    let (later, _) = scene.pr.push([("more", "2")], "alice");
    assert_eq!(scene.pr.head_sha(), pushed);
    drop(scene.pr.reopen("alice"));
    assert_eq!(scene.pr.head_sha(), later);
}
