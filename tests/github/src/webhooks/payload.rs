//! Payloads made from GitHub's real examples: the example of the event with everything that is ours put in.
//! Fields that the stand-in knows nothing of stay as GitHub once sent them.

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::Event;
use crate::state::World;
use crate::state::hook::{Hook, HookOwner};
use crate::state::user::Kind;
use crate::view::View;

static EXAMPLES: LazyLock<HashMap<String, Vec<Value>>> = LazyLock::new(|| {
    let mut text = String::new();
    let packed: &[u8] = include_bytes!("../../data/webhooks.json.gz");
    GzDecoder::new(packed).read_to_string(&mut text).expect("the vendored examples decompress");
    serde_json::from_str(&text).expect("the vendored examples are JSON")
});

/// The payload of an event for one hook.
pub(crate) fn build(world: &World, event: &Event<'_>, hook: &Hook) -> Value {
    let view = View::plain(world);
    let repository = world.known(event.repository);
    let mut payload = example(event.name, event.action);
    adopt(&mut payload, &repository.full_name(), &repository.owner, view.html());
    let object = payload.as_object_mut().expect("examples are objects");
    object.remove("installation");
    object.remove("organization");
    if let Some(action) = event.action {
        object.insert("action".to_owned(), json!(action));
    }
    overlay(&mut payload["repository"], view.repository(repository));
    overlay(&mut payload["sender"], view.account(event.sender));
    if let Some(owner) = world.user(&repository.owner).filter(|owner| owner.kind == Kind::Organization) {
        payload["organization"] = view.organization(owner);
    }
    let app = world.app.as_ref().filter(|_| hook.owner == HookOwner::App);
    if let Some(installation) = app.and_then(|app| app.installation_for(event.repository)) {
        let id = installation.id;
        payload["installation"] = json!({ "id": id, "node_id": format!("MDIzOkluc3RhbGxhdGlvbg{id}") });
    }
    for (key, part) in &event.parts {
        overlay(&mut payload[*key], part.clone());
    }
    payload
}

/// GitHub's example of the event. The examples lack a few actions; those are told in the words of a sibling.
fn example(event: &str, action: Option<&str>) -> Value {
    let examples = EXAMPLES.get(event).unwrap_or_else(|| panic!("there are examples of {event}"));
    let of = |action: Option<&str>| examples.iter().find(|example| example["action"].as_str() == action).cloned();
    let sibling = match event {
        "pull_request" => of(Some("opened")),
        "check_run" => of(Some("created")),
        "check_suite" => of(Some("requested")),
        _ => examples.first().cloned(),
    };
    of(action).or(sibling).expect("every event has an example")
}

/// Replaces names and addresses of the example's world by ours, wherever they stand.
fn adopt(value: &mut Value, full_name: &str, owner: &str, root: &str) {
    match value {
        Value::String(text) => {
            let names =
                ["Codertocat/Hello-World", "Octocoders/Hello-World", "octo-org/octo-repo", "octocat/Hello-World"];
            let mut ours = names.iter().fold(text.clone(), |text, name| text.replace(name, full_name));
            ours = ours.replace("https://api.github.com", root).replace("https://github.com", root);
            for login in ["Codertocat", "Octocoders", "octo-org", "octocat"] {
                ours = ours.replace(login, owner);
            }
            *text = ours;
        }
        Value::Array(items) => items.iter_mut().for_each(|item| adopt(item, full_name, owner, root)),
        Value::Object(map) => map.values_mut().for_each(|item| adopt(item, full_name, owner, root)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts our fields over the example's; fields that only the example has stay.
fn overlay(example: &mut Value, ours: Value) {
    match (example, ours) {
        (Value::Object(example), Value::Object(ours)) => {
            for (key, value) in ours {
                overlay(example.entry(key).or_insert(Value::Null), value);
            }
        }
        (example, ours) => *example = ours,
    }
}
