//! The built program as a process of its own, before a stand-in GitHub: what tests of the whole service hold.
//! It looks only through doors that users have: GitHub, HTTP, signals, the log. Docker is out of reach unless asked for, so runs wait.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use portcullis::adapters::github as adapter;
use portcullis::domain::names::SuiteName;
use portcullis::domain::plan::RunView;
use portcullis_github::{AppSpec, Files, Github, Hook, Level, Permission, PrSpec, Pull, Repo, StatusState};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::databases::{self, Database};
use super::http::Answer;
use super::values::at;
use super::wire::Wires;

/// Where a repository keeps its policy.
pub const POLICY: &str = ".github/portcullis.yaml";
/// The label that starts runs.
pub const LABEL: &str = "ready-to-test";
/// Two suites, so that "every" and "one of" differ.
pub const TWO_SUITES: &str = "version: 1\nsuites:\n  smoke:\n  statefulset:\n";
pub const ONE_SUITE: &str = "version: 1\nsuites:\n  smoke:\n";
/// What a run without Docker says.
pub const WAITING: &str = "waiting: Docker is not reachable";

pub const SECRET: &str = "It's a Secret to Everybody";
const REPO: &str = "acme/infra";
const NO_DOCKER: &str = "host = \"unix:///nonexistent/docker.sock\"";
/// Far more than anything here takes; a machine that does much else still gets there.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(25);

/// A running service that one repository sends its webhooks to.
pub struct Gate {
    pub github: Github,
    pub repo: Repo,
    pub hook: Hook,
    database: Database,
    process: Child,
    address: String,
    folder: TempDir,
    patience: Duration,
}

impl Gate {
    /// With two suites, on SQLite.
    pub async fn start() -> Self {
        Self::with_policy(TWO_SUITES).await
    }

    pub async fn with_policy(policy: &str) -> Self {
        Self::on(databases::sqlite().await, &[(POLICY, policy)]).await
    }

    /// On this database, before a repository with these files.
    pub async fn on(database: Database, files: &[(&str, &str)]) -> Self {
        Self::set_up(database, files, NO_DOCKER, Who::Token).await
    }

    /// Looks every second for what webhooks missed, as somebody with this role.
    pub async fn watching(policy: &str, role: Permission) -> Self {
        Self::set_up(databases::sqlite().await, &[(POLICY, policy)], NO_DOCKER, Who::Watcher(role)).await
    }

    /// As a GitHub App, which gets its webhooks from the App's own hook.
    pub async fn as_app(policy: &str) -> Self {
        Self::set_up(databases::sqlite().await, &[(POLICY, policy)], NO_DOCKER, Who::App).await
    }

    /// As the App that `portcullis setup` makes.
    pub async fn as_app_from_setup(policy: &str) -> Self {
        Self::set_up(databases::sqlite().await, &[(POLICY, policy)], NO_DOCKER, Who::FromSetup).await
    }

    /// With these sections more in its file.
    pub async fn with_settings(policy: &str, more: &str) -> Self {
        let more = format!("{NO_DOCKER}\n\n{more}");
        Self::set_up(databases::sqlite().await, &[(POLICY, policy)], &more, Who::Token).await
    }

    /// The same with the real engine.
    pub async fn with_engine_and_settings(policy: &str, more: &str) -> Self {
        let gate = Self::set_up(databases::sqlite().await, &[(POLICY, policy)], more, Who::Token).await;
        Self { patience: Duration::from_secs(900), ..gate }
    }

    /// With the real engine, where things take longer.
    pub async fn with_engine(policy: &str) -> Self {
        Self::with_engine_and(&[(POLICY, policy)]).await
    }

    /// The same before a repository with these files.
    pub async fn with_engine_and(files: &[(&str, &str)]) -> Self {
        let gate = Self::set_up(databases::sqlite().await, files, "", Who::Token).await;
        Self { patience: Duration::from_secs(900), ..gate }
    }

