//! Everything the stand-in knows, behind one lock. Plain data and the rules that keep it consistent.
//! No HTTP here and no JSON: `rest` and `webhooks` translate.

pub(crate) mod access;
pub(crate) mod check;
pub(crate) mod comment;
pub(crate) mod hook;
pub(crate) mod pull;
pub(crate) mod repository;
pub(crate) mod status;
pub(crate) mod user;

use std::collections::{BTreeMap, HashMap};

use indexmap::IndexMap;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::limits::Limits;
use crate::log::Requests;
use crate::pages::Registration;
use access::{App, Tokens};
use hook::{Hook, HookOwner, Hooks, Job};
use repository::{ArchiveTicket, Repository};
use user::{Team, User};

/// The stand-in's whole state.
#[derive(Debug)]
pub(crate) struct World {
    /// `http://127.0.0.1:PORT`, where both pages and the API are said to be.
    pub(crate) url: String,
    pub(crate) clock: Clock,
    pub(crate) users: IndexMap<String, User>,
    pub(crate) teams: BTreeMap<(String, String), Team>,
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) tokens: Tokens,
    pub(crate) app: Option<App>,
    /// Apps on their way, by the code that GitHub gave.
    pub(crate) registrations: HashMap<String, Registration>,
    pub(crate) tickets: HashMap<String, ArchiveTicket>,
    pub(crate) hooks: Hooks,
    pub(crate) requests: Requests,
    pub(crate) faults: Faults,
    pub(crate) limits: Limits,
    /// How many reads of a pull request answer `mergeable: null` after each change of head or base.
    pub(crate) merge_delay: u32,
    /// Whether test merges stay as they are when a head or a base moves.
    pub(crate) merges_stay: bool,
    last_id: u64,
}

impl World {
    pub(crate) fn new(url: String, outbox: mpsc::UnboundedSender<Job>) -> Self {
        Self {
            url,
            clock: Clock::default(),
            users: IndexMap::new(),
            teams: BTreeMap::new(),
            repositories: BTreeMap::new(),
            tokens: Tokens::default(),
            app: None,
            registrations: HashMap::new(),
            tickets: HashMap::new(),
            hooks: Hooks::new(outbox),
            requests: Requests::default(),
            faults: Faults::default(),
            limits: Limits::default(),
            merge_delay: 0,
            merges_stay: false,
            last_id: 1_000_000,
        }
    }

    /// A number nothing else has.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The place of the next status among all.
    pub(crate) fn next_status(&self) -> u64 {
        self.repositories.values().map(|repository| repository.statuses.len() as u64).sum::<u64>() + 1
    }

    /// The repository by its full name, in any case, as GitHub finds it.
    pub(crate) fn repository(&self, full_name: &str) -> Option<&Repository> {
        self.repositories.get(&full_name.to_ascii_lowercase())
    }

    pub(crate) fn repository_mut(&mut self, full_name: &str) -> Option<&mut Repository> {
        self.repositories.get_mut(&full_name.to_ascii_lowercase())
    }

    /// For callers that hold a handle, which exists only for a repository that does.
    pub(crate) fn known(&self, full_name: &str) -> &Repository {
        self.repository(full_name).expect("handles exist only for repositories that were created")
    }

    pub(crate) fn known_mut(&mut self, full_name: &str) -> &mut Repository {
        self.repository_mut(full_name).expect("handles exist only for repositories that were created")
    }

    /// Creates the repository, its owner and an empty first commit unless it exists already.
    pub(crate) fn ensure_repository(&mut self, full_name: &str) {
        if self.repository(full_name).is_some() {
            return;
        }
        let (owner, name) = full_name.split_once('/').expect("a repository is named owner/name");
        self.ensure_account(owner, user::Kind::Organization);
        let (id, now) = (self.next_id(), self.clock.now());
        let repository = Repository::new(id, owner, name, now);
        self.repositories.insert(full_name.to_ascii_lowercase(), repository);
    }

    /// Creates the account unless it exists; an existing one keeps its kind.
    pub(crate) fn ensure_account(&mut self, login: &str, kind: user::Kind) {
        let key = login.to_ascii_lowercase();
        if !self.users.contains_key(&key) {
            let (id, now) = (self.next_id(), self.clock.now());
            self.users.insert(key, User { id, login: login.to_owned(), kind, since: now });
        }
    }

    /// Adds a webhook and pings it, as GitHub does.
    pub(crate) fn add_hook(&mut self, owner: HookOwner, url: &str, secret: &str, events: Vec<String>) -> u64 {
        let (id, created_at) = (self.next_id(), self.clock.now());
        let (url, secret) = (url.to_owned(), secret.to_owned());
        self.hooks.all.push(Hook { id, owner, url, secret, events, active: true, created_at });
        drop(self.send_ping(id));
        id
    }

    pub(crate) fn user(&self, login: &str) -> Option<&User> {
        self.users.get(&login.to_ascii_lowercase())
    }
}
