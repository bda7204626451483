//! The parts of a suite that have rules of their own: phases, what is run again, and what certification asks for.

use super::file::{PhaseFile, RerunFile, RunnerFile, SuiteFile};
use super::suite::{WholeKeys, patterns, set, variable};
use crate::config::position::At;
use crate::config::problem::{Problems, quoted};
use crate::config::values;
use crate::domain::suite::{Entry, Phase, Rerun, RerunWith, Suite};

const MOST_PHASES: usize = 10;
/// All of a suite's variables must fit into what the kernel gives a program.
const MOST_SECRETS: usize = 16;

/// Written phases take the place of the built-in ones. A gate that changes what a phased suite is about leaves its phases, but no
/// longer knows how many specs each of them has, nor what they need.
pub(super) fn phases(suite: &mut Suite, file: &SuiteFile, problems: &mut Problems<'_>) {
    if let Entry::Command(_) = suite.entry {
        suite.phases.clear();
    }
    match &file.phases {
        Some(written) => {
            if written.len() > MOST_PHASES {
                problems.add(written.position, format!("{} phases; a suite has at most {MOST_PHASES}", written.len()));
                return;
            }
            suite.phases = written.iter().filter_map(|phase| self::phase(phase, problems)).collect();
            for (n, phase) in written.iter().enumerate() {
                if written[..n].iter().any(|earlier| *earlier.name == *phase.name) {
                    problems.add(phase.name.position, format!("a second phase named {}", quoted(&phase.name)));
                }
            }
        }
        None if file.focus.is_some() || file.label_filter.is_some() => {
            suite.phases.iter_mut().for_each(|phase| phase.min_specs = 0);
            (suite.min_specs, suite.min_nodes) = (1, 1);
        }
        None => {}
    }
}

fn phase(file: &PhaseFile, problems: &mut Problems<'_>) -> Option<Phase> {
    let procs = file.procs.as_ref().and_then(|n| problems.within("procs", n, 1..=64));
    let min_specs = file.min_specs.as_ref().and_then(|n| problems.within("min_specs", n, 0..=1_000_000));
    Some(Phase {
        focus: file.focus.iter().flat_map(|list| patterns(list, problems)).collect(),
        skip: file.skip.iter().flat_map(|list| patterns(list, problems)).collect(),
        label_filter: file.label_filter.as_ref().map(|filter| filter.trim().to_owned()).unwrap_or_default(),
        procs,
        min_specs: min_specs.unwrap_or(1),
        name: problems.parse(&file.name, values::line)?,
    })
}

/// Whether the server has them for this repository is not known here.
pub(super) fn secrets(suite: &mut Suite, file: &SuiteFile, problems: &mut Problems<'_>) {
    set(&mut suite.secrets_for, file.secrets_for);
    let Some(written) = &file.secrets else { return };
    if written.len() > MOST_SECRETS {
        problems.add(written.position, format!("{} secrets; a suite has at most {MOST_SECRETS}", written.len()));
        return;
    }
    for (key, name) in written.iter() {
        let named =
            problems.parse(name, |text| text.parse().map_err(|bad: crate::domain::names::BadName| bad.to_string()));
        let (Some(key_name), Some(named)) = (problems.parse(key, variable), named) else { continue };
        if suite.env.contains_key(&key_name) {
            problems.add(key.position, format!("{} is in `env` as well", quoted(&key_name)));
        }
        suite.secrets.insert(key_name, named);
    }
}

