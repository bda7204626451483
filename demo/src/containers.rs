//! Docker's own account of the suites' containers: what started, and how long it ran.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// Listens to Docker until it is asked.
pub(crate) struct Containers {
    events: Child,
}

/// A suite's container from start to end.
pub(crate) struct Life {
    pub(crate) attempt: String,
    pub(crate) started: Timestamp,
    /// `None` where it was killed with its cluster, or goes on.
    pub(crate) ended: Option<Timestamp>,
}

impl Containers {
    pub(crate) fn listen() -> Result<Self> {
        let labels =
            r#"{{index .Actor.Attributes "dev.portcullis.run"}} {{index .Actor.Attributes "dev.portcullis.attempt"}}"#;
        let events = Command::new("docker")
            .args([
                "events",
                "--filter",
                "event=start",
                "--filter",
                "event=die",
                "--filter",
                "label=dev.portcullis.attempt",
            ])
            .args(["--format", &format!("{{{{.TimeNano}}}} {{{{.Action}}}} {labels}")])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("docker events")?;
        Ok(Self { events })
    }

    /// Every container of the run so far, in the order in which they started.
    pub(crate) async fn end(mut self, run: &str) -> Result<Vec<Life>> {
        self.events.kill().await?;
        let mut listed = String::new();
        self.events.stdout.take().context("docker's events were piped")?.read_to_string(&mut listed).await?;
        let mut lives: Vec<Life> = Vec::new();
        for line in listed.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [at, action, of, attempt] = words[..] else { anyhow::bail!("docker events said {line:?}") };
            let at = Timestamp::from_nanosecond(at.parse()?)?;
            match action {
                _ if of != run => {}
                "start" => lives.push(Life { attempt: attempt.to_owned(), started: at, ended: None }),
                _ => {
                    let life = lives.iter_mut().rev().find(|life| life.attempt == attempt && life.ended.is_none());
                    life.with_context(|| format!("attempt {attempt} ended and never started"))?.ended = Some(at);
                }
            }
        }
        ensure!(!lives.is_empty(), "docker events told of no suite's container");
        Ok(lives)
    }
}
