//! `POST /webhooks/github`: verify, store, wake. Nothing is parsed before the signature holds and nothing acts here.

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::IgnoredAny;
use std::sync::Arc;
use std::time::Instant;

use super::body::{self, Incomplete};
use super::inbox::NotStored;
use super::signature::Signature;
use super::{Room, State};
use crate::domain::event::Event;
use crate::store::{NewDelivery, Receipt};

/// Longer than any GUID.
const MAX_GUID: usize = 64;
const MAX_EVENT: usize = 64;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored,
    Duplicate,
    Ping,
    Malformed(&'static str),
    /// The signature is missing or wrong: nothing was stored.
    Unsigned,
    TooLarge,
    TooSlow,
    /// The sender went away in mid-body; nobody hears the answer.
    Broken,
    /// It is not stored, and whoever sent it must send it again.
    Unavailable(&'static str),
}

pub(super) async fn receive(Extract(room): State, request: Request) -> Response {
    let began = Instant::now();
    let outcome = accept(&room, request).await;
    room.metrics.delivery(outcome, began.elapsed());
    if outcome == Outcome::Unsigned {
        tracing::debug!("a delivery without a valid signature was refused");
    }
    (outcome.status(), outcome.text()).into_response()
}

async fn accept(room: &Arc<Room>, request: Request) -> Outcome {
    let (head, body) = request.into_parts();
    let claimed = head.headers.get("x-hub-signature-256").and_then(|value| Signature::parse(value.as_bytes()));
    // Without a signature to hold against it, not one byte of the body is of interest.
    let Some(claimed) = claimed else { return Outcome::Unsigned };
    let complete = match body::read(&head.headers, body, &room.web.limits, &room.memory).await {
        Ok(complete) => complete,
        Err(incomplete) => return incomplete.into(),
    };
    if !room.keys.signed(&complete.bytes, &claimed) {
        return Outcome::Unsigned;
    }
    let (guid, event) = match names(&head.headers) {
        Ok(names) => names,
        Err(why) => return Outcome::Malformed(why),
    };
    let Some(needs) = needs(event, &complete.bytes) else {
        return Outcome::Malformed("the body is not a JSON object");
    };
    let settled = match needs {
        Needs::Pong => return Outcome::Ping,
        Needs::Nothing(why) => Some(why),
        Needs::Acting => None,
    };
    let delivery = NewDelivery {
        guid: guid.to_owned(),
        event: event.to_owned(),
        body: complete.bytes,
        received_at: room.web.clock.now(),
        settled,
    };
    match room.inbox.store(delivery, complete.share, room.web.limits.store_time).await {
        Ok(Receipt::Stored) => Outcome::Stored,
        Ok(Receipt::Duplicate) => Outcome::Duplicate,
        Err(NotStored) => Outcome::Unavailable("the delivery could not be stored"),
    }
}

/// The delivery's GUID and event.
fn names(headers: &HeaderMap) -> Result<(&str, &str), &'static str> {
    let is_json = |value: &header::HeaderValue| {
        let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
    };
    if !headers.get(header::CONTENT_TYPE).is_some_and(is_json) {
        return Err("set the webhook's content type to application/json");
    }
    let plain = |name: &'static str, max: usize| {
        let value = headers.get(name)?.to_str().ok()?;
        let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (is_plain && (1..=max).contains(&value.len())).then_some(value)
    };
    let guid = plain("x-github-delivery", MAX_GUID).ok_or("X-GitHub-Delivery is missing or is not a GUID")?;
    let event = plain("x-github-event", MAX_EVENT).ok_or("X-GitHub-Event is missing or is not an event's name")?;
    Ok((guid, event))
}

/// What a well-formed delivery asks for.
enum Needs {
    Pong,
    /// It is kept, and nobody needs to look at it again.
    Nothing(&'static str),
    Acting,
}

/// `None`: the body is not a JSON object. A known event that lacks a field is kept for the one who acts to say so.
fn needs(event: &str, body: &[u8]) -> Option<Needs> {
    let text = std::str::from_utf8(body).ok()?.trim_ascii_start();
    if !text.starts_with('{') {
        return None;
    }
    match Event::parse(event, body) {
        Ok(Event::Ping) => Some(Needs::Pong),
        Ok(Event::Ignored(why)) => Some(Needs::Nothing(why)),
        Ok(_) => Some(Needs::Acting),
        Err(_) => serde_json::from_str::<IgnoredAny>(text).is_ok().then_some(Needs::Acting),
    }
}

impl From<Incomplete> for Outcome {
    fn from(incomplete: Incomplete) -> Self {
        match incomplete {
            Incomplete::TooLarge => Outcome::TooLarge,
            Incomplete::TooSlow => Outcome::TooSlow,
            Incomplete::NoRoom => Outcome::Unavailable("too many large bodies at once"),
            Incomplete::Broken => Outcome::Broken,
        }
    }
}

impl Outcome {
    /// The status promised to webhook senders.
    fn status(self) -> StatusCode {
        match self {
            Outcome::Stored => StatusCode::ACCEPTED,
            Outcome::Duplicate | Outcome::Ping => StatusCode::OK,
            Outcome::Malformed(_) | Outcome::Broken => StatusCode::BAD_REQUEST,
            Outcome::Unsigned => StatusCode::UNAUTHORIZED,
            Outcome::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Outcome::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Outcome::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What GitHub shows under "Response" of a delivery.
    fn text(self) -> &'static str {
        match self {
            Outcome::Stored => "stored",
            Outcome::Duplicate => "already stored",
            Outcome::Ping => "pong",
            Outcome::Malformed(why) | Outcome::Unavailable(why) => why,
            Outcome::Unsigned => "the signature in X-Hub-Signature-256 is missing or wrong",
            Outcome::TooLarge => "the body is too large",
            Outcome::TooSlow => "the body took too long to arrive",
            Outcome::Broken => "the body broke off",
        }
    }
}
