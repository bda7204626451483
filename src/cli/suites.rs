//! `portcullis suites`: what comes built in.

use std::process::ExitCode;

use serde_json::json;

use super::out;
use crate::config::Builtins;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON: name, description and the whole suite.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let builtins = Builtins::embedded();
    if args.json {
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
