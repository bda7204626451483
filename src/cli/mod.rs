//! The command line: arguments in, exit status out. Each command's work is its own file's, or the service's.

mod check;
mod clusters;
mod engine;
mod log;
mod out;
mod probe;
mod report;
mod schema;
mod setup;
mod suites;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{ConfigError, ServerConfig};

/// A CI gatekeeper for code that must prove itself on a real Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a GitHub App for the service, on a page of this machine, and keep its credentials.
    Setup(setup::Args),
    /// Run the service.
    Serve(ServeArgs),
    /// Check configuration files and say what is wrong, as file:line:column.
    Check(check::Args),
    /// Read result files or folders just as the service does and say what it makes of them.
    Report(report::ReportArgs),
    /// Print the JSON Schema of a configuration file.
    Schema(schema::Args),
    /// Show the built-in suites, or find out which skipped specs pass again.
    Suites(suites::Args),
    /// List the clusters that exist, or print a cluster's kubeconfig.
    Clusters(clusters::Args),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// Server configuration in TOML. Every key may also be given as `PORTCULLIS_<SECTION>__<KEY>`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Exit status of a call that cannot be understood. clap's own is 2, which `report` gives to a verdict.
const USAGE: u8 = 64;

/// Does what the process's arguments ask for.
pub fn run() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => out::status(cli.run()),
        Err(error) if error.use_stderr() => {
            // A closed standard error leaves nobody to tell.
            let _ = error.print();
            ExitCode::from(USAGE)
        }
        // Help and version come this way too.
        Err(asked) => {
            out::written(asked.print().and_then(|()| std::io::Write::flush(&mut out::stdout())));
            out::status(ExitCode::SUCCESS)
        }
    }
}

impl Cli {
    fn run(self) -> ExitCode {
        match self.command {
            Command::Setup(args) => setup::run(&args),
            Command::Serve(args) => serve(&args),
            Command::Check(args) => check::run(&args),
            Command::Report(args) => report(&args),
            Command::Schema(args) => schema::run(&args),
            Command::Suites(args) => suites::run(&args),
            Command::Clusters(args) => clusters::run(&args),
            Command::Completions { shell } => completions(shell),
        }
    }
}

fn serve(args: &ServeArgs) -> ExitCode {
    let config = match ServerConfig::load(args.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    log::install(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("the operating system gives a process its threads and an event queue");
    match runtime.block_on(crate::app::serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::problem(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// 0, 1 or 2 as the verdict is success, failure or error.
fn report(args: &report::ReportArgs) -> ExitCode {
    match report::run(args, &mut out::stdout()) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            out::written(Err(error));
            ExitCode::FAILURE
        }
    }
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "portcullis", &mut script);
    out::text(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

/// Shows every problem, one a line.
fn refuse(problems: &[ConfigError]) -> ExitCode {
    for problem in problems {
        out::problem(&problem.to_string());
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_declared_without_contradictions() {
        Cli::command().debug_assert();
    }
}
