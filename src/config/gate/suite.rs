//! One suite: what the gate says about it, over the built-in it starts from, over the defaults.

use indexmap::IndexMap;

use super::file::{EntryFile, ResourcesFile, SuiteFile};
use super::parts;
use crate::config::builtin::Builtins;
use crate::config::position::{At, Position};
use crate::config::problem::{ConfigError, Problems, did_you_mean, quoted};
use crate::config::values;
use crate::domain::contract;
use crate::domain::suite::{Entry, Ginkgo, Limits, Suite, glob};

const MOST_GLOBS: usize = 100;
/// With less, the engine or the runtime of a test program does not even start.
const LEAST_MEMORY: &str = "16Mi";
/// A report and the end of a log must find room.
const LEAST_FILES: &str = "1Mi";

/// The suite, or `None` after noting why there is none.
pub(super) fn resolve(
    name: &At<String>,
    file: SuiteFile,
    builtin: &Builtins,
    problems: &mut Problems<'_>,
) -> Option<Suite> {
    let base = match &file.uses {
        Some(uses) => Some(named(uses, builtin, problems)?),
        None => builtin.get(name),
    };
    match (base, &file.image) {
        (Some(base), _) => Some(change(base.clone(), file, problems)),
        (None, Some(image)) => {
            let image = problems.parse(image, values::image)?;
            Some(change(Suite::plain(image), file, problems))
        }
        (None, None) => {
            let hint = did_you_mean(name, builtin.names());
            let known = builtin.names().collect::<Vec<_>>().join(", ");
            problems.add(
                name.position,
                format!("{} is no built-in suite ({known}) and has no `image`{hint}", quoted(name)),
            );
            None
        }
    }
}

/// A built-in suite: a whole one, from its own file.
pub(crate) fn resolve_builtin(path: &str, mut file: SuiteFile) -> Result<Suite, Vec<ConfigError>> {
    let mut problems = Problems::new(path);
    let image = file.image.take().and_then(|image| problems.parse(&image, values::image));
    let suite = image.map(|image| change(Suite::plain(image), file, &mut problems));
    problems.finish(suite)?.ok_or_else(|| vec![ConfigError::whole(path, "a built-in suite needs an `image`")])
}

fn named<'b>(uses: &At<String>, builtin: &'b Builtins, problems: &mut Problems<'_>) -> Option<&'b Suite> {
    let found = builtin.get(uses);
    if found.is_none() {
        let known = builtin.names().collect::<Vec<_>>().join(", ");
        let hint = did_you_mean(uses, builtin.names());
        problems.add(uses.position, format!("there is no built-in suite {} ({known}){hint}", quoted(uses)));
    }
    found
}

fn change(mut suite: Suite, file: SuiteFile, problems: &mut Problems<'_>) -> Suite {
    let whole = WholeKeys::of(&file);
    if let Some(image) = problems.parse_some(file.image.as_ref(), values::image) {
        suite.image = image;
    }
    problems.parse_some(file.description.as_ref(), values::line);
    suite.entry = entry(suite.entry, &file, &mut suite.env, problems);
    parts::phases(&mut suite, &file, problems);
    for (name, value) in file.env.iter().flatten() {
        if let Some(name) = problems.parse(name, variable) {
            suite.env.insert(name, value.to_string());
        }
    }
    parts::secrets(&mut suite, &file, problems);
    parts::rerun(&mut suite, &file, problems);
    set(&mut suite.list, file.list.map(At::into_inner));
    set(&mut suite.cluster, file.cluster);
    let globs =
        file.artifacts.map(|globs| globs.iter().filter_map(|glob| problems.parse(glob, values::glob)).collect());
    set(&mut suite.artifacts, globs);
    set(&mut suite.min_nodes, file.min_nodes.and_then(|n| problems.within("min_nodes", &n, 1..=9)));
    set(&mut suite.timeouts.start_up_s, problems.parse_some(file.start_up.as_ref(), values::seconds));
    limits(&mut suite.limits, file.resources.unwrap_or_default(), problems);
    set(&mut suite.timeouts.suite_s, problems.parse_some(file.timeout.as_ref(), values::seconds));
    set(&mut suite.timeouts.no_output_s, problems.parse_some(file.no_output.as_ref(), values::seconds));
    set(&mut suite.timeouts.stop_grace_s, problems.parse_some(file.stop_grace.as_ref(), values::seconds));
    set(&mut suite.min_specs, file.min_specs.and_then(|n| problems.within("min_specs", &n, 1..=1_000_000)));
    set(&mut suite.required, file.required);
    set(&mut suite.paths.only, file.paths.as_ref().map(|list| path_globs(list, problems)));
    set(&mut suite.paths.ignore, file.paths_ignore.as_ref().map(|list| path_globs(list, problems)));
    set(&mut suite.flaky, file.flaky);
    let attempts = file.flake_attempts.and_then(|n| problems.within("flake_attempts", &n, 1..=10));
    set(&mut suite.flake_attempts, attempts);
    set(&mut suite.submission, file.submission.as_deref().copied());
    if suite.submission {
        parts::submission(&mut suite, &whole, problems);
    }
    suite
}

