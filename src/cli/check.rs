//! `portcullis check`: reads configuration just as the service does and says what is wrong with it, or what it amounts to.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::engine::{self, Engine};
use super::out;
use crate::config::{Builtins, ConfigError, GateFiles, ServerConfig, missing_paths, parse_gate, skips_path};
use crate::domain::gate::{GATE_PATH, Gate};
use crate::domain::skip::Circumstances;
use crate::ports::ClusterProvider as _;
use crate::reconcile::specs::{self, Wait};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server's configuration, with the environment laid over it as `serve` does.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A gate file, or the folder of a repository. The current folder without `--config`, and for `--specs`.
    #[arg(long, value_name = "FILE|DIR")]
    gate: Option<PathBuf>,
    /// Compare the skip list with the suites' own lists of specs: asks their images for them, with Docker and without a cluster.
    #[arg(long)]
    specs: bool,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let mut problems = Vec::new();
    let mut verdict = |checked: Result<String, Vec<ConfigError>>| match checked {
        Ok(summary) => out::line(&summary),
        Err(found) => problems.extend(found),
    };
    let mut server = None;
    if let Some(file) = &args.config {
        let loaded = ServerConfig::load(Some(file));
        verdict(loaded.map(|config| {
            server = Some(config);
            format!("{}: ok", file.display())
        }));
    }
    let is_here = args.gate.is_none() && (args.config.is_none() || args.specs);
    let here = is_here.then(|| PathBuf::from("."));
    if let Some(place) = args.gate.as_ref().or(here.as_ref()) {
        verdict(gate(place, today(), server.as_ref()).map_err(|problems| match is_here {
            true => problems.into_iter().map(elsewhere).collect(),
            false => problems,
        }));
        if args.specs
            && let Ok((checkout, gate)) = load(place, today())
        {
            verdict(lint(&checkout, &gate, args.config.as_deref()));
        }
    }
    match problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => super::refuse(&problems),
    }
}

fn today() -> Date {
    engine::now().to_zoned(TimeZone::UTC).date()
}

/// A gate that is not where it was looked for without being asked for may be elsewhere.
fn elsewhere(mut problem: ConfigError) -> ConfigError {
    if problem.file == GATE_PATH && problem.line.is_none() && !Path::new(GATE_PATH).exists() {
        problem.message.push_str("; `--gate FILE|DIR` names another");
    }
    problem
}

/// Where a gate file and the skip list it names are.
pub(super) struct Checkout {
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

fn gate(place: &Path, today: Date, server: Option<&ServerConfig>) -> Result<String, Vec<ConfigError>> {
    let (checkout, gate) = load(place, today)?;
    let text = read(&checkout.gate).map_err(|problem| vec![problem])?;
    let lost = missing_paths(&text, |path| checkout.root.join(path).exists());
    if !lost.is_empty() {
        return Err(lost.into_iter().map(|problem| checkout.rename(problem)).collect());
    }
    let missing = server.map(|server| missing_secrets(&checkout, &gate, server)).unwrap_or_default();
    if !missing.is_empty() {
        return Err(missing);
    }
    Ok(format!("{}: ok, {}", checkout.gate.display(), summary(&gate, today)))
}

/// The gate of a repository on this disk.
pub(super) fn load(place: &Path, today: Date) -> Result<(Checkout, Gate), Vec<ConfigError>> {
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
    Ok((checkout, gate))
}

/// Secrets that the server does not have for anybody; for whom it has the others depends on the repository's name, which is not known.
fn missing_secrets(checkout: &Checkout, gate: &Gate, server: &ServerConfig) -> Vec<ConfigError> {
    let asked = gate.suites.iter().flat_map(|(suite, of)| of.secrets.values().map(move |secret| (suite, secret)));
    let missing = asked.filter(|(_, secret)| !server.secrets.0.contains_key(*secret));
    let message = |suite, secret| format!("suites.{suite}.secrets: the server has no secret `{secret}`");
    let file = checkout.gate.display().to_string();
    missing
        .map(|(suite, secret)| ConfigError {
            file: file.clone(),
            line: None,
            column: None,
            message: message(suite, secret),
        })
        .collect()
}

/// Every finding about the skip list is a problem here; in a run only what is too broad loses its effect.
fn lint(checkout: &Checkout, gate: &Gate, config: Option<&Path>) -> Result<String, Vec<ConfigError>> {
    let engine = Engine::open(config)?;
    let file = checkout.gate.display().to_string();
    let whole = |message: String| ConfigError { file: file.clone(), line: None, column: None, message };
    let version = engine.docker.version_of(&gate.cluster);
    let here = Circumstances { today: today(), kubernetes: version.as_deref(), provider: engine.docker.name() };
    let lint = engine::block_on(specs::lint(
        &*engine.docker,
        &engine.artifacts.specs(),
        gate,
        &here,
        engine::now(),
        Wait::Long,
    ));
    let lint = lint.map_err(|error| vec![whole(format!("{error:#}"))])?;
    let findings = lint.findings(&gate.skips, &here);
    let mut problems: Vec<ConfigError> = findings
        .iter()
        .filter_map(|finding| Some(whole(finding.text(gate.skips.get(finding.entry() as usize)?))))
        .collect();
    let mut listed = Vec::new();
    for suite in &lint.suites {
        match (&suite.problem, suite.total) {
            (Some(why), _) => problems.push(whole(format!("the specs of {} are not known: {why}", suite.suite))),
            (None, total) => listed.push(format!("{} {}", suite.suite, total.unwrap_or(0))),
        }
    }
    match problems.is_empty() {
        true if listed.is_empty() => Ok(format!("{}: no skip list to compare", checkout.gate.display())),
        true => Ok(format!("{}: the skip list fits, specs: {}", checkout.gate.display(), listed.join(", "))),
        false => Err(problems),
    }
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
    let entries = match gate.skips.len() {
        1 => "1 skip entry".to_owned(),
        all => format!("{all} skip entries"),
    };
    let skips = match (gate.skips.len(), expired) {
        (0, _) => String::new(),
        (_, 0) => format!("; {entries}"),
        (1, _) => format!("; {entries}, expired"),
        (_, expired) => format!("; {entries}, {expired} of them expired"),
    };
    format!("suites {}{skips}", suites.join(", "))
}