    /// The same with the real engine.
    pub async fn app_with_engine(policy: &str) -> Self {
        let gate = Self::set_up(databases::sqlite().await, &[(POLICY, policy)], "", Who::App).await;
        Self { patience: Duration::from_secs(900), ..gate }
    }

    /// Over wires that cut, with the real engine; as a GitHub App if it is to write check runs.
    pub async fn wired(files: &[(&str, &str)], who: Who) -> (Self, Wires) {
        let github = Github::start().await.unwrap();
        let wires = Wires::lay(github.url()).await;
        let docker = format!("host = \"unix://{}\"", wires.docker.display());
        let place = Place { api: wires.github.clone(), github, docker };
        let gate = Self::at(place, databases::sqlite().await, files, who).await;
        (Self { patience: Duration::from_secs(900), ..gate }, wires)
    }

    async fn set_up(database: Database, files: &[(&str, &str)], docker: &str, who: Who) -> Self {
        let github = Github::start().await.unwrap();
        let place = Place { api: github.url().to_owned(), github, docker: docker.to_owned() };
        Self::at(place, database, files, who).await
    }

    async fn at(place: Place, database: Database, files: &[(&str, &str)], who: Who) -> Self {
        let Place { github, api, docker } = place;
        let repo = github.repo(REPO);
        repo.commit("main", files.iter().map(|(path, text)| (*path, (*text).to_owned())).collect::<Vec<_>>());
        for login in ["alice", "portcullis"] {
            github.user(login).permission(REPO, Permission::Write);
        }
        github.user("trent").permission(REPO, Permission::Triage);
        let (folder, address) = (TempDir::new().unwrap(), free_address());
        let keys = who.keys(&api, &github, &folder, &address).await;
        let settings = settings(&address, &keys, &database.url, &docker);
        std::fs::write(folder.path().join("portcullis.toml"), settings).unwrap();
        let process = spawn(&folder);
        let hook = match who {
            Who::Token | Who::Watcher(_) => github.webhook(REPO, &webhook_url(&address), SECRET),
            Who::App => github.app_webhook(&webhook_url(&address), SECRET),
            Who::FromSetup => github.app_hook().unwrap(),
        };
        let mut gate = Self { github, repo, hook, database, process, address, folder, patience: PATIENCE };
        gate.answers().await;
        gate
    }

    /// A pull request of alice's from this branch, without a label.
    pub fn open_pr(&self, branch: &str) -> Pull {
        self.repo.open_pr(PrSpec { head_branch: branch.into(), ..PrSpec::default() })
    }

    /// What the service stored.
    pub fn store(&self) -> &portcullis::store::Store {
        &self.database.store
    }

    pub fn webhook_url(&self) -> String {
        webhook_url(&self.address)
    }

    /// The latest status of every context of a commit.
    pub fn shown(&self, sha: &str) -> BTreeMap<String, (StatusState, String)> {
        let told = self.github.statuses(sha).into_iter();
        told.map(|status| (status.context, (status.state, status.description.unwrap_or_default()))).collect()
    }

    /// Waits until GitHub shows what `probe` looks for.
    pub async fn until<T>(&self, what: &str, probe: impl FnMut(&Github) -> Option<T>) -> T {
        match tokio::time::timeout(self.patience, self.github.until(probe)).await {
            Ok(found) => found,
            Err(_) => panic!("{what}: it never came to that\n{}", self.log()),
        }
    }

    /// The statuses of so many contexts, once all are final.
    pub async fn finals(&self, sha: &str, contexts: usize) -> BTreeMap<String, (StatusState, String)> {
        self.until("every context is final", |_| {
            let shown = self.shown(sha);
            let is_final = |(state, _): &(StatusState, String)| *state != StatusState::Pending;
            (shown.len() == contexts && shown.values().all(is_final)).then_some(shown)
        })
        .await
    }

