//! Every event on every kind of pull request, through the service's own door. What came of each is a table in `docs/triggers.md`;
//! run with `PORTCULLIS_UPDATE_DOCS=1` this test writes it, otherwise it compares.

use std::path::Path;

use portcullis_github::{PrSpec, Pull, StatusState};
use serde_json::Value;

use crate::support::gate::{Gate, LABEL, POLICY, TWO_SUITES, WAITING, policy};

const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->\n";

/// What a pull request is like before the event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Running,
    Draft,
    RunningDraft,
    Stranger,
    Closed,
}

const STATES: [(State, &str); 6] = [
    (State::Open, "open, no label"),
    (State::Running, "running"),
    (State::Draft, "draft, no label"),
    (State::RunningDraft, "draft, running"),
    (State::Stranger, "a stranger's, running"),
    (State::Closed, "closed"),
];

type Act = fn(&Pull);

const EVENTS: [(&str, Act); 21] = [
    ("labelled by a writer", |pr| drop(pr.label(LABEL, "alice"))),
    ("labelled by a triager", |pr| drop(pr.label(LABEL, "trent"))),
    ("another label", |pr| drop(pr.label("documentation", "alice"))),
    ("label taken off", |pr| drop(pr.unlabel(LABEL, "alice"))),
    ("pushed by a writer", |pr| drop(pr.push([("CHANGES.md", "again\n")], "alice"))),
    ("pushed by a stranger", |pr| drop(pr.push([("CHANGES.md", "unread\n")], "mallory"))),
    ("closed", |pr| drop(pr.close("alice"))),
    ("reopened by a writer", |pr| drop(pr.reopen("alice"))),
    ("reopened by a stranger", |pr| drop(pr.reopen("mallory"))),
    ("retitled", |pr| drop(pr.retitle("Another title", "alice"))),
    ("another base, by a writer", |pr| drop(pr.change_base("release", "alice"))),
    ("made a draft", |pr| drop(pr.convert_to_draft("alice"))),
    ("ready for review", |pr| drop(pr.ready_for_review("alice"))),
    ("`/test` by a writer", |pr| drop(pr.comment("alice", "/test"))),
    ("`/test` by a stranger", |pr| drop(pr.comment("mallory", "/test"))),
    ("`/retest` by a writer", |pr| drop(pr.comment("alice", "/retest"))),
    ("`/cancel` by a writer", |pr| drop(pr.comment("alice", "/cancel"))),
    ("`/cancel smoke` by a writer", |pr| drop(pr.comment("alice", "/cancel smoke"))),
    ("`/ok-to-test` by a writer", |pr| drop(pr.comment("alice", "/ok-to-test"))),
    ("`/override smoke …` by an administrator", |pr| drop(pr.comment("root", "/override smoke outage"))),
    ("`/hold` by a writer", |pr| drop(pr.comment("alice", "/hold"))),
];

fn open(gate: &Gate, state: State, branch: &str) -> Pull {
    let author = if state == State::Stranger { "mallory" } else { "alice" };
    let draft = matches!(state, State::Draft | State::RunningDraft);
    let spec = PrSpec { head_branch: branch.into(), author: author.into(), draft, ..PrSpec::default() };
    let pr = gate.repo.open_pr(spec);
    if matches!(state, State::Running | State::RunningDraft | State::Stranger | State::Closed) {
        drop(pr.label(LABEL, "alice"));
    }
    pr
}

/// A pull request's runs, newest first.
async fn runs(gate: &Gate, pr: &Pull) -> Vec<Value> {
    let answer = gate.get(&format!("/api/v1/runs?pr={}", pr.number())).await;
    serde_json::from_str::<Value>(&answer.body).unwrap()["runs"].as_array().unwrap().clone()
}

fn is_live(run: &Value) -> bool {
    run["state"] != "finished"
}

fn what_came(before: &[Value], after: &[Value]) -> String {
    let mut said = vec![];
    if after.len() > before.len() {
        said.push(format!("new run ({})", after[0]["trigger"].as_str().unwrap().replace('_', " ")));
    }
    if let Some(was) = before.first().filter(|run| is_live(run)) {
        let now = after.iter().find(|run| run["id"] == was["id"]).unwrap();
        said.push(match is_live(now) {
            true => "the run goes on".to_owned(),
            false => format!("run {}", now["message"].as_str().unwrap()),
        });
    }
    if said.is_empty() { "–".to_owned() } else { said.join("; ") }
}

