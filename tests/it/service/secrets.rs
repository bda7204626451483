//! Secrets for suites, through the whole service: who gets them, who is told that he does not, and that nobody else ever sees one.

use std::io::Read;
use std::sync::Mutex;
use std::time::Duration;

use portcullis_github::{Permission, PrSpec, Pull, RawDelivery, StatusState};

use crate::support::engine::{NOBODY, busybox, figure, run};
use crate::support::gate::{Gate, LABEL, WAITING};

const TWO: &str = "version: 1
suites:
  open: { image: 'i:1' }
  closed: { image: 'i:1', secrets: {TOKEN: registry} }
";
const REGISTRY: &str = "[secrets.registry]\nvalue = 'hunter2-registry'\nrepositories = ['acme/*']\n";

fn shown(gate: &Gate, pr: &Pull, suite: &str) -> (StatusState, String) {
    gate.shown(&pr.head_sha())[&format!("portcullis/{suite}")].clone()
}

fn waits() -> (StatusState, String) {
    (StatusState::Pending, WAITING.to_owned())
}

fn by(gate: &Gate, author: &str) -> Pull {
    let head_branch = format!("by-{author}");
    gate.repo.open_pr(PrSpec { head_branch, author: author.into(), from_fork: true, ..PrSpec::default() })
}

#[tokio::test]
async fn a_suite_with_secrets_is_not_run_for_an_outsiders_change() {
    let gate = Gate::with_settings(TWO, REGISTRY).await;
    gate.github.user("root").permission("acme/infra", Permission::Admin);
    let words = "not run: it needs secrets, and eve, who wrote the change, may not start runs here";
    let refused = (StatusState::Error, words.to_owned());
    let (outsiders, insiders) = (by(&gate, "eve"), by(&gate, "alice"));
    drop(outsiders.label(LABEL, "alice"));
    drop(insiders.label(LABEL, "alice"));
    gate.settled().await;
    assert_eq!((shown(&gate, &insiders, "open"), shown(&gate, &insiders, "closed")), (waits(), waits()));
    assert_eq!((shown(&gate, &outsiders, "open"), shown(&gate, &outsiders, "closed")), (waits(), refused.clone()));

    drop(outsiders.comment("alice", "/cancel"));
    gate.settled().await;
    drop(outsiders.comment("alice", "/test closed"));
    gate.settled().await;
    assert_eq!(shown(&gate, &outsiders, "closed"), refused, "asking for it by name does not change who wrote it");
    drop(outsiders.comment("root", "/override closed looked through by hand"));
    gate.settled().await;
    assert_eq!(shown(&gate, &outsiders, "closed").0, StatusState::Success);
}

#[tokio::test]
async fn somebody_who_may_not_start_runs_cannot_have_a_suite_with_secrets_run() {
    let gate = Gate::with_settings(&format!("commands: {{from: anyone}}\n{TWO}"), REGISTRY).await;
    let pr = by(&gate, "alice");
    drop(pr.label(LABEL, "alice"));
    gate.settled().await;
    drop(pr.comment("alice", "/cancel"));
    gate.settled().await;
    drop(pr.comment("eve", "/test all"));
    gate.settled().await;
    let refused = "not run: it needs secrets, and eve, who asked for it, may not start runs here";
    assert_eq!(shown(&gate, &pr, "closed"), (StatusState::Error, refused.to_owned()));
    assert_eq!(shown(&gate, &pr, "open"), waits());
}

#[tokio::test]
async fn a_gate_may_say_that_they_are_for_anyone() {
    let policy = TWO.replace("secrets:", "secrets_for: anyone, secrets:");
    let gate = Gate::with_settings(&policy, REGISTRY).await;
    let pr = by(&gate, "eve");
    drop(pr.label(LABEL, "alice"));
    gate.settled().await;
    gate.shows(&pr.head_sha(), &["open", "closed"], StatusState::Pending, WAITING).await;
}

/// Of alice's labelled change, to whose branch others may push.
async fn moving() -> (Gate, Pull) {
    let rules = "commands: {cool_down: 1s}\non_base_move: rerun_before_merge";
    let gate = Gate::with_settings(&format!("{rules}\n{TWO}"), REGISTRY).await;
    gate.github.user("bob").permission("acme/infra", Permission::Write);
    let pr = by(&gate, "alice");
    drop(pr.label(LABEL, "alice"));
    gate.settled().await;
    assert_eq!(shown(&gate, &pr, "closed"), waits());
    (gate, pr)
}