    /// Waits until exactly these suites show this state, with a description that starts so.
    pub async fn shows(&self, sha: &str, suites: &[&str], state: StatusState, words: &str) {
        let all: BTreeSet<String> = suites.iter().map(|suite| format!("portcullis/{suite}")).collect();
        let is_so = |told: &(StatusState, String)| told.0 == state && told.1.starts_with(words);
        let what = format!("{suites:?} of {sha} are {state:?} `{words}`");
        self.until(&what, |_| {
            let shown = self.shown(sha);
            (shown.keys().cloned().collect::<BTreeSet<_>>() == all && shown.values().all(is_so)).then_some(())
        })
        .await;
    }

    /// Waits until both suites say that they wait for Docker.
    pub async fn announced(&self, sha: &str) {
        self.shows(sha, &["smoke", "statefulset"], StatusState::Pending, WAITING).await;
    }

    /// Waits until every delivery that GitHub sent was acted upon.
    pub async fn handled(&self) {
        self.github.deliveries_settled().await;
        let store = &self.database.store;
        self.eventually("every delivery is acted upon", async || store.open_deliveries(0, 1).await.unwrap().is_empty())
            .await;
    }

    /// Waits until the service has noted that GitHub shows all it wants to say, but for what GitHub does not take and has to wait
    /// long.
    pub async fn published(&self) {
        self.eventually("every status is published", async || self.is_published().await).await;
    }

    async fn is_published(&self) -> bool {
        let soon = super::engine::now().saturating_add(jiff::SignedDuration::from_mins(3)).unwrap();
        self.database.store.unpublished(soon, 1).await.unwrap().is_empty()
    }

    /// Asserts that what was sent so far started nothing; the commit's statuses, if it has any, wait for the label.
    pub async fn started_nothing(&self, sha: &str) {
        self.handled().await;
        self.published().await;
        assert_eq!(self.runs().await.len(), 0, "{}", self.log());
        for (context, (state, words)) in self.shown(sha) {
            assert!(state == StatusState::Pending && words.starts_with("waiting"), "{context}: {words}");
        }
    }

    /// Waits until nothing moves any more: deliveries, cancelled runs, statuses and messages are through, live runs wait for Docker.
    pub async fn settled(&self) {
        self.handled().await;
        let store = &self.database.store;
        self.eventually("everything has come to rest", async || {
            let runs = store.open_runs().await.unwrap();
            let rests = |view: &RunView| {
                let shown = self.shown(view.run.head.as_str());
                let waits = |suite: &SuiteName| {
                    shown.get(&format!("portcullis/{suite}")).is_some_and(|(_, words)| words.starts_with(WAITING))
                };
                // What is concluded whole is about to end.
                let mut open =
                    view.run.gate.suites.keys().filter(|suite| !view.conclusions.contains_key(*suite)).peekable();
                view.run.cancel.is_none() && open.peek().is_some() && open.all(waits)
            };
            runs.iter().all(rests) && store.unsent(at(100 * 365 * 86_400), 1).await.unwrap().is_empty()
        })
        .await;
        self.published().await;
    }

    /// The newest run with all that belongs to it, as the API shows it, as soon as there is one.
    pub async fn newest_run(&self) -> Value {
        self.eventually("there is a run", async || !self.runs().await.is_empty()).await;
        let id = self.runs().await[0]["id"].as_str().unwrap().to_owned();
        serde_json::from_str(&self.get(&format!("/api/v1/runs/{id}")).await.body).unwrap()
    }

    /// Waits until the newest run is this commit's and has finished, its clusters are gone, and all is said.
    pub async fn over(&self, sha: &str) {
        self.eventually("the run is over", async || {
            if self.runs().await.first().is_none_or(|run| run["head"] != sha) {
                return false;
            }
            let run = self.newest_run().await;
            let gone = |cluster: &Value| cluster["state"] == "destroyed";
            run["state"] == "finished" && run["clusters"].as_array().unwrap().iter().all(gone)
        })
        .await;
        self.said().await;
    }

    /// Waits until every status and message is through.
    pub async fn said(&self) {
        let (store, far) = (&self.database.store, at(100 * 365 * 86_400));
        self.eventually("all is said", async || {
            let silent = store.unsent(far, 1).await.unwrap().is_empty();
            silent && self.is_published().await
        })
        .await;
    }

