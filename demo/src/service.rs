//! The real service as a process of its own, on embedded defaults, and the few questions the demo asks it.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::SECRET;
use crate::crashes::Crashes;
use crate::show::Screen;

const START: Duration = Duration::from_secs(30);
const TEARDOWN: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Service {
    child: Child,
    url: String,
    config: PathBuf,
    log: PathBuf,
}

impl Service {
    pub(crate) async fn start(folder: &Path, github: &str, token: &str, more: &str) -> Result<Self> {
        let address = address()?;
        let config = folder.join("portcullis.toml");
        std::fs::write(&config, settings(&address, folder, github, token) + more)?;
        let log = folder.join("service.log");
        let child = spawn(&config, &log)?;
        let mut service = Self { child, url: format!("http://{address}"), config, log };
        service.answers().await?;
        Ok(service)
    }

    /// SIGKILL, and up again on the same data at once.
    pub(crate) async fn crash(&mut self) -> Result<()> {
        self.child.kill().await?;
        self.child = spawn(&self.config, &self.log)?;
        self.answers().await
    }

    async fn answers(&mut self) -> Result<()> {
        let begun = Instant::now();
        while self.get("/healthz").await.is_err() {
            self.is_alive()?;
            ensure!(begun.elapsed() < START, "the service does not answer; see {}", self.log.display());
            tokio::time::timeout(LOOK, std::future::pending::<()>()).await.ok();
        }
        Ok(())
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn webhook_url(&self) -> String {
        format!("{}/webhooks/github", self.url)
    }

    /// An error once the process has ended.
    pub(crate) fn is_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the service ended with {status}; see {}", self.log.display()),
        }
    }

    /// The most memory the process has had so far.
    pub(crate) fn peak_mib(&self) -> Result<u64> {
        let pid = self.child.id().context("the service has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        Ok(peak.context("the kernel tells a process's peak memory")?.trim().parse::<u64>()? / 1024)
    }

    /// A figure of `/metrics`, by the beginning of its line.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics").await?;
        let line = text.lines().find(|line| line.starts_with(name)).with_context(|| format!("no metric {name}"))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    }

    /// The newest run as the API shows it.
    pub(crate) async fn last_run(&self) -> Result<Value> {
        let runs: Value = serde_json::from_str(&self.get("/api/v1/runs").await?)?;
        let id = runs["runs"][0]["id"].as_str().context("the API lists no run")?.to_owned();
        Ok(serde_json::from_str(&self.get(&format!("/api/v1/runs/{id}")).await?)?)
    }

    /// Until the run's clusters are taken away.
    pub(crate) async fn wait_for_teardown(&mut self, screen: &Screen, mut crashes: Option<&mut Crashes>) -> Result<()> {
        let begun = Instant::now();
        loop {
            let run = self.last_run().await?;
            let clusters = run["clusters"].as_array().context("the API shows no clusters")?;
            if clusters.iter().all(|cluster| cluster["state"] == "destroyed") {
                screen.say(&format!("cluster taken away {:.1} s after the last status", begun.elapsed().as_secs_f64()));
                return Ok(());
            }
            if let Some(crashes) = &mut crashes {
                crashes.maybe(self, screen).await?;
            }
            self.is_alive()?;
            ensure!(begun.elapsed() < TEARDOWN, "the cluster is still there; see {}", self.log.display());
            screen.wait(LOOK).await;
        }
    }

    /// Asks the service to end and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.child.id() {
            let told = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
            ensure!(told.success(), "the service could not be told to end");
        }
        let status = tokio::time::timeout(START, self.child.wait()).await.context("the service does not end")??;
        ensure!(status.success(), "the service ended with {status}; see {}", self.log.display());
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<String> {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.get(format!("{}{path}", self.url).parse()?).await?;
        ensure!(answer.status().is_success(), "{path} answered {}", answer.status());
        Ok(String::from_utf8(answer.into_body().collect().await?.to_bytes().to_vec())?)
    }
}

/// The service's, which is built beside this one.
pub(crate) fn program() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("portcullis"))
}

fn spawn(config: &Path, log: &Path) -> Result<Child> {
    let program = program()?;
    Command::new(&program)
        .args(["serve", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::options().create(true).append(true).open(log)?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

/// The documented address where it is free, else any.
fn address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:8080").or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    Ok(listener.local_addr()?.to_string())
}

fn settings(address: &str, folder: &Path, github: &str, token: &str) -> String {
    let data = folder.join("data");
    format!(
        "[server]\nlisten = \"{address}\"\npublic_url = \"http://{address}\"\ndata_dir = \"{}\"\n\n\
         [github]\napi_url = \"{github}\"\ntoken = \"{token}\"\nwebhook_secrets = [\"{SECRET}\"]\n",
        data.display()
    )
}
