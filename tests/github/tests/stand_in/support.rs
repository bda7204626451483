//! A plain HTTP client and a receiver of webhooks, so that tests see bytes and not a library's view of them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use portcullis_github::{Github, Permission, PrSpec, Pull, Repo};
use serde_json::Value;
use tokio::task::JoinSet;

/// A client with one token.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    root: String,
    token: Option<String>,
    headers: Vec<(&'static str, String)>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { self.json() }
    }
}

impl Http {
    pub(crate) fn new(root: &str, token: Option<&str>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { client, root: root.to_owned(), token: token.map(str::to_owned), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) async fn try_send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, String> {
        let url = if path.starts_with("http://") { path.to_owned() } else { format!("{}{path}", self.root) };
        let mut request = Request::builder().method(method).uri(url);
        if !self.headers.iter().any(|(name, _)| *name == "user-agent") {
            request = request.header("user-agent", "stand-in-test");
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in self.headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_send(Method::GET, path, Bytes::new()).await.unwrap()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        self.try_send(method, path, body.to_string().into()).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.try_send(Method::DELETE, path, Bytes::new()).await.unwrap()
    }
}

/// A stand-in with `acme/infra`, one open pull request, and a bot that may write.
pub(crate) struct Scene {
    pub(crate) github: Github,
    pub(crate) repo: Repo,
    pub(crate) pr: Pull,
    pub(crate) base: String,
    pub(crate) http: Http,
    pub(crate) token: String,
}

pub(crate) async fn scene() -> Scene {
    let github = Github::start().await.unwrap();
    let repo = github.repo("acme/infra");
    let base = repo.commit("main", [(".github/portcullis.yaml", "suites: []\n"), ("app/deploy.yaml", "replicas: 1\n")]);
    let pr = repo.open_pr(PrSpec { files: [("app/deploy.yaml", "replicas: 2\n")].into(), ..PrSpec::default() });
    github.user("gate-bot").permission("acme/infra", Permission::Write);
    let token = github.token("gate-bot");
    let http = Http::new(github.url(), Some(&token));
    Scene { github, repo, pr, base, http, token }
}

impl Scene {
    pub(crate) fn octocrab(&self) -> octocrab::Octocrab {
        octocrab::Octocrab::builder()
            .base_uri(self.github.url())
            .unwrap()
            .personal_token(self.token.clone())
            .build()
            .unwrap()
    }
}

/// Receives webhooks and answers as told.
pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    _server: JoinSet<()>,
}

pub(crate) async fn receiver(answer: StatusCode) -> Receiver {
    type Got = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;
    let got = Got::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/github", listener.local_addr().unwrap());
    let note = move |State(got): State<Got>, headers: HeaderMap, body: Bytes| async move {
        got.lock().unwrap().push((headers, body));
        (answer, "noted")
    };
    let router = Router::new().fallback(note).with_state(Arc::clone(&got));
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Receiver { url, got, _server: server }
}
