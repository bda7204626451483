//! Payloads cut to what is read, and every way they can be wrong. GitHub's own examples are read in `tests/it`.

use serde_json::{Value, json};

use super::read::CLOSED;
use super::*;

const HEAD: &str = "1111111111111111111111111111111111111111";
const BASE: &str = "2222222222222222222222222222222222222222";

fn pull_request_payload(action: &str) -> Value {
    json!({
        "action": action,
        "number": 7,
        "pull_request": {
            "number": 7, "state": "open", "draft": false, "user": {"login": "ada", "type": "User"},
            "head": {"ref": "topic", "sha": HEAD, "repo": null}, "base": {"ref": "main", "sha": BASE},
            "labels": [{"name": "ready-to-test"}, {"name": "bug"}],
        },
        "repository": {"full_name": "Acme/Infra"},
        "sender": {"login": "grace", "type": "User"},
    })
}

fn parse(name: &str, payload: &Value) -> Result<Event, BadPayload> {
    Event::parse(name, &serde_json::to_vec(payload).unwrap())
}

fn pull(payload: &Value) -> PullRequestEvent {
    match parse("pull_request", payload).unwrap() {
        Event::PullRequest(event) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_label_carries_everything_intake_needs() {
    let mut payload = pull_request_payload("labeled");
    payload["label"] = json!({"name": "ready-to-test"});
    assert_eq!(
        pull(&payload),
        PullRequestEvent {
            action: PullRequestAction::Labeled("ready-to-test".to_owned()),
            repo: "acme/infra".parse().unwrap(),
            number: 7,
            head: HEAD.parse().unwrap(),
            base: BASE.parse().unwrap(),
            base_ref: "main".to_owned(),
            draft: false,
            author: "ada".to_owned(),
            sender: "grace".to_owned(),
            pusher: None,
            sender_is_bot: false,
            labels: vec!["ready-to-test".to_owned(), "bug".to_owned()],
            at: None,
        }
    );
}

#[test]
fn who_pushed_the_head_is_known_only_from_an_event_about_that_head() {
    let mut payload = pull_request_payload("synchronize");
    assert_eq!(pull(&payload).pusher, None);
    for (after, pusher) in [(HEAD, Some("grace".to_owned())), (BASE, None)] {
        payload["after"] = json!(after);
        assert_eq!(pull(&payload).pusher, pusher);
    }
    payload["action"] = json!("reopened");
    payload["after"] = json!(HEAD);
    assert_eq!(pull(&payload).pusher, None);
}

#[test]
fn every_used_action_is_told_apart() {
    let plain = [
        ("opened", PullRequestAction::Opened),
        ("reopened", PullRequestAction::Reopened),
        ("synchronize", PullRequestAction::Synchronize),
        ("edited", PullRequestAction::Edited { base_changed: false }),
        ("ready_for_review", PullRequestAction::ReadyForReview),
        ("converted_to_draft", PullRequestAction::ConvertedToDraft),
        ("closed", PullRequestAction::Closed),
    ];
    for (name, action) in plain {
        assert_eq!(pull(&pull_request_payload(name)).action, action);
    }
    let mut moved = pull_request_payload("edited");
    moved["changes"] = json!({"base": {"ref": {"from": "main"}, "sha": {"from": BASE}}});
    assert_eq!(pull(&moved).action, PullRequestAction::Edited { base_changed: true });
    moved["changes"] = json!({"title": {"from": "old"}});
    assert_eq!(pull(&moved).action, PullRequestAction::Edited { base_changed: false });
}

#[test]
fn a_closed_pull_request_starts_nothing_and_still_stops_things() {
    let with = |action: &str| {
        let mut payload = pull_request_payload(action);
        payload["pull_request"]["state"] = json!("closed");
        payload["label"] = json!({"name": "ready-to-test"});
        parse("pull_request", &payload).unwrap()
    };
    for action in ["labeled", "edited", "synchronize", "ready_for_review"] {
        assert_eq!(with(action), CLOSED, "{action}");
    }
    for action in ["closed", "unlabeled", "converted_to_draft"] {
        assert!(matches!(with(action), Event::PullRequest(_)), "{action}");
    }
}

#[test]
fn what_github_may_leave_out_does_no_harm() {
    let mut payload = pull_request_payload("opened");
    let pr = payload["pull_request"].as_object_mut().unwrap();
    pr.insert("user".to_owned(), Value::Null);
    pr.remove("draft");
    pr.remove("labels");
    payload["sender"] = json!({"login": "dependabot[bot]", "type": "Bot"});
    let event = pull(&payload);
    assert_eq!((event.author.as_str(), event.draft, event.labels.len()), ("ghost", false, 0));
    assert!(event.sender_is_bot);
    assert_eq!(parse("pull_request", &pull_request_payload("labeled")), Ok(Event::Ignored("the label is gone")));
}

#[test]
fn unknown_actions_and_events_are_ignored_whatever_they_look_like() {
    let ignored = |name: &str, body: &str| matches!(Event::parse(name, body.as_bytes()), Ok(Event::Ignored(_)));
    for name in ["pull_request", "issue_comment", "merge_group", "check_run", "check_suite", "installation"] {
        assert!(ignored(name, r#"{"action":"invented_tomorrow","pull_request":5}"#), "{name}");
    }
    assert!(ignored("sponsorship", "{}"));
    assert_eq!(Event::parse("ping", b"{}"), Ok(Event::Ping));
}

#[test]
fn a_bad_payload_names_the_field() {
    let path = |change: fn(&mut Value)| {
        let mut payload = pull_request_payload("opened");
        change(&mut payload);
        parse("pull_request", &payload).unwrap_err().path
    };
    assert_eq!(path(|p| drop(p.as_object_mut().unwrap().remove("action"))), "action");
    assert_eq!(path(|p| drop(p.as_object_mut().unwrap().remove("sender"))), "sender");
    assert_eq!(
        path(|p| drop(p["pull_request"]["head"].as_object_mut().unwrap().remove("sha"))),
        "pull_request.head.sha"
    );
    assert_eq!(path(|p| p["pull_request"]["base"]["sha"] = json!("main")), "pull_request.base.sha");
    assert_eq!(path(|p| p["pull_request"]["number"] = json!(-1)), "pull_request.number");
    assert_eq!(path(|p| p["pull_request"]["labels"][1] = json!({"name": 1})), "pull_request.labels[1].name");
    assert_eq!(path(|p| p["repository"]["full_name"] = json!("../../etc")), "repository.full_name");
}

#[test]
fn what_is_not_json_is_refused_for_every_event_and_quoted_briefly() {
    for name in ["ping", "pull_request", "push", "sponsorship"] {
        for body in ["", "{", "payload=%7B%7D", "{}{}", "\u{0}"] {
            assert!(Event::parse(name, body.as_bytes()).is_err(), "{name}: {body}");
        }
    }
    let long = format!(r#"{{"action":"opened","sender":"{}"}}"#, "é".repeat(10_000));
    let error = Event::parse("pull_request", long.as_bytes()).unwrap_err();
    assert!(error.problem.chars().count() <= 200, "{error}");
    let deep = format!(r#"{{"action":{}"#, "[".repeat(100_000));
    assert!(Event::parse("pull_request", deep.as_bytes()).is_err());
    assert!(Event::parse("ping", deep.as_bytes()).is_err());
}

fn comment_payload() -> Value {
    json!({
        "action": "created",
        "issue": {"number": 7, "state": "open", "pull_request": {"url": "https://example.invalid"}},
        "comment": {"id": 99, "body": "/retest", "user": {"login": "ada", "type": "User"},
            "created_at": "2026-11-21T10:00:00Z"},
        "repository": {"full_name": "acme/infra"},
        "sender": {"login": "ada", "type": "User"},
    })
}

#[test]
fn only_new_comments_of_people_on_open_pull_requests_count() {
    let expected = CommentEvent {
        repo: "acme/infra".parse().unwrap(),
        number: 7,
        comment: 99,
        author: "ada".to_owned(),
        body: "/retest".to_owned(),
        at: Some("2026-11-21T10:00:00Z".parse().unwrap()),
    };
    assert_eq!(parse("issue_comment", &comment_payload()), Ok(Event::Comment(expected)));
    let spoil: [fn(&mut Value); 6] = [
        |p| p["comment"]["body"] = json!("no command in sight"),
        |p| p["action"] = json!("edited"),
        |p| drop(p["issue"].as_object_mut().unwrap().remove("pull_request")),
        |p| p["issue"]["state"] = json!("closed"),
        |p| p["sender"]["type"] = json!("Bot"),
        |p| p["comment"]["user"]["type"] = json!("Bot"),
    ];
    for change in spoil {
        let mut payload = comment_payload();
        change(&mut payload);
        assert!(matches!(parse("issue_comment", &payload), Ok(Event::Ignored(_))), "{payload}");
    }
}

#[test]
fn pushes_are_to_branches() {
    let push = |name: &str, deleted: bool| {
        let repo = json!({"full_name": "acme/infra"});
        let payload =
            json!({"ref": name, "after": HEAD, "deleted": deleted, "repository": repo, "sender": {"login": "ada"}});
        parse("push", &payload).unwrap()
    };
    let Event::Push(event) = push("refs/heads/release/1.2", false) else { panic!("not a push") };
    assert_eq!((event.branch.as_str(), event.after.as_str()), ("release/1.2", HEAD));
    assert!(matches!(push("refs/heads/main", true), Event::Ignored(_)));
    assert!(matches!(push("refs/tags/v1", false), Event::Ignored(_)));
}

#[test]
fn merge_groups_come_and_go() {
    for (name, action) in
        [("checks_requested", MergeGroupAction::ChecksRequested), ("destroyed", MergeGroupAction::Destroyed)]
    {
        let group = json!({"head_sha": HEAD, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-x", "base_sha": BASE, "base_ref": "refs/heads/main"});
        let payload = json!({"action": name, "merge_group": group, "repository": {"full_name": "acme/infra"}});
        let Ok(Event::MergeGroup(event)) = parse("merge_group", &payload) else { panic!("{name}") };
        assert_eq!((event.action, event.base_ref.as_str()), (action, "main"));
    }
}

#[test]
fn installations_say_which_repositories_came_and_went() {
    let parsed = |action: &str| {
        let payload = json!({
            "action": action, "installation": {"id": 5, "account": {"login": "acme"}},
            "repositories_added": [{"full_name": "acme/new"}], "repositories_removed": [{"full_name": "acme/old"}],
        });
        parse("installation_repositories", &payload).unwrap()
    };
    let event = |change| Event::Installation(InstallationEvent { installation: 5, account: "acme".into(), change });
    let repos = |name: &str| vec![name.parse().unwrap()];
    assert_eq!(parsed("added"), event(InstallationChange::RepositoriesAdded(repos("acme/new"))));
    assert_eq!(parsed("removed"), event(InstallationChange::RepositoriesRemoved(repos("acme/old"))));
    let deleted = json!({"action": "deleted", "installation": {"id": 5, "account": {"login": "acme"}}});
    assert_eq!(parse("installation", &deleted), Ok(event(InstallationChange::Deleted)));
}
