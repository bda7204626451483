//! Kills the service at random moments of a run, and checks afterwards that nothing was started twice or left behind.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::process::Command;

use crate::containers::Life;
use crate::service::Service;
use crate::show::Screen;

/// Kills of one demo.
const KILLS: u32 = 20;
const SHORTEST: Duration = Duration::from_millis(150);
const LONGEST: Duration = Duration::from_millis(2500);

pub(crate) struct Crashes {
    next: Instant,
    left: u32,
}

impl Crashes {
    /// The first kill comes soon.
    pub(crate) fn begin() -> Self {
        Self { next: Instant::now() + pause(), left: KILLS }
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

    /// Says what the kills did to the run; `false` when something was started twice or is left.
    pub(crate) async fn end(self, run: &str, lives: &[Life]) -> Result<bool> {
        let mut starts: HashMap<&str, u32> = HashMap::new();
        lives.iter().for_each(|life| *starts.entry(&life.attempt).or_default() += 1);
        let twice = starts.values().filter(|count| **count > 1).count();
        let left = left_behind(run).await?;
        println!(
            "\n{} kills: {} attempts started, {twice} of them twice; left behind: {left}",
            KILLS - self.left,
            starts.len()
        );
        Ok(twice == 0 && left == 0)
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