/// What the suite with secrets says of a commit that nobody stands up for.
fn unapproved(pr: &Pull) -> (StatusState, String) {
    let sha = pr.head_sha();
    let words = "nobody who may start runs has pushed or approved";
    (StatusState::Error, format!("not run: it needs secrets, and {words} {0}: /ok-to-test {0} does", &sha[..12]))
}

#[tokio::test]
async fn a_base_that_moves_brings_no_secrets_to_what_an_outsider_pushed() {
    let (gate, pr) = moving().await;
    drop(pr.push([("CHANGES.md", "mallory's\n")], "mallory"));
    gate.settled().await;
    assert_eq!((shown(&gate, &pr, "open"), shown(&gate, &pr, "closed").0), (waits(), StatusState::Error));
    // Pushing the same commit anew, which runs for it, is no approval of it.
    let pushed =
        gate.github.deliveries().into_iter().rfind(|one| one.action.as_deref() == Some("synchronize")).unwrap();
    drop(gate.hook.deliver_raw(RawDelivery::new("pull_request", pushed.payload)));
    gate.settled().await;
    drop(gate.repo.push("main", [("elsewhere.txt", "moved\n")], "bob"));
    gate.settled().await;
    assert_eq!(gate.runs().await.iter().filter(|run| run["trigger"] == "base").count(), 1);
    assert_eq!((shown(&gate, &pr, "open"), shown(&gate, &pr, "closed")), (waits(), unapproved(&pr)));

    drop(pr.comment("alice", &format!("/ok-to-test {}", &pr.head_sha()[..7])));
    gate.settled().await;
    assert_eq!(shown(&gate, &pr, "closed"), waits(), "alice has approved that very commit");
    drop(pr.push([("CHANGES.md", "bob's\n")], "bob"));
    gate.settled().await;
    assert_eq!(shown(&gate, &pr, "closed"), waits(), "whoever may start runs may push to the branch of another");
}

#[tokio::test]
async fn whoever_moves_the_base_has_asked_for_nothing() {
    let (gate, pr) = moving().await;
    drop(gate.repo.push("main", [("elsewhere.txt", "moved\n")], "renovate[bot]"));
    gate.settled().await;
    assert_eq!(gate.runs().await.iter().filter(|run| run["trigger"] == "base").count(), 1);
    assert_eq!((shown(&gate, &pr, "open"), shown(&gate, &pr, "closed")), (waits(), waits()));
}

#[tokio::test]
async fn a_push_that_nobody_told_of_gets_no_secrets() {
    let (mut gate, pr) = moving().await;
    gate.start_with(|text| {
        text.replace("[github]\n", "[github]\nrepositories = [\"acme/infra\"]\ncatch_up = \"1s\"\n")
    })
    .await;
    gate.github.drop_deliveries(1);
    let (_, lost) = pr.push([("CHANGES.md", "whose?\n")], "mallory");
    assert_eq!(lost.answered().await[0].status(), 0);
    gate.until("it is found", |_| (gate.shown(&pr.head_sha()).len() == 2).then_some(())).await;
    gate.settled().await;
    assert_eq!((shown(&gate, &pr, "open"), shown(&gate, &pr, "closed")), (waits(), unapproved(&pr)));
}

#[tokio::test]
async fn a_command_from_before_a_push_asks_for_no_secrets_after_it() {
    let (gate, pr) = moving().await;
    gate.github.drop_deliveries(1);
    let (_, late) = pr.comment("alice", "/test closed");
    let late = late.answered().await.remove(0).delivery;
    gate.github.skip_time(Duration::from_secs(5));
    drop(pr.push([("CHANGES.md", "mallory's\n")], "mallory"));
    gate.settled().await;
    gate.github.redeliver(late).answered().await;
    gate.settled().await;
    assert_eq!(shown(&gate, &pr, "closed"), unapproved(&pr));
    let from = gate.github.now();
    gate.eventually("a second has passed", async || gate.github.now().duration_since(from).as_secs_f64() > 1.1).await;
    drop(pr.comment("alice", "/test closed"));
    gate.settled().await;
    assert_eq!(shown(&gate, &pr, "closed"), waits(), "now she has seen it");
}

