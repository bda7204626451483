//! Pages and the API over a real store: what a run shows at each stage, hostile text as text, files and live logs.

use portcullis::domain::attempt::{Attempt, AttemptState};
use portcullis::domain::case::{Case, CaseId, Fold, Try, TryStatus};
use portcullis::domain::cluster::{Cluster, ClusterState, Stage};
use portcullis::domain::effect::Replaces;
use portcullis::domain::progress::Progress;
use portcullis::domain::report::{Counts, Digest};
use portcullis::domain::run::{Conclusion, Run, RunState};
use portcullis::domain::status::StatusState;
use portcullis::domain::verdict::{Evidence, Exit, Verdict};
use portcullis::store::Shown;
use portcullis::web::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http::{Hook, Service};
use crate::support::values::{self, at, attempt, cluster, run, status};

const HOSTILE: &str = "<script>alert('x')</script>&\u{202e}";

async fn create(service: &Service, run: &Run) {
    let announced = [status(run, "smoke", StatusState::Pending, "queued")];
    values::create(&service.store, run, &announced, Replaces::Nothing).await;
}

/// A run whose cluster is ready and whose first suite runs.
async fn running(service: &Service) -> (Run, Cluster, Attempt) {
    let run = run(7, 'a');
    create(service, &run).await;
    let cluster = cluster(&run);
    let store = &service.store;
    assert!(store.admit(&run, &cluster, at(1)).await.unwrap());
    for (to, when) in [(ClusterState::Creating, 2), (ClusterState::Ready, 9)] {
        let now = store.open_clusters().await.unwrap().remove(0);
        assert!(store.move_cluster(&now, to, None, at(when)).await.unwrap());
    }
    assert!(store.begin_setup(cluster.id, Stage::Head, at(9)).await.unwrap());
    let attempt = attempt(&run, &cluster, "smoke", 1);
    assert!(store.create_attempt(&attempt).await.unwrap());
    assert!(store.move_attempt(&attempt, AttemptState::Running, at(12)).await.unwrap());
    (run, cluster, stored(service, &attempt).await)
}

async fn stored(service: &Service, attempt: &Attempt) -> Attempt {
    service.store.attempt(attempt.id).await.unwrap().unwrap()
}

fn failed_case(name: &str, message: &str) -> Case {
    let tried = Try { status: TryStatus::Failed, lane: 0, took: None, message: Some(message.into()) };
    Case {
        id: CaseId { suite: "s".into(), class: String::new(), name: name.into() },
        tries: vec![tried],
        fold: Fold::of(TryStatus::Failed, 0),
    }
}

/// The suite's attempt ends with one failed spec, and the run with it.
async fn fail(service: &Service, run: &Run, attempt: &Attempt, name: &str, message: &str) {
    let store = &service.store;
    let counts = Counts { total: 3, passed: 2, failed: 1, ..Counts::default() };
    let digest = Digest { counts, files: 1, ..Digest::default() };
    let evidence = Evidence { exit: Exit::Code(1), digest, took_ms: Some(65_000), ..Evidence::default() };
    assert!(
        store
            .finish_attempt(
                attempt,
                &evidence,
                Shown { cases: &[failed_case(name, message)], ..Shown::default() },
                at(77)
            )
            .await
            .unwrap()
    );
    let conclusion = Conclusion { verdict: Verdict::Failure, description: format!("1 of 3 failed: {name}") };
    let told = status(run, "smoke", StatusState::Failure, &conclusion.description);
    let rest = [("smoke".parse().unwrap(), conclusion, told)];
    let run = store.run(run.id).await.unwrap().unwrap();
    assert!(store.finish(&run, Verdict::Failure, None, &rest, at(78)).await.unwrap());
}

fn write(path: std::path::PathBuf, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn an_empty_service_says_what_to_do() {
    let service = Service::start().await;
    assert_eq!(service.get("/").await.header("location"), Some("/runs"));
    let page = service.get("/runs").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("No run yet") && page.body.contains(".github/portcullis.yaml"));
}

#[tokio::test]
async fn a_queued_run_says_what_it_waits_for() {
    let service = Service::start().await;
    let run = run(7, 'a');
    create(&service, &run).await;
    service.store.explain_run(run.id, "waiting: Docker is not reachable").await.unwrap();
    let page = service.get(&format!("/runs/{}", run.id)).await;
    assert_eq!(page.status, 200);
    for text in ["queued", "Docker is not reachable", "acme/infra", "https://github.example/acme/infra/pull/7", "alice"]
    {
        assert!(page.body.contains(text), "{text}");
    }
    assert!(page.body.contains("http-equiv=\"refresh\""), "it refreshes without JavaScript too");
}

