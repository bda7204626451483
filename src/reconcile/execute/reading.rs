//! What a suite's result files say, in the light of what was asked of it: the specs that had to run again, the skip list, the attempts
//! before. Blocking; reads and writes files of one run and nothing else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::{GlobSet, GlobSetBuilder};

use super::submission;
use crate::domain::attempt::{Part, Spec};
use crate::domain::case::{Case, CaseOutcome};
use crate::domain::mask::Masker;
use crate::domain::names::SuiteName;
use crate::domain::report::{Digest, Report, Weight};
use crate::domain::skip::{Action, Hit, HitOutcome, Matcher};
use crate::domain::suite::{Entry, RerunWith, Suite, glob};
use crate::reports::{self, Limits};

/// An attempt's results, about to be read.
pub(super) struct Reading {
    pub(super) suite: Suite,
    pub(super) name: SuiteName,
    pub(super) part: Part,
    /// How many specs the suite said it would run.
    pub(super) announced: Option<u64>,
    /// Specs that the skip list took out, as far as the suite's own list tells.
    pub(super) listed: Vec<Hit>,
    /// The skip list's entries that hold, by their place.
    pub(super) entries: Vec<(u32, Action, Matcher)>,
    /// The folder with whatever the suite wrote.
    pub(super) results: PathBuf,
    /// Where the attempt's JUnit goes.
    pub(super) junit: PathBuf,
    /// The JUnit of the attempts before that belong to the same result.
    pub(super) before: Vec<PathBuf>,
    /// Where the JUnit of all of them goes.
    pub(super) merged: PathBuf,
    /// What did not fit.
    pub(super) cut: Vec<String>,
    /// What hides secrets.
    pub(super) mask: Arc<Masker>,
}

/// What was read.
pub(super) struct Read {
    pub(super) report: Report,
    pub(super) digest: Digest,
    pub(super) hits: Vec<Hit>,
}

impl Reading {
    /// Reads, and leaves the JUnit files beside.
    pub(super) fn read(self) -> io::Result<Read> {
        // A suite may have taken its folder away, or its container may be gone: then there is nothing in it.
        fs::create_dir_all(&self.results)?;
        let mut report = reports::read_paths(std::slice::from_ref(&self.results), &Limits::default());
        self.cut.iter().for_each(|what| report.doubt(Weight::Doubt, what));
        // The files were masked byte by byte; what was escaped in them is plain only now.
        self.mask.report(&mut report);
        write(&report, &self.name, &self.junit)?;
        self.merge(&report)?;
        if let Part::Specs(asked) = &self.part {
            self.missing(asked, &report).into_iter().for_each(|what| report.doubt(Weight::Fatal, what));
        }
        if self.suite.submission
            && let Some(what) = submission::pack(&self.results)?
        {
            report.doubt(Weight::Note, what);
        }
        let hits = self.hits(&report);
        let digest = report.digest_without(|case| self.is_quarantined(case));
        self.prune()?;
        Ok(Read { report, digest, hits })
    }

    /// One file for the whole suite, where it took more than one attempt.
    fn merge(&self, report: &Report) -> io::Result<()> {
        let mut before = self.before.iter().filter(|path| path.is_file());
        let Some(first) = before.next() else { return Ok(()) };
        let read = |path: &PathBuf| reports::read_paths(std::slice::from_ref(path), &Limits::default());
        let join = |one: Report, other: Report| {
            let mut events = one.events.clone();
            let mut all = one.followed_by(other);
            events.append(&mut all.events);
            all.events = events;
            all
        };
        let all = before.fold(read(first), |all, path| join(all, read(path)));
        write(&join(all, report.clone()), &self.name, &self.merged)
    }

    /// Specs that were to run again and of which nothing was seen: a pass of the others says nothing of them.
    fn missing(&self, asked: &[Spec], report: &Report) -> Vec<String> {
        let ran: BTreeSet<&str> = report
            .cases
            .iter()
            .filter(|case| case.outcome() != CaseOutcome::Skipped)
            .map(|case| case.id.name.as_str())
            .collect();
        let lost: Vec<&Spec> = asked.iter().filter(|spec| !ran.contains(spec.name.as_str())).collect();
        let mut problems = Vec::new();
        if let Some(first) = lost.first() {
            let (seen, asked) = (asked.len() - lost.len(), asked.len());
            problems.push(format!("only {seen} of {asked} specs that were to run again ran; not `{}`", first.name));
        }
        let exact = matches!(self.suite.entry, Entry::Ginkgo(_) | Entry::GoRunner(_))
            && self.suite.rerun.with == RerunWith::Focus;
        if let Some(announced) = self.announced.filter(|announced| exact && *announced != asked.len() as u64) {
            problems.push(format!("{} specs were to run again and the suite chose {announced}", asked.len()));
        }
        problems
    }

    fn is_quarantined(&self, case: &Case) -> bool {
        self.quarantines().any(|(_, matcher)| matcher.matches(&case.id.name))
    }

    fn quarantines(&self) -> impl Iterator<Item = (u32, &Matcher)> {
        let all = self.entries.iter().filter(|(_, action, _)| *action == Action::Quarantine);
        all.map(|(place, _, matcher)| (*place, matcher))
    }

    /// Which entry hit which spec, and what came of it.
    fn hits(&self, report: &Report) -> Vec<Hit> {
        let mut hits: BTreeSet<Hit> = match self.part {
            Part::Phase(_) => self.listed.iter().cloned().collect(),
            Part::Specs(_) => BTreeSet::new(),
        };
        for case in &report.cases {
            let outcome = match case.outcome() {
                CaseOutcome::Skipped => HitOutcome::NotRun,
                CaseOutcome::Passed => HitOutcome::Passed,
                CaseOutcome::Flaky | CaseOutcome::Failed | CaseOutcome::Errored => HitOutcome::Failed,
            };
            let name = &case.id.name;
            for (entry, action, _) in self.entries.iter().filter(|(_, _, matcher)| matcher.matches(name)) {
                match (action, outcome) {
                    (Action::Skip, HitOutcome::NotRun)
                    | (Action::Quarantine, HitOutcome::Passed | HitOutcome::Failed) => {
                        hits.insert(Hit { entry: *entry, spec: name.clone(), outcome });
                    }
                    (Action::Skip, HitOutcome::Passed | HitOutcome::Failed)
                    | (Action::Quarantine, HitOutcome::NotRun) => {}
                }
            }
        }
        hits.into_iter().collect()
    }

    /// Result files that the gate does not want kept. What was read of them is read.
    fn prune(&self) -> io::Result<()> {
        if self.suite.artifacts.is_empty() {
            return Ok(());
        }
        prune(&self.results, &self.results, &globs(&self.suite.artifacts))
    }
}

fn write(report: &Report, suite: &SuiteName, path: &Path) -> io::Result<()> {
    reports::write_merged(report, suite.as_str(), BufWriter::new(File::create(path)?))
}

fn globs(patterns: &[String]) -> GlobSet {
    let mut all = GlobSetBuilder::new();
    for glob in patterns.iter().filter_map(|pattern| glob(pattern).ok()) {
        all.add(glob);
    }
    all.build().unwrap_or_else(|_| GlobSet::empty())
}

fn prune(root: &Path, folder: &Path, keep: &GlobSet) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
        if entry?.is_dir() {
            prune(root, &path, keep)?;
            // A folder that still holds something stays.
            fs::remove_dir(&path).ok();
        } else if !path.strip_prefix(root).is_ok_and(|path| keep.is_match(path)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
