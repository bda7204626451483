//! The specs of a suite as its image lists them, without a cluster: asked once per image and arguments, then read from a cache. Also
//! for commands that look at suites without a service.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::domain::case::CaseOutcome;
use crate::domain::gate::Gate;
use crate::domain::invocation::{self, Invocation};
use crate::domain::lint::{Lint, SuiteLint};
use crate::domain::skip::Circumstances;
use crate::domain::suite::{Entry, Suite};
use crate::domain::text::plain_line;
use crate::ports::{ExecutorError, Question, SuiteExecutor};
use crate::reports::{self, Limits};

/// Lines of a list that are read.
const MOST_SPECS: usize = 100_000;

/// Whether a list that may be had later is worth a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Long,
    NoLonger,
}

/// Compares a gate's skip list with the specs of every suite that it is about.
///
/// # Errors
/// A list may be had later, and waiting for it was asked for.
pub async fn lint(
    executor: &dyn SuiteExecutor,
    cache: &Path,
    gate: &Gate,
    here: &Circumstances<'_>,
    now: Timestamp,
    wait: Wait,
) -> anyhow::Result<Lint> {
    let mut report = Lint::default();
    for (name, suite) in &gate.suites {
        if !gate.skips.iter().any(|entry| entry.concerns(name, suite, here)) {
            continue;
        }
        report.suites.push(match (of_suite(executor, cache, suite, here.kubernetes, now).await, wait) {
            (Ok(specs), _) => SuiteLint::of(name, suite, &gate.skips, &specs, here),
            (Err(Unlisted::Never(why)), _) => SuiteLint::unknown(name, why),
            (Err(Unlisted::Yet(error)), Wait::NoLonger) => SuiteLint::unknown(name, format!("{error:#}")),
            (Err(Unlisted::Yet(error)), Wait::Long) => return Err(error),
        });
    }
    Ok(report)
}

/// Why there is no list.
#[derive(Debug)]
pub enum Unlisted {
    /// Asking again does not help.
    Never(String),
    /// It may be had later.
    Yet(anyhow::Error),
}

impl From<ExecutorError> for Unlisted {
    fn from(error: ExecutorError) -> Self {
        match error {
            ExecutorError::Refused(why) => Unlisted::Never(why),
            error @ (ExecutorError::Unreachable { .. } | ExecutorError::Failed { .. }) => Unlisted::Yet(error.into()),
        }
    }
}

impl From<anyhow::Error> for Unlisted {
    fn from(error: anyhow::Error) -> Self {
        Unlisted::Yet(error)
    }
}

/// The specs that a suite runs when nothing of a skip list is taken out, in the order of its list.
///
/// # Errors
/// It has no list, or its image cannot be asked.
pub async fn of_suite(
    executor: &dyn SuiteExecutor,
    cache: &Path,
    suite: &Suite,
    version: Option<&str>,
    now: Timestamp,
) -> Result<Vec<String>, Unlisted> {
    let image = match (suite.image.contains("{version}"), version) {
        (false, _) => suite.image.clone(),
        (true, Some(version)) => suite.image.replace("{version}", version),
        (true, None) => return Err(Unlisted::Never("the cluster's version is not known before it is made".into())),
    };
    let calls: Vec<Invocation> =
        (0..suite.parts()).filter_map(|phase| invocation::of_list(suite, phase, version.unwrap_or_default())).collect();
    if calls.is_empty() {
        return Err(Unlisted::Never("it has no `list`".into()));
    }
    let id = executor.image_id(&image).await?;
    let mut specs = Vec::new();
    let mut seen = BTreeSet::new();
    for call in calls {
        let kept = cache.join(format!("{}.txt", key(&id, &call)));
        let listed = match tokio::fs::read_to_string(&kept).await {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(_) => {
                let question = Question { image: image.clone(), invocation: call, asked_at: now };
                let listed = ask(executor, suite, &question, cache).await?;
                keep(&kept, &listed).await?;
                listed
            }
        };
        specs.extend(listed.into_iter().filter(|name| seen.insert(name.clone())));
    }
    // One phase of several may be empty: the gate's own focus leaves what there is to the others.
    if specs.is_empty() { Err(Unlisted::Never("its list of specs is empty".into())) } else { Ok(specs) }
}