#[tokio::test]
async fn what_was_pushed_to_a_draft_gets_secrets_by_who_pushed_it() {
    for (pusher, gets) in [("alice", true), ("mallory", false)] {
        let (gate, pr) = moving().await;
        drop(pr.convert_to_draft("alice"));
        gate.settled().await;
        drop(pr.push([("CHANGES.md", "while it was a draft\n")], pusher));
        gate.settled().await;
        drop(pr.ready_for_review("alice"));
        gate.settled().await;
        assert_eq!(shown(&gate, &pr, "open"), waits());
        assert_eq!(shown(&gate, &pr, "closed"), if gets { waits() } else { unapproved(&pr) }, "{pusher}");
    }
}

#[tokio::test]
async fn a_gate_that_asks_for_what_it_may_not_have_is_told_so() {
    for settings in [String::new(), REGISTRY.replace("acme/*", "acme/other"), REGISTRY.replace("['acme/*']", "[]")] {
        let gate = Gate::with_settings(TWO, &settings).await;
        let pr = by(&gate, "alice");
        drop(pr.label(LABEL, "alice"));
        // The same whether there is none or it is somebody else's.
        let said = "suites.closed.secrets: this server has no secret `registry` for acme/infra";
        gate.shows(&pr.head_sha(), &["gate"], StatusState::Error, &format!(".github/portcullis.yaml: {said}")).await;
    }
}

/// Needs escaping wherever it is written.
const TOKEN: &str = "hunter2-&<\"registry";
const KEY: [&str; 3] = ["-----BEGIN KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQ", "-----END KEY-----"];
const SETTINGS: &str = "[secrets.registry]
value = 'hunter2-&<\"registry'
repositories = ['acme/infra']

[secrets.cloud_key]
value = '''
-----BEGIN KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQ
-----END KEY-----
'''
repositories = ['acme/*']

[log]
filter = 'debug,bollard=trace,bollard::docker=trace'
";
/// As if the suite had let its cluster know: diagnostics hold events.
const EVENT: &str = "apiVersion: v1
kind: Event
metadata: {name: told, namespace: default}
involvedObject: {kind: Pod, name: told, namespace: default}
type: Normal
reason: Told
message: 'it was told hunter2-&<\"registry'
";
/// Tells its secrets in every way it can, for long enough to be killed meanwhile.
const TELL_ALL: &str = r#"
      echo "begin $TOKEN"
      printf 'in two pieces: '; printf %s "$TOKEN" | cut -c1-9 | tr -d '\n'; sleep 1; printf %s "$TOKEN" | cut -c10-
      echo "$KEY"
      echo "base64 $(printf %s "$TOKEN" | base64)" >&2
      echo 'folded'; printf %s "$KEY" | base64
      mkdir -p "$RESULTS_DIR/$TOKEN"; env > "$RESULTS_DIR/$TOKEN/env.txt"
      i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "still $i $TOKEN"; sleep 0.5; done
      numbers=$(printf %s "$TOKEN" | sed 's/&/\&#38;/; s/</\&#60;/; s/"/\&#34;/'); names=$(printf %s "$TOKEN" | sed 's/&/\&amp;/; s/</\&lt;/; s/"/\&quot;/')
      echo "<testsuite tests='2'><testcase name='buys'/><testcase name='pays'><failure message='refused $numbers'/></testcase></testsuite>" > $RESULTS_DIR/junit.xml
      echo "<x a='$names'/>" > $RESULTS_DIR/other.txt
      exit 1
"#;

