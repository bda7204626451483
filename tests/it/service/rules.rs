//! What a gate says about people, files and queues.

use portcullis_github::{Files, Permission, PrSpec, RawDelivery, StatusState};
use serde_json::json;

use crate::support::gate::{Gate, LABEL, TWO_SUITES, WAITING};

const FILTERED: &str =
    "version: 1\nsuites:\n  smoke:\n    paths: ['deploy/**']\n  statefulset:\n    paths_ignore: ['**/*.md']\n";
const NOT_NEEDED: &str = "not needed, no matching files";

#[tokio::test]
async fn suites_that_no_changed_file_needs_are_green_at_once() {
    let gate = Gate::with_policy(FILTERED).await;
    let cases = [
        ("docs", "docs/a.md", [true, true]),
        ("code", "src/main.rs", [true, false]),
        ("deploy", "deploy/app.yaml", [false, false]),
    ];
    for (branch, file, green) in cases {
        let files = Files::new().file(file, "new\n");
        let pr = gate.repo.open_pr(PrSpec { head_branch: branch.into(), files, ..PrSpec::default() });
        drop(pr.label(LABEL, "alice"));
        gate.settled().await;
        let shown = gate.shown(&pr.head_sha());
        for (suite, green) in ["smoke", "statefulset"].into_iter().zip(green) {
            let expected = match green {
                true => (StatusState::Success, NOT_NEEDED.to_owned()),
                false => (StatusState::Pending, WAITING.to_owned()),
            };
            assert_eq!(shown[&format!("portcullis/{suite}")], expected, "{branch}: {suite}");
        }
        let state = &gate.runs().await[0]["state"];
        assert_eq!(state, if green == [true, true] { "finished" } else { "queued" }, "{branch}");
    }
}

/// The author may choose another base, and so another policy.
#[tokio::test]
async fn what_was_green_for_one_branch_is_not_green_for_another() {
    for announce in ["", "announce: false\n"] {
        let gate = Gate::with_policy(&format!("{announce}{FILTERED}")).await;
        gate.repo.commit("release", [("release.txt", "another branch\n")]);
        let files = Files::new().file("docs/a.md", "new\n");
        let pr = gate.repo.open_pr(PrSpec { author: "mallory".into(), files, ..PrSpec::default() });
        drop(pr.label(LABEL, "alice"));
        gate.shows(&pr.head_sha(), &["smoke", "statefulset"], StatusState::Success, NOT_NEEDED).await;
        drop(pr.unlabel(LABEL, "alice"));
        gate.settled().await;
        drop(pr.change_base("release", "mallory"));
        gate.shows(&pr.head_sha(), &["smoke", "statefulset"], StatusState::Pending, "waiting for the").await;
    }
}

#[tokio::test]
async fn teams_may_what_their_gate_says() {
    let gate =
        Gate::with_policy(&format!("teams: {{run: [acme/platform], override: [acme/keepers]}}\n{TWO_SUITES}")).await;
    for (team, login) in [("platform", "petra"), ("keepers", "kim")] {
        gate.github.team_member("acme", team, login);
        gate.github.user(login).permission("acme/infra", Permission::Triage);
    }
    gate.github.team_member("acme", "platform", "portcullis");
    let (by_member, by_other) = (gate.open_pr("one"), gate.open_pr("two"));
    drop(by_member.label(LABEL, "petra"));
    drop(by_other.label(LABEL, "kim"));
    gate.settled().await;
    gate.announced(&by_member.head_sha()).await;
    assert_eq!(gate.runs().await.len(), 1);
    assert!(by_other.labels().is_empty(), "the label of somebody who may not is taken off");
    drop(by_other.comment("kim", "/override smoke an outage"));
    gate.settled().await;
    assert_eq!(gate.shown(&by_other.head_sha())["portcullis/smoke"].0, StatusState::Success);
}

#[tokio::test]
async fn nothing_is_announced_where_the_gate_says_so() {
    let gate = Gate::with_policy(&format!("announce: false\n{TWO_SUITES}")).await;
    let pr = gate.open_pr("feature");
    gate.settled().await;
    assert_eq!(gate.github.statuses(&pr.head_sha()), []);
    drop(pr.label(LABEL, "alice"));
    gate.announced(&pr.head_sha()).await;
}

#[tokio::test]
async fn a_merge_group_is_tested_and_let_go_with_the_queue() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    gate.settled().await;
    let (group, _) = pr.enqueue().unwrap();
    gate.announced(&group).await;
    let run = gate.runs().await.remove(0);
    assert_eq!(
        (run["trigger"].as_str(), run["pr"].as_u64(), run["head"].as_str()),
        (Some("merge_group"), None, Some(&*group))
    );
    drop(pr.dequeue("dequeued"));
    gate.shows(&group, &["smoke", "statefulset"], StatusState::Error, "cancelled: the merge group is gone").await;
}

#[tokio::test]
async fn a_green_result_is_carried_into_the_queue_only_for_the_same_files_on_the_same_base() {
    let gate = Gate::with_policy("version: 1\nsuites:\n  smoke:\n    paths: ['deploy/**']\n").await;
    let (same, moved) = (gate.open_pr("same"), gate.open_pr("moved"));
    for pr in [&same, &moved] {
        drop(pr.label(LABEL, "alice"));
    }
    gate.settled().await;
    let (group, _) = same.enqueue().unwrap();
    gate.shows(&group, &["smoke"], StatusState::Success, "as in #").await;
    gate.repo.commit("main", [("elsewhere.txt", "moved\n")]);
    let (group, _) = moved.enqueue().unwrap();
    gate.shows(&group, &["smoke"], StatusState::Success, NOT_NEEDED).await;
}

