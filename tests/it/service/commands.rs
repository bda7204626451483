//! Commands in comments, as their authors see them: reaction, reply, statuses, runs, audit.

use portcullis_github::{Comment, Fault, Match, Permission, Pull, StatusState};

use crate::support::databases::on_both_databases;
use crate::support::gate::{Gate, LABEL, POLICY, TWO_SUITES, WAITING};

/// Commands may follow each other at once.
const QUICK: &str =
    "commands: {cool_down: 1s, reruns: 3}\nversion: 1\nsuites:\n  smoke:\n  statefulset:\n    required: false\n";

async fn quick() -> Gate {
    let gate = Gate::with_policy(QUICK).await;
    gate.github.user("root").permission("acme/infra", Permission::Admin);
    gate
}

/// What was answered to a comment: the reaction, and the text after it.
async fn answer(gate: &Gate, pr: &Pull, by: &str, body: &str) -> (String, String) {
    let (id, _) = pr.comment(by, body);
    let reaction = gate
        .until(&format!("{body:?} gets a reaction"), |_| {
            let comment = pr.comments().into_iter().find(|comment| comment.id == id)?;
            comment.reactions.first().map(|(_, content)| content.clone())
        })
        .await;
    gate.settled().await;
    let reply = |comment: Comment| (comment.id > id).then_some(comment.body);
    (reaction, pr.comments().into_iter().find_map(reply).unwrap_or_default())
}

/// The cool-down of [`QUICK`] is over.
async fn a_second_later(gate: &Gate) {
    let from = gate.github.now();
    gate.eventually("a second has passed", async || gate.github.now().duration_since(from).as_secs_f64() > 1.1).await;
}

async fn contains(gate: &Gate, pr: &Pull, by: &str, body: &str, reaction: &str, words: &[&str]) {
    let (reacted, reply) = answer(gate, pr, by, body).await;
    assert_eq!(reacted, reaction, "{body:?} by {by}: {reply}");
    for word in words {
        assert!(reply.contains(word), "{body:?} by {by}: {word:?} is not in {reply:?}");
    }
    assert!(!words.is_empty() || reply.is_empty(), "{body:?} by {by}: {reply}");
}

#[tokio::test]
async fn commands_start_stop_and_explain_themselves() {
    let gate = quick().await;
    let pr = gate.open_pr("feature");
    let head = pr.head_sha();
    contains(&gate, &pr, "alice", "/tset", "confused", &["@alice", "`/tset`", "Did you mean `/test`?"]).await;
    contains(&gate, &pr, "alice", "/test smkoe", "confused", &["`smkoe`", "Did you mean `smoke`?", "`statefulset`"])
        .await;
    contains(&gate, &pr, "mallory", "/test", "confused", &["write permission"]).await;
    contains(&gate, &pr, "alice", "/retest", "+1", &["Nothing of this commit has failed"]).await;
    contains(&gate, &pr, "alice", "/cancel", "+1", &["Nothing is running"]).await;
    assert_eq!(gate.runs().await.len(), 0);

    contains(&gate, &pr, "alice", "Please\r\n\r\n/TEST foo,smoke\r\n", "confused", &["`foo`"]).await;
    contains(&gate, &pr, "alice", "/test\tsmoke.", "eyes", &[]).await;
    let run = gate.runs().await.remove(0);
    assert_eq!((run["trigger"].as_str(), run["suites"].as_array().unwrap().len()), (Some("comment"), 1));
    assert_eq!(gate.shown(&head)["portcullis/smoke"], (StatusState::Pending, WAITING.to_owned()));
    assert!(gate.shown(&head)["portcullis/statefulset"].1.starts_with("waiting for the"));

    contains(&gate, &pr, "alice", "/test smoke", "+1", &["running on this commit already"]).await;
    contains(&gate, &pr, "alice", "/test ?", "+1", &["| `smoke` | required | pending", "| `statefulset` | optional"])
        .await;
    contains(&gate, &pr, "alice", "/cancel smoke", "+1", &[]).await;
    assert_eq!(gate.shown(&head)["portcullis/smoke"], (StatusState::Error, "cancelled by alice".to_owned()));
    assert_eq!(gate.runs().await[0]["state"], "finished");

    a_second_later(&gate).await;
    contains(&gate, &pr, "alice", "/retest", "eyes", &[]).await;
    assert_eq!(gate.runs().await[0]["suites"][0]["name"], "smoke");
}

