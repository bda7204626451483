//! `portcullis-suite`: the built-in `smoke` suite and `custom`, an example of a user's own suite.
//! Wires settings, cluster, runner and report together and is the only place that sees the process: its
//! arguments, environment, signals and exit code. What the specs check does not belong here.

mod args;
mod cluster;
mod custom;
mod describe;
mod junit;
mod pods;
mod progress;
mod rollout;
mod run;
mod select;
mod smoke;
mod spec;
mod wait;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::args::{Command, Settings, SuiteName};
use crate::cluster::Cluster;
use crate::progress::Progress;
use crate::run::{Outcome, Record, Runner};
use crate::select::Choice;
use crate::spec::Spec;

/// Exit code when every spec that ran has passed and at least one ran.
const PASSED: u8 = 0;
/// Exit code when a spec failed, was interrupted, or none ran.
const FAILED: u8 = 1;
/// Exit code when the suite cannot be started as asked: bad arguments, no kubeconfig, unwritable results.
const USAGE: u8 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .expect("the provider is installed once, before any connection");
    let progress = Progress::stdout();
    let command = args::parse(std::env::args().skip(1), environment);
    let code = match command {
        Ok(Command::Help) => {
            progress.text(args::HELP);
            PASSED
        }
        Ok(Command::List(settings)) => list(&settings, &progress),
        Ok(Command::Run(settings)) => start(&settings, &progress).await,
        Err(usage) => {
            progress.text(&format!("{usage}\n\n{}", args::HELP));
            USAGE
        }
    };
    ExitCode::from(code)
}

#[expect(clippy::disallowed_methods, reason = "the place where the process hands over its environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn specs_of(suite: SuiteName) -> Vec<Spec> {
    match suite {
        SuiteName::Smoke => smoke::specs(),
        SuiteName::Custom => custom::specs(),
    }
}

fn list(settings: &Settings, progress: &Progress) -> u8 {
    for spec in specs_of(settings.suite) {
        match settings.selection.choose(spec.name) {
            Choice::Run => progress.text(spec.name),
            Choice::Skip(_) | Choice::OutOfFocus => {}
        }
    }
    PASSED
}

async fn start(settings: &Settings, progress: &Progress) -> u8 {
    let specs = specs_of(settings.suite);
    let names: Vec<_> = specs.iter().map(|spec| spec.name).collect();
    for pattern in settings.selection.unmatched(&names) {
        progress.text(&format!("note: the pattern `{pattern}` matches no spec of this suite"));
    }
    if names.iter().all(|name| matches!(settings.selection.choose(name), Choice::OutOfFocus)) {
        progress.text("no spec matches the focus; `--list` prints the names");
        return USAGE;
    }
    if let Err(error) = junit::prepare(settings.results.as_deref()) {
        progress.text(&format!("results cannot be written: {error:#}"));
        return USAGE;
    }
    match Cluster::new(settings).await {
        Ok(cluster) => run(settings, &specs, &cluster, progress).await,
        Err(error) => {
            progress.text(&format!("no usable kubeconfig: {error:#}"));
            USAGE
        }
    }
}

async fn run(settings: &Settings, specs: &[Spec], cluster: &Cluster, progress: &Progress) -> u8 {
    let started = jiff::Timestamp::now();
    let runner = Runner {
        cluster,
        selection: &settings.selection,
        flake_attempts: settings.flake_attempts,
        interrupt: watch_signals(),
        progress,
    };
    let records = match cluster.answers().await {
        Ok(()) => runner.run(specs).await,
        Err(why) => runner.give_up(specs, &why),
    };
    cluster.sweep().await;
    if let Some(folder) = &settings.results
        && let Err(error) = junit::write(folder, settings.suite.as_str(), started, &records)
    {
        progress.text(&format!("results cannot be written: {error:#}"));
        return FAILED;
    }
    exit_code(&records)
}

/// Green needs evidence: nothing that ran is as red as something that failed.
fn exit_code(records: &[Record]) -> u8 {
    let mut code = FAILED;
    for record in records {
        match record.outcome() {
            Outcome::Passed | Outcome::Flaky => code = PASSED,
            Outcome::Skipped => {}
            Outcome::Failed | Outcome::Errored => return FAILED,
        }
    }
    code
}

/// The name of the first SIGINT or SIGTERM, once there was one. As process 1 of a container this program has
/// no default handlers, so without these a stop would wait for SIGKILL and lose the report.
fn watch_signals() -> watch::Receiver<Option<&'static str>> {
    let (sender, receiver) = watch::channel(None);
    let mut interrupt = signal(SignalKind::interrupt()).expect("a signal handler for SIGINT");
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler for SIGTERM");
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        sender.send_replace(Some(name));
        sender.closed().await;
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{End, Record};

    fn ended(end: End) -> Record {
        Record::untried("spec", end)
    }

    #[test]
    fn exit_code_is_zero_only_when_something_passed_and_nothing_failed() {
        let skipped = || ended(End::Skipped("asked".into()));
        assert_eq!(exit_code(&[]), FAILED);
        assert_eq!(exit_code(&[skipped()]), FAILED);
        assert_eq!(exit_code(&[skipped(), ended(End::Passed)]), PASSED);
        assert_eq!(exit_code(&[ended(End::Passed), ended(End::Failed("no".into()))]), FAILED);
        assert_eq!(exit_code(&[ended(End::Passed), ended(End::Interrupted("SIGTERM".into()))]), FAILED);
    }

    #[test]
    fn names_are_unique_and_find_only_themselves() {
        for suite in [SuiteName::Smoke, SuiteName::Custom] {
            let names: Vec<_> = specs_of(suite).iter().map(|spec| spec.name).collect();
            for name in &names {
                let found = names.iter().filter(|other| other.contains(name)).count();
                assert_eq!(found, 1, "{name} must not be part of another name: retries select by name");
            }
        }
    }
}
