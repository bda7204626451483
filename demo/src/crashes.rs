//! Kills the service at random moments of a run, and checks afterwards that nothing was started twice or left behind.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use crate::service::Service;
use crate::show::Screen;

/// Kills of one demo.
const KILLS: u32 = 20;
const SHORTEST: Duration = Duration::from_millis(150);
const LONGEST: Duration = Duration::from_millis(2500);

pub(crate) struct Crashes {
    next: Instant,
    left: u32,
    /// Docker's own account of every suite container that starts.
    starts: Child,
}

impl Crashes {
    /// Listens to Docker from now on; the first kill comes soon.
    pub(crate) fn begin() -> Result<Self> {
        let starts = Command::new("docker")
            .args(["events", "--filter", "event=start", "--filter", "label=dev.portcullis.attempt"])
            .args(["--format", "{{index .Actor.Attributes \"dev.portcullis.attempt\"}}"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("docker events")?;
        Ok(Self { next: Instant::now() + pause(), left: KILLS, starts })
    }

    /// Kills the service when its moment has come, and starts it again.
    pub(crate) async fn maybe(&mut self, service: &mut Service, screen: &Screen) -> Result<()> {
        if self.left == 0 || Instant::now() < self.next {
            return Ok(());
        }
        service.crash().await?;
        self.left -= 1;
        screen.say(&format!("service killed and started again ({} of {KILLS})", KILLS - self.left));
        self.next = Instant::now() + pause();
        Ok(())
    }

    /// Says what the kills did; `false` when something was started twice or is left.
    pub(crate) async fn end(mut self, run: &Value) -> Result<bool> {
        self.starts.kill().await?;
        let mut listed = String::new();
        self.starts.stdout.take().context("docker's events were piped")?.read_to_string(&mut listed).await?;
        let mut starts: HashMap<&str, u32> = HashMap::new();
        listed.lines().filter(|line| !line.is_empty()).for_each(|attempt| *starts.entry(attempt).or_default() += 1);
        let twice = starts.values().filter(|count| **count > 1).count();
        let id = run["id"].as_str().context("the run has an id")?;
        let left = left_behind(id).await?;
        println!(
            "\n{} kills: {} attempts started, {twice} of them twice; left behind: {left}",
            KILLS - self.left,
            starts.len()
        );
        Ok(twice == 0 && left == 0 && !starts.is_empty())
    }
}

fn pause() -> Duration {
    let range = (LONGEST - SHORTEST).as_millis() as u64;
    SHORTEST + Duration::from_millis(RandomState::new().hash_one(Instant::now()) % range)
}

/// Containers, networks and volumes that carry the run's label.
async fn left_behind(run: &str) -> Result<usize> {
    let mut left = 0;
    for what in [&["ps", "-aq"][..], &["network", "ls", "-q"], &["volume", "ls", "-q"]] {
        let filter = format!("label=dev.portcullis.run={run}");
        let listed = Command::new("docker").args(what).args(["--filter", &filter]).output().await?;
        ensure!(listed.status.success(), "docker {what:?}: {}", String::from_utf8_lossy(&listed.stderr));
        left += String::from_utf8_lossy(&listed.stdout).lines().count();
    }
    Ok(left)
}
