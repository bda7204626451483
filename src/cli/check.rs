//! `portcullis check`: reads configuration just as the service does and says what is wrong with it, or what it amounts to.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::out;
use crate::config::{Builtins, ConfigError, GateFiles, ServerConfig, parse_gate, skips_path};
use crate::domain::gate::{GATE_PATH, Gate};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server's configuration, with the environment laid over it as `serve` does.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A gate file, or the folder of a repository. Without any option: the current folder.
    #[arg(long, value_name = "FILE|DIR")]
    gate: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let mut problems = Vec::new();
    let mut verdict = |checked: Result<String, Vec<ConfigError>>| match checked {
        Ok(summary) => out::line(&summary),
        Err(found) => problems.extend(found),
    };
    if let Some(file) = &args.config {
        verdict(ServerConfig::load(Some(file)).map(|_| format!("{}: ok", file.display())));
    }
    let here = (args.config.is_none() && args.gate.is_none()).then(|| PathBuf::from("."));
    if let Some(place) = args.gate.as_ref().or(here.as_ref()) {
        verdict(gate(place, today()));
    }
    match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => super::refuse(&problems),
    }
}

#[expect(clippy::disallowed_methods, reason = "a command of its own has no engine's clock to ask")]
fn today() -> Date {
    jiff::Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// Where a gate file and the skip list it names are.
struct Checkout {
    root: PathBuf,
    gate: PathBuf,
}

impl Checkout {
    /// A folder is a repository; a file stands in its repository's `.github`, or beside its skip list.
    fn at(place: &Path) -> Self {
        if place.is_dir() {
            let root = place.strip_prefix(".").unwrap_or(place);
            return Self { root: root.to_owned(), gate: root.join(GATE_PATH) };
        }
        let folder = place.parent().unwrap_or(Path::new(""));
        let root = if folder.ends_with(".github") { folder.parent().unwrap_or(folder) } else { folder };
        Self { root: root.to_owned(), gate: place.to_owned() }
    }

    /// The problem as it is called here, so that editors find the line.
    fn rename(&self, mut problem: ConfigError) -> ConfigError {
        let path = if problem.file == GATE_PATH { self.gate.clone() } else { self.root.join(&problem.file) };
        problem.file = path.display().to_string();
        problem
    }
}

fn gate(place: &Path, today: Date) -> Result<String, Vec<ConfigError>> {
    let checkout = Checkout::at(place);
    let text = read(&checkout.gate).map_err(|problem| vec![problem])?;
    let skips = match skips_path(&text) {
        Some(path) if checkout.root.join(&path).is_file() => {
            let list = read(&checkout.root.join(&path)).map_err(|problem| vec![problem])?;
            Some((path, list))
        }
        Some(_) | None => None,
    };
    let files = GateFiles { gate: &text, skips: skips.as_ref().map(|(path, list)| (path.as_str(), list.as_str())) };
    let gate = parse_gate(files, &Builtins::embedded(), today)
        .map_err(|problems| problems.into_iter().map(|problem| checkout.rename(problem)).collect::<Vec<_>>())?;
    Ok(format!("{}: ok, {}", checkout.gate.display(), summary(&gate, today)))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError {
        file: path.display().to_string(),
        line: None,
        column: None,
        message: format!("cannot be read: {error}"),
    })
}

fn summary(gate: &Gate, today: Date) -> String {
    let suites: Vec<_> = gate.suites.keys().map(ToString::to_string).collect();
    let expired = gate.skips.iter().filter(|entry| entry.expires < today).count();
    let skips = match (gate.skips.len(), expired) {
        (0, _) => String::new(),
        (all, 0) => format!("; {all} skip entries"),
        (all, expired) => format!("; {all} skip entries, {expired} of them expired"),
    };
    format!("suites {}{skips}", suites.join(", "))
}
