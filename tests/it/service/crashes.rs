//! The crash matrix: the service is killed before and after every kind of call that it makes to GitHub and to Docker, is started again
//! each time, and must come to the same end as if nothing had happened.

use std::collections::BTreeMap;

use portcullis_github::{Comment, Permission, Pull, StatusState};

use crate::support::engine::{NOBODY, busybox, figure};
use crate::support::gate::{Gate, LABEL, POLICY, Who};
use crate::support::wire::{Moment, Point, Wires};

/// Applied at the base, and once more at the head.
const MANIFEST: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: size, namespace: default}\ndata: {size: small}\n";

/// A script for YAML's double quotes that reports these cases, in the words of JUnit.
fn reports(cases: &str, then: &str) -> String {
    format!("echo '<testsuite name=\\\"t\\\">{cases}</testsuite>' > $RESULTS_DIR/junit.xml; {then}")
}

/// One suite that passes, one that fails, one whose failed case passes when it is run again.
fn gate(more: &str) -> String {
    let good = "<testcase name=\\\"good\\\"/>";
    let bad = "<testcase name=\\\"bad\\\"><failure message=\\\"no\\\"/></testcase>";
    let (passes, fails) = (reports(good, "exit 0"), reports(&format!("{good}{bad}"), "exit 1"));
    let again = reports("<testcase name=\\\"bad\\\"/>", "exit 0");
    format!(
        "version: 1
setup: [{{name: settings, apply: [deploy]}}]
upgrade: {{from: base}}
{more}suites:
  passes: {{image: '{NOBODY}', command: [/bin/sh, -c, \"{passes}\"]}}
  fails: {{image: '{NOBODY}', command: [/bin/sh, -c, \"{fails}\"]}}
  flakes:
    image: '{NOBODY}'
    command: [/bin/sh, -c, \"{fails}\"]
    rerun: {{max_percent: 100, command: [/bin/sh, -c, \"{again}\", '{{case}}']}}
"
    )
}

/// How a pull request ended, without what differs from one run to the next.
#[derive(Debug, PartialEq, Eq)]
struct End {
    statuses: BTreeMap<String, (StatusState, String)>,
    checks: Vec<(String, String)>,
    comments: usize,
    /// Suites with their attempts.
    attempts: BTreeMap<String, usize>,
}

/// What stands before the first duration.
fn timeless(text: &str) -> String {
    text.split(" · ").next().unwrap_or_default().to_owned()
}

/// Waits for something, restarting the service whenever it dies; where it died.
async fn through(gate: &mut Gate, wires: &mut Wires, what: impl AsyncFn(&Gate)) -> Vec<Point> {
    let mut deaths = vec![];
    loop {
        tokio::select! {
            point = wires.point() => deaths.push(point),
            () = what(gate) => return deaths,
        }
        gate.kill().await;
        wires.killed();
        gate.start_again().await;
    }
}

async fn ends(gate: &mut Gate, pr: &Pull, wires: &mut Wires) -> Vec<Point> {
    let head = pr.head_sha();
    through(gate, wires, async |gate| gate.over(&head).await).await
}

async fn end(gate: &Gate, pr: &Pull) -> End {
    let run = gate.newest_run().await;
    let suites =
        run["attempts"].as_array().unwrap().iter().map(|attempt| attempt["suite"].as_str().unwrap().to_owned());
    let statuses = gate.shown(&pr.head_sha()).into_iter();
    let checks = gate.github.checks(&pr.head_sha()).into_iter();
    let mut checks: Vec<_> = checks.map(|check| (check.name, check.conclusion.unwrap_or_default())).collect();
    checks.sort();
    End {
        statuses: statuses.map(|(context, (state, text))| (context, (state, timeless(&text)))).collect(),
        checks,
        comments: pr.comments().len(),
        attempts: suites.fold(BTreeMap::new(), |mut all, suite| {
            *all.entry(suite).or_default() += 1;
            all
        }),
    }
}

/// Suites' containers that were made or started more than once. A node that may not be privileged is made again without that.
fn started_twice(wires: &Wires) -> Vec<String> {
    let begins = |call: &str| call.contains("/start") || call.contains("/create?name=") && !call.contains("-server-");
    let twice = wires.took_effect().into_iter().filter(|(call, times)| begins(call) && *times > 1);
    twice.map(|(call, times)| format!("{times} times {call}")).collect()
}

fn tell(what: &str, deaths: &[Point]) {
    figure(&format!("{what}: killed {} times", deaths.len()));
    for death in deaths {
        figure(&death.to_string());
    }
}

async fn comes_to_the_same_end(who: Who, more: &str) {
    busybox();
    let (mut gate, mut wires) = Gate::wired(&[(POLICY, &gate(more)), ("deploy/settings.yaml", MANIFEST)], who).await;
    let calm = gate.open_pr("calm");
    calm.label(LABEL, "alice").answered().await;
    assert_eq!(ends(&mut gate, &calm, &mut wires).await, [], "nothing cuts yet");
    let undisturbed = end(&gate, &calm).await;
    assert_eq!(
        undisturbed.attempts,
        BTreeMap::from([("passes", 1), ("fails", 1), ("flakes", 2)].map(|(s, n)| (s.to_owned(), n)))
    );

    let rough = gate.open_pr("rough");
    wires.arm();
    rough.label(LABEL, "alice").answered().await;
    let deaths = ends(&mut gate, &rough, &mut wires).await;
    tell(&format!("{who:?}"), &deaths);
    assert_eq!(end(&gate, &rough).await, undisturbed, "{deaths:#?}");
    assert_eq!(started_twice(&wires), [""; 0]);
    for call in ["/containers/create", "/start", "/archive", "/statuses/"] {
        for moment in [Moment::Before, Moment::After] {
            let died = deaths.iter().any(|point| point.moment == moment && point.call.contains(call));
            assert!(died || (call == "/statuses/" && who == Who::App), "never killed {moment:?} {call}: {deaths:#?}");
        }
    }
    super::cluster::nothing_is_left(&gate).await;
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn a_run_told_by_statuses_comes_to_the_same_end() {
    comes_to_the_same_end(Who::Token, "").await;
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn a_run_told_by_check_runs_and_a_comment_comes_to_the_same_end() {
    comes_to_the_same_end(Who::App, "report: checks\ncomment: true\n").await;
}

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn a_cancelled_run_comes_to_the_same_end() {
    busybox();
    let policy =
        format!("version: 1\nsuites:\n  lasts: {{image: '{NOBODY}', command: [/bin/sleep, '600'], stop_grace: 1s}}\n");
    let (mut gate, mut wires) = Gate::wired(&[(POLICY, &policy)], Who::Token).await;
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice").answered().await;
    gate.eventually("the suite runs", async || {
        gate.newest_run().await["attempts"].as_array().unwrap().iter().any(|attempt| attempt["state"] == "running")
    })
    .await;
    wires.arm();
    pr.unlabel(LABEL, "alice").answered().await;
    let deaths = ends(&mut gate, &pr, &mut wires).await;
    tell("cancelled", &deaths);
    let ended = end(&gate, &pr).await;
    let said = ended.statuses["portcullis/lasts"].clone();
    assert!(said.0 == StatusState::Error && said.1.starts_with("cancelled"), "{said:?}");
    assert_eq!((ended.attempts["lasts"], started_twice(&wires)), (1, vec![]));
    super::cluster::nothing_is_left(&gate).await;
}

/// Docker is not asked for anything: every suite is waived or held back before.
#[tokio::test]
#[ignore = "needs Docker"]
async fn comments_are_answered_once_each() {
    let policy = "version: 1\nsuites: {smoke: {required: false}, statefulset: {}}\n";
    let (mut gate, mut wires) = Gate::wired(&[(POLICY, policy)], Who::Token).await;
    gate.github.user("root").permission("acme/infra", Permission::Admin);
    let pr = gate.open_pr("feature");
    gate.shows(&pr.head_sha(), &["smoke", "statefulset"], StatusState::Pending, "waiting for the").await;
    wires.arm();
    let mut deaths = vec![];
    for (by, body) in [
        ("alice", "/tset"),
        ("mallory", "/test"),
        ("alice", "/test ?"),
        ("alice", "/skip smoke not for this change"),
        ("root", "/override statefulset the cloud is down"),
        ("alice", "/retest"),
    ] {
        let (id, sent) = pr.comment(by, body);
        sent.answered().await;
        deaths.extend(answered(&mut gate, &pr, id, &mut wires).await);
    }
    tell("comments", &deaths);
    let comments = pr.comments();
    let (asked, replies): (Vec<_>, Vec<_>) = comments.iter().partition(|comment| !comment.reactions.is_empty());
    assert_eq!(asked.len(), 6, "{comments:#?}");
    assert!(asked.iter().all(|comment| comment.reactions.len() == 1), "{comments:#?}");
    let said: Vec<&str> = replies.iter().map(|reply| reply.body.as_str()).collect();
    for words in ["Did you mean `/test`?", "write permission", "| `smoke` |", "Nothing of this commit has failed"] {
        assert_eq!(said.iter().filter(|reply| reply.contains(words)).count(), 1, "{words}: {said:#?}");
    }
    for (suite, state) in gate.shown(&pr.head_sha()) {
        assert_eq!(state.0, StatusState::Success, "{suite}: {}", state.1);
    }
    let deeds: Vec<_> = gate.audit().await.iter().map(|entry| entry["deed"].as_str().unwrap().to_owned()).collect();
    assert_eq!(deeds, ["overrode", "skipped"], "newest first");
}

/// Waits until a comment has its reaction and all is said.
async fn answered(gate: &mut Gate, pr: &Pull, comment: u64, wires: &mut Wires) -> Vec<Point> {
    let is_answered = |one: &Comment| one.id == comment && !one.reactions.is_empty();
    through(gate, wires, async |gate| {
        gate.until("the comment gets a reaction", |_| pr.comments().iter().any(is_answered).then_some(())).await;
        gate.said().await;
    })
    .await
}
