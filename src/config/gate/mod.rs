//! Reads a repository's gate file and its skip list into the policy a run uses. Pure: which day it is comes from the caller,
//! and so does the text of both files.

mod file;
mod parts;
mod skips;
mod suite;

use indexmap::IndexMap;
use jiff::civil::Date;

use super::builtin::Builtins;
use super::position::At;
use super::problem::{ConfigError, Problems, quoted};
use super::{values, yaml};
use crate::domain::cluster::ClusterPlan;
use crate::domain::gate::{Checkout, GATE_PATH, Gate, SetupStep};
use crate::domain::names::SuiteName;
use crate::domain::rules::{OnBaseMove, Rules, Team};
use crate::domain::suite::Suite;
use crate::domain::wording::POLICY_CONTEXT;
pub(super) use file::SuiteFile;
use file::{ClusterFile, CommandsFile, GateFile, SkipListFile, SkipsFile, StepFile, TeamsFile};
pub(super) use suite::resolve_builtin;

const LABEL: &str = "ready-to-test";
/// GitHub refuses longer label names.
const LONGEST_LABEL: usize = 50;
const MOST_SUITES: usize = 50;
const MOST_STEPS: usize = 50;
/// Compiling a pattern takes time that its length does not show.
const MOST_PATTERNS: usize = 500;

/// The texts of one commit's policy.
#[derive(Debug, Clone, Copy)]
pub struct GateFiles<'a> {
    /// `.github/portcullis.yaml`.
    pub gate: &'a str,
    /// Path and text of the skip list that [`skips_path`] names, where the commit has it.
    pub skips: Option<(&'a str, &'a str)>,
}

/// The skip list the gate file names, relative to the repository's root. `None` also when the gate file cannot be read:
/// [`parse_gate`] then says why.
pub fn skips_path(gate: &str) -> Option<String> {
    let file: GateFile = yaml::read(GATE_PATH, gate).ok()?;
    match file.skips?.into_inner() {
        SkipsFile::Path(path) => values::inside(&path).ok(),
        SkipsFile::Entries(_) => None,
    }
}

/// What a gate that can be read wants applied and the checkout does not have.
pub fn missing_paths(gate: &str, has: impl Fn(&str) -> bool) -> Vec<ConfigError> {
    let Ok(file) = yaml::read::<GateFile>(GATE_PATH, gate) else { return vec![] };
    let mut problems = Problems::new(GATE_PATH);
    for written in file.setup.iter().flatten().flat_map(|step| step.apply.iter()) {
        problems.parse(written, |text| match values::inside(text)? {
            path if has(&path) => Ok(()),
            path => Err(format!("there is no file or folder {}", quoted(&path))),
        });
    }
    problems.finish(()).err().unwrap_or_default()
}

/// The policy, complete and checked.
///
/// # Errors
/// Everything that is wrong, in the files' order. Of a file whose shape is wrong (keys, kinds of values) only that is said.
pub fn parse_gate(files: GateFiles<'_>, builtin: &Builtins, today: Date) -> Result<Gate, Vec<ConfigError>> {
    let file: GateFile = yaml::read(GATE_PATH, files.gate)?;
    let mut found = Problems::new(GATE_PATH);
    let problems = &mut found;
    if let Some(version) = file.version {
        let known = if *version == 1 {
            Ok(())
        } else {
            Err(format!("version {} is not known; this release reads 1", *version))
        };
        problems.check(version.position, known);
    }
    let patterns: usize = file.suites.values().flatten().map(SuiteFile::patterns).sum();
    if patterns > MOST_PATTERNS {
        problems.add(file.suites.position, format!("{patterns} patterns; a gate has at most {MOST_PATTERNS}"));
        return Err(found.finish(()).expect_err("a problem was just noted"));
    }
    let (cluster, cluster_retries) = cluster(file.cluster.unwrap_or_default(), problems);
    let suites = suites(file.suites, builtin, &cluster, problems);
    let skips = skips::resolve(file.skips, files.skips, &suites, today, problems);
    let gate = Gate {
        rules: rules(file.announce, file.on_base_move, file.teams, file.commands, problems),
        label: problems.parse_some(file.label.as_ref(), label).unwrap_or_else(|| LABEL.into()),
        checkout: file.checkout.unwrap_or(Checkout::Merge),
        cluster,
        setup: setup(file.setup.unwrap_or_default(), problems),
        setup_timeout_s: problems.parse_some(file.setup_timeout.as_ref(), values::seconds).unwrap_or(600),
        upgrade: file.upgrade.is_some(),
        suites,
        skips,
        cluster_retries,
        report: file.report.unwrap_or_default(),
        comment: file.comment.unwrap_or_default(),
    };
    found.finish(gate)
}

