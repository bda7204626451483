//! Commit statuses, with the rules GitHub's description leaves out: 140 characters, 1,000 per commit and context,
//! web addresses only, known commits only.

use super::view;
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::repository::Repository;
use crate::state::status::{MAX_PER_CONTEXT, Status, StatusState};

const MAX_DESCRIPTION: usize = 140;
const MAX_CONTEXT: usize = 255;

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let sha = call.parameter("sha").to_ascii_lowercase();
    let repository = world.of(call)?;
    if !repository.commits.contains_key(&sha) {
        return Err(Refusal::unprocessable(format!("No commit found for SHA: {}", call.parameter("sha"))));
    }
    let context = call.text("context").unwrap_or("default").to_owned();
    let description = call.text("description").map(str::to_owned);
    let target_url = call.text("target_url").filter(|url| !url.is_empty()).map(str::to_owned);
    refuse_bad_fields(&context, description.as_deref(), target_url.as_deref())?;
    let state = call
        .text("state")
        .and_then(StatusState::parse)
        .ok_or_else(|| Refusal::invalid("Status", "state", "state is not included in the list"))?;
    let earlier = history(repository, &sha).filter(|status| status.context.eq_ignore_ascii_case(&context)).count();
    if earlier >= MAX_PER_CONTEXT {
        return Err(Refusal::custom("Status", "This SHA and context has reached the maximum number of statuses."));
    }
    let creator = world.login_of(&call.caller);
    let (id, now) = (world.next_id(), world.clock.now());
    let full_name = world.of(call)?.full_name();
    let seq = world.next_status();
    let status = Status {
        seq,
        id,
        repository: full_name,
        sha,
        context,
        state,
        description,
        target_url,
        creator,
        created_at: now,
    };
    world.of_mut(call)?.statuses.push(status.clone());
    world.send_status(&status);
    Ok(Reply::created(view!(world, call).status(world.of(call)?, &status)))
}

fn refuse_bad_fields(context: &str, description: Option<&str>, target_url: Option<&str>) -> Result<(), Refusal> {
    if description.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        let message = "description is too long (maximum is 140 characters)";
        return Err(Refusal::invalid("Status", "description", message));
    }
    if context.chars().count() > MAX_CONTEXT {
        return Err(Refusal::invalid("Status", "context", "context is too long (maximum is 255 characters)"));
    }
    let web = |url: &str| url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if target_url.is_some_and(|url| !web(url)) {
        return Err(Refusal::invalid("Status", "target_url", "target_url must use http(s) scheme"));
    }
    Ok(())
}

/// Statuses of a commit, newest first.
fn history<'r>(repository: &'r Repository, sha: &str) -> impl Iterator<Item = &'r Status> {
    let sha = sha.to_owned();
    repository.statuses.iter().rev().filter(move |status| status.sha == sha)
}

pub(super) fn list(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let sha = repository.resolve(call.parameter("ref")).ok_or_else(Refusal::not_found)?;
    let view = view!(world, call);
    Ok(call.list(history(repository, &sha).map(|status| view.status(repository, status)).collect()))
}

pub(super) fn combined(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let sha = repository.resolve(call.parameter("ref")).ok_or_else(Refusal::not_found)?;
    let mut latest: Vec<&Status> = Vec::new();
    for status in history(repository, &sha) {
        if !latest.iter().any(|known| known.context.eq_ignore_ascii_case(&status.context)) {
            latest.push(status);
        }
    }
    let mut whole = view!(world, call).combined_status(repository, &sha, &latest);
    let statuses = whole["statuses"].as_array().cloned().unwrap_or_default();
    Ok(call.page(statuses, |page, _| {
        whole["statuses"] = page.into();
        whole
    }))
}
