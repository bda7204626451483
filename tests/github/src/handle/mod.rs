//! What tests and the demo hold: the running stand-in and handles to the things in it.
//! Handles are cheap to clone; the server stops when the last one is gone.

pub(crate) mod app;
pub(crate) mod hook;
pub(crate) mod pull;
pub(crate) mod repo;
pub(crate) mod user;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::faults::{Fault, Match};
use crate::line::{Line, Lines};
use crate::log::Request;
use crate::server;
use crate::state::World;
use crate::state::hook::HookOwner;
use crate::state::status::Status;
use crate::webhooks::send;
use hook::{Delivery, Hook};
use repo::Repo;
use user::User;

/// What the server and every handle share.
pub(crate) struct Shared {
    world: Mutex<World>,
    pub(crate) verifies_answers: bool,
    /// Ticks when a client asked, was answered or answered a webhook.
    moved: watch::Sender<()>,
}

impl Shared {
    /// Wakes whoever waits for something to happen.
    pub(crate) fn tick(&self) {
        self.moved.send_replace(());
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // A test that panicked while holding the lock has failed anyway; its neighbours go on.
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The running stand-in.
#[derive(Clone)]
pub struct Github {
    pub(crate) shared: Arc<Shared>,
    url: Arc<str>,
    /// The server and the sender; aborted when dropped.
    _tasks: Arc<JoinSet<()>>,
}

/// How the stand-in is started.
#[derive(Debug, Clone)]
pub struct Builder {
    address: SocketAddr,
    verifies_answers: bool,
}

impl Builder {
    /// Listens here instead of on a free port of 127.0.0.1.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Does not compare its own answers with GitHub's description: faster, for load.
    #[must_use]
    pub fn without_verifying_answers(mut self) -> Self {
        self.verifies_answers = false;
        self
    }

    /// Starts listening.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(self) -> anyhow::Result<Github> {
        let listener = TcpListener::bind(self.address).await.context("the stand-in's address is taken")?;
        let url = format!("http://{}", listener.local_addr()?);
        let (outbox, jobs) = mpsc::unbounded_channel();
        let world = Mutex::new(World::new(url.clone(), outbox));
        let shared = Arc::new(Shared { world, verifies_answers: self.verifies_answers, moved: watch::channel(()).0 });
        let router = Router::new().fallback(server::serve).with_state(Arc::clone(&shared));
        let service = router.into_make_service_with_connect_info::<Line>();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // The server ends with the task, never by itself.
            if let Err(error) = axum::serve(Lines(listener), service).await {
                tracing::error!(%error, "the stand-in stopped serving");
            }
        });
        tasks.spawn(send::run(Arc::downgrade(&shared), jobs));
        Ok(Github { shared, url: url.into(), _tasks: Arc::new(tasks) })
    }
}

