//! Labels of pull requests. A label the repository lacks is made, as GitHub does.

use http::StatusCode;
use serde_json::Value;

use super::view;
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;

pub(super) fn list(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let (repository, pull) = world.pull(call, call.number("issue_number")?)?;
    let labels = view!(world, call).labels(repository, &pull.labels);
    Ok(call.list(labels.as_array().cloned().unwrap_or_default()))
}

pub(super) fn add(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    change(world, call, &[], &names(&call.body))
}

pub(super) fn set(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let wanted = names(&call.body);
    let has = world.pull(call, call.number("issue_number")?)?.1.labels.clone();
    let gone: Vec<String> = has.into_iter().filter(|name| !contains(&wanted, name)).collect();
    change(world, call, &gone, &wanted)
}

pub(super) fn remove(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let name = call.parameter("name").to_owned();
    let has = &world.pull(call, call.number("issue_number")?)?.1.labels;
    if !contains(has, &name) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "Label does not exist"));
    }
    change(world, call, &[name], &[])
}

pub(super) fn remove_all(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let has = world.pull(call, call.number("issue_number")?)?.1.labels.clone();
    change(world, call, &has, &[])?;
    Ok(Reply::no_content())
}

fn change(world: &mut World, call: &Call, gone: &[String], wanted: &[String]) -> Result<Reply, Refusal> {
    let number = call.number("issue_number")?;
    world.pull(call, number)?;
    let full_name = world.of(call)?.full_name();
    let sender = world.login_of(&call.caller);
    for name in gone {
        drop(world.unlabel_pull(&full_name, number, name, &sender));
    }
    for name in wanted {
        drop(world.label_pull(&full_name, number, name, &sender));
    }
    let (repository, pull) = world.pull(call, number)?;
    Ok(Reply::ok(view!(world, call).labels(repository, &pull.labels)))
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Names, plain or as objects: `{"labels": ["a"]}` and `{"labels": [{"name": "a"}]}`.
fn names(body: &Value) -> Vec<String> {
    let list = body["labels"].as_array();
    let name = |label: &Value| label.as_str().or_else(|| label["name"].as_str()).map(str::to_owned);
    list.into_iter().flatten().filter_map(name).collect()
}
