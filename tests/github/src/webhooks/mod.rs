//! Webhooks: what is sent when something happens, to whom, and what came of it.

pub(crate) mod changes;
pub(crate) mod payload;
pub(crate) mod send;
pub(crate) mod sign;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::state::World;
use crate::state::hook::{Answer, Delivery, Hook, HookOwner, Job};

/// Something that happened in a repository.
pub(crate) struct Event<'a> {
    pub(crate) name: &'static str,
    pub(crate) action: Option<&'a str>,
    pub(crate) repository: &'a str,
    pub(crate) sender: &'a str,
    /// What the payload says beyond repository and sender.
    pub(crate) parts: Vec<(&'static str, Value)>,
}

/// Deliveries on their way, one per hook that wants the event.
#[derive(Debug, Default)]
pub struct Deliveries(Vec<oneshot::Receiver<Answer>>);

impl Deliveries {
    /// How many hooks get the event.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Waits until every receiver has answered or failed to.
    pub async fn answered(self) -> Vec<Answer> {
        let mut answers = Vec::new();
        for answer in self.0 {
            answers.push(answer.await.expect("the sender answers as long as the stand-in lives"));
        }
        answers
    }

    pub(crate) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }
}

impl World {
    /// Sends an event to every hook that wants it.
    pub(crate) fn send(&mut self, event: &Event<'_>) -> Deliveries {
        let wanting: Vec<Hook> = self
            .hooks
            .all
            .iter()
            .filter(|hook| hook.wants(event.name) && self.hears(hook, event.repository))
            .cloned()
            .collect();
        let mut deliveries = Deliveries::default();
        for hook in wanting {
            let payload = payload::build(self, event, &hook);
            let guid = uuid::Uuid::now_v7().to_string();
            let body = Bytes::from(payload.to_string());
            let repository = Some(self.known(event.repository).id);
            let parcel = Parcel { event: event.name, action: event.action, guid: &guid, body, repository };
            deliveries.0.push(self.deliver(&hook, parcel, false));
        }
        deliveries
    }

    fn hears(&self, hook: &Hook, full_name: &str) -> bool {
        match &hook.owner {
            HookOwner::Repository(name) => name.eq_ignore_ascii_case(full_name),
            HookOwner::App => self.app.as_ref().is_some_and(|app| app.installation_for(full_name).is_some()),
        }
    }

    /// Records one delivery and hands it to the sender.
    pub(crate) fn deliver(&mut self, hook: &Hook, parcel: Parcel<'_>, redelivery: bool) -> oneshot::Receiver<Answer> {
        let id = self.next_id();
        let installation = match hook.owner {
            HookOwner::App => parcel.repository.and_then(|repository| self.installation_of(repository)),
            HookOwner::Repository(_) => None,
        };
        let headers = send::headers(hook, &parcel, self.target_of(hook));
        let lost = self.hooks.loses_next();
        self.hooks.deliveries.push(Delivery {
            id,
            guid: parcel.guid.to_owned(),
            hook: hook.id,
            event: parcel.event.to_owned(),
            action: parcel.action.map(str::to_owned),
            repository: parcel.repository,
            installation,
            redelivery,
            at: self.clock.now(),
            headers: headers.clone(),
            payload: parcel.body.clone(),
            outcome: None,
        });
        let (answer, answered) = oneshot::channel();
        self.hooks.in_flight.send_modify(|count| *count += 1);
        let job = Job {
            hook: hook.id,
            delivery: id,
            guid: parcel.guid.to_owned(),
            url: hook.url.clone(),
            headers,
            body: parcel.body,
            lost,
            answer,
        };
        self.hooks.outbox.send(job).expect("the sender lives as long as the stand-in");
        answered
    }

    /// Sends a recorded delivery once more, under the same GUID.
    pub(crate) fn redeliver(&mut self, id: u64) -> Deliveries {
        let found = self.hooks.deliveries.iter().find(|delivery| delivery.id == id).cloned();
        let Some(old) = found else { return Deliveries::default() };
        let Some(hook) = self.hooks.get(old.hook).cloned() else { return Deliveries::default() };
        let parcel = Parcel {
            event: &old.event,
            action: old.action.as_deref(),
            guid: &old.guid,
            body: old.payload.clone(),
            repository: old.repository,
        };
        Deliveries(vec![self.deliver(&hook, parcel, true)])
    }

    fn installation_of(&self, repository: u64) -> Option<u64> {
        let repository = self.repositories.values().find(|known| known.id == repository)?;
        Some(self.app.as_ref()?.installation_for(&repository.full_name())?.id)
    }

    /// Kind and number of what a hook is installed on, for the headers.
    fn target_of(&self, hook: &Hook) -> (&'static str, u64) {
        match &hook.owner {
            HookOwner::Repository(name) => ("repository", self.repository(name).map_or(0, |repository| repository.id)),
            HookOwner::App => ("integration", self.app.as_ref().map_or(0, |app| app.id)),
        }
    }
}

/// What one delivery carries.
pub(crate) struct Parcel<'a> {
    pub(crate) event: &'a str,
    pub(crate) action: Option<&'a str>,
    pub(crate) guid: &'a str,
    pub(crate) body: Bytes,
    pub(crate) repository: Option<u64>,
}

/// Wraps receivers of deliveries made one by one.
pub(crate) fn gathered(receivers: Vec<oneshot::Receiver<Answer>>) -> Deliveries {
    Deliveries(receivers)
}
