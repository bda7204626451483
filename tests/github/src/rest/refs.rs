//! Git refs and branches.

use serde_json::json;

use super::view;
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;

pub(super) fn get(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let name = call.parameter("ref");
    let repository = world.of(call)?;
    // Full names below `refs/` only; GitHub does not guess here.
    let full = ["heads/", "tags/", "pull/"].iter().any(|kind| name.starts_with(kind));
    let sha = full.then(|| repository.resolve(name)).flatten().ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(view!(world, call).git_ref(repository, name, &sha)))
}

pub(super) fn branch(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let name = call.parameter("branch");
    let repository = world.of(call)?;
    let sha =
        repository.branches.get(name).ok_or_else(|| Refusal::new(http::StatusCode::NOT_FOUND, "Branch not found"))?;
    Ok(Reply::ok(view!(world, call).branch(repository, name, sha)))
}

/// The stand-in knows no rulesets.
pub(super) fn rules(_: &mut World, _: &Call) -> Result<Reply, Refusal> {
    Ok(Reply::ok(json!([])))
}
