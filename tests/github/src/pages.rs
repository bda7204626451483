//! The pages behind "Register a GitHub App from a manifest": the form that GitHub shows, the way back with a code, and the
//! code's one exchange for credentials. Manifests are refused for what GitHub refuses them.

use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::contract::{CONTRACT, Contract};
use crate::handle::app::new_key;
use crate::reply::{Body, Refusal, Reply};
use crate::state::World;
use crate::state::access::{App, Level, Permissions};
use crate::state::hook::HookOwner;
use crate::state::user::Kind;
use crate::view::View;

/// How long a code may be exchanged.
const CODE_LIVES: SignedDuration = SignedDuration::from_hours(1);
const LONGEST_NAME: usize = 34;
/// Under which permission GitHub lets an App subscribe to an event. Those that every App gets unasked are not among them.
const EVENTS: [(&str, &str); 12] = [
    ("check_run", "checks"),
    ("check_suite", "checks"),
    ("commit_comment", "contents"),
    ("deployment", "deployments"),
    ("issue_comment", "issues"),
    ("issues", "issues"),
    ("merge_group", "merge_queues"),
    ("pull_request", "pull_requests"),
    ("pull_request_review", "pull_requests"),
    ("push", "contents"),
    ("repository", "metadata"),
    ("status", "statuses"),
];
const KNOWN: [&str; 12] = [
    "name",
    "url",
    "hook_attributes",
    "redirect_url",
    "callback_urls",
    "setup_url",
    "description",
    "public",
    "default_events",
    "default_permissions",
    "request_oauth_on_install",
    "setup_on_update",
];

/// An App that was confirmed and whose credentials nobody fetched yet.
#[derive(Debug)]
pub(crate) struct Registration {
    owner: String,
    manifest: Value,
    made_at: Timestamp,
}

/// Answers a page's path; `None` where there is no such page.
pub(crate) fn serve(world: &mut World, method: &Method, path: &str, query: &str, body: &Bytes) -> Option<Reply> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (organization, rest) = match parts.as_slice() {
        ["organizations", name, rest @ ..] => (Some(*name), rest),
        rest => (None, rest),
    };
    let form = |name: &str| field(body, name);
    match (method.as_str(), rest) {
        ("POST", ["settings", "apps", "new"]) => {
            let state = field(query.as_bytes(), "state").unwrap_or_default();
            Some(match read(&form("manifest").unwrap_or_default()) {
                Ok(manifest) => confirm(organization, &manifest, &state),
                Err(errors) => refuse(&errors),
            })
        }
        ("POST", ["settings", "apps"]) => {
            let manifest = read(&form("manifest").unwrap_or_default());
            Some(match manifest {
                Ok(manifest) => register(world, organization, manifest, &form("state").unwrap_or_default()),
                Err(errors) => refuse(&errors),
            })
        }
        _ => None,
    }
}

fn field(form: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The manifest, or everything that GitHub finds wrong with it.
fn read(text: &str) -> Result<Value, Vec<String>> {
    let Ok(manifest) = serde_json::from_str::<Value>(text) else { return Err(vec!["Error parsing JSON".into()]) };
    let Some(object) = manifest.as_object() else { return Err(vec!["The manifest is no object".into()]) };
    let mut errors: Vec<String> =
        object.keys().filter(|key| !KNOWN.contains(&key.as_str())).map(|key| format!("Unknown key: {key}")).collect();
    let is_address = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("http"));
    for (name, value) in [
        ("url", &manifest["url"]),
        ("redirect_url", &manifest["redirect_url"]),
        ("hook_attributes.url", &manifest["hook_attributes"]["url"]),
    ] {
        if !is_address(value) {
            errors.push(format!("{name} must be a valid URL"));
        }
    }
    let length = manifest["name"].as_str().map_or(0, |name| name.chars().count());
    if length > LONGEST_NAME {
        errors.push(format!("Name is too long (maximum is {LONGEST_NAME} characters)"));
    }
    let permissions = permissions(&manifest);
    if !CONTRACT.fits(Contract::PERMISSIONS, &manifest["default_permissions"])
        || permissions.len() != manifest["default_permissions"].as_object().map_or(0, serde_json::Map::len)
    {
        errors.push("Default permissions are not valid".into());
    }
    for event in manifest["default_events"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        match EVENTS.iter().find(|(name, _)| *name == event) {
            None => errors.push(format!("Default events unsupported: {event}")),
            Some((_, permission)) if !permissions.contains_key(*permission) => {
                errors.push(format!("Default events are not supported by permissions: {event}"));
            }
            Some(_) => {}
        }
    }
    if errors.is_empty() { Ok(manifest) } else { Err(errors) }
}

