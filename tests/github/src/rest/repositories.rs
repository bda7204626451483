//! Repositories and their collaborators.

use http::StatusCode;

use super::view;
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::user::Permission;

pub(super) fn get(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    Ok(Reply::ok(view!(world, call).full_repository(repository)))
}

pub(super) fn permission(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let login = call.parameter("username");
    let repository = world.of(call)?;
    let Some(user) = world.user(login) else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, format!("{login} is not a user")));
    };
    let role = repository.permission_of(&user.login);
    Ok(Reply::ok(serde_json::json!({
        "permission": role.legacy_name(), "role_name": role.role_name(),
        "user": view!(world, call).collaborator(user, role),
    })))
}

pub(super) fn is_collaborator(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let login = call.parameter("username").to_ascii_lowercase();
    let explicit = repository.collaborators.get(&login).is_some_and(|role| *role > Permission::None);
    if explicit || login == repository.owner.to_ascii_lowercase() {
        return Ok(Reply::no_content());
    }
    Err(Refusal::not_found())
}
