//! What GitHub documents but the description at hand lacks: events of issues, Apps made from manifests.
//! Answers hold what clients read; nothing here is checked against a schema.

use http::Method;
use serde_json::json;

use crate::auth::{Caller, Needs};
use crate::clock::stamp;
use crate::pages;
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::access::Level;
use crate::state::user::Permission;

/// Answers a path that the description does not know.
pub(crate) fn serve(
    world: &mut World,
    caller: &Caller,
    method: &Method,
    path: &str,
    api: &str,
) -> Result<Reply, Refusal> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["repos", owner, name, "issues", number, "events"]) => {
            let full_name = format!("{owner}/{name}");
            let needs = Needs::Repository { permission: "issues", level: Level::Read, role: Permission::Read };
            world.authorize(caller, needs, Some(&full_name))?;
            issue_events(world, &full_name, number.parse().map_err(|_| Refusal::not_found())?)
        }
        ("POST", ["app-manifests", code, "conversions"]) => pages::convert(world, code, api),
        _ => Err(Refusal::not_found()),
    }
}

fn issue_events(world: &World, full_name: &str, number: u64) -> Result<Reply, Refusal> {
    let repository = world.repository(full_name).ok_or_else(Refusal::not_found)?;
    let events = repository.labellings.iter().filter(|event| event.pull == number);
    let shown = events.map(|event| {
        json!({
            "id": event.id, "event": event.event, "created_at": stamp(event.at),
            "actor": { "login": event.by }, "label": { "name": event.label, "color": "ededed" },
        })
    });
    Ok(Reply::ok(shown.collect()))
}