#[tokio::test]
async fn waivers_are_audited_and_outlive_another_run_of_the_commit() {
    let gate = quick().await;
    let pr = gate.open_pr("feature");
    let head = pr.head_sha();
    contains(&gate, &pr, "alice", "/skip smoke too slow", "confused", &["`smoke` is required", "/override smoke"])
        .await;
    contains(&gate, &pr, "alice", "/override smoke too slow", "confused", &["admin permission"]).await;
    contains(&gate, &pr, "root", "/override smoke DNS outage", "+1", &[]).await;
    contains(&gate, &pr, "alice", "/skip statefulset not for this change", "+1", &[]).await;
    let green = |words: &str| (StatusState::Success, words.to_owned());
    assert_eq!(gate.shown(&head)["portcullis/smoke"], green("overridden by root: DNS outage"));
    assert_eq!(gate.shown(&head)["portcullis/statefulset"], green("skipped by alice: not for this change"));

    drop(pr.label(LABEL, "alice"));
    gate.settled().await;
    let run = gate.runs().await.remove(0);
    assert_eq!((run["state"].as_str(), run["verdict"].as_str()), (Some("finished"), Some("success")));
    assert_eq!(gate.shown(&head)["portcullis/smoke"], green("overridden by root: DNS outage"));

    let audit = gate.audit().await;
    let deeds: Vec<_> =
        audit.iter().rev().map(|deed| (deed["deed"].as_str().unwrap(), deed["actor"].as_str().unwrap())).collect();
    assert_eq!(deeds, [("overrode", "root"), ("skipped", "alice"), ("approved", "alice"), ("started", "alice")]);
    assert_eq!((audit[3]["reason"].as_str(), audit[3]["sha"].as_str()), (Some("DNS outage"), Some(head.as_str())));
    let page = gate.get(&format!("/runs/{}", run["id"].as_str().unwrap())).await.body;
    assert!(page.contains("DNS outage") && page.contains("overrode"), "{page}");
    let (after, _) = pr.push([("CHANGES.md", "a commit without waivers\n")], "alice");
    gate.shows(&after, &["smoke", "statefulset"], StatusState::Pending, WAITING).await;
}

#[tokio::test]
async fn no_approval_reaches_a_commit_that_nobody_has_seen() {
    let gate = quick().await;
    let pr = gate.repo.open_pr(portcullis_github::PrSpec { author: "mallory".into(), ..Default::default() });
    gate.settled().await;
    // The push is on its way while alice writes: its webhook comes after her comment.
    gate.github.drop_deliveries(2);
    let (head, _) = pr.push([("CHANGES.md", "something else\n")], "mallory");
    gate.github.deliveries_settled().await;
    contains(&gate, &pr, "alice", "/ok-to-test", "confused", &["nothing tells", &head[..12]]).await;
    contains(&gate, &pr, "alice", "/test", "confused", &["nothing tells"]).await;
    contains(&gate, &pr, "alice", "/ok-to-test 0123456789", "confused", &["the head is"]).await;
    // Two commits that begin alike are soon made; somebody may have seen the other.
    contains(&gate, &pr, "alice", &format!("/ok-to-test {}", &head[..12]), "confused", &["nothing tells", &head]).await;
    assert_eq!(gate.runs().await.len(), 0);
    contains(&gate, &pr, "alice", &format!("/ok-to-test {head}"), "eyes", &[]).await;
    gate.shows(&head, &["smoke", "statefulset"], StatusState::Pending, WAITING).await;
}

#[tokio::test]
async fn the_first_word_about_an_unknown_pull_request_approves_no_head_that_it_does_not_name() {
    let gate = quick().await;
    gate.github.drop_deliveries(2);
    let pr = gate.repo.open_pr(portcullis_github::PrSpec { author: "mallory".into(), ..Default::default() });
    gate.github.deliveries_settled().await;
    contains(&gate, &pr, "alice", "/test", "confused", &["nothing tells", &pr.head_sha()]).await;
    assert_eq!(gate.runs().await.len(), 0);
    contains(&gate, &pr, "alice", &format!("/ok-to-test {}", pr.head_sha()), "eyes", &[]).await;
}

#[tokio::test]
async fn a_suite_that_became_required_is_skipped_no_more() {
    let gate = quick().await;
    let pr = gate.open_pr("feature");
    contains(&gate, &pr, "root", "/skip statefulset not now\n/override smoke outage", "+1", &[]).await;
    gate.repo.commit("main", crate::support::gate::policy(TWO_SUITES));
    drop(pr.label(LABEL, "alice"));
    gate.settled().await;
    let shown = gate.shown(&pr.head_sha());
    assert_eq!(shown["portcullis/statefulset"], (StatusState::Pending, WAITING.to_owned()));
    assert_eq!(shown["portcullis/smoke"].0, StatusState::Success, "an override is for required suites");
}

