//! What a gate says about people, files and queues.

use portcullis_github::{Files, Permission, PrSpec, StatusState};

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