/// Ginkgo can always be told which specs to run; anything else needs a template, or is run as a whole.
pub(super) fn rerun(suite: &mut Suite, file: &SuiteFile, problems: &mut Problems<'_>) {
    match (&suite.entry, &suite.rerun.with) {
        (Entry::Ginkgo(_) | Entry::GoRunner(_), RerunWith::Focus) => {}
        (Entry::Ginkgo(_) | Entry::GoRunner(_), _) => {
            suite.rerun = Rerun { rounds: 1, with: RerunWith::Focus, ..suite.rerun.clone() };
        }
        // What a built-in's template calls is the built-in's own program.
        (Entry::Command(_), RerunWith::Focus) => {
            suite.rerun = Rerun { rounds: 0, with: RerunWith::Whole, ..suite.rerun.clone() };
        }
        (Entry::Command(_), _) if file.command.is_some() => {
            suite.rerun = Rerun { rounds: 0, with: RerunWith::Whole, ..suite.rerun.clone() };
        }
        (Entry::Command(_), _) => {}
    }
    let Some(written) = &file.rerun else { return };
    let RerunFile { rounds, max_specs, max_percent, runner, command } = &**written;
    let template = match (runner, command) {
        (Some(runner), Some(_)) => {
            problems.add(runner.position, "`runner` and `command` both say how: one is enough");
            None
        }
        (Some(runner), None) => Some((runner.position, with(**runner))),
        (None, Some(command)) => {
            if !command.iter().any(|argument| argument == "{cases}" || argument.contains("{case}")) {
                problems.add(command.position, "`command` names the specs nowhere: it needs `{cases}` or `{case}`");
            }
            Some((command.position, RerunWith::Command(command.to_vec())))
        }
        (None, None) => None,
    };
    if let Some((position, with)) = template {
        match &suite.entry {
            Entry::Ginkgo(_) | Entry::GoRunner(_) => {
                problems.add(position, "Ginkgo is told by name which specs to run: it needs no template");
            }
            Entry::Command(own) if own.is_empty() && !matches!(with, RerunWith::Command(_)) => {
                problems.add(position, "a `runner` needs the suite's `command`, to which it adds the specs");
            }
            Entry::Command(_) => suite.rerun = Rerun { rounds: 1, with, ..suite.rerun.clone() },
        }
    }
    set(&mut suite.rerun.rounds, rounds.as_ref().and_then(|n| problems.within("rounds", n, 0..=3)));
    set(&mut suite.rerun.max_specs, max_specs.as_ref().and_then(|n| problems.within("max_specs", n, 1..=20)));
    set(&mut suite.rerun.max_percent, max_percent.as_ref().and_then(|n| problems.within("max_percent", n, 0..=100)));
}

fn with(runner: RunnerFile) -> RerunWith {
    match runner {
        RunnerFile::Pytest => RerunWith::Pytest,
        RunnerFile::GoTest => RerunWith::GoTest,
        RunnerFile::Nextest => RerunWith::Nextest,
    }
}

/// Certification wants every conformance spec, one after the other, tried once and skipped never, and the files of the image's own
/// runner. Whoever wants anything else wants no certification.
pub(super) fn submission(suite: &mut Suite, given: &WholeKeys, problems: &mut Problems<'_>) {
    for (key, position) in &given.0 {
        problems.add(*position, format!("a suite with `submission: true` decides on `{key}` itself"));
    }
    let extra_args = match &suite.entry {
        Entry::Ginkgo(ginkgo) | Entry::GoRunner(ginkgo) => ginkgo.extra_args.clone(),
        Entry::Command(_) => vec![],
    };
    suite.entry = Entry::GoRunner(crate::domain::suite::Ginkgo {
        focus: vec![r"\[Conformance\]".into()],
        skip: vec![],
        label_filter: String::new(),
        procs: 1,
        extra_args,
    });
    suite.phases.clear();
    suite.flake_attempts = 1;
    suite.rerun.rounds = 0;
    suite.artifacts.clear();
    // One after the other takes hours.
    suite.timeouts.suite_s = suite.timeouts.suite_s.max(5 * 3600);
}

/// A gate's cluster must have the nodes that its suites need.
pub(super) fn nodes(name: &At<String>, suite: &Suite, nodes: u8, problems: &mut Problems<'_>) {
    if suite.min_nodes > nodes {
        let needs = suite.min_nodes;
        problems.add(
            name.position,
            format!(
                "the suite {} needs {needs} nodes; the cluster has {nodes}: set `cluster: {{nodes: {needs}}}`",
                quoted(name)
            ),
        );
    }
}