/// Words of a younger voice would be lost where the clock went back.
#[tokio::test]
async fn a_live_run_says_itself_that_a_suite_of_it_is_waived() {
    let gate = quick().await;
    let pr = gate.open_pr("feature");
    drop(pr.label(LABEL, "alice"));
    gate.announced(&pr.head_sha()).await;
    contains(&gate, &pr, "root", "/override smoke outage", "+1", &[]).await;
    let (repo, head) = ("acme/infra".parse().unwrap(), pr.head_sha().parse().unwrap());
    let voices: Vec<_> = gate.store().said(&repo, &head).await.unwrap().into_iter().map(|said| said.run).collect();
    let run = gate.runs().await[0]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(voices, [run, run]);
    assert_eq!(gate.shown(&pr.head_sha())["portcullis/smoke"].1, "overridden by root: outage");
}

#[tokio::test]
async fn what_is_asked_again_and_again_is_refused_with_the_reason() {
    let gate = quick().await;
    let pr = gate.open_pr("feature");
    for _ in 0..3 {
        contains(&gate, &pr, "alice", "/test smoke", "eyes", &[]).await;
        contains(&gate, &pr, "alice", "/cancel", "+1", &[]).await;
        a_second_later(&gate).await;
    }
    contains(&gate, &pr, "alice", "/test smoke", "confused", &["run again 3 times", "Push a commit"]).await;
}

#[tokio::test]
async fn what_is_asked_again_at_once_waits() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    contains(&gate, &pr, "alice", "/test smoke", "eyes", &[]).await;
    contains(&gate, &pr, "alice", "/cancel\n/test smoke", "confused", &["asked for a moment ago"]).await;
    assert_eq!(gate.runs().await[0]["state"], "finished", "it was cancelled all the same");
}

#[tokio::test]
async fn only_people_who_speak_now_are_heard() {
    let gate = quick().await;
    let pr = gate.open_pr("feature");
    let (first, _) = pr.comment("alice", "looks good");
    drop(pr.edit_comment(first, "alice", "/test"));
    drop(pr.comment("renovate[bot]", "/test"));
    drop(pr.comment("alice", "> /test\n\n`/test`\n\n    /test"));
    gate.settled().await;
    assert_eq!(gate.runs().await.len(), 0);
    assert!(pr.comments().iter().all(|comment| comment.reactions.is_empty()));
    drop(pr.close("alice"));
    drop(pr.comment("alice", "/test"));
    gate.settled().await;
    assert_eq!((gate.runs().await.len(), pr.comments().len()), (0, 4));
}

#[tokio::test]
async fn a_cluster_is_kept_on_request_and_let_go() {
    let gate = quick().await;
    let pr = gate.open_pr("feature");
    contains(&gate, &pr, "alice", "/hold", "confused", &["no cluster to keep"]).await;
    contains(&gate, &pr, "alice", "/release", "+1", &["No cluster is being kept"]).await;
    contains(&gate, &pr, "alice", "/test\n/hold 3h", "confused", &["no cluster to keep"]).await;
    contains(&gate, &pr, "alice", "/hold 3h", "+1", &["is kept for 3h00m", "portcullis clusters kubeconfig"]).await;
    contains(&gate, &pr, "alice", "/release", "+1", &[]).await;
    contains(&gate, &pr, "alice", "/release", "+1", &["No cluster is being kept"]).await;
    let deeds: Vec<_> = gate.audit().await.iter().map(|deed| deed["deed"].as_str().unwrap().to_owned()).collect();
    assert_eq!(deeds[..2], ["released", "held"]);
}

on_both_databases! {
    /// GitHub takes the comment and answers nonsense: whether it is there is looked up before it is said again.
    async fn a_reply_is_given_once_whatever_happens(database: Database) {
        let mut gate = Gate::on(database, &[(POLICY, TWO_SUITES)]).await;
        let pr = gate.open_pr("feature");
        gate.settled().await;
        gate.github.fail_next(Match::post("/repos/acme/infra/issues/*/comments"), 1, Fault::Truncate(20));
        gate.github.fail_next(Match::post("/repos/acme/infra/issues/comments/*/reactions"), 1, Fault::Status(502));
        let (id, _) = pr.comment("alice", "/tset");
        gate.until("the reply is there", |_| (pr.comments().len() == 2).then_some(())).await;
        gate.kill().await;
        gate.start_again().await;
        gate.settled().await;
        let comments = pr.comments();
        assert_eq!(comments.len(), 2, "{comments:#?}");
        assert_eq!(comments.iter().find(|comment| comment.id == id).unwrap().reactions.len(), 1);
    }
}