fn permissions(manifest: &Value) -> Permissions {
    let asked = manifest["default_permissions"].as_object().into_iter().flatten();
    let known = asked.filter(|(name, _)| CONTRACT.has_permission(name));
    known.filter_map(|(name, level)| Some((name.clone(), Level::parse(level.as_str()?)?))).collect()
}

fn page(status: StatusCode, body: &str) -> Reply {
    let bytes = Bytes::from(format!("<!doctype html><html lang=\"en\"><body>{body}</body></html>"));
    Reply { status, body: Body::Raw { media_type: "text/html; charset=utf-8", bytes }, headers: vec![] }
}

fn refuse(errors: &[String]) -> Reply {
    let list: String = errors.iter().map(|error| format!("<li>Error {}</li>", escape(error))).collect();
    page(StatusCode::UNPROCESSABLE_ENTITY, &format!("<h1>Invalid GitHub App configuration</h1><ul>{list}</ul>"))
}

fn confirm(organization: Option<&str>, manifest: &Value, state: &str) -> Reply {
    let action =
        organization.map_or("/settings/apps".to_owned(), |name| format!("/organizations/{name}/settings/apps"));
    let hidden =
        |name: &str, value: &str| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
    let inputs = hidden("manifest", &manifest.to_string()) + &hidden("state", state);
    let name = escape(manifest["name"].as_str().unwrap_or_default());
    page(
        StatusCode::OK,
        &format!(
            "<h1>{name}</h1><form action=\"{action}\" method=\"post\">{inputs}<button>Create GitHub App</button></form>"
        ),
    )
}

fn register(world: &mut World, organization: Option<&str>, manifest: Value, state: &str) -> Reply {
    let code = uuid::Uuid::now_v7().simple().to_string();
    let mut back = url::Url::parse(manifest["redirect_url"].as_str().unwrap_or_default()).expect("it was checked");
    back.query_pairs_mut().append_pair("code", &code);
    if !state.is_empty() {
        back.query_pairs_mut().append_pair("state", state);
    }
    let (owner, made_at) = (organization.unwrap_or("octocat").to_owned(), world.clock.now());
    world.registrations.insert(code, Registration { owner, manifest, made_at });
    Reply::found(back.into())
}

/// `POST /app-manifests/{code}/conversions`: once, within an hour.
pub(crate) fn convert(world: &mut World, code: &str, api: &str) -> Result<Reply, Refusal> {
    let found = world.registrations.remove(code).ok_or_else(Refusal::not_found)?;
    if world.clock.now() > found.made_at + CODE_LIVES {
        return Err(Refusal::not_found());
    }
    let (private, public) = new_key().map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "no key"))?;
    let name = found.manifest["name"].as_str().filter(|name| !name.is_empty()).unwrap_or("app");
    let slug = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    world.ensure_account(&found.owner, if found.owner == "octocat" { Kind::Person } else { Kind::Organization });
    world.ensure_account(&format!("{slug}[bot]"), Kind::Bot);
    let events: Vec<String> = found.manifest["default_events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|event| event.as_str().map(str::to_owned))
        .collect();
    let (id, created_at) = (world.next_id(), world.clock.now());
    let app = App {
        id,
        slug,
        owner: found.owner,
        public_key_pem: public.into_bytes(),
        permissions: permissions(&found.manifest),
        events: events.clone(),
        created_at,
        installations: Vec::new(),
    };
    let secret = uuid::Uuid::now_v7().simple().to_string();
    let url = found.manifest["hook_attributes"]["url"].as_str().unwrap_or_default().to_owned();
    let mut shown = View { world, api }.app(&app);
    world.app = Some(app);
    world.add_hook(HookOwner::App, &url, &secret, events);
    for (key, value) in [("client_secret", format!("client-{secret}")), ("webhook_secret", secret), ("pem", private)] {
        shown[key] = json!(value);
    }
    Ok(Reply { status: StatusCode::CREATED, ..Reply::ok(shown) })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