impl Github {
    /// Starts a stand-in on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        Self::builder().start().await
    }

    /// For settings other than the usual.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { address: SocketAddr::from(([127, 0, 0, 1], 0)), verifies_answers: true }
    }

    /// The API's root, as `https://api.github.com` is; pages are said to be there too.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The API's root in the layout of GitHub Enterprise Server.
    #[must_use]
    pub fn enterprise_url(&self) -> String {
        format!("{}/api/v3", self.url)
    }

    /// The repository `owner/name`, made with one empty commit on `main` unless it exists.
    #[must_use]
    pub fn repo(&self, full_name: &str) -> Repo {
        self.shared.world().ensure_repository(full_name);
        Repo::new(self.clone(), full_name)
    }

    /// The account, made unless it exists. Names that end in `[bot]` are bots.
    #[must_use]
    pub fn user(&self, login: &str) -> User {
        self.shared.world().ensure_account(login, crate::webhooks::changes::kind_of(login));
        User::new(self.clone(), login)
    }

    /// A classic personal token of the account, with the scopes `repo` and `admin:repo_hook`.
    #[must_use]
    pub fn token(&self, login: &str) -> String {
        self.user(login).token()
    }

    /// Sends the repository's usual events to `url`, signed with `secret`. The hook is pinged at once.
    pub fn webhook(&self, full_name: &str, url: &str, secret: &str) -> Hook {
        let full_name = self.repo(full_name).full_name().to_owned();
        Hook::add(self, HookOwner::Repository(full_name), url, secret)
    }

    /// Every status posted for a commit, in the order of posting.
    #[must_use]
    pub fn statuses(&self, sha: &str) -> Vec<Status> {
        let world = self.shared.world();
        let all = world.repositories.values().flat_map(|repository| &repository.statuses);
        let mut found: Vec<Status> = all.filter(|status| status.sha == sha).cloned().collect();
        found.sort_by_key(|status| status.seq);
        found
    }

    /// The latest status of a commit in a context.
    #[must_use]
    pub fn status(&self, sha: &str, context: &str) -> Option<Status> {
        self.statuses(sha).into_iter().rfind(|status| status.context.eq_ignore_ascii_case(context))
    }

    /// Every request to the API so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.world().requests.all().to_vec()
    }

    /// Requests so far that asked for a change.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.shared.world().requests.all().iter().filter(|request| request.is_write()).count()
    }

    /// Lets the next `times` requests that match go wrong. Orders are carried out oldest first.
    pub fn fail_next(&self, hits: Match, times: u32, fault: Fault) {
        self.shared.world().faults.order(hits, times, fault);
    }

    /// Forgets every fault still to come.
    pub fn heal(&self) {
        let mut world = self.shared.world();
        world.faults.clear();
        world.hooks.lose = 0;
        world.hooks.lose_half = None;
    }

    /// Loses the next deliveries: the receiver sees nothing, GitHub's record says that they failed.
    pub fn drop_deliveries(&self, times: u32) {
        self.shared.world().hooks.lose = times;
    }

    /// Loses half of all deliveries from now on, at random; the same seed loses the same ones.
    pub fn drop_half(&self, seed: u64) {
        self.shared.world().hooks.lose_half = Some(seed.max(1));
    }

    /// How many requests each caller was counted with in its current hour; unchanged answers cost nothing.
    #[must_use]
    pub fn spent(&self, caller: &str) -> u64 {
        let mut world = self.shared.world();
        let now = world.clock.now();
        world.limits.bucket(caller, now).used
    }

    /// Every check run of a commit, in the order of creation: name, status, conclusion, title, number of annotations.
    #[must_use]
    pub fn checks(&self, sha: &str) -> Vec<Check> {
        let world = self.shared.world();
        let all = world.repositories.values().flat_map(|repository| repository.check_runs.values());
        all.filter(|run| run.head_sha == sha).map(Check::of).collect()
    }

    /// Every delivery so far, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.world().hooks.deliveries.iter().map(Delivery::of).collect()
    }

    /// Waits until `probe` finds what it looks for. It looks again whenever a client asked, was answered or answered a
    /// webhook; put a time-out around it where that may never be.
    pub async fn until<T>(&self, mut probe: impl FnMut(&Self) -> Option<T>) -> T {
        let mut moved = self.shared.moved.subscribe();
        loop {
            if let Some(found) = probe(self) {
                return found;
            }
            moved.changed().await.expect("the stand-in lives as long as this handle");
        }
    }

    /// Waits until nothing is on its way.
    pub async fn deliveries_settled(&self) {
        let mut in_flight = self.shared.world().hooks.in_flight.subscribe();
        in_flight.wait_for(|count| *count == 0).await.expect("the stand-in lives as long as this handle");
    }

    /// The time by the stand-in's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.world().clock.now()
    }

    /// Moves the stand-in's clock forward: tokens expire, limits reset.
    pub fn skip_time(&self, by: Duration) {
        self.shared.world().clock.skip(by);
    }

    /// Allows every caller so many requests an hour instead of GitHub's 5,000 (60 without a token).
    pub fn limit_requests(&self, per_hour: u64) {
        self.shared.world().limits.per_hour = Some(per_hour);
    }

    /// Answers `mergeable: null` to the first so many reads of a pull request after its head or base moved.
    pub fn delay_mergeability(&self, reads: u32) {
        self.shared.world().merge_delay = reads;
    }

    /// Keeps showing the test merges of heads and bases as they were, as GitHub does for a while; with `false` it makes them anew.
    pub fn keep_test_merges(&self, keep: bool) {
        let mut world = self.shared.world();
        world.merges_stay = keep;
        let bases: Vec<(String, String)> = world
            .repositories
            .values()
            .flat_map(|repository| {
                repository.pulls.values().map(|pull| (repository.full_name(), pull.base_ref.clone()))
            })
            .collect();
        bases.into_iter().for_each(|(repository, base)| world.remake_test_merges(&repository, &base));
    }

    /// Makes `login` a member of the team `slug` of an organization.
    pub fn team_member(&self, organization: &str, slug: &str, login: &str) {
        drop(self.user(login));
        let mut world = self.shared.world();
        let key = (organization.to_ascii_lowercase(), slug.to_ascii_lowercase());
        world.teams.entry(key).or_default().members.insert(login.to_ascii_lowercase());
    }
}

impl std::fmt::Debug for Github {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Github").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A check run, seen from a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub id: u64,
    pub name: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub title: String,
    pub summary: String,
    pub annotations: usize,
}

impl Check {
    fn of(run: &crate::state::check::CheckRun) -> Self {
        Self {
            id: run.id,
            name: run.name.clone(),
            status: run.status.clone(),
            conclusion: run.conclusion.clone(),
            title: run.title.clone().unwrap_or_default(),
            summary: run.summary.clone().unwrap_or_default(),
            annotations: run.annotations.len(),
        }
    }
}
