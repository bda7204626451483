//! The real web room on a loopback port, and a client plain enough to send what no well-behaved client would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use portcullis::artifacts::Artifacts;
use portcullis::domain::cluster::ClusterPlan;
use portcullis::domain::ids::ClusterId;
use portcullis::domain::wording::Links;
use portcullis::ports::{Audience, Clock, ClusterAccess, ClusterHealth, ClusterProvider, ClusterSpec, ProviderError};
use portcullis::store::Store;
use portcullis::web::{Limits, Web, serve};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::values::at;

pub const SECRET: &str = "It's a Secret to Everybody";

/// A running web room with its store and files.
pub struct Service {
    pub address: SocketAddr,
    pub store: Store,
    pub artifacts: Artifacts,
    wakes: Arc<AtomicUsize>,
    stop: CancellationToken,
    tasks: JoinSet<std::io::Result<()>>,
    _folder: TempDir,
}

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> jiff::Timestamp {
        at(3600)
    }
}

/// What `/readyz` hears when the engine is away. The other methods are never called by the web room.
struct NoEngine;

#[async_trait]
impl ClusterProvider for NoEngine {
    fn name(&self) -> &'static str {
        "none"
    }
    fn version_of(&self, _: &ClusterPlan) -> Option<String> {
        None
    }

    async fn check(&self) -> Result<(), ProviderError> {
        let source = anyhow::anyhow!("connect to /run/secret/path.sock: refused");
        Err(ProviderError::Unreachable { engine: "Docker", source })
    }
    async fn ensure(&self, _: &ClusterSpec) -> Result<(), ProviderError> {
        unreachable!("the web room makes no cluster")
    }
    async fn observe(&self, _: ClusterId) -> Result<ClusterHealth, ProviderError> {
        unreachable!("the web room watches no cluster")
    }
    async fn access(&self, _: ClusterId, _: Audience) -> Result<Option<ClusterAccess>, ProviderError> {
        unreachable!("the web room reaches no cluster")
    }
    async fn diagnose(&self, _: ClusterId) -> Result<String, ProviderError> {
        unreachable!("the web room diagnoses no cluster")
    }
    async fn destroy(&self, _: ClusterId) -> Result<(), ProviderError> {
        unreachable!("the web room destroys no cluster")
    }
    async fn list(&self) -> Result<Vec<ClusterId>, ProviderError> {
        unreachable!("the web room lists no cluster")
    }
}

impl Service {
    /// On a SQLite store of its own.
    pub async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("p.db").display())).await.unwrap();
        Self::on(store, limits, folder).await
    }

    pub async fn on(store: Store, limits: Limits, folder: TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wakes, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let artifacts = Artifacts::new(folder.path().join("data"));
        let counter = Arc::clone(&wakes);
        let web = Web {
            store: store.clone(),
            artifacts: artifacts.clone(),
            kept: None,
            provider: Arc::new(NoEngine),
            clock: Arc::new(FixedClock),
            links: Links { context_prefix: "portcullis".into(), public_url: format!("http://{address}") },
            forge_url: "https://github.example".into(),
            secrets: vec!["the former secret".into(), SECRET.into()],
            wake: Arc::new(move || {
                counter.fetch_add(1, Ordering::SeqCst);
            }),
            limits,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, web, stop.clone()));
        Self { address, store, artifacts, wakes, stop, tasks, _folder: folder }
    }

    /// How often the reconcilers were woken.
    pub fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }

    /// Deliveries that wait to be acted upon, oldest first.
    pub async fn waiting(&self) -> Vec<String> {
        let open = self.store.open_deliveries(0, 100).await.unwrap();
        open.into_iter().map(|delivery| delivery.guid).collect()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await
    }

    pub async fn deliver(&self, hook: &Hook) -> Answer {
        self.send(&hook.bytes()).await
    }

    /// Sends bytes as they are and reads the answer, which may come before everything is sent.
    pub async fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        let (mut reader, mut writer) = stream.split();
        let mut answer = Vec::new();
        let (_, read) = tokio::join!(writer.write_all(bytes), reader.read_to_end(&mut answer));
        read.unwrap();
        Answer::parse(&answer)
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Stops as the process does on SIGTERM.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

/// A webhook as GitHub would send it, to be spoilt at will.
#[derive(Clone)]
pub struct Hook {
    pub guid: String,
    pub event: String,
    pub body: Vec<u8>,
    pub secret: String,
    /// Header lines beyond the usual ones, and those that replace them.
    pub headers: Vec<(&'static str, String)>,
    pub chunked: bool,
}

impl Hook {
    pub fn new(guid: &str) -> Self {
        let body = br#"{"action":"labeled","number":7,"label":{"name":"ready-to-test"}}"#.to_vec();
        let (guid, event, secret) = (guid.to_owned(), "pull_request".to_owned(), SECRET.to_owned());
        Self { guid, event, body, secret, headers: vec![], chunked: false }
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Sets a header; an empty value leaves it out.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn signature(&self) -> String {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(&self.body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }

    pub fn head(&self) -> String {
        let mut lines = vec![
            ("Host", "x".to_owned()),
            ("Connection", "close".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("X-GitHub-Delivery", self.guid.clone()),
            ("X-GitHub-Event", self.event.clone()),
            ("X-Hub-Signature-256", self.signature()),
        ];
        lines.push(match self.chunked {
            true => ("Transfer-Encoding", "chunked".to_owned()),
            false => ("Content-Length", self.body.len().to_string()),
        });
        for (name, value) in &self.headers {
            lines.retain(|(known, _)| known != name);
            lines.push((name, value.clone()));
        }
        let lines = lines.iter().filter(|(_, value)| !value.is_empty());
        let lines: String = lines.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("POST /webhooks/github HTTP/1.1\r\n{lines}\r\n")
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head().into_bytes();
        if self.chunked {
            for chunk in self.body.chunks(50_000) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            bytes.extend(&self.body);
        }
        bytes
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
    /// The body as it came, for what is no text.
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = find(bytes, b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let mut answer = Self { status, head, body: String::new(), bytes: bytes[end + 4..].to_vec() };
        if answer.header("transfer-encoding").is_some() {
            answer.bytes = unchunked(&answer.bytes);
        }
        answer.body = String::from_utf8_lossy(&answer.bytes).into_owned();
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = find(body, b"\r\n") {
        let length = usize::from_str_radix(str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[(end + 4 + length).min(body.len())..];
    }
    whole
}
