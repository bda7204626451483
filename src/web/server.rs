//! Accepts connections, bounds them, and ends them in order. Knows nothing of what is served.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::linger::Linger;
use super::{Limits, Room, Web, body, health, inbox, metrics, router, signature};

/// Bytes a connection buffers of what it reads ahead.
const BUFFER: usize = 64 << 10;
/// File descriptors kept for everything that is no connection: the store, logs, engines.
const RESERVED_DESCRIPTORS: usize = 256;
/// Before accepting again when the process has no file descriptor left.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(200);

/// Serves on `listener` until `stop`; then open requests get [`Limits::stop_time`] to end, and everything that was
/// acknowledged is stored by the time this returns.
///
/// # Errors
/// The listener is broken.
pub async fn serve(listener: TcpListener, web: Web, stop: CancellationToken) -> io::Result<()> {
    let limits = web.limits.clone();
    let tasks = TaskTracker::new();
    let (inbox, queue) = inbox::new();
    let writer = tasks.spawn(inbox::write(queue, web.store.clone(), Arc::clone(&web.wake)));
    let room = Room {
        keys: signature::Keys::new(&web.secrets),
        inbox,
        memory: body::memory(&limits),
        streams: Arc::new(Semaphore::new(limits.streams)),
        metrics: metrics::Metrics::new(),
        readiness: health::Readiness::default(),
        stop: stop.clone(),
        web,
    };
    let connections = TaskTracker::new();
    accept(listener, &router(Arc::new(room)), &limits, &connections, &stop).await;
    connections.close();
    if tokio::time::timeout(limits.stop_time, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "stopped with requests still open");
    }
    // The last room is gone with the last connection, so the writer ends by itself once its queue is empty.
    if tokio::time::timeout(limits.store_time, writer).await.is_err() {
        tracing::warn!("stopped while deliveries were being stored; their senders got no answer");
    }
    Ok(())
}

async fn accept(
    listener: TcpListener,
    app: &Router,
    limits: &Limits,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections.min(affordable_connections())));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
                (place, listener.accept().await)
            } => accepted,
        };
        let (place, stream) = match accepted {
            (place, Ok((stream, _))) => (place, stream),
            (_, Err(error)) => {
                pause_after(&error, stop).await;
                continue;
            }
        };
        let (app, times, stop) = (app.clone(), (limits.head_time, limits.write_time), stop.clone());
        connections.spawn(async move {
            connection(stream, app, times, stop).await;
            drop(place);
        });
    }
}

/// As many connections as there can be file descriptors. Many systems start programs with few and allow them more.
fn affordable_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = setrlimit(Resource::Nofile, raised).map_or(limit.current, |()| limit.maximum);
    let descriptors = current.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    descriptors.saturating_sub(RESERVED_DESCRIPTORS).max(1)
}

/// A client that went away again is no trouble; running out of descriptors passes when connections end.
async fn pause_after(error: &io::Error, stop: &CancellationToken) {
    let of_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !of_client {
        tracing::error!(error = error as &dyn std::error::Error, "cannot accept connections");
        let _ = tokio::time::timeout(OUT_OF_DESCRIPTORS, stop.cancelled()).await;
    }
}

async fn connection(
    stream: TcpStream,
    app: Router,
    (head_time, write_time): (Duration, Duration),
    stop: CancellationToken,
) {
    // Answers are small; waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(app);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(Linger::new(stream, write_time)), service);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = &error as &dyn std::error::Error, "connection ended early");
    }
}