/// Where the gate says what a suite that is handed in for certification decides by itself.
pub(super) struct WholeKeys(pub(super) Vec<(&'static str, Position)>);

impl WholeKeys {
    fn of(file: &SuiteFile) -> Self {
        let given: [(&str, Option<Position>); 9] = [
            ("focus", file.focus.as_ref().map(|key| key.position)),
            ("skip", file.skip.as_ref().map(|key| key.position)),
            ("label_filter", file.label_filter.as_ref().map(|key| key.position)),
            ("procs", file.procs.as_ref().map(|key| key.position)),
            ("phases", file.phases.as_ref().map(|key| key.position)),
            ("entry", file.entry.as_ref().map(|key| key.position)),
            ("command", file.command.as_ref().map(|key| key.position)),
            ("flake_attempts", file.flake_attempts.as_ref().map(|key| key.position)),
            ("rerun", file.rerun.as_ref().map(|key| key.position)),
        ];
        Self(given.into_iter().filter_map(|(key, position)| Some((key, position?))).collect())
    }
}

pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn limits(limits: &mut Limits, file: ResourcesFile, problems: &mut Problems<'_>) {
    let bytes = |least: &'static str| move |text: &str| values::bytes_from(text, least);
    set(&mut limits.memory_bytes, problems.parse_some(file.memory.as_ref(), bytes(LEAST_MEMORY)));
    set(&mut limits.cpu_millis, problems.parse_some(file.cpu.as_ref(), values::cpu_millis));
    set(&mut limits.pids, file.pids.and_then(|n| problems.within("pids", &n, 16..=1_000_000)));
    set(&mut limits.disk_bytes, problems.parse_some(file.disk.as_ref(), bytes(LEAST_FILES)));
    set(&mut limits.log_bytes, problems.parse_some(file.log.as_ref(), bytes(LEAST_FILES)));
}

/// `command` turns a Ginkgo suite into a plain one and `entry: ginkgo` does the reverse.
fn entry(base: Entry, file: &SuiteFile, env: &mut IndexMap<String, String>, problems: &mut Problems<'_>) -> Entry {
    let asked = match (&file.entry, &file.command) {
        (Some(entry), Some(command)) if **entry != EntryFile::Command => {
            problems.add(command.position, format!("a suite with `entry: {}` takes no `command`", entry.name()));
            **entry
        }
        (Some(entry), _) => **entry,
        (None, Some(_)) => EntryFile::Command,
        (None, None) => match base {
            Entry::Ginkgo(_) => EntryFile::Ginkgo,
            Entry::GoRunner(_) => EntryFile::GoRunner,
            Entry::Command(_) => EntryFile::Command,
        },
    };
    let (base_ginkgo, base_command) = match base {
        Entry::Ginkgo(base) | Entry::GoRunner(base) => (base, vec![]),
        Entry::Command(command) => (Ginkgo { procs: 1, ..Ginkgo::default() }, command),
    };
    match asked {
        EntryFile::Ginkgo => Entry::Ginkgo(ginkgo(base_ginkgo, file, problems)),
        EntryFile::GoRunner => Entry::GoRunner(ginkgo(base_ginkgo, file, problems)),
        EntryFile::Command => {
            refuse_ginkgo(file, problems);
            if let Some(focus) = &file.focus {
                env.insert(contract::FOCUS.into(), patterns(focus, problems).join("\n"));
            }
            Entry::Command(file.command.as_ref().map_or(base_command, |command| command.to_vec()))
        }
    }
}

fn ginkgo(mut ginkgo: Ginkgo, file: &SuiteFile, problems: &mut Problems<'_>) -> Ginkgo {
    set(&mut ginkgo.focus, file.focus.as_ref().map(|list| patterns(list, problems)));
    set(&mut ginkgo.skip, file.skip.as_ref().map(|list| patterns(list, problems)));
    set(&mut ginkgo.label_filter, file.label_filter.as_ref().map(|filter| filter.trim().to_owned()));
    set(&mut ginkgo.procs, file.procs.as_ref().and_then(|n| problems.within("procs", n, 1..=64)));
    set(&mut ginkgo.extra_args, file.extra_args.as_ref().map(|args| args.to_vec()));
    ginkgo
}

fn path_globs(list: &At<Vec<At<String>>>, problems: &mut Problems<'_>) -> Vec<String> {
    if list.len() > MOST_GLOBS {
        problems.add(list.position, format!("{} globs; a suite has at most {MOST_GLOBS}", list.len()));
        return vec![];
    }
    let checked = |text: &str| match glob(text) {
        Ok(_) if (1..=500).contains(&text.len()) => Ok(text.to_owned()),
        Ok(_) => Err(format!("{} is no glob: 1 to 500 characters", quoted(text))),
        Err(error) => Err(format!("{} is no glob: {}", quoted(text), error.kind())),
    };
    list.iter().filter_map(|text| problems.parse(text, checked)).collect()
}

pub(super) fn patterns(list: &[At<String>], problems: &mut Problems<'_>) -> Vec<String> {
    list.iter().filter_map(|pattern| problems.parse(pattern, values::pattern)).collect()
}

/// What only Ginkgo understands would be silently lost on any other suite.
fn refuse_ginkgo(file: &SuiteFile, problems: &mut Problems<'_>) {
    let given: [(&str, Option<Position>); 5] = [
        ("phases", file.phases.as_ref().map(|phases| phases.position)),
        ("skip", file.skip.as_ref().map(|skip| skip.position)),
        ("label_filter", file.label_filter.as_ref().map(|filter| filter.position)),
        ("procs", file.procs.as_ref().map(|procs| procs.position)),
        ("extra_args", file.extra_args.as_ref().map(|args| args.position)),
    ];
    for (key, position) in given {
        let instead = if key == "skip" { "; use the skip list" } else { "" };
        if let Some(position) = position {
            problems.add(position, format!("`{key}` is for suites with `entry: ginkgo`{instead}"));
        }
    }
}

pub(super) fn variable(name: &str) -> Result<String, String> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.len() <= 200;
    if !plain || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Err(format!("{} is not the name of a variable", quoted(name)));
    }
    match contract::RESERVED.contains(&name) {
        true => Err(format!("{} is set by Portcullis", quoted(name))),
        false => Ok(name.to_owned()),
    }
}
