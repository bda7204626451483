//! Webhooks and their deliveries, as GitHub's API lists them.

use serde_json::{Map, Value, json};

use super::View;
use crate::clock::stamp;
use crate::state::hook::{Delivery, Hook, HookOwner, Outcome};

impl View<'_> {
    /// A repository's `hook`.
    pub(crate) fn hook(&self, hook: &Hook) -> Value {
        let own = match &hook.owner {
            HookOwner::Repository(name) => format!("{}/hooks/{}", self.repository_url(name), hook.id),
            HookOwner::App => format!("{}/app/hook", self.api),
        };
        json!({
            "type": "Repository", "id": hook.id, "name": "web", "active": hook.active, "events": hook.events,
            "config": self.hook_config(hook), "updated_at": stamp(hook.created_at),
            "created_at": stamp(hook.created_at), "url": own, "test_url": format!("{own}/test"),
            "ping_url": format!("{own}/pings"), "deliveries_url": format!("{own}/deliveries"),
            "last_response": { "code": null, "status": "unused", "message": null },
        })
    }

    /// A `webhook-config`; the secret is never shown.
    pub(crate) fn hook_config(&self, hook: &Hook) -> Value {
        json!({ "content_type": "json", "insecure_ssl": "0", "url": hook.url, "secret": "********" })
    }

    /// A `hook-delivery-item`.
    pub(crate) fn delivery_short(&self, delivery: &Delivery) -> Value {
        let answer = delivery.outcome.as_ref();
        let (status, code) = match answer.map(|answer| &answer.outcome) {
            Some(Outcome::Answered { status, .. }) => (reason(*status), *status),
            Some(Outcome::TimedOut) => ("timed out".to_owned(), 504),
            Some(Outcome::Unreachable(_) | Outcome::Lost) => ("failed to connect to host".to_owned(), 502),
            None => ("pending".to_owned(), 0),
        };
        json!({
            "id": delivery.id, "guid": delivery.guid, "delivered_at": stamp(delivery.at),
            "redelivery": delivery.redelivery, "duration": answer.map_or(0.0, |answer| answer.duration.as_secs_f64()),
            "status": status, "status_code": code, "event": delivery.event, "action": delivery.action,
            "installation_id": delivery.installation, "repository_id": delivery.repository, "throttled_at": null,
        })
    }

    /// A `hook-delivery`, with what was sent and what came back.
    pub(crate) fn delivery(&self, delivery: &Delivery, url: &str) -> Value {
        let mut object = self.delivery_short(delivery);
        let (headers, body) = match delivery.outcome.as_ref().map(|answer| &answer.outcome) {
            Some(Outcome::Answered { headers, body, .. }) => (object_of(headers), json!(String::from_utf8_lossy(body))),
            Some(Outcome::TimedOut | Outcome::Unreachable(_) | Outcome::Lost) | None => (json!({}), Value::Null),
        };
        object["url"] = json!(url);
        object["request"] = json!({
            "headers": object_of(&delivery.headers),
            "payload": serde_json::from_slice::<Value>(&delivery.payload).unwrap_or(Value::Null),
        });
        object["response"] = json!({ "headers": headers, "payload": body });
        object
    }
}

fn object_of(headers: &[(String, String)]) -> Value {
    let map: Map<String, Value> = headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    Value::Object(map)
}

fn reason(status: u16) -> String {
    if (200..300).contains(&status) {
        return "OK".to_owned();
    }
    let known = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    format!("Invalid HTTP Response: {status}{}", known.map(|reason| format!(" {reason}")).unwrap_or_default())
}
