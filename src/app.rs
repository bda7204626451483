//! The composition root: builds everything from the configuration, joins every task, shuts down in order.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::adapters::artifacts::ObjectArtifacts;
use crate::adapters::clock::SystemClock;
use crate::adapters::docker::{Docker, DockerSettings};
use crate::adapters::github::{Auth, Github, GithubSettings, Timeouts};
use crate::adapters::kube::KubeApi;
use crate::artifacts::Artifacts;
use crate::config::server::{self, Credentials, ServerConfig};
use crate::domain::wording::Links;
use crate::ports::{ArtifactPlace, ArtifactStore, Ports};
use crate::reconcile::driver::{self, Waker};
use crate::reconcile::vault::Vault;
use crate::reconcile::{self, Settings};
use crate::store::{Claim, Store};
use crate::web::{self, Web};

/// Everything a running service consists of.
pub struct App {
    pub context: reconcile::Context,
    docker: Arc<Docker>,
    config: ServerConfig,
    claim: Claim,
    /// Held for as long as this process owns the data directory.
    _lock: File,
}

impl App {
    /// Opens and connects what the configuration names; starts nothing. Waits while another service works on the same database.
    ///
    /// # Errors
    /// The data directory is in use or not writable, the store does not open, or a setting cannot work.
    pub async fn build(config: ServerConfig) -> anyhow::Result<Self> {
        let lock = own(&config.data_dir)?;
        let (store, claim) = Store::own(secrecy::ExposeSecret::expose_secret(&config.store_url)).await?;
        let instance = store.instance(&Uuid::now_v7().simple().to_string()[20..]).await?;
        let clock = Arc::new(SystemClock);
        let docker = Arc::new(Docker::new(docker_settings(&config.docker, instance)));
        let github = Arc::new(Github::new(github_settings(&config.github), clock.clone())?);
        let settings = Settings {
            links: Links {
                context_prefix: config.github.context_prefix.clone(),
                public_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
            },
            overrides: config.repositories.clone(),
            capacity: config.capacity.clusters as usize,
            runs_per_repo: config.capacity.runs_per_repo as usize,
            broken_per_hour: config.capacity.broken_per_hour as usize,
            lease: config.limits.lease,
            keep_deliveries: config.limits.keep_deliveries,
            keep_artifacts: config.artifacts.keep,
            keep_statistics: config.limits.keep_statistics,
            watched: config.github.repositories.clone(),
            catch_up: config.github.catch_up,
            webhook_url: format!("{}/webhooks/github", config.public_url.as_str().trim_end_matches('/')),
            max_archive_bytes: config.limits.archive_bytes,
            max_results_bytes: config.limits.results_bytes,
        };
        let context = reconcile::Context {
            store,
            ports: Ports {
                forge: github.clone(),
                conversation: github.clone(),
                recall: github.clone(),
                notices: github,
                provider: docker.clone(),
                kubernetes: Arc::new(KubeApi::default()),
                executor: docker.clone(),
                clock,
                artifacts: kept(config.artifacts.store.as_ref())?,
            },
            artifacts: Artifacts::new(&config.data_dir),
            settings: Arc::new(settings),
            vault: Arc::new(Vault::new(config.secrets.clone())),
            waker: Waker::default(),
        };
        Ok(Self { context, docker, config, claim, _lock: lock })
    }

    /// Serves until `stop`, then ends in order: no new deliveries, no further steps, logs written, store closed.
    /// Containers run on; the next process takes them up again.
    ///
    /// # Errors
    /// The listener or a reconciler cannot go on.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        let reconcilers = reconcile::all(&self.context);
        let engine = async {
            let result = driver::run(reconcilers, self.context.waker.clone(), stop.clone()).await;
            stop.cancel();
            result
        };
        let (closed, ended) = (CancellationToken::new(), oneshot::channel());
        let door = Door { listener: listener.into_std()?, web: self.web(), stop: stop.clone(), closed: closed.clone() };
        let thread = tokio::task::spawn_blocking(move || door.keep(ended.0));
        let lost = self.claim.lost();
        let engine = async {
            tokio::select! {
                result = engine => result,
                lost = lost => {
                    stop.cancel();
                    Err(lost.into())
                }
            }
        };
        let (engine, served) = tokio::join!(engine, ended.1);
        self.docker.close().await;
        self.context.store.close().await;
        closed.cancel();
        thread.await.context("the listener's thread broke")?;
        engine.and(served?.context("the listener broke"))
    }

    /// What the web room is given.
    pub fn web(&self) -> Web {
        let waker = self.context.waker.clone();
        Web {
            store: self.context.store.clone(),
            artifacts: self.context.artifacts.clone(),
            kept: self.context.ports.artifacts.clone(),
            provider: self.context.ports.provider.clone(),
            clock: self.context.ports.clock.clone(),
            links: self.context.settings.links.clone(),
            forge_url: forge_url(&self.config.github),
            secrets: self.config.github.webhook_secrets.clone(),
            wake: Arc::new(move || waker.wake()),
            limits: web::Limits::default(),
        }
    }
}