fn status(gate: &Gate, pr: &Pull) -> String {
    let head = pr.head_sha();
    let Some((state, words)) = gate.shown(&head).remove("portcullis/smoke") else { return "–".to_owned() };
    let words = words.replace(&head[..12], "‹commit›");
    let words = if words.starts_with(WAITING) { "queued".to_owned() } else { words };
    let word = match state {
        StatusState::Pending => "pending",
        StatusState::Success => "success",
        StatusState::Failure => "failure",
        StatusState::Error => "error",
    };
    format!("{word}: {words}")
}

#[tokio::test]
async fn every_event_on_every_kind_of_pull_request() {
    let gate = Gate::start().await;
    gate.github.user("root").permission("acme/infra", portcullis_github::Permission::Admin);
    gate.repo.commit("release", policy(TWO_SUITES));
    let mut rows = vec![];
    for (name, act) in EVENTS {
        for (state, kind) in STATES {
            let pr = open(&gate, state, &format!("branch-{}", rows.len()));
            rows.push((name, act, state, kind, pr));
        }
    }
    gate.settled().await;
    for (_, _, _, _, pr) in rows.iter().filter(|(_, _, state, _, _)| *state == State::Closed) {
        drop(pr.close("alice"));
    }
    gate.settled().await;
    let mut before = vec![];
    for (_, _, _, _, pr) in &rows {
        before.push(runs(&gate, pr).await);
    }
    for (_, act, _, _, pr) in &rows {
        act(pr);
    }
    gate.settled().await;

    let mut table = String::from(
        "| event | pull request | what comes of it | status of a suite | label |\n|---|---|---|---|---|\n",
    );
    for ((event, _, _, kind, pr), before) in rows.iter().zip(&before) {
        let came = what_came(before, &runs(&gate, pr).await);
        let label = if pr.labels().iter().any(|label| label == LABEL) { "on" } else { "off" };
        table += &format!("| {event} | {kind} | {came} | {} | {label} |\n", status(&gate, pr));
    }
    compare(&table);
    for (event, _, _, kind, pr) in &rows {
        for (context, (state, words)) in gate.shown(&pr.head_sha()) {
            let waits = words.starts_with("waiting");
            assert!(state != StatusState::Pending || waits, "{event}, {kind}: {context} says {words}");
        }
    }
}

/// The base branch moves under labelled pull requests.
#[tokio::test]
async fn a_base_that_moves_starts_labelled_pull_requests_again_where_the_gate_wants_it() {
    for (rule, again) in [("ignore", false), ("rerun_before_merge", true)] {
        let gate = Gate::with_policy(&format!("on_base_move: {rule}\n{TWO_SUITES}")).await;
        let (labelled, bare) = (gate.open_pr("labelled"), gate.open_pr("bare"));
        drop(labelled.label(LABEL, "alice"));
        gate.announced(&labelled.head_sha()).await;
        gate.settled().await;
        gate.repo.commit("main", [("elsewhere.txt", "moved\n")]);
        gate.settled().await;
        assert_eq!(runs(&gate, &labelled).await.len(), if again { 2 } else { 1 }, "{rule}");
        assert_eq!(runs(&gate, &bare).await.len(), 0);
        let newest = &runs(&gate, &labelled).await[0];
        assert_eq!(newest["trigger"], if again { "base" } else { "label" });
        gate.shows(&labelled.head_sha(), &["smoke", "statefulset"], StatusState::Pending, WAITING).await;
        assert!(gate.repo.files(&labelled.head_sha()).iter().any(|(path, _)| path == POLICY));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the caller asks for the page to be written, and no configuration is read here"
)]
fn compare(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/triggers.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (known, tail) = rest.split_once(END).expect("the table has an end");
    if std::env::var("PORTCULLIS_UPDATE_DOCS").is_ok() {
        std::fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    let differs: Vec<_> = known.lines().zip(table.lines()).filter(|(known, found)| known != found).collect();
    assert!(differs.is_empty() && known.lines().count() == table.lines().count(), "{differs:#?}");
}
