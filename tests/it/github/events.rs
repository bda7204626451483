//! Every one of GitHub's own example payloads is understood.

use std::collections::BTreeMap;
use std::io::Read;

use portcullis::domain::event::{Event, PullRequestAction};
use serde_json::Value;

fn examples() -> BTreeMap<String, Vec<Value>> {
    let packed: &[u8] = include_bytes!("../../github/data/webhooks.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn parsed(name: &str) -> Vec<(String, Event)> {
    let action = |payload: &Value| payload["action"].as_str().unwrap_or_default().to_owned();
    let read = |payload: &Value| Event::parse(name, payload.to_string().as_bytes()).unwrap();
    examples()[name].iter().map(|payload| (action(payload), read(payload))).collect()
}

#[test]
fn no_example_is_refused() {
    let mut read = 0;
    for (name, payloads) in examples() {
        for payload in payloads {
            Event::parse(&name, payload.to_string().as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
            read += 1;
        }
    }
    assert!(read >= 60, "only {read} examples were found");
}

#[test]
fn pull_requests_are_read_whole() {
    let mut used = 0;
    for (action, event) in parsed("pull_request") {
        let Event::PullRequest(pull) = event else {
            assert!(
                ["assigned", "unassigned", "locked", "unlocked", "review_requested"].contains(&action.as_str()),
                "{action}"
            );
            continue;
        };
        used += 1;
        assert_eq!((pull.repo.as_str(), pull.number, pull.base_ref.as_str()), ("codertocat/hello-world", 2, "master"));
        assert_eq!((pull.author.as_str(), pull.sender_is_bot), ("Codertocat", false));
        assert_eq!(pull.draft, action == "converted_to_draft");
        let expected = match action.as_str() {
            "opened" => PullRequestAction::Opened,
            "reopened" => PullRequestAction::Reopened,
            "labeled" => PullRequestAction::Labeled("bug".to_owned()),
            "unlabeled" => PullRequestAction::Unlabeled("bug".to_owned()),
            "synchronize" => PullRequestAction::Synchronize,
            "ready_for_review" => PullRequestAction::ReadyForReview,
            "converted_to_draft" => PullRequestAction::ConvertedToDraft,
            "closed" => PullRequestAction::Closed,
            other => panic!("{other} should have been ignored"),
        };
        assert_eq!(pull.action, expected);
    }
    assert_eq!(used, 14);
}

#[test]
fn the_other_events_say_what_they_mean() {
    assert!(parsed("ping").iter().all(|(_, event)| *event == Event::Ping));
    assert!(
        parsed("issue_comment").iter().all(|(_, event)| matches!(event, Event::Ignored(_))),
        "none is on a pull request"
    );
    assert!(parsed("merge_group").iter().all(|(_, event)| matches!(event, Event::MergeGroup(_))));
    let pushes = parsed("push").into_iter().filter(|(_, event)| matches!(event, Event::Push(_))).count();
    assert_eq!(pushes, 1, "the others are tags");
    for name in ["check_run", "check_suite"] {
        for (action, event) in parsed(name) {
            assert_eq!(matches!(event, Event::CheckRequested(_)), action == "rerequested", "{name} {action}");
        }
    }
    for (action, event) in parsed("installation") {
        assert_eq!(matches!(event, Event::Installation(_)), action != "new_permissions_accepted", "{action}");
    }
}
