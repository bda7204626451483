//! Shows Portcullis at work: a stand-in for GitHub with a small infrastructure repository, the real service on embedded
//! defaults, a labelled pull request, and its statuses going from pending to final on a real cluster.

#![expect(clippy::print_stdout, reason = "showing is what a demo is for")]

mod crashes;
mod scenario;
mod service;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use portcullis_github::{Github, Permission, Pull};

use crashes::Crashes;
use scenario::Scenario;
use service::Service;
use show::Screen;

const LOOK: Duration = Duration::from_millis(100);
const SECRET: &str = "a secret that only the demo knows";

#[tokio::main]
async fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_else(|| "healthy".into());
    let Some(scenario) = Scenario::named(&name) else {
        println!("there is no scenario {name}: choose healthy, broken, flaky, crash or conformance");
        return ExitCode::FAILURE;
    };
    match demo(scenario).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `true` when the gate said of the pull request what the scenario is about.
async fn demo(scenario: Scenario) -> Result<bool> {
    let started = Instant::now();
    let folder = fresh_folder(scenario)?;
    let github = Github::start().await?;
    let repo = github.repo("acme/platform");
    let base = repo.commit("main", scenario::base_files(&root(), scenario)?);
    github.user("alice").permission("acme/platform", Permission::Write);
    github.user("portcullis").permission("acme/platform", Permission::Write);
    let token = github.token("portcullis");

    println!("GitHub (stand-in)  {}  acme/platform at {}", github.url(), &base[..12]);
    let mut service = Service::start(&folder, github.url(), &token, SECRET).await?;
    println!("Portcullis         {}  SQLite and logs in {}", service.url(), folder.display());
    repo.webhook(&service.webhook_url(), SECRET);
    let pull = repo.open_pr(scenario.pull(&root())?);
    println!("Pull request       #{} {}\n", pull.number(), scenario.title());

    let screen = Screen::new();
    screen.say("alice adds the label ready-to-test");
    let labelled = Instant::now();
    pull.label("ready-to-test", "alice").answered().await;
    let mut crashes = (scenario == Scenario::Crash).then(Crashes::begin).transpose()?;
    let outcome = watch(&github, &pull, &mut service, &screen, (scenario.patience(), crashes.as_mut())).await;
    let took = labelled.elapsed();
    let gone = match &outcome {
        Ok(_) => service.wait_for_teardown(&screen, crashes.as_mut()).await,
        Err(_) => Ok(()),
    };
    screen.finish();
    let finals = outcome.and_then(|finals| gone.map(|()| finals));
    let run = service.last_run().await;
    let stopped = service.stop().await;
    let finals = finals?;
    stopped?;
    let run = run?;
    report(&folder, &finals, &run, took, started.elapsed());
    let mut as_expected = scenario.is_shown_by(&finals);
    if let Some(crashes) = crashes {
        as_expected &= crashes.end(&run).await?;
    }
    if !as_expected {
        println!("\nThis is not what the scenario is about: {}", scenario.title());
    }
    Ok(as_expected)
}

/// A context with its final state and description.
pub(crate) type Final = (String, String, String);

/// Shows every status GitHub is told until all of them are final.
async fn watch(
    github: &Github,
    pull: &Pull,
    service: &mut Service,
    screen: &Screen,
    (patience, mut crashes): (Duration, Option<&mut Crashes>),
) -> Result<Vec<Final>> {
    let sha = pull.head_sha();
    let begun = Instant::now();
    let mut seen = 0;
    loop {
        let statuses = github.statuses(&sha);
        for status in &statuses[seen..] {
            screen.status(&status.context, status.state.as_str(), status.description.as_deref().unwrap_or_default());
        }
        seen = statuses.len();
        let mut latest: Vec<Final> = Vec::new();
        for status in &statuses {
            let row = (
                status.context.clone(),
                status.state.as_str().to_owned(),
                status.description.clone().unwrap_or_default(),
            );
            match latest.iter_mut().find(|(context, ..)| *context == row.0) {
                Some(known) => *known = row,
                None => latest.push(row),
            }
        }
        if !latest.is_empty() && latest.iter().all(|(_, state, _)| state != "pending") {
            return Ok(latest);
        }
        if let Some(crashes) = &mut crashes {
            crashes.maybe(service, screen).await?;
        }
        service.is_alive()?;
        anyhow::ensure!(begun.elapsed() < patience, "no final status after {} minutes", patience.as_secs() / 60);
        screen.wait(LOOK).await;
    }
}

fn report(folder: &Path, finals: &[Final], run: &serde_json::Value, took: Duration, all: Duration) {
    println!("\nWhat GitHub shows now");
    for (context, state, description) in finals {
        println!("  {} {context}  {description}", show::mark(state));
    }
    println!("\n{:.1} s from the label to the last status, {:.1} s in all", took.as_secs_f64(), all.as_secs_f64());
    println!("\nWhere everything is");
    let data = folder.join("data");
    println!("  database  {}", data.join("portcullis.db").display());
    if let Some(id) = run["id"].as_str() {
        println!("  page      http://127.0.0.1:8080/runs/{id}");
        println!(
            "            (serve it again with: target/debug/portcullis serve --config {})",
            folder.join("portcullis.toml").display()
        );
        println!("  logs      {}", data.join("runs").join(id).join("*/log.txt").display());
        println!("  JUnit     {}", data.join("runs").join(id).join("*/junit.xml").display());
    }
    println!("  service   {}", folder.join("service.log").display());
}

/// The repository's root, where `demo/` lies.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap_or_else(|_| PathBuf::from("."))
}

fn fresh_folder(scenario: Scenario) -> Result<PathBuf> {
    let folder = root().join(".portcullis").join(format!("demo-{}", scenario.name()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("an earlier demo's folder {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
