//! The GitHub App, its installations and their tokens.

use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::view;
use crate::auth::Caller;
use crate::call::Call;
use crate::clock::stamp;
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::access::{App, Installation, InstallationToken, Level, Permissions, Token};
use crate::view::View;

fn the_app(world: &World) -> Result<&App, Refusal> {
    world.app.as_ref().ok_or_else(Refusal::not_found)
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    Ok(Reply::ok(view!(world, call).app(the_app(world)?)))
}

pub(super) fn list_installations(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let app = the_app(world)?;
    let view = view!(world, call);
    // GitHub's description of this list alone wants accounts to be users and enterprises at once.
    let shown = app.installations.iter().map(|installation| {
        let mut shown = view.installation(app, installation);
        for (field, value) in [("name", &installation.account), ("slug", &installation.account)] {
            shown["account"][field] = json!(value);
        }
        for field in ["created_at", "updated_at"] {
            shown["account"][field] = json!(stamp(installation.created_at));
        }
        shown
    });
    Ok(call.list(shown.collect()))
}

pub(super) fn get_installation(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let app = the_app(world)?;
    let installation = app.installation(call.number("installation_id")?).ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(view!(world, call).installation(app, installation)))
}

pub(super) fn for_repository(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    world.of(call)?;
    let app = the_app(world)?;
    let installation = app.installation_for(&call.full_name()).ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(view!(world, call).installation(app, installation)))
}

pub(super) fn create_token(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let app = the_app(world)?;
    let installation = app.installation(call.number("installation_id")?).ok_or_else(Refusal::not_found)?;
    if installation.suspended_at.is_some() {
        return Err(Refusal::forbidden("This installation has been suspended"));
    }
    let permissions = wanted_permissions(app, &call.body["permissions"])?;
    let repositories = wanted_repositories(world, installation, &call.body)?;
    let selected = repositories.as_ref().or(installation.repositories.as_ref());
    let expires_at = world.clock.now() + SignedDuration::from_hours(1);
    let mut body = json!({
        "expires_at": stamp(expires_at), "permissions": crate::view::permissions(&permissions),
        "repository_selection": if selected.is_some() { "selected" } else { "all" },
    });
    if let Some(names) = &repositories {
        body["repositories"] = shown(view!(world, call), names);
    }
    let secret = format!("ghs_{}", uuid::Uuid::now_v7().simple());
    body["token"] = json!(secret);
    let token = InstallationToken { installation: installation.id, permissions, repositories, expires_at };
    world.tokens.insert(secret, Token::Installation(token));
    Ok(Reply { status: StatusCode::CREATED, ..Reply::ok(body) })
}

fn wanted_permissions(app: &App, asked: &Value) -> Result<Permissions, Refusal> {
    let Some(asked) = asked.as_object() else { return Ok(app.permissions.clone()) };
    let mut granted = Permissions::new();
    for (name, level) in asked {
        let level = level.as_str().and_then(Level::parse);
        match (level, app.permissions.get(name)) {
            (Some(level), Some(has)) if *has >= level => drop(granted.insert(name.clone(), level)),
            (Some(_) | None, _) => {
                return Err(Refusal::unprocessable("The permissions requested are not granted to this installation."));
            }
        }
    }
    Ok(granted)
}

fn wanted_repositories(
    world: &World,
    installation: &Installation,
    body: &Value,
) -> Result<Option<Vec<String>>, Refusal> {
    let refuse = || {
        Refusal::unprocessable(
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    };
    let mut names = Vec::new();
    for name in body["repositories"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        names.push(format!("{}/{name}", installation.account).to_ascii_lowercase());
    }
    for id in body["repository_ids"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
        let repository = world.repositories.values().find(|repository| repository.id == id).ok_or_else(refuse)?;
        names.push(repository.full_name().to_ascii_lowercase());
    }
    if names.iter().any(|name| world.repository(name).is_none() || !installation.covers(name)) {
        return Err(refuse());
    }
    let asked = body["repositories"].is_array() || body["repository_ids"].is_array();
    Ok(asked.then_some(names))
}

fn shown(view: View<'_>, names: &[String]) -> Value {
    names.iter().filter_map(|name| view.world.repository(name)).map(|repository| view.repository(repository)).collect()
}

pub(super) fn revoke_token(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let Caller::Installation(own) = &call.caller else {
        return Err(Refusal::forbidden("Resource not accessible by personal access token"));
    };
    // A token is known by what it was given: no two expire at the same nanosecond.
    world.tokens.retain(|_, token| {
        !matches!(token, Token::Installation(known)
            if known.installation == own.installation && known.expires_at == own.expires_at)
    });
    Ok(Reply::no_content())
}

pub(super) fn repositories(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let Caller::Installation(token) = &call.caller else {
        return Err(Refusal::forbidden(
            "You must authenticate with an installation access token in order to list repositories for an installation.",
        ));
    };
    let installation = the_app(world)?.installation(token.installation).ok_or_else(Refusal::not_found)?;
    let names: Vec<String> = world
        .repositories
        .keys()
        .filter(|name| installation.covers(name))
        .filter(|name| token.repositories.as_ref().is_none_or(|selected| selected.contains(name)))
        .cloned()
        .collect();
    let selection = if installation.repositories.is_some() { "selected" } else { "all" };
    let items = shown(view!(world, call), &names).as_array().cloned().unwrap_or_default();
    Ok(call.page(
        items,
        |page, total| json!({ "total_count": total, "repositories": page, "repository_selection": selection }),
    ))
}
