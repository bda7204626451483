//! Many pull requests at once, and no engine to run them on: how long GitHub waits for the first word on each, what the waiting costs,
//! and how a restart copes. For `make bench`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use portcullis_github::{Files, Github, Permission, PrSpec, Pull, Repo, Status};

use crate::scenario::{self, Scenario};
use crate::service::Service;
use crate::{SECRET, root};

const PATIENCE: Duration = Duration::from_secs(600);
const IDLE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
const NO_ENGINE: &str = "[docker]\nhost = \"unix:///nonexistent/docker.sock\"\n";

/// A line of flat JSON.
pub(crate) async fn measure(folder: &Path, runs: usize) -> Result<String> {
    let github = Github::start().await?;
    github.limit_requests(10_000_000);
    let repo = github.repo("acme/platform");
    repo.commit("main", scenario::base_files(&root(), Scenario::Broken)?);
    github.user("alice").permission("acme/platform", Permission::Write);
    github.user("portcullis").permission("acme/platform", Permission::Write);
    let token = github.token("portcullis");
    let pulls: Vec<Pull> = (0..runs).map(|number| open(&repo, number)).collect();
    let mut service = Service::start(folder, github.url(), &token, NO_ENGINE).await?;
    repo.webhook(&service.webhook_url(), SECRET);

    let begun = Instant::now();
    pulls.iter().for_each(|pull| drop(pull.label("ready-to-test", "alice")));
    until_queued(&mut service, runs).await?;
    let told = begun.elapsed();
    let before = service.metric("process_cpu_seconds_total").await?;
    pause(IDLE).await;
    let waiting = (service.metric("process_cpu_seconds_total").await? - before) / IDLE.as_secs_f64();
    let one_more = first_word(&github, &open(&repo, runs)).await?;

    let begun = Instant::now();
    service.crash().await?;
    let up = begun.elapsed();
    let after_crash = first_word(&github, &open(&repo, runs + 1)).await?;
    until_queued(&mut service, runs + 2).await?;
    let memory = service.peak_mib()?;
    service.stop().await?;
    Ok(format!(
        "{{\"runs\":{runs},\"all_told\":{:.1},\"cpu_waiting\":{waiting:.3},\"one_more\":{:.3},\"up_again\":{:.2},\
         \"one_more_then\":{:.3},\"service_mib\":{memory}}}",
        told.as_secs_f64(),
        one_more,
        up.as_secs_f64(),
        after_crash,
    ))
}

fn open(repo: &Repo, number: usize) -> Pull {
    let files = Files::new().file(&format!("changes/{number}.md"), "one change\n");
    let head_branch = format!("change-{number}");
    repo.open_pr(PrSpec { head_branch, author: "alice".into(), files, ..PrSpec::default() })
}

/// Until that many runs wait, and GitHub has been told of all of them.
async fn until_queued(service: &mut Service, runs: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        service.is_alive()?;
        let queued = service.metric("portcullis_runs{state=\"queued\"").await.unwrap_or_default();
        if queued >= runs as f64 && service.metric("portcullis_statuses_waiting").await? == 0.0 {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "{queued} of {runs} runs wait after {} s", PATIENCE.as_secs());
        pause(LOOK * 10).await;
    }
}

/// Seconds from the label to the first status of the run.
async fn first_word(github: &Github, pull: &Pull) -> Result<f64> {
    let sha = pull.head_sha();
    let (labelled, begun) = (github.now(), Instant::now());
    drop(pull.label("ready-to-test", "alice"));
    loop {
        let of_the_run = |status: &Status| !status.description.as_deref().unwrap_or_default().contains("ready-to-test");
        if let Some(status) = github.statuses(&sha).into_iter().find(of_the_run) {
            return Ok(status.created_at.duration_since(labelled).as_secs_f64());
        }
        ensure!(begun.elapsed() < PATIENCE, "no status after {} s", PATIENCE.as_secs());
        pause(LOOK).await;
    }
}

async fn pause(length: Duration) {
    tokio::time::timeout(length, std::future::pending::<()>()).await.ok();
}