/// The JSON Schema of a suite: an entry of a gate's `suites`, or a built-in's file.
pub fn suite_schema() -> schemars::Schema {
    schemars::schema_for!(SuiteFile)
}

/// The JSON Schema of a skip list.
pub fn skips_schema() -> schemars::Schema {
    schemars::schema_for!(SkipListFile)
}

/// The JSON Schema of the gate file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(GateFile)
}

fn rules(
    announce: Option<bool>,
    on_base_move: Option<OnBaseMove>,
    teams: Option<TeamsFile>,
    commands: Option<CommandsFile>,
    problems: &mut Problems<'_>,
) -> Rules {
    let (teams, commands, usual) = (teams.unwrap_or_default(), commands.unwrap_or_default(), Rules::default());
    let mut listed = |names: Option<Vec<At<String>>>| -> Vec<Team> {
        names.iter().flatten().filter_map(|name| problems.parse(name, str::parse)).collect()
    };
    let (run_teams, override_teams) = (listed(teams.run), listed(teams.may_override));
    let reruns = commands.reruns.and_then(|reruns| problems.within("reruns", &reruns, 1..=100));
    Rules {
        announce: announce.unwrap_or(usual.announce),
        on_base_move: on_base_move.unwrap_or(usual.on_base_move),
        run_teams,
        override_teams,
        commenters: commands.from.unwrap_or(usual.commenters),
        reruns: reruns.unwrap_or(usual.reruns),
        cool_down_s: problems.parse_some(commands.cool_down.as_ref(), values::seconds).unwrap_or(usual.cool_down_s),
    }
}

fn label(text: &str) -> Result<String, String> {
    let text = text.trim();
    match (1..=LONGEST_LABEL).contains(&text.chars().count()) && !text.contains(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(format!("{} is not a label: 1 to {LONGEST_LABEL} characters on one line", quoted(text))),
    }
}

fn suites(
    written: At<IndexMap<At<String>, Option<SuiteFile>>>,
    builtin: &Builtins,
    cluster: &ClusterPlan,
    problems: &mut Problems<'_>,
) -> IndexMap<SuiteName, Suite> {
    if written.is_empty() || written.len() > MOST_SUITES {
        problems.add(written.position, format!("{} suites; a gate has 1 to {MOST_SUITES}", written.len()));
    }
    let mut suites = IndexMap::new();
    for (key, file) in written.into_inner() {
        let Some(name) = problems.parse(&key, suite_name) else { continue };
        if let Some(suite) = suite::resolve(&key, file.unwrap_or_default(), builtin, problems) {
            parts::nodes(&key, &suite, cluster.nodes, problems);
            suites.insert(name, suite);
        }
    }
    suites
}

fn suite_name(text: &str) -> Result<SuiteName, String> {
    if text == POLICY_CONTEXT {
        return Err(format!("{} cannot name a suite: the status of that name tells of this file", quoted(text)));
    }
    text.parse().map_err(|bad: crate::domain::names::BadName| bad.to_string())
}

fn cluster(file: ClusterFile, problems: &mut Problems<'_>) -> (ClusterPlan, u32) {
    let nodes = file.nodes.and_then(|nodes| problems.within("nodes", &nodes, 1..=9)).unwrap_or(1);
    let retries = file.retries.and_then(|retries| problems.within("retries", &retries, 0..=5)).unwrap_or(1);
    let args = file.server_args.unwrap_or_default();
    let plan = ClusterPlan {
        image: problems.parse_some(file.image.as_ref(), values::image),
        nodes,
        server_args: args.iter().filter_map(|arg| problems.parse(arg, values::line)).collect(),
        ready_timeout_s: problems.parse_some(file.ready_timeout.as_ref(), values::seconds).unwrap_or(300),
    };
    (plan, retries)
}

fn setup(steps: Vec<StepFile>, problems: &mut Problems<'_>) -> Vec<SetupStep> {
    let mut resolved: Vec<SetupStep> = Vec::new();
    for (n, step) in steps.into_iter().enumerate() {
        if n == MOST_STEPS {
            problems.add(step.name.position, format!("more than {MOST_STEPS} steps"));
        }
        let Some(name) = problems.parse(&step.name, values::line) else { continue };
        if resolved.iter().any(|earlier| earlier.name == name) {
            problems.add(step.name.position, format!("a second step named {}", quoted(&name)));
        }
        if step.apply.is_empty() {
            problems.add(step.apply.position, format!("the step {} applies nothing", quoted(&name)));
        }
        let apply = step.apply.iter().filter_map(|path| problems.parse(path, values::inside)).collect();
        resolved.push(SetupStep { name, apply });
    }
    resolved
}
