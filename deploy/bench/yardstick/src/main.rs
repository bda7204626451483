//! The least that taking in webhooks durably costs on this machine: check the signature, commit the body to SQLite (WAL, synchronous FULL,
//! up to 50 in one commit), answer 202. One thread serves, one writes. What Portcullis does beyond this is measured against it.
//!
//! `yardstick PORT FOLDER` serves `POST /webhooks/github` on loopback with the secret `secret`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ring::hmac;
use tokio::sync::oneshot;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Delivery {
    guid: String,
    event: String,
    body: Bytes,
    stored: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Hook {
    key: Arc<hmac::Key>,
    writer: SyncSender<Delivery>,
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(folder)) = (args.next(), args.next()) else { return Err("yardstick PORT FOLDER".into()) };
    let (writer, queue) = sync_channel(4096);
    let path = PathBuf::from(folder).join("yardstick.db");
    std::thread::spawn(move || write(&path, &queue).expect("the yardstick's database works"));
    let hook = Hook { key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, b"secret")), writer };
    let app = Router::new().route("/webhooks/github", post(take)).layer(DefaultBodyLimit::max(26 << 20)).with_state(hook);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
        Ok(axum::serve(listener, app).await?)
    })
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signature = text("x-hub-signature-256").strip_prefix("sha256=").and_then(|hex| hex::decode(hex).ok());
    if !signature.is_some_and(|signature| hmac::verify(&hook.key, &body, &signature).is_ok()) {
        return StatusCode::UNAUTHORIZED;
    }
    let (stored, done) = oneshot::channel();
    let (guid, event) = (text("x-github-delivery").to_owned(), text("x-github-event").to_owned());
    if hook.writer.try_send(Delivery { guid, event, body, stored }).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if done.await.is_ok() { StatusCode::ACCEPTED } else { StatusCode::INTERNAL_SERVER_ERROR }
}

fn write(path: &std::path::Path, queue: &Receiver<Delivery>) -> rusqlite::Result<()> {
    let mut database = rusqlite::Connection::open(path)?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE deliveries (seq INTEGER PRIMARY KEY, guid TEXT NOT NULL UNIQUE, event TEXT, body BLOB);",
    )?;
    while let Ok(first) = queue.recv() {
        let batch: Vec<Delivery> = std::iter::once(first).chain(queue.try_iter().take(49)).collect();
        let commit = database.transaction()?;
        for Delivery { guid, event, body, .. } in &batch {
            const INSERT: &str = "INSERT INTO deliveries (guid, event, body) VALUES (?, ?, ?) ON CONFLICT (guid) DO NOTHING";
            commit.prepare_cached(INSERT)?.execute(rusqlite::params![guid, event, &body[..]])?;
        }
        commit.commit()?;
        for delivery in batch {
            let _ = delivery.stored.send(());
        }
    }
    Ok(())
}
