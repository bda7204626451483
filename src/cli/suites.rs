//! `portcullis suites`: what comes built in, and which specs of a skip list pass again.

use std::process::ExitCode;

use serde_json::json;

use super::{out, probe};
use crate::config::{Builtins, did_you_mean, quoted};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON: name, description and the whole suite.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the built-in suites (as without a command).
    List {
        /// Print JSON: name, description and the whole suite.
        #[arg(long)]
        json: bool,
    },
    /// Print a built-in suite's file.
    Show {
        /// Its name.
        suite: String,
    },
    /// Run only the specs that a gate's skip list takes out of a suite, and say which entries can go.
    Probe(probe::Args),
}

pub(super) fn run(args: &Args) -> ExitCode {
    match &args.command {
        None => list(args.json),
        Some(Command::List { json }) => list(*json || args.json),
        Some(Command::Show { suite }) => show(suite),
        Some(Command::Probe(args)) => probe::run(args),
    }
}

fn show(name: &str) -> ExitCode {
    match Builtins::source(name) {
        Some(text) => {
            out::text(text);
            ExitCode::SUCCESS
        }
        None => {
            let known: Vec<_> = Builtins::embedded().names().collect();
            let hint = did_you_mean(name, known.iter().copied());
            out::problem(&format!("there is no built-in suite {} ({}){hint}", quoted(name), known.join(", ")));
            ExitCode::FAILURE
        }
    }
}

fn list(as_json: bool) -> ExitCode {
    let builtins = Builtins::embedded();
    if as_json {
        let suites = builtins
            .iter()
            .map(|(name, description, suite)| json!({ "name": name, "description": description, "suite": suite }));
        out::json(&suites.collect());
        return ExitCode::SUCCESS;
    }
    let width = builtins.names().map(str::len).max().unwrap_or(0);
    for (name, description, suite) in builtins.iter() {
        out::line(&format!("{name:width$}  {description}"));
        out::line(&format!("{:width$}  {}", "", suite.image));
    }
    ExitCode::SUCCESS
}
