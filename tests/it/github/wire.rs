//! What goes over the wire: headers, redirects, tokens; and servers that mean harm.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::stream;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use portcullis::adapters::github::Github;
use portcullis::domain::names::RepoName;
use portcullis::ports::{Forge, ForgeError};
use tokio::task::JoinSet;

use super::{repo, sha, short, start, status, token, with};

const SECRET: &str = "ghp_verysecret";

type Script = dyn Fn(&Seen) -> Response + Send + Sync;

/// A request as it arrived.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }
}

/// A server that answers by a script and remembers what it saw.
#[derive(Clone)]
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _task: Arc<JoinSet<()>>,
}

impl Server {
    async fn start(script: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let router = axum::Router::new().fallback(answer).with_state((Arc::clone(&seen), script));
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, _task: Arc::new(task) }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    async fn github(&self) -> Github {
        with(&start().await, &self.url, token(SECRET), short())
    }
}

async fn answer(State((seen, script)): State<(Arc<Mutex<Vec<Seen>>>, Arc<Script>)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let one = Seen { method: parts.method, uri: parts.uri.to_string(), headers: parts.headers, body };
    seen.lock().unwrap().push(one.clone());
    script(&one)
}

fn plain(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

fn redirect(status: u16, location: &str) -> Response {
    Response::builder().status(status).header("location", location).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_request_names_us_once_and_carries_the_token() {
    let server = Server::start(|_| plain(201, "{}")).await;
    server.github().await.set_status(&status(&"a".repeat(40), "x")).await.unwrap();
    let [request] = &server.seen()[..] else { panic!("one request was expected") };
    assert_eq!(request.header("user-agent"), [concat!("portcullis/", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(request.header("authorization"), [format!("Bearer {SECRET}")]);
    assert_eq!(request.header("accept"), ["application/vnd.github+json"]);
    assert_eq!(request.header("x-github-api-version"), ["2022-11-28"]);
    assert_eq!(request.header("content-type"), ["application/json"]);
    assert_eq!(
        (&request.method, request.uri.as_str()),
        (&Method::POST, &*format!("/repos/acme/infra/statuses/{}", "a".repeat(40)))
    );
}

#[tokio::test]
async fn a_download_elsewhere_never_sees_the_token() {
    let elsewhere = Server::start(|request| match request.uri.as_str() {
        "/first?token=t" => redirect(302, "/second"),
        "/second" => plain(200, &[0x1f, 0x8b, 1][..]),
        other => panic!("{other}"),
    })
    .await;
    let target = format!("{}/first?token=t", elsewhere.url);
    let api = Server::start(move |_| redirect(302, &target)).await;
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("a.tgz");
    api.github().await.archive(&repo(), &sha(&"a".repeat(40)), &into, 100).await.unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), [0x1f, 0x8b, 1]);
    assert_eq!(api.seen()[0].header("authorization").len(), 1);
    assert_eq!(elsewhere.seen().len(), 2);
    for request in elsewhere.seen() {
        assert!(!format!("{request:?}").contains(SECRET), "{request:?}");
        assert_eq!(request.header("user-agent").len(), 1);
    }
}

#[tokio::test]
async fn a_moved_repository_is_followed_within_the_api_only() {
    let foreign = Server::start(|_| plain(200, "{}")).await;
    let away = format!("{}/repos/acme/infra/pulls/1", foreign.url);
    let api = Server::start(move |request| match (request.method.as_str(), request.uri.as_str()) {
        ("GET", "/repos/acme/old/pulls/1") => redirect(301, "/repositories/7/pulls/1"),
        ("POST", uri) if uri.starts_with("/repos/acme/infra/statuses/a") => redirect(307, "/repositories/7/statuses/a"),
        ("POST", uri) if uri.starts_with("/repos/acme/infra/statuses/b") => redirect(302, "/repositories/7/statuses/b"),
        ("POST", "/repositories/7/statuses/a") => plain(201, "{}"),
        ("GET", "/repos/acme/gone/pulls/1") => redirect(302, &away),
        ("GET", "/repos/acme/loop/pulls/1") => redirect(302, "/repos/acme/loop/pulls/1"),
        _ => plain(404, r#"{"message":"Not Found"}"#),
    })
    .await;
    let github = api.github().await;
    let pull = async |name: &str| {
        let repo: RepoName = name.parse().unwrap();
        github.pull_request(&repo, 1).await.unwrap_err()
    };
    assert!(matches!(pull("acme/old").await, ForgeError::NotFound(_)), "the new place has no such pull request");
    assert_eq!(api.seen().last().unwrap().uri, "/repositories/7/pulls/1");
    assert_eq!(api.seen().last().unwrap().header("authorization").len(), 1);
    assert!(matches!(pull("acme/gone").await, ForgeError::Rejected(_)));
    assert!(foreign.seen().is_empty(), "the API's calls go nowhere else");
    assert!(matches!(pull("acme/loop").await, ForgeError::Rejected(_)));

    github.set_status(&status(&"a".repeat(40), "moved")).await.unwrap();
    assert!(api.seen().last().unwrap().body.contains("moved"));
    let refused = github.set_status(&status(&"b".repeat(40), "x")).await.unwrap_err();
    assert!(matches!(refused, ForgeError::Rejected(_)), "{refused}");
}

#[tokio::test]
async fn an_endless_archive_is_cut_off_at_its_limit() {
    let piece = bytes::Bytes::from(vec![0x1f_u8; 64 * 1024]);
    let api = Server::start(move |_| {
        let piece = piece.clone();
        plain(200, Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()))))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("a.tgz");
    let error = api.github().await.archive(&repo(), &sha(&"a".repeat(40)), &into, 8 << 20).await.unwrap_err();
    assert!(matches!(error, ForgeError::Rejected(_)), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_archive_that_falls_silent_is_given_up() {
    let api = Server::start(|_| {
        let first = stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0x1f, 0x8b]))]);
        plain(200, Body::from_stream(futures_util::StreamExt::chain(first, stream::pending())))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("a.tgz");
    let error = api.github().await.archive(&repo(), &sha(&"a".repeat(40)), &into, 100).await.unwrap_err();
    assert!(matches!(error, ForgeError::Transient(_)), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn hostile_answers_are_bounded_and_errors_hold_no_token() {
    let api = Server::start(|request| match request.uri.rsplit('/').next().unwrap() {
        "1" => plain(200, "not json"),
        "2" => plain(200, "x".repeat(5 << 20)),
        "3" => plain(500, format!("<html>{}</html>", request.header("authorization")[0])),
        "4" => plain(
            422,
            format!(r#"{{"message":"you sent {} {}"}}"#, request.header("authorization")[0], "x".repeat(9999)),
        ),
        "5" => plain(403, "y".repeat(5 << 20)),
        _ => plain(200, r#"{"number":1,"state":"open","head":{"sha":"../../x"},"base":{"sha":"y","ref":"main"}}"#),
    })
    .await;
    let github = api.github().await;
    let ask = async |number: u64| github.pull_request(&repo(), number).await.unwrap_err();
    assert!(matches!(ask(1).await, ForgeError::Transient(_)));
    assert!(matches!(ask(2).await, ForgeError::Rejected(_)));
    assert!(matches!(ask(3).await, ForgeError::Transient(_)));
    assert!(matches!(ask(4).await, ForgeError::Rejected(_)));
    assert!(matches!(ask(5).await, ForgeError::Forbidden(_)));
    assert!(matches!(ask(6).await, ForgeError::Transient(_)));
    for number in 1..=6 {
        let error = ask(number).await;
        let told = format!("{error} {error:?}");
        assert!(!told.contains(SECRET), "{told}");
        assert!(error.to_string().len() < 400, "{error}");
    }
}
