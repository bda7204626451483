//! Webhooks and their deliveries, seen from a test.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::Github;
use crate::state::hook::{self as state, Answer, HookOwner};
use crate::webhooks::{Deliveries, Parcel, gathered};

/// What a gatekeeper subscribes to.
const USUAL: [&str; 7] =
    ["pull_request", "issue_comment", "push", "check_run", "check_suite", "merge_group", "installation"];

/// A subscription to events.
#[derive(Debug, Clone)]
pub struct Hook {
    github: Github,
    id: u64,
}

impl Hook {
    pub(crate) fn add(github: &Github, owner: HookOwner, url: &str, secret: &str) -> Self {
        let events = USUAL.map(str::to_owned).to_vec();
        let id = github.shared.world().add_hook(owner, url, secret, events);
        Self { github: github.clone(), id }
    }

    pub(crate) fn of(github: &Github, id: u64) -> Self {
        Self { github: github.clone(), id }
    }

    /// GitHub's number of the hook.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Subscribes to exactly these events; `*` stands for all.
    pub fn subscribe(&self, events: &[&str]) -> &Self {
        self.change(|hook| hook.events = events.iter().map(|event| (*event).to_owned()).collect());
        self
    }

    /// Sends to another address from now on.
    pub fn redirect(&self, url: &str) -> &Self {
        self.change(|hook| url.clone_into(&mut hook.url));
        self
    }

    /// Signs with another secret from now on.
    pub fn change_secret(&self, secret: &str) -> &Self {
        self.change(|hook| secret.clone_into(&mut hook.secret));
        self
    }

    /// Sends `ping` again.
    pub fn ping(&self) -> Deliveries {
        self.github.shared.world().send_ping(self.id)
    }

    /// Sends any event with any body, signed as usual: unknown events, malformed bodies, a GUID used twice.
    pub fn deliver_raw(&self, raw: RawDelivery) -> Deliveries {
        let mut world = self.github.shared.world();
        let Some(hook) = world.hooks.get(self.id).cloned() else { return Deliveries::default() };
        let repository = match &hook.owner {
            HookOwner::Repository(name) => world.repository(name).map(|repository| repository.id),
            HookOwner::App => None,
        };
        let action = serde_json::from_slice::<Value>(&raw.body).ok();
        let action = action.as_ref().and_then(|body| body["action"].as_str());
        let parcel = Parcel { event: &raw.event, action, guid: &raw.guid, body: raw.body.clone(), repository };
        gathered(vec![world.deliver(&hook, parcel, false)])
    }

    fn change(&self, change: impl FnOnce(&mut state::Hook)) {
        let mut world = self.github.shared.world();
        if let Some(hook) = world.hooks.all.iter_mut().find(|hook| hook.id == self.id) {
            change(hook);
        }
    }
}

/// A delivery written by hand.
#[derive(Debug, Clone)]
pub struct RawDelivery {
    pub event: String,
    pub guid: String,
    pub body: Bytes,
}

impl RawDelivery {
    /// With a fresh GUID.
    #[must_use]
    pub fn new(event: &str, body: impl Into<Bytes>) -> Self {
        Self { event: event.to_owned(), guid: uuid::Uuid::now_v7().to_string(), body: body.into() }
    }

    /// Under this GUID.
    #[must_use]
    pub fn guid(mut self, guid: &str) -> Self {
        guid.clone_into(&mut self.guid);
        self
    }
}

/// One recorded attempt at delivering.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: u64,
    pub guid: String,
    pub hook: u64,
    pub event: String,
    pub action: Option<String>,
    pub redelivery: bool,
    pub at: Timestamp,
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
    /// `None` while it is on its way.
    pub answer: Option<Answer>,
}

impl Delivery {
    pub(crate) fn of(delivery: &state::Delivery) -> Self {
        Self {
            id: delivery.id,
            guid: delivery.guid.clone(),
            hook: delivery.hook,
            event: delivery.event.clone(),
            action: delivery.action.clone(),
            redelivery: delivery.redelivery,
            at: delivery.at,
            headers: delivery.headers.clone(),
            payload: delivery.payload.clone(),
            answer: delivery.outcome.clone(),
        }
    }

    /// The payload as JSON; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or(Value::Null)
    }

    /// A header's value, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Github {
    /// Sends a recorded delivery once more, under the same GUID, as the button in GitHub's settings does.
    pub fn redeliver(&self, id: u64) -> Deliveries {
        self.shared.world().redeliver(id)
    }
}
