//! `/healthz`: the process answers. `/readyz`: it can do its work, or it names the part that cannot.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Room, State};
use crate::ports::ProviderError;

/// However often it is asked, the parts are looked at this rarely.
const KEEP: Duration = Duration::from_secs(2);
/// A part that does not answer within this is not ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// The last look at the parts.
#[derive(Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Report)>>);

/// What `/readyz` says: `ok`, or what is wrong, for each part.
#[derive(Debug, Clone, Serialize)]
struct Report {
    ready: bool,
    store: String,
    clusters: String,
}

pub(super) async fn alive() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(Extract(room): State) -> Response {
    // Held while looking: a crowd of probes causes one look.
    let mut last = room.readiness.0.lock().await;
    let report = match last.as_ref().filter(|(at, _)| at.elapsed() < KEEP) {
        Some((_, report)) => report.clone(),
        None => {
            let report = look(&room).await;
            *last = Some((Instant::now(), report.clone()));
            report
        }
    };
    drop(last);
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

async fn look(room: &Room) -> Report {
    let (store, clusters) =
        tokio::join!(timeout(PATIENCE, room.web.store.ping()), timeout(PATIENCE, room.web.provider.check()));
    let store = match store {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some("the store is not available".to_owned()),
        Err(_) => Some("the store does not answer".to_owned()),
    };
    let clusters = match clusters {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(without_internals(&error)),
        Err(_) => Some("the cluster provider does not answer".to_owned()),
    };
    if let Some(wrong) = store.as_ref().or(clusters.as_ref()) {
        tracing::warn!(wrong, "not ready");
    }
    let ready = store.is_none() && clusters.is_none();
    let said = |wrong: Option<String>| wrong.unwrap_or_else(|| "ok".to_owned());
    Report { ready, store: said(store), clusters: said(clusters) }
}

fn without_internals(error: &ProviderError) -> String {
    match error {
        ProviderError::Unreachable { engine, .. } => format!("{engine} is not reachable"),
        ProviderError::Refused(_) | ProviderError::Failed { .. } => "clusters cannot be made".to_owned(),
    }
}