/// A group on top of another one brings that one's files too, and may land in its place.
#[tokio::test]
async fn a_group_behind_another_one_is_tested_whatever_its_own_files_are() {
    let gate = Gate::with_policy("version: 1\nsuites:\n  smoke:\n    paths: ['deploy/**']\n").await;
    let (first, second) = (gate.open_pr("first"), gate.open_pr("second"));
    let (before, _) = first.enqueue().unwrap();
    gate.shows(&before, &["smoke"], StatusState::Success, NOT_NEEDED).await;
    let branch = format!("gh-readonly-queue/main/pr-{}-{before}", second.number());
    let group = gate.repo.commit(&branch, [("CHANGES.md", "both\n")]);
    let body = json!({
        "action": "checks_requested", "repository": {"full_name": "acme/infra"},
        "merge_group": {
            "head_sha": group, "head_ref": format!("refs/heads/{branch}"), "base_sha": before,
            "base_ref": "refs/heads/main",
        },
    });
    drop(gate.hook.deliver_raw(RawDelivery::new("merge_group", body.to_string())));
    gate.shows(&group, &["smoke"], StatusState::Pending, WAITING).await;
}

/// The push's own webhook comes after somebody has run some suites on the new base.
#[tokio::test]
async fn some_suites_on_a_moved_base_do_not_stand_for_all() {
    let policy = format!("on_base_move: rerun_before_merge\n{TWO_SUITES}");
    let gate = Gate::with_policy(&policy).await;
    let pr = gate.open_pr("feature");
    drop(pr.label(LABEL, "alice"));
    gate.announced(&pr.head_sha()).await;
    drop(pr.comment("alice", "/cancel"));
    gate.settled().await;
    gate.github.drop_deliveries(1);
    let (_, sent) = gate.repo.push("main", [("elsewhere.txt", "moved\n")], "alice");
    let lost = sent.answered().await.remove(0);
    drop(pr.comment("alice", "/test smoke"));
    gate.settled().await;
    assert_eq!(gate.runs().await[0]["suites"].as_array().unwrap().len(), 1);
    drop(gate.github.redeliver(lost.delivery));
    gate.announced(&pr.head_sha()).await;
    let run = gate.runs().await.remove(0);
    assert_eq!((run["trigger"].as_str(), run["suites"].as_array().unwrap().len()), (Some("base"), 2));
}

#[tokio::test]
async fn a_broken_policy_is_told_once_in_a_comment() {
    let gate = Gate::with_policy("version: 1\nsuites:\n  smkoe:\n").await;
    let pr = gate.open_pr("feature");
    drop(pr.label(LABEL, "alice"));
    drop(pr.push([("CHANGES.md", "again\n")], "alice"));
    gate.settled().await;
    let comments = pr.comments();
    assert_eq!(comments.len(), 1, "{comments:#?}");
    assert!(comments[0].body.contains("smkoe") && comments[0].body.contains("3:3"), "{}", comments[0].body);
}

#[tokio::test]
async fn a_check_that_is_asked_for_again_runs_its_suite_again() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    drop(pr.label(LABEL, "alice"));
    gate.settled().await;
    drop(pr.comment("alice", "/cancel"));
    gate.settled().await;
    let again = |name: &str, by: &str| {
        let repository = json!({"full_name": "acme/infra"});
        let body = json!({
            "action": "rerequested", "check_run": {"name": name, "head_sha": pr.head_sha()},
            "repository": repository, "sender": {"login": by, "type": "User"},
        });
        gate.hook.deliver_raw(RawDelivery::new("check_run", body.to_string()))
    };
    for (check, by) in [("portcullis/smoke", "mallory"), ("somebody/else", "alice")] {
        drop(again(check, by));
        gate.settled().await;
        assert_eq!(gate.runs().await.len(), 1, "{check} by {by}");
    }
    drop(again("portcullis/smoke", "alice"));
    gate.settled().await;
    let run = gate.runs().await.remove(0);
    assert_eq!((run["trigger"].as_str(), run["suites"].as_array().unwrap().len()), (Some("recheck"), 1));
    assert_eq!(run["suites"][0]["name"], "smoke");
}

#[tokio::test]
async fn what_is_out_of_reach_is_cancelled() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    drop(pr.label(LABEL, "alice"));
    gate.settled().await;
    let away = |event: &str, action: &str, account: &str, removed: &str| {
        let body = json!({
            "action": action, "installation": {"id": 5, "account": {"login": account}},
            "repositories_removed": [{"full_name": removed}],
        });
        gate.hook.deliver_raw(RawDelivery::new(event, body.to_string()))
    };
    drop(away("installation", "deleted", "acm", ""));
    drop(away("installation", "created", "acme", ""));
    drop(away("installation_repositories", "removed", "acme", "acme/infra_"));
    gate.settled().await;
    assert_eq!(gate.runs().await[0]["state"], "queued");
    drop(away("installation_repositories", "removed", "acme", "Acme/Infra"));
    gate.shows(&pr.head_sha(), &["smoke", "statefulset"], StatusState::Error, "cancelled: the repository is out").await;
    drop(pr.unlabel(LABEL, "alice"));
    drop(pr.label(LABEL, "alice"));
    gate.announced(&pr.head_sha()).await;
    drop(away("installation", "suspend", "Acme", ""));
    gate.shows(&pr.head_sha(), &["smoke", "statefulset"], StatusState::Error, "cancelled: the repository is out").await;
}
