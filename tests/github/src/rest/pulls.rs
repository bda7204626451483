//! Pull requests.

use serde_json::Value;

use super::view;
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::pull::{Pull, PullState};
use crate::view::View;

pub(super) fn get(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let number = call.number("pull_number")?;
    let body = {
        let (repository, pull) = world.pull(call, number)?;
        view!(world, call).pull(repository, pull)
    };
    // Reading it is what makes GitHub compute the test merge: a later read finds it done.
    if let Some(reads) = world.of_mut(call)?.merge_reads.get_mut(&number) {
        *reads = reads.saturating_sub(1);
    }
    Ok(Reply::ok(body))
}

pub(super) fn issue(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let (repository, pull) = world.pull(call, call.number("issue_number")?)?;
    Ok(Reply::ok(view!(world, call).issue(repository, pull)))
}

pub(super) fn list(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let state = call.query.get("state").map_or("open", String::as_str);
    let wanted = |name: &str, value: &str| call.query.get(name).is_none_or(|wanted| wanted == value);
    let mut pulls: Vec<&Pull> = repository
        .pulls
        .values()
        .filter(|pull| state == "all" || state == pull.state.as_str())
        .filter(|pull| wanted("base", &pull.base_ref))
        .filter(|pull| {
            let owner = pull.head_repository.split('/').next().unwrap_or_default();
            wanted("head", &format!("{owner}:{}", pull.head_ref))
        })
        .collect();
    if call.query.get("sort").is_some_and(|sort| sort == "updated") {
        pulls.sort_by_key(|pull| pull.updated_at);
    }
    let newest_first = call.query.get("sort").is_none_or(|sort| sort == "created");
    let direction = call.query.get("direction").map(String::as_str);
    if direction == Some("desc") || (direction.is_none() && newest_first) {
        pulls.reverse();
    }
    let view = view!(world, call);
    Ok(call.list(pulls.into_iter().map(|pull| view.pull_short(repository, pull)).collect()))
}

pub(super) fn files(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let (repository, pull) = world.pull(call, call.number("pull_number")?)?;
    let view = view!(world, call);
    let changes = crate::view::pull_changes(repository, pull);
    Ok(call.list(changes.iter().map(|change| view.file(repository, &pull.head_sha, change)).collect()))
}

pub(super) fn commits(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let (repository, pull) = world.pull(call, call.number("pull_number")?)?;
    let view = view!(world, call);
    let commits = crate::view::pull_commits(repository, pull);
    Ok(call.list(commits.iter().map(|sha| view.commit(repository, sha, false)).collect()))
}

pub(super) fn is_merged(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let (_, pull) = world.pull(call, call.number("pull_number")?)?;
    match pull.state {
        PullState::Merged { .. } => Ok(Reply::no_content()),
        PullState::Open | PullState::Closed { .. } => Err(Refusal::not_found()),
    }
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let number = call.number("pull_number")?;
    world.pull(call, number)?;
    let full_name = world.of(call)?.full_name();
    let sender = world.login_of(&call.caller);
    if let Some(base) = call.text("base")
        && !world.of(call)?.branches.contains_key(base)
    {
        let error = serde_json::json!({ "resource": "PullRequest", "field": "base", "code": "invalid" });
        return Err(Refusal::errors(vec![error]));
    }
    let edits = ["title", "body", "base"].map(|field| call.text(field).map(str::to_owned));
    let [title, body, base] = edits;
    world.edit_pull(&full_name, number, title, body, base, &sender);
    match call.text("state") {
        Some("closed") => drop(world.close_pull(&full_name, number, &sender)),
        Some("open") => {
            let merged = matches!(world.pull(call, number)?.1.state, PullState::Merged { .. });
            if merged {
                return Err(Refusal::invalid(
                    "PullRequest",
                    "state",
                    "state cannot be changed. The pull request is merged.",
                ));
            }
            drop(world.reopen_pull(&full_name, number, &sender));
        }
        Some(_) | None => {}
    }
    let (repository, pull) = world.pull(call, number)?;
    Ok(Reply::ok(view!(world, call).pull(repository, pull)))
}

impl World {
    /// A pull request of the repository the path names.
    pub(super) fn pull<'w>(
        &'w self,
        call: &Call,
        number: u64,
    ) -> Result<(&'w crate::state::repository::Repository, &'w Pull), Refusal> {
        let repository = self.of(call)?;
        let pull = repository.pulls.get(&number).ok_or_else(Refusal::not_found)?;
        Ok((repository, pull))
    }
}

/// The pull requests as a list of values, for other operations that list them.
pub(super) fn shorts<'p>(
    view: View<'_>,
    call: &Call,
    world: &World,
    pulls: impl Iterator<Item = &'p Pull>,
) -> Result<Vec<Value>, Refusal> {
    let repository = world.of(call)?;
    Ok(pulls.map(|pull| view.pull_short(repository, pull)).collect())
}
