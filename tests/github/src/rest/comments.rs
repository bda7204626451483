//! Comments on pull requests, and reactions.

use http::StatusCode;

use super::view;
use crate::auth::Caller;
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::comment::{Comment, Reaction, Subject};
use crate::state::user::Permission;

const MAX_BODY: usize = 65_536;

pub(super) fn list(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let (repository, pull) = world.pull(call, call.number("issue_number")?)?;
    let view = view!(world, call);
    let comments = repository.comments.values().filter(|comment| comment.issue == pull.number);
    Ok(call.list(comments.map(|comment| view.comment(repository, comment)).collect()))
}

pub(super) fn list_all(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let repository = world.of(call)?;
    let view = view!(world, call);
    Ok(call.list(repository.comments.values().map(|comment| view.comment(repository, comment)).collect()))
}

pub(super) fn get(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let comment = find(world, call)?;
    Ok(Reply::ok(view!(world, call).comment(world.of(call)?, &comment)))
}

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let number = call.number("issue_number")?;
    world.pull(call, number)?;
    let body = allowed_body(call)?;
    let full_name = world.of(call)?.full_name();
    let sender = world.login_of(&call.caller);
    let (comment, _) = world.comment_on_pull(&full_name, number, &body, &sender);
    Ok(Reply::created(view!(world, call).comment(world.of(call)?, &comment)))
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let comment = find(world, call)?;
    may_change(world, call, &comment)?;
    let body = allowed_body(call)?;
    let full_name = world.of(call)?.full_name();
    let sender = world.login_of(&call.caller);
    let (comment, _) = world.edit_comment(&full_name, comment.id, &body, &sender);
    Ok(Reply::ok(view!(world, call).comment(world.of(call)?, &comment)))
}

pub(super) fn delete(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let comment = find(world, call)?;
    may_change(world, call, &comment)?;
    let full_name = world.of(call)?.full_name();
    let sender = world.login_of(&call.caller);
    drop(world.delete_comment(&full_name, comment.id, &sender));
    Ok(Reply::no_content())
}

/// Authors change their own comments; those who may write change all.
fn may_change(world: &World, call: &Call, comment: &Comment) -> Result<(), Refusal> {
    let login = world.login_of(&call.caller);
    let writes = match &call.caller {
        Caller::Person { .. } => world.of(call)?.permission_of(&login) >= Permission::Write,
        Caller::Installation(_) => true,
        Caller::App | Caller::Anonymous => false,
    };
    if writes || login.eq_ignore_ascii_case(&comment.author) {
        return Ok(());
    }
    Err(Refusal::forbidden("Must have admin rights to Repository."))
}

fn allowed_body(call: &Call) -> Result<String, Refusal> {
    let body = call.text("body").unwrap_or_default();
    if body.trim().is_empty() {
        return Err(Refusal::invalid("IssueComment", "body", "body can't be blank"));
    }
    if body.chars().count() > MAX_BODY {
        return Err(Refusal::invalid("IssueComment", "body", "body is too long (maximum is 65536 characters)"));
    }
    Ok(body.to_owned())
}

fn find(world: &World, call: &Call) -> Result<Comment, Refusal> {
    let id = call.number("comment_id")?;
    world.of(call)?.comments.get(&id).cloned().ok_or_else(Refusal::not_found)
}

pub(super) fn issue_reactions(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let number = call.number("issue_number")?;
    world.pull(call, number)?;
    reactions(world, call, Subject::Issue(number))
}

pub(super) fn comment_reactions(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let id = find(world, call)?.id;
    reactions(world, call, Subject::Comment(id))
}

fn reactions(world: &World, call: &Call, subject: Subject) -> Result<Reply, Refusal> {
    let view = view!(world, call);
    let wanted = |reaction: &&Reaction| {
        reaction.on == subject && call.query.get("content").is_none_or(|content| *content == reaction.content)
    };
    Ok(call.list(world.of(call)?.reactions.iter().filter(wanted).map(|reaction| view.reaction(reaction)).collect()))
}

pub(super) fn react_to_issue(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let number = call.number("issue_number")?;
    world.pull(call, number)?;
    react(world, call, Subject::Issue(number))
}

pub(super) fn react_to_comment(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let id = find(world, call)?.id;
    react(world, call, Subject::Comment(id))
}

/// 201 for a new reaction, 200 for one that was there.
fn react(world: &mut World, call: &Call, on: Subject) -> Result<Reply, Refusal> {
    let by = world.login_of(&call.caller);
    let content = call.text("content").unwrap_or_default().to_owned();
    let same = |reaction: &&Reaction| reaction.on == on && reaction.by == by && reaction.content == content;
    if let Some(known) = world.of(call)?.reactions.iter().find(same) {
        return Ok(Reply::ok(view!(world, call).reaction(known)));
    }
    let (id, at) = (world.next_id(), world.clock.now());
    let reaction = Reaction { id, on, by, content, at };
    world.of_mut(call)?.reactions.push(reaction.clone());
    Ok(Reply { status: StatusCode::CREATED, ..Reply::ok(view!(world, call).reaction(&reaction)) })
}

pub(super) fn unreact(world: &mut World, call: &Call) -> Result<Reply, Refusal> {
    let id = call.number("reaction_id")?;
    let reactions = &mut world.of_mut(call)?.reactions;
    let before = reactions.len();
    reactions.retain(|reaction| reaction.id != id);
    if reactions.len() == before { Err(Refusal::not_found()) } else { Ok(Reply::no_content()) }
}
