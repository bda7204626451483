//! Webhooks of repositories and of the App, and the record of their deliveries.

use serde_json::json;

use super::view;
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::hook::{Delivery, Hook, HookOwner};
use crate::view::View;

pub(super) fn list(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let owner = HookOwner::Repository(world.of(call)?.full_name());
    let view = view!(world, call);
    Ok(call.list(world.hooks.all.iter().filter(|hook| hook.owner == owner).map(|hook| view.hook(hook)).collect()))
}

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let config = &call.body["config"];
    let Some(url) = config["url"].as_str().filter(|url| !url.is_empty()) else {
        return Err(Refusal::invalid("Hook", "url", "url is missing"));
    };
    if config["content_type"].as_str() != Some("json") {
        return Err(Refusal::unprocessable("The stand-in delivers JSON only: set config.content_type to json"));
    }
    let owner = HookOwner::Repository(world.of(call)?.full_name());
    if world.hooks.all.iter().any(|hook| hook.owner == owner && hook.url == url) {
        return Err(Refusal::custom("Hook", "Hook already exists on this repository"));
    }
    let events = call.body["events"].as_array();
    let events = events.map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect());
    let secret = config["secret"].as_str().unwrap_or_default();
    let id = world.add_hook(owner, url, secret, events.unwrap_or_else(|| vec!["push".to_owned()]));
    let hook = world.hooks.get(id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::created(view!(world, call).hook(hook)))
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    Ok(Reply::ok(view!(world, call).hook(hook_of(world, call)?)))
}

pub(super) fn delete(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let id = hook_of(world, call)?.id;
    world.hooks.all.retain(|hook| hook.id != id);
    Ok(Reply::no_content())
}

pub(super) fn ping(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let id = hook_of(world, call)?.id;
    drop(world.send_ping(id));
    Ok(Reply::no_content())
}

pub(super) fn app_config(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    Ok(Reply::ok(view!(world, call).hook_config(hook_of(world, call)?)))
}

/// The hook the path means: the one it names, or the App's.
fn hook_of<'w>(world: &'w World, call: &Call) -> Result<&'w Hook, Refusal> {
    let found = match call.repository() {
        Some(_) => {
            let owner = HookOwner::Repository(world.of(call)?.full_name());
            let id = call.number("hook_id")?;
            world.hooks.get(id).filter(|hook| hook.owner == owner)
        }
        None => world.hooks.all.iter().find(|hook| hook.owner == HookOwner::App),
    };
    found.ok_or_else(Refusal::not_found)
}

/// Newest first, by cursor: GitHub numbers no pages here.
pub(super) fn list_deliveries(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let hook = hook_of(world, call)?.id;
    let size = call.query_number("per_page").unwrap_or(30).clamp(1, 100);
    let before: u64 = call.query.get("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(u64::MAX);
    let succeeded = |delivery: &Delivery| delivery.outcome.as_ref().is_some_and(|answer| answer.is_ok());
    let wanted = |delivery: &&Delivery| match call.query.get("status").map(String::as_str) {
        Some("success") => succeeded(delivery),
        Some("failure") => !succeeded(delivery),
        Some(_) | None => true,
    };
    let all = world.hooks.deliveries.iter().rev();
    let mut found = all
        .filter(|delivery| delivery.hook == hook && delivery.id < before && delivery.outcome.is_some())
        .filter(wanted);
    let page: Vec<&Delivery> = found.by_ref().take(size).collect();
    let more = found.next().is_some();
    let view = view!(world, call);
    let reply = Reply::ok(page.iter().map(|delivery| view.delivery_short(delivery)).collect());
    match page.last() {
        Some(last) if more => Ok(reply.with("link", call.link_with("cursor", &last.id.to_string(), "next"))),
        Some(_) | None => Ok(reply),
    }
}

pub(super) fn get_delivery(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let url = hook_of(world, call)?.url.clone();
    let delivery = delivery_of(world, call)?;
    let view: View<'_> = view!(world, call);
    Ok(Reply::ok(view.delivery(delivery, &url)))
}

pub(super) fn redeliver(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let id = delivery_of(world, call)?.id;
    drop(world.redeliver(id));
    Ok(Reply::accepted(json!({})))
}

fn delivery_of<'w>(world: &'w World, call: &Call) -> Result<&'w Delivery, Refusal> {
    let hook = hook_of(world, call)?.id;
    let id = call.number("delivery_id")?;
    let mut deliveries = world.hooks.deliveries.iter();
    deliveries.find(|delivery| delivery.id == id && delivery.hook == hook).ok_or_else(Refusal::not_found)
}