    /// The audit log as the API tells it, newest first.
    pub async fn audit(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/audit").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page: Value = serde_json::from_str(&answer.body).unwrap();
        page["entries"].as_array().unwrap().clone()
    }

    /// Every run, newest first, as the API lists them.
    pub async fn runs(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/runs").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page: Value = serde_json::from_str(&answer.body).unwrap();
        page["runs"].as_array().unwrap().clone()
    }

    pub async fn get(&self, path: &str) -> Answer {
        ask(&self.address, path).await.unwrap()
    }

    /// Sends a webhook of the test's own making.
    pub async fn deliver(&self, hook: &super::http::Hook) -> Answer {
        exchange(&self.address, &hook.bytes()).await.unwrap()
    }

    /// Bytes of the data folder.
    pub fn stored_bytes(&self) -> u64 {
        let data = self.folder.path().join("data");
        let used = super::engine::run("du", &["-sb", &data.display().to_string()]);
        used.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Changes its file; the next start reads it.
    pub fn configure(&self, from: &str, to: &str) {
        let file = self.folder.path().join("portcullis.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    }

    /// The disk is lost, but for the database.
    pub fn lose_files(&self) {
        std::fs::remove_dir_all(self.folder.path().join("data/runs")).unwrap();
    }

    /// Everything that it keeps: the data folder with its database, and its own log.
    pub fn kept(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut folders, mut files) = (vec![self.folder.path().join("data")], vec![log_file(&self.folder)]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        let database = PathBuf::from(self.database.url.strip_prefix("sqlite:").unwrap());
        let beside = std::fs::read_dir(database.parent().unwrap()).unwrap();
        files.extend(beside.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// Waits until a condition holds that nobody tells us of.
    pub async fn eventually(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < self.patience, "{what}: it never came to that\n{}", self.log());
            pause().await;
        }
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Up again on the same data, and answering.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.folder);
        self.answers().await;
    }

    /// Down, with its configuration changed, and up again.
    pub async fn start_with(&mut self, change: impl FnOnce(String) -> String) {
        self.kill().await;
        let file = self.folder.path().join("portcullis.toml");
        let changed = change(std::fs::read_to_string(&file).unwrap());
        std::fs::write(file, changed).unwrap();
        self.start_again().await;
    }

    /// A file in the folder that the service runs in.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    /// Another repository that the service hears of, with this policy; alice may write there.
    pub fn neighbour(&self, full_name: &str, policy: &str) -> Repo {
        let repo = self.github.repo(full_name);
        repo.commit("main", [(POLICY, policy.to_owned())]);
        for login in ["alice", "portcullis"] {
            self.github.user(login).permission(full_name, Permission::Write);
        }
        repo
    }

    /// What these lines of shell print, typed in the folder that the service runs in.
    pub fn shell(&self, lines: &str) -> String {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().unwrap().display().to_string();
        let path = format!("PATH={binary}:/usr/local/bin:/usr/bin:/bin");
        let folder = self.folder.path().display().to_string();
        let lines = format!("cd '{folder}'\n{lines}");
        super::engine::run("env", &["-i", &path, "sh", "-e", "-c", &lines])
    }

    /// SIGTERM; how the process ended and after how long.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        let (begun, id) = (Instant::now(), self.process.id().unwrap());
        kill_process(Pid::from_raw(id.try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        let Ok(status) = ended else { panic!("SIGTERM was not heeded\n{}", self.log()) };
        (status.unwrap(), begun.elapsed())
    }

    /// Another process with the same configuration that listens elsewhere, until it gives up.
    pub async fn another(&self) -> Output {
        let mut command = program(&self.folder);
        command.env("PORTCULLIS_SERVER__LISTEN", free_address()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = tokio::time::timeout(PATIENCE, command.output()).await;
        ended.unwrap_or_else(|_| panic!("the second process runs on\n{}", self.log())).unwrap()
    }

    /// What the processes logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_file(&self.folder)).unwrap_or_default()
    }

    async fn answers(&mut self) {
        let begun = Instant::now();
        while ask(&self.address, "/healthz").await.is_err() {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "no answer ({ended:?})\n{}", self.log());
            pause().await;
        }
    }
}

/// What a service stands between.
struct Place {
    github: Github,
    /// Where it finds that GitHub.
    api: String,
    /// Keys of the section `[docker]`.
    docker: String,
}

/// As whom the service speaks to GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Token,
    /// A token that looks after the repository, every second.
    Watcher(Permission),
    App,
    /// An App made by `portcullis setup`, which brings its own webhook.
    FromSetup,
}

impl Who {
    /// Keys of the section `[github]`.
    async fn keys(self, api: &str, github: &Github, folder: &TempDir, address: &str) -> String {
        let url = format!(
            "api_url = \"{api}\"
webhook_secrets = [\"{SECRET}\"]
"
        );
        match self {
            Who::Token => format!("{url}token = \"{}\"\n", github.token("portcullis")),
            Who::Watcher(role) => {
                github.user("portcullis").permission(REPO, role);
                let token = github.token("portcullis");
                format!("{url}token = \"{token}\"\nrepositories = [\"{REPO}\"]\ncatch_up = \"1s\"\n")
            }
            Who::App => {
                let app = github.register_app(AppSpec { permissions: needed(), ..AppSpec::default() }).unwrap();
                github.install_app("acme", &[]);
                let (id, key) = (app.app_id, app.private_key_pem);
                format!("{url}app_id = {id}\nprivate_key = \"\"\"{key}\"\"\"\ncatch_up = \"1s\"\n")
            }
            Who::FromSetup => {
                let (public, config) = (format!("http://{address}"), "setup.toml");
                let arguments = ["--url", &public, "--github-url", github.url(), "--config", config];
                let page = super::setup::Setup::start(folder.path(), &arguments).await;
                let done = super::setup::get(&super::setup::made_on_github(&page.page).await).await;
                assert_eq!((done.status, page.ended().await.status), (200, Some(0)), "{}", done.body);
                github.install_app("acme", &[]);
                let written = std::fs::read_to_string(folder.path().join(config)).unwrap();
                format!("{}catch_up = \"1s\"\n", written.split_once("[github]\n").unwrap().1)
            }
        }
    }
}

/// What the product asks of an App, and no more.
pub fn needed() -> Vec<(String, Level)> {
    let level = |level| match level {
        adapter::Level::Read => Level::Read,
        adapter::Level::Write => Level::Write,
    };
    adapter::permissions().into_iter().map(|(name, needed)| (name.to_owned(), level(needed))).collect()
}

/// A change to the policy, for pull requests and pushes.
pub fn policy(text: &str) -> Files {
    Files::new().file(POLICY, text.to_owned())
}

/// A moment between two looks at something that does not tell.
async fn pause() {
    tokio::time::timeout(LOOK, std::future::pending::<()>()).await.ok();
}

async fn ask(address: &str, path: &str) -> std::io::Result<Answer> {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await
}

async fn exchange(address: &str, request: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Ok(Answer::parse(&bytes))
}

fn webhook_url(address: &str) -> String {
    format!("http://{address}/webhooks/github")
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn log_file(folder: &TempDir) -> PathBuf {
    folder.path().join("service.log")
}

/// Nothing of this machine's environment configures it.
fn program(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["serve", "--config", "portcullis.toml"]).current_dir(folder.path());
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn spawn(folder: &TempDir) -> Child {
    let log = File::options().create(true).append(true).open(log_file(folder)).unwrap();
    program(folder).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn settings(address: &str, github: &str, store: &str, docker: &str) -> String {
    format!(
        "[server]\nlisten = \"{address}\"\ndata_dir = \"data\"\n\n\
         [github]\n{github}\n\
         [store]\nurl = \"{store}\"\n\n\
         [docker]\n{docker}\n"
    )
}