#[tokio::test]
async fn a_running_suite_shows_its_progress_and_the_end_of_its_log() {
    let service = Service::start().await;
    let (run, _, attempt) = running(&service).await;
    let progress = Progress { total: 4, completed: 1, failed: 0 };
    service.store.note_progress(attempt.id, &progress).await.unwrap();
    write(service.artifacts.log(run.id, attempt.id), "2026-11-21T02:56:04.1Z ok rollout\n");
    let page = service.get(&format!("/runs/{}", run.id)).await.body;
    for text in ["1 of 4 specs", "value=\"25\"", "ok rollout", "02:56:04", "waiting for smoke"] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[tokio::test]
async fn a_failed_run_shows_the_spec_its_reason_and_where_everything_is() {
    let service = Service::start().await;
    let (run, cluster, attempt) = running(&service).await;
    let reason = "suites/web.rs:25\nexpected 3 replicas, found 2";
    fail(&service, &run, &attempt, "web keeps its replicas", reason).await;
    let artifacts = &service.artifacts;
    write(artifacts.log(run.id, attempt.id), "2026-11-21T02:56:04.1Z FAIL web keeps its replicas\n");
    write(artifacts.junit(run.id, attempt.id), "<testsuites/>");
    write(artifacts.results(run.id, attempt.id).join("deep/pods.txt"), "web-0 Pending");
    write(artifacts.cluster_log(run.id, cluster.id), "kubelet: started");
    let base = format!("/runs/{}", run.id);
    let page = service.get(&base).await.body;
    assert!(!page.contains("http-equiv=\"refresh\""), "nothing changes any more");
    for text in
        ["web keeps its replicas", "expected 3 replicas, found 2", "2 passed, 1 failed", "1m05s", "tear-down", "set-up"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    let files = format!("{base}/attempts/{}", attempt.id);
    for (address, text) in [
        (format!("{files}/log"), "FAIL web keeps its replicas"),
        (format!("{files}/log.txt"), "2026-11-21T02:56:04.1Z FAIL"),
        (format!("{files}/junit.xml"), "<testsuites/>"),
        (format!("{files}/results"), "deep/pods.txt"),
        (format!("{files}/results/deep/pods.txt"), "web-0 Pending"),
        (format!("{base}/clusters/{}/log.txt", cluster.id), "kubelet: started"),
    ] {
        assert!(page.contains(&address) || address.contains("results/"), "{address} is linked");
        let answer = service.get(&address).await;
        assert_eq!((answer.status, answer.header("x-content-type-options")), (200, Some("nosniff")), "{address}");
        assert!(answer.body.contains(text), "{text} at {address}: {}", answer.body);
    }
}

#[tokio::test]
async fn hostile_text_is_shown_as_text_everywhere() {
    let service = Service::start().await;
    let hostile = Run { actor: HOSTILE.into(), message: Some(HOSTILE.into()), ..run(7, 'a') };
    create(&service, &hostile).await;
    let cluster = cluster(&hostile);
    service.store.admit(&hostile, &cluster, at(1)).await.unwrap();
    let waiting = attempt(&hostile, &cluster, "smoke", 1);
    service.store.create_attempt(&waiting).await.unwrap();
    service.store.move_attempt(&waiting, AttemptState::Running, at(3)).await.unwrap();
    let attempt = stored(&service, &waiting).await;
    write(service.artifacts.log(hostile.id, attempt.id), format!("2026-11-21T02:56:04.1Z {HOSTILE}\n"));
    write(service.artifacts.results(hostile.id, attempt.id).join("<b>.html"), HOSTILE);
    let base = format!("/runs/{}", hostile.id);
    let files = format!("{base}/attempts/{}", attempt.id);
    let live = service.get(&base).await.body;
    fail(&service, &hostile, &attempt, HOSTILE, HOSTILE).await;
    let pages = [
        live,
        service.get(&base).await.body,
        service.get("/runs").await.body,
        service.get(&format!("{files}/log")).await.body,
        service.get(&format!("{files}/results")).await.body,
        service.get(&format!("/runs?state={}", "%3Cscript%3E")).await.body,
    ];
    for page in pages {
        assert!(!page.contains("<script>"), "{page}");
        assert!(!page.contains("<b>"), "{page}");
    }
    let download = service.get(&format!("{files}/results/%3Cb%3E.html")).await;
    assert_eq!(download.header("content-type"), Some("application/octet-stream"));
    assert!(download.header("content-disposition").unwrap().starts_with("attachment"));
}

#[tokio::test]
async fn every_page_carries_the_headers_that_keep_it_harmless() {
    let service = Service::start().await;
    for path in ["/runs", "/nowhere", "/assets/style.css", "/api/v1/runs"] {
        let answer = service.get(path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(answer.header("referrer-policy").is_some() && answer.header("x-request-id").is_some(), "{path}");
        assert!(!answer.body.contains("style=\""), "inline styles would be blocked by the policy");
    }
    let style = service.get("/assets/style.css").await;
    assert!(style.header("cache-control").unwrap().contains("immutable"));
}

#[tokio::test]
async fn nothing_outside_an_attempts_folder_is_served() {
    let service = Service::start().await;
    let (run, _, attempt) = running(&service).await;
    let results = service.artifacts.results(run.id, attempt.id);
    write(results.join("report.xml"), "mine");
    write(service.artifacts.root().join("secret"), "not yours");
    std::os::unix::fs::symlink(service.artifacts.root().join("secret"), results.join("link")).unwrap();
    let files = format!("/runs/{}/attempts/{}/results", run.id, attempt.id);
    assert_eq!(service.get(&format!("{files}/report.xml")).await.body, "mine");
    for path in [
        "../../../../secret",
        "..%2f..%2f..%2f..%2fsecret",
        "%2e%2e/%2e%2e/secret",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "link",
        "a%00b",
        ".",
    ] {
        let answer = service.get(&format!("{files}/{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.contains("not yours") && !answer.body.contains("root:"), "{path}");
    }
    let other = format!("/runs/{}/attempts/{}/log", portcullis::domain::ids::RunId::new(at(0)), attempt.id);
    assert_eq!(service.get(&other).await.status, 404, "an attempt belongs to its own run");
}

#[tokio::test]
async fn errors_are_told_without_internals() {
    let service = Service::start().await;
    let page = service.get("/runs/none").await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("no such run") && page.body.contains(page.header("x-request-id").unwrap()));
    let api = service.get("/api/v1/runs/none").await;
    let said: serde_json::Value = serde_json::from_str(&api.body).unwrap();
    assert_eq!((api.status, said["error"]["code"].as_str()), (404, Some("not_found")));
    assert_eq!(service.get("/api/v1/nonsense").await.status, 404);
    assert_eq!(service.get("/api/v1/runs?pr=seven").await.status, 400);
    service.store.close().await;
    for path in ["/runs", "/api/v1/runs"] {
        let answer = service.get(path).await;
        assert_eq!(answer.status, 500, "{path}");
        assert!(answer.body.contains("something went wrong") && !answer.body.contains("pool"), "{}", answer.body);
    }
}

#[tokio::test]
async fn lists_are_narrowed_and_turned_page_by_page() {
    let service = Service::start().await;
    let mut runs = Vec::new();
    for number in 0..120_u64 {
        let mut one = run(number, 'a');
        one.id = portcullis::domain::ids::RunId::new(at(i64::try_from(number).unwrap()));
        if number % 10 == 0 {
            (one.state, one.verdict, one.finished_at) = (RunState::Finished, Some(Verdict::Error), Some(at(500)));
        }
        create(&service, &one).await;
        runs.push(one);
    }
    let first = service.get("/runs").await.body;
    let id = |number: usize| runs[number].id.to_string();
    assert!(first.contains(&id(119)) && first.contains(&id(70)) && !first.contains(&id(69)));
    assert!(first.contains("older") && !first.contains("newer"));
    let second = service.get(&format!("/runs?before={}", id(70))).await.body;
    assert!(second.contains(&id(69)) && second.contains(&id(20)) && !second.contains(&id(19)));
    assert!(second.contains(&format!("after={}", id(69))) && second.contains(&format!("before={}", id(20))));
    let back = service.get(&format!("/runs?after={}", id(69))).await.body;
    assert!(back.contains(&id(119)) && back.contains(&id(70)) && !back.contains("newer"));
    let broken = service.get("/runs?repo=Acme/Infra&state=error&pr=").await.body;
    assert!(broken.contains(&id(0)) && broken.contains(&id(110)) && !broken.contains(&id(111)));
    assert!(service.get("/runs?pr=%2355").await.body.contains(&id(55)));
    assert!(service.get("/runs?repo=acme/other").await.body.contains("No run matches"));

    let json: serde_json::Value = serde_json::from_str(&service.get("/api/v1/runs").await.body).unwrap();
    assert_eq!(json["runs"].as_array().unwrap().len(), 100);
    let next = json["next"].as_str().unwrap();
    let rest = service.get(&format!("/api/v1/runs?before={next}")).await.body;
    let rest: serde_json::Value = serde_json::from_str(&rest).unwrap();
    assert_eq!((rest["runs"].as_array().unwrap().len(), rest.get("next")), (20, None));
}

#[tokio::test]
async fn the_api_tells_a_run_whole() {
    let service = Service::start().await;
    let (run, _, attempt) = running(&service).await;
    fail(&service, &run, &attempt, "web keeps its replicas", "found 2").await;
    let answer = service.get(&format!("/api/v1/runs/{}", run.id)).await;
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let expect = [
        ("/state", "finished"),
        ("/verdict", "failure"),
        ("/repo", "acme/infra"),
        ("/suites/0/name", "smoke"),
        ("/suites/0/verdict", "failure"),
        ("/attempts/0/state", "done"),
        ("/attempts/0/verdict", "failure"),
        ("/clusters/0/state", "ready"),
        ("/statuses/0/state", "failure"),
    ];
    for (pointer, value) in expect {
        assert_eq!(json.pointer(pointer).and_then(|found| found.as_str()), Some(value), "{pointer} in {json:#}");
    }
    assert_eq!(json["attempts"][0]["cases"]["failed"], 1);
    assert!(json["suites"][1]["verdict"].is_null());
}

/// Reads events until `text` has come.
async fn until(stream: &mut tokio::net::TcpStream, text: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains(text) {
        let read = tokio::time::timeout(std::time::Duration::from_secs(10), stream.read(&mut buffer)).await;
        let read = read.unwrap_or_else(|_| panic!("no {text:?} in {seen:?}")).unwrap();
        assert!(read > 0, "ended without {text:?}: {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    seen
}

#[tokio::test]
async fn a_log_is_followed_from_where_the_reader_was_until_the_attempt_ends() {
    let service = Service::start().await;
    let (run, _, attempt) = running(&service).await;
    let path = service.artifacts.log(run.id, attempt.id);
    write(path.clone(), "2026-11-21T02:56:04.1Z one\n2026-11-21T02:56:05.1Z two\n2026-11-21T02:56:06.1Z unfin");
    let request = |extra: &str| {
        format!("GET /runs/{}/attempts/{}/log/events?from=0 HTTP/1.1\r\nHost: x\r\n{extra}\r\n", run.id, attempt.id)
    };
    let mut first = service.connect().await;
    first.write_all(request("").as_bytes()).await.unwrap();
    let seen = until(&mut first, "two").await;
    assert!(seen.contains("text/event-stream") && seen.contains("\"one\"") && !seen.contains("unfin"), "{seen}");
    let id = seen.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(first);

    let mut second = service.connect().await;
    second.write_all(request(&format!("Last-Event-ID: {id}\r\n")).as_bytes()).await.unwrap();
    let mut log = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut log, b"ished\n2026-11-21T02:56:07.1Z last, without an end of line").unwrap();
    let seen = until(&mut second, "unfinished").await;
    assert!(!seen.contains("\"one\"") && !seen.contains("\"two\""), "what was seen is not sent again: {seen}");
    fail(&service, &run, &attempt, "x", "y").await;
    let seen = until(&mut second, "event: end").await;
    assert!(seen.contains("last, without an end of line"), "{seen}");
}

#[tokio::test]
async fn following_a_log_does_not_keep_the_service_from_stopping() {
    let service = Service::start().await;
    let (run, _, attempt) = running(&service).await;
    let mut stream = service.connect().await;
    let request = format!("GET /runs/{}/attempts/{}/log/events HTTP/1.1\r\nHost: x\r\n\r\n", run.id, attempt.id);
    stream.write_all(request.as_bytes()).await.unwrap();
    until(&mut stream, "text/event-stream").await;
    let began = std::time::Instant::now();
    service.stop().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

#[tokio::test]
async fn readers_that_take_nothing_keep_no_webhook_out() {
    let write_time = std::time::Duration::from_millis(500);
    let service = Service::with(Limits { connections: 2, write_time, ..Limits::default() }).await;
    let (run, _, attempt) = running(&service).await;
    // More than the kernel takes on behalf of both sides.
    write(service.artifacts.log(run.id, attempt.id), vec![b'x'; 64 << 20]);
    let request = format!("GET /runs/{}/attempts/{}/log.txt HTTP/1.1\r\nHost: x\r\n\r\n", run.id, attempt.id);
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut stream = service.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        until(&mut stream, "200 OK").await;
        readers.push(stream);
    }
    let answer = tokio::time::timeout(std::time::Duration::from_secs(20), service.deliver(&Hook::new("a"))).await;
    assert_eq!(answer.expect("there is a place").status, 202);
}