#[tokio::test]
async fn who_keeps_github_waiting_keeps_nobody_else_waiting() {
    let gate = Gate::with_policy(TWO_SUITES).await;
    let (slow, quick) = (gate.open_pr("slow"), gate.open_pr("quick"));
    gate.settled().await;
    gate.github.fail_next(Match::get(&format!("/repos/acme/infra/pulls/{}", slow.number())), 1, Fault::Hang);
    drop(slow.label(LABEL, "alice"));
    let asked = format!("/repos/acme/infra/pulls/{}", slow.number());
    let looks = gate.github.requests().iter().filter(|request| request.path == asked).count();
    gate.until("the slow one is asked for", |github| {
        (github.requests().iter().filter(|request| request.path == asked).count() >= looks.max(1)).then_some(())
    })
    .await;
    let labelled = gate.github.now();
    drop(quick.label(LABEL, "alice"));
    gate.announced(&quick.head_sha()).await;
    let after = gate.github.now().duration_since(labelled).as_secs_f64();
    assert!(after < 10.0, "it waited {after} s");
    assert!(gate.shown(&slow.head_sha()).values().all(|(_, words)| words.starts_with("waiting for the")));
}

/// A line as somebody types it, who types it, and what comes of it.
type Odd = (&'static str, &'static str, Option<&'static str>, &'static str, usize);

const ODD: [Odd; 14] = [
    ("/test foo,bar", "alice", Some("confused"), "there is no suite `foo`", 0),
    ("/test smoke,statefulset", "alice", Some("eyes"), "", 2),
    ("/test\tsmoke", "alice", Some("eyes"), "", 1),
    ("/TEST", "alice", Some("eyes"), "", 2),
    ("/test.", "alice", Some("eyes"), "", 2),
    ("Please:\r\n\r\n/test smoke\r\n", "alice", Some("eyes"), "", 1),
    ("/test smoke\n/test ?", "alice", Some("eyes"), "| `statefulset` |", 1),
    ("/test smkoe", "alice", Some("confused"), "Did you mean `smoke`?", 0),
    ("```\n/test\n```", "alice", None, "", 0),
    ("    /test", "alice", None, "", 0),
    ("> /test", "alice", None, "", 0),
    ("please /test", "alice", None, "", 0),
    ("/test", "renovate[bot]", None, "", 0),
    ("/test", "mallory", Some("confused"), "write permission", 0),
];

#[tokio::test]
async fn odd_command_lines_do_what_they_say_or_nothing() {
    let gate = quick().await;
    let asked: Vec<_> = ODD
        .iter()
        .enumerate()
        .map(|(n, odd)| {
            let pr = gate.open_pr(&format!("odd-{n}"));
            let comment = pr.comment(odd.1, odd.0).0;
            (odd, pr, comment)
        })
        .collect();
    let (edited, closed) = (gate.open_pr("edited"), gate.open_pr("closed"));
    let first = edited.comment("alice", "nothing yet").0;
    drop(edited.edit_comment(first, "alice", "/test"));
    drop(closed.close("alice"));
    drop(closed.comment("alice", "/test"));
    gate.settled().await;
    let runs = gate.runs().await;
    let suites = |pr: &Pull| {
        let of_pr = runs.iter().filter(|run| run["pr"].as_u64() == Some(pr.number()));
        of_pr.map(|run| run["suites"].as_array().unwrap().len()).sum::<usize>()
    };
    for ((line, by, reaction, words, wanted), pr, id) in &asked {
        let comments = pr.comments();
        let own = comments.iter().find(|comment| comment.id == *id).unwrap();
        assert_eq!(own.reactions.first().map(|(_, content)| content.as_str()), *reaction, "{line:?} by {by}");
        let reply: String = comments.iter().filter(|comment| comment.id > *id).map(|one| one.body.as_str()).collect();
        assert!(reply.contains(words) && reply.is_empty() == words.is_empty(), "{line:?} by {by}: {reply:?}");
        assert_eq!(suites(pr), *wanted, "{line:?} by {by}");
    }
    for pr in [&edited, &closed] {
        assert_eq!((suites(pr), pr.comments().len(), pr.comments()[0].reactions.len()), (0, 1, 0));
    }
}
