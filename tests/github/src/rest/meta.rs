//! The caller itself, its rate limit, teams, and GitHub about itself.

use bytes::Bytes;
use serde_json::json;

use super::view;
use crate::auth::Caller;
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;

pub(super) fn user(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    match &call.caller {
        Caller::Person { login, .. } => {
            let user = world.user(login).ok_or_else(Refusal::not_found)?;
            Ok(Reply::ok(view!(world, call).full_user(user)))
        }
        Caller::Installation(_) | Caller::App | Caller::Anonymous => {
            Err(Refusal::forbidden("Resource not accessible by integration"))
        }
    }
}

pub(super) fn rate_limit(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let now = world.clock.now();
    let bucket = *world.limits.bucket(&call.caller.name(), now);
    let core = json!({
        "limit": bucket.limit, "used": bucket.used, "remaining": bucket.remaining(), "reset": bucket.reset.as_second(),
        "resource": "core",
    });
    let search =
        json!({ "limit": 30, "used": 0, "remaining": 30, "reset": bucket.reset.as_second(), "resource": "search" });
    Ok(Reply::ok(json!({ "resources": { "core": core, "search": search }, "rate": core })))
}

pub(super) fn team_membership(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let (org, slug, login) = (call.parameter("org"), call.parameter("team_slug"), call.parameter("username"));
    if let Caller::Installation(token) = &call.caller
        && !token.permissions.contains_key("members")
    {
        return Err(Refusal::forbidden("Resource not accessible by integration"));
    }
    let key = (org.to_ascii_lowercase(), slug.to_ascii_lowercase());
    let member = world.teams.get(&key).is_some_and(|team| team.members.contains(&login.to_ascii_lowercase()));
    if !member {
        return Err(Refusal::not_found());
    }
    let url = format!("{}/orgs/{org}/teams/{slug}/memberships/{login}", call.api);
    Ok(Reply::ok(json!({ "url": url, "role": "member", "state": "active" })))
}

pub(super) fn meta(_: &mut World, _: &Call) -> Result<Reply, Refusal> {
    let loopback = json!(["127.0.0.0/8"]);
    Ok(Reply::ok(json!({
        "verifiable_password_authentication": false, "hooks": loopback, "web": loopback, "api": loopback,
        "git": loopback,
    })))
}

pub(super) fn zen(_: &mut World, _: &Call) -> Result<Reply, Refusal> {
    Ok(Reply::raw("text/plain; charset=utf-8", Bytes::from_static(b"Design for failure.")))
}