/// Everything HTTP, on one thread of its own: what the engine does cannot delay a webhook, and one thread takes in a third more of
/// them per CPU-second than threads that hand each other every request.
struct Door {
    listener: std::net::TcpListener,
    web: Web,
    stop: CancellationToken,
    /// Ends the thread: connections of the store that were opened on it must live until the store is closed.
    closed: CancellationToken,
}

impl Door {
    fn keep(self, ended: oneshot::Sender<anyhow::Result<()>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the operating system gives a thread an event queue");
        runtime.block_on(async {
            let served =
                async { Ok(web::serve(TcpListener::from_std(self.listener)?, self.web, self.stop.clone()).await?) };
            let result = served.await;
            self.stop.cancel();
            // Whoever waited for it is gone only when the process ends.
            let _ = ended.send(result);
            self.closed.cancelled().await;
        });
    }
}

/// Runs the service until it is told to end (SIGTERM, SIGINT).
///
/// # Errors
/// It cannot start, or a part of it cannot go on.
pub async fn serve(config: ServerConfig) -> anyhow::Result<()> {
    let listen = config.listen;
    let app = App::build(config).await?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let stop = CancellationToken::new();
    tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "serving");
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stop.cancelled() => {}
        }
        tracing::info!("stopping; what runs is taken up again at the next start");
        stop.cancel();
        Ok(())
    };
    tokio::try_join!(app.run(listener, stop.clone()), told).map(drop)
}

/// What a command needs to reach clusters beside a running service: it changes nothing and owns nothing.
///
/// # Errors
/// There is no store of this version that a service has begun.
pub async fn reach(config: &server::Local) -> anyhow::Result<(Store, Arc<Docker>)> {
    let store = Store::look(secrecy::ExposeSecret::expose_secret(&config.store_url)).await?;
    let instance = store.known_instance().await?.context("no service has begun its store yet")?;
    Ok((store, Arc::new(Docker::new(docker_settings(&config.docker, instance)))))
}

/// Two processes on one data directory would both act on every row.
fn own(data_dir: &Path) -> anyhow::Result<File> {
    let shown = data_dir.display();
    std::fs::create_dir_all(data_dir).with_context(|| format!("cannot make the data directory {shown}"))?;
    let lock = File::create(data_dir.join("portcullis.lock")).with_context(|| format!("cannot write to {shown}"))?;
    lock.try_lock().map_err(|_| anyhow::anyhow!("another portcullis uses the data directory {shown}"))?;
    Ok(lock)
}

/// Where files of runs go, if they do not stay.
fn kept(place: Option<&ArtifactPlace>) -> anyhow::Result<Option<Arc<dyn ArtifactStore>>> {
    let Some(place) = place else { return Ok(None) };
    let store = ObjectArtifacts::new(place).context("the artifacts' store cannot be used")?;
    Ok(Some(Arc::new(store)))
}

/// The engine as the configuration describes it, under an instance's name.
pub fn docker_settings(config: &server::Docker, instance: String) -> DockerSettings {
    DockerSettings {
        instance,
        host: config.host.clone(),
        node_images: config.node_images.clone(),
        privileged: config.privileged,
        runtime: config.runtime.clone(),
    }
}

fn github_settings(config: &server::Github) -> GithubSettings {
    let auth = match &config.credentials {
        Credentials::Token(token) => Auth::Token(token.clone()),
        Credentials::App { id, private_key } => Auth::App { app_id: *id, private_key: private_key.clone() },
    };
    GithubSettings { api_url: config.api_url.clone(), auth, timeouts: Timeouts::default(), route: config.route.clone() }
}

/// Where people look at repositories: the API's host without `api.` and `/api/v3`.
fn forge_url(config: &server::Github) -> String {
    let url = config.api_url.as_str().trim_end_matches('/').trim_end_matches("/api/v3");
    url.replacen("://api.", "://", 1)
}
