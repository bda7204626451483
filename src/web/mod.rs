//! Everything that answers HTTP: the webhook, probes, metrics, pages, the API. Sees domain, ports and store.
//! Nothing here decides about runs: the webhook stores and wakes, the rest reads.

mod api;
mod assets;
mod body;
mod deeds;
mod errors;
mod files;
mod flakes;
mod follow;
mod health;
mod inbox;
mod linger;
mod machines;
mod metrics;
mod pages;
mod server;
pub mod setup;
mod shelf;
mod signature;
mod skips;
mod timeline;
mod views;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, map_response};
use axum::routing::{get, post};
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::artifacts::Artifacts;
use crate::domain::wording::Links;
use crate::ports::{ArtifactStore, Clock, ClusterProvider};
use crate::store::Store;

pub use server::serve;

/// What the web room works with; the composition root fills it.
#[derive(Clone)]
pub struct Web {
    pub store: Store,
    pub artifacts: Artifacts,
    /// Where files of runs are once they were moved; absent, they stay where they are.
    pub kept: Option<Arc<dyn ArtifactStore>>,
    pub provider: Arc<dyn ClusterProvider>,
    pub clock: Arc<dyn Clock>,
    pub links: Links,
    /// Where people reach the forge, without a slash at the end: `https://github.com`.
    pub forge_url: String,
    /// Any of these may have signed a delivery, so that a secret can be exchanged without losing one.
    pub secrets: Vec<SecretString>,
    /// Called after deliveries were stored.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    pub limits: Limits,
}

/// What one client, or all of them, may take of this process.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest webhook body in bytes. GitHub sends 25 MiB at most.
    pub body_bytes: usize,
    /// A webhook's body must be here after this. GitHub itself gives up after ten seconds.
    pub body_time: Duration,
    /// A request's head must be here after this; idle connections are closed after it as well.
    pub head_time: Duration,
    /// A client that takes nothing of its answer for so long is left.
    pub write_time: Duration,
    /// A delivery that could not be stored within this is refused.
    pub store_time: Duration,
    /// How long open requests may take to end when the service stops.
    pub stop_time: Duration,
    /// Bytes that large bodies may hold at once, over all connections.
    pub body_memory: usize,
    pub connections: usize,
    /// Logs that are followed at once.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 25 << 20,
            body_time: Duration::from_secs(10),
            head_time: Duration::from_secs(15),
            write_time: Duration::from_secs(30),
            store_time: Duration::from_secs(8),
            stop_time: Duration::from_secs(10),
            body_memory: 64 << 20,
            connections: 4096,
            streams: 256,
        }
    }
}

/// What handlers share.
struct Room {
    web: Web,
    keys: signature::Keys,
    inbox: inbox::Inbox,
    memory: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    metrics: metrics::Metrics,
    readiness: health::Readiness,
    stop: CancellationToken,
}

type State = axum::extract::State<Arc<Room>>;

fn router(room: Arc<Room>) -> Router {
    let read = Router::new()
        .merge(pages::routes())
        .merge(flakes::routes())
        .merge(api::routes())
        .merge(assets::routes())
        .fallback(errors::no_such_page)
        .layer(from_fn(errors::explain))
        .layer(map_response(assets::harden));
    // The webhook and the probes go without the layers that pages need.
    Router::new()
        .route("/webhooks/github", post(webhook::receive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .merge(read)
        .with_state(room)
}