/// Another image under the same name, or other arguments, is another list.
fn key(image: &str, call: &Invocation) -> String {
    let mut hash = Sha256::new();
    for text in std::iter::once(image).chain(call.command.iter().map(String::as_str)) {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

async fn ask(
    executor: &dyn SuiteExecutor,
    suite: &Suite,
    question: &Question,
    cache: &Path,
) -> Result<Vec<String>, Unlisted> {
    let folder = tempfolder(cache).await?;
    let answered = executor.ask(question, &folder).await;
    let entry = suite.entry.clone();
    let place = folder.clone();
    let read = tokio::task::spawn_blocking(move || read(&entry, &place)).await.context("reading a list of specs");
    tokio::fs::remove_dir_all(&folder).await.ok();
    let code = answered?;
    let names = read?;
    match code {
        0 => Ok(names),
        code => Err(Unlisted::Never(format!("listing its specs exited with status {code}"))),
    }
}

async fn tempfolder(cache: &Path) -> anyhow::Result<PathBuf> {
    let folder = cache.join(format!("ask-{}", uuid::Uuid::now_v7().simple()));
    tokio::fs::create_dir_all(&folder).await.context("making a folder for a list of specs")?;
    Ok(folder)
}

/// Takes away what whoever was stopped in the middle of asking left before then.
pub(super) async fn forget_answers(cache: &Path, before: Timestamp) -> std::io::Result<()> {
    let mut found = match tokio::fs::read_dir(cache).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    while let Some(entry) = found.next_entry().await? {
        let id = entry.file_name().to_str().and_then(|name| name.strip_prefix("ask-")?.parse::<uuid::Uuid>().ok());
        let asked_at = id.and_then(|id| i64::try_from(id.get_timestamp()?.to_unix().0).ok());
        if asked_at.is_some_and(|second| second < before.as_second()) {
            tokio::fs::remove_dir_all(entry.path()).await?;
        }
    }
    Ok(())
}

/// Ginkgo's dry run reports what it would run; anything else prints one name a line.
fn read(entry: &Entry, folder: &Path) -> Vec<String> {
    match entry {
        Entry::Ginkgo(_) | Entry::GoRunner(_) => {
            let report = reports::read_paths(&[folder.join("results")], &Limits::default());
            let would_run = report.cases.into_iter().filter(|case| case.outcome() != CaseOutcome::Skipped);
            would_run.map(|case| case.id.name).take(MOST_SPECS).collect()
        }
        Entry::Command(_) => {
            let text = std::fs::read(folder.join("stdout.txt")).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            // As reports are read: no database has to take what terminals do.
            let lines = text.lines().map(|line| plain_line(line.trim_end()));
            lines.filter(|line| !line.trim().is_empty()).take(MOST_SPECS).collect()
        }
    }
}

/// Complete or not at all: half a list would make entries look stale.
async fn keep(path: &Path, specs: &[String]) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    tokio::fs::write(&part, specs.join("\n")).await.context("keeping a list of specs")?;
    tokio::fs::rename(&part, path).await.context("keeping a list of specs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_a_list_without_what_no_database_takes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("stdout.txt"), "one\0 spec\n\n\u{1b}[32mgreen\u{1b}[0m \n\0\n").unwrap();
        assert_eq!(read(&Entry::Command(vec![]), folder.path()), ["one spec", "green"]);
    }

    #[tokio::test]
    async fn answers_that_nobody_waits_for_are_taken_away() {
        let home = tempfile::tempdir().unwrap();
        let folder = tempfolder(home.path()).await.unwrap();
        tokio::fs::write(folder.join("stdout.txt"), "a spec").await.unwrap();
        let list = home.path().join("abc.txt");
        keep(&list, &["a spec".to_owned()]).await.unwrap();
        let made = made_at(&folder);
        forget_answers(home.path(), made).await.unwrap();
        assert!(folder.exists(), "it may still be waited for");
        forget_answers(home.path(), made.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap()).await.unwrap();
        assert!(!folder.exists() && list.exists());
        forget_answers(&home.path().join("none"), made).await.unwrap();
    }

    /// When the folder was made, by its name.
    fn made_at(folder: &Path) -> Timestamp {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let id: uuid::Uuid = name.trim_start_matches("ask-").parse().unwrap();
        Timestamp::from_second(id.get_timestamp().unwrap().to_unix().0.try_into().unwrap()).unwrap()
    }
}
