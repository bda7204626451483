//! Shows Portcullis at work: a stand-in for GitHub with a small infrastructure repository, the real service on embedded
//! defaults, a labelled pull request, and its statuses going from pending to final on a real cluster.

#![expect(clippy::print_stdout, reason = "showing is what a demo is for")]

mod backlog;
mod containers;
mod crashes;
mod figures;
mod scenario;
mod service;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use portcullis_github::{Github, Permission, Pull};

use containers::Containers;
use crashes::Crashes;
use figures::Figures;
use scenario::Scenario;
use service::Service;
use show::Screen;

const LOOK: Duration = Duration::from_millis(100);
const SECRET: &str = "a secret that only the demo knows";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["backlog", runs] => backlog(runs).await,
        [] => demo(Scenario::Healthy).await,
        [name] if let Some(scenario) = Scenario::named(name) => demo(scenario).await,
        _ => Err(anyhow::anyhow!("there is no such scenario: choose healthy, broken, flaky, crash or conformance")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn backlog(runs: &str) -> Result<bool> {
    println!("{}", backlog::measure(&fresh_folder("backlog")?, runs.parse()?).await?);
    Ok(true)
}

/// `true` when the gate said of the pull request what the scenario is about.
async fn demo(scenario: Scenario) -> Result<bool> {
    let started = Instant::now();
    let folder = fresh_folder(scenario.name())?;
    let github = Github::start().await?;
    let repo = github.repo("acme/platform");
    let base = repo.commit("main", scenario::base_files(&root(), scenario)?);
    github.user("alice").permission("acme/platform", Permission::Write);
    github.user("portcullis").permission("acme/platform", Permission::Write);
    let token = github.token("portcullis");

    println!("GitHub (stand-in)  {}  acme/platform at {}", github.url(), &base[..12]);
    let mut service = Service::start(&folder, github.url(), &token, "").await?;
    println!("Portcullis         {}  SQLite and logs in {}", service.url(), folder.display());
    repo.webhook(&service.webhook_url(), SECRET);
    let pull = repo.open_pr(scenario.pull(&root())?);
    println!("Pull request       #{} {}\n", pull.number(), scenario.title());

    let screen = Screen::new();
    let containers = Containers::listen()?;
    screen.say("alice adds the label ready-to-test");
    let labelled = github.now();
    pull.label("ready-to-test", "alice").answered().await;
    let mut crashes = (scenario == Scenario::Crash).then(Crashes::begin);
    let outcome = watch(&github, &pull, &mut service, &screen, (scenario.patience(), crashes.as_mut())).await;
    let gone = match &outcome {
        Ok(_) => service.wait_for_teardown(&screen, crashes.as_mut()).await,
        Err(_) => Ok(()),
    };
    screen.finish();
    let seen = service.last_run().await.and_then(|run| Ok((run, service.peak_mib()?)));
    let url = service.url().to_owned();
    let stopped = service.stop().await;
    let finals = outcome?;
    gone.and(stopped)?;
    let (run, memory) = seen?;

    let id = run["id"].as_str().context("the run has an id")?;
    let lives = containers.end(id).await?;
    let figures = Figures::of(&github, labelled, &run, &lives, memory)?;
    figures.save(&folder.join("figures.json"))?;
    report(&folder, &finals, &format!("{url}/runs/{id}"), id, &figures)?;
    let clean = match crashes {
        Some(crashes) => crashes.end(id, &lives).await?,
        None => true,
    };
    println!("\n{:.1} s in all", started.elapsed().as_secs_f64());
    let as_expected = scenario.is_shown_by(&finals);
    if !as_expected {
        println!("\nThis is not what the scenario is about: {}", scenario.title());
    }
    Ok(clean && as_expected)
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

fn report(folder: &Path, finals: &[Final], page: &str, run: &str, figures: &Figures) -> Result<()> {
    println!("\nWhat GitHub shows now");
    for (context, state, description) in finals {
        println!("  {} {context}  {description}", show::mark(state));
    }
    figures.show();
    println!("\nWhere everything is");
    let data = folder.join("data");
    println!("  database  {}", data.join("portcullis.db").display());
    println!("  page      {page}");
    let (program, config) = (service::program()?, folder.join("portcullis.toml"));
    println!("            (serve it again with: {} serve --config {})", program.display(), config.display());
    println!("  logs      {}", data.join("runs").join(run).join("*/log.txt").display());
    println!("  JUnit     {}", data.join("runs").join(run).join("*/junit.xml").display());
    println!("  figures   {}", folder.join("figures.json").display());
    println!("  service   {}", folder.join("service.log").display());
    Ok(())
}

/// The repository's root, where `demo/` lies.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap_or_else(|_| PathBuf::from("."))
}

fn fresh_folder(name: &str) -> Result<PathBuf> {
    let folder = root().join(".portcullis").join(format!("demo-{name}"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("an earlier demo's folder {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