#[tokio::test]
#[ignore = "needs Docker and the node image"]
async fn nobody_but_the_suite_sees_a_secret_even_after_a_kill_and_a_rotation() {
    busybox();
    let suite = format!("image: '{NOBODY}'\n    secrets: {{TOKEN: registry, KEY: cloud_key}}\n    command:");
    let setup = "setup: [{name: told, apply: [deploy]}]";
    let policy =
        format!("version: 1\n{setup}\nsuites:\n  acceptance:\n    {suite}\n    - /bin/sh\n    - -c\n    - |{TELL_ALL}");
    let mut gate = Gate::with_engine_and_settings(&policy, SETTINGS).await;
    gate.repo.commit("main", [("deploy/event.yaml", EVENT)]);
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    let log = log_with(&gate, "still 3 ***").await;
    let label = format!("label=dev.portcullis.attempt={}", log.split('/').nth(4).unwrap());
    let id = run("docker", &["ps", "-q", "--filter", &label]);
    let inspected = |what: &str| run("docker", &["inspect", "--format", what, id.trim()]);
    assert!(inspected("{{json .Config.Env}}").contains("TOKEN=hunter2-"), "the suite has it");
    let others = inspected("{{.Name}} {{json .Config.Labels}} {{.Path}} {{json .Args}}");
    assert!(!others.contains("hunter2"), "{others}");

    gate.kill().await;
    gate.configure("hunter2-&<\"registry", "another-token");
    gate.start_again().await;
    gate.shows(&pr.head_sha(), &["acceptance"], StatusState::Failure, "1 of 2 failed: pays: refused ***").await;
    let text = gate.get(&log).await.body;
    for line in ["begin ***", "in two pieces: ***", "base64 ***", "still 1 ***", "still 40 ***"] {
        let told = text.lines().filter(|told| told.ends_with(&format!("Z {line}"))).count();
        assert_eq!(told, 1, "{line}\n{text}");
    }
    assert_eq!(text.matches("still").count(), 40, "no line is lost or there twice\n{text}");
    super::cluster::nothing_is_left(&gate).await;
    nobody_was_told(&gate, &log).await;
}

/// The path of the attempt's log, once it has that line.
async fn log_with(gate: &Gate, line: &str) -> String {
    let found = Mutex::new(String::new());
    gate.eventually("the suite has printed", async || {
        let views = gate.store().open_runs().await.unwrap();
        let Some(attempt) = views.first().and_then(|view| view.attempts.first()) else { return false };
        let path = format!("/runs/{}/attempts/{}/log.txt", attempt.run, attempt.id);
        let is_there = gate.get(&path).await.body.contains(line);
        *found.lock().unwrap() = path;
        is_there
    })
    .await;
    found.into_inner().unwrap()
}

/// Whatever is kept, served or said is without it.
async fn nobody_was_told(gate: &Gate, log: &str) {
    let attempt = log.trim_end_matches("/log.txt");
    let run = attempt.split("/attempts").next().unwrap();
    gate.published().await;
    let mut seen: Vec<(String, Vec<u8>)> = vec![];
    let of_attempt =
        ["log", "log.txt", "junit.xml", "summary.json", "results", "results/other.txt", "results/***/env.txt"];
    let of_attempt = of_attempt.map(|path| format!("{attempt}/{path}"));
    let others =
        [run.to_owned(), format!("/api/v1{run}"), "/flakes".into(), "/api/v1/flakes".into(), "/metrics".into()];
    for path in of_attempt.into_iter().chain(others) {
        let answer = gate.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        seen.push((path, answer.body.into_bytes()));
    }
    // But the commit that was tested, which says it itself.
    for (path, bytes) in gate.kept().into_iter().filter(|(path, _)| path.iter().all(|folder| folder != "work")) {
        if path.extension().is_some_and(|extension| extension == "gz") {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
            seen.push((path.display().to_string(), plain));
        }
        seen.push((path.display().to_string(), bytes));
    }
    seen.push(("GitHub".to_owned(), format!("{:?}", gate.github.requests()).into_bytes()));
    let covered = b"it was told ***";
    let diagnosed = seen.iter().any(|(_, bytes)| bytes.windows(covered.len()).any(|window| window == covered));
    assert!(diagnosed, "diagnostics hold what the cluster was told");
    figure(&format!("{} places looked through", seen.len()));
    let written = [
        "hunter2-&amp;",
        "hunter2-&#",
        "hunter2-\\u0026",
        "hunter2-&<\\\"",
        "aHVudGVyMi0mPCJyZWdpc3Ry",
        // The key in lines of base64, of which each holds some of it.
        "SUlFdlFJQkFEQU5CZ2txaGtpRzl3",
        "another-token",
    ];
    for (place, bytes) in seen {
        for secret in [TOKEN].iter().chain(&written).chain(&KEY) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{place} holds {secret}");
        }
    }
}
