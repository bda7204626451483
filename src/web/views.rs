//! What pages show, ready to be written down: words, tones, times and addresses. No markup, no reads.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::case::CaseOutcome;
use crate::domain::course;
use crate::domain::flake::Known;
use crate::domain::names::{RepoName, Sha, SuiteName};
use crate::domain::plan::RunView;
use crate::domain::report::{Counts, Digest, NamedFailure};
use crate::domain::run::{CancelReason, Run, RunState, Trigger};
use crate::domain::skip::Hit;
use crate::domain::status::{GivenUp, StatusState};
use crate::domain::text::{counted, headline, human_duration};
use crate::domain::verdict::{Evidence, Verdict};
use crate::domain::wording::{self, Links};
use crate::store::{NotableCase, RunLine, StatusLine};

use super::follow::Line;
use super::skips;
use super::timeline::{Bar, bars, phases, took};

/// Characters of a failure's message on a page; the report holds all of it.
const MAX_MESSAGE: usize = 8000;
/// Failures whose message is shown without being asked for.
const OPEN: usize = 3;

/// How something stands, as a word and a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Success,
    Failure,
    Error,
    Live,
    Waiting,
}

impl Tone {
    /// The style sheet's class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Success => "success",
            Tone::Failure => "failure",
            Tone::Error => "error",
            Tone::Live => "live",
            Tone::Waiting => "waiting",
        }
    }

    /// The word beside the colour.
    pub(super) fn word(self) -> &'static str {
        match self {
            Tone::Success => "passed",
            Tone::Failure => "failed",
            Tone::Error => "error",
            Tone::Live => "running",
            Tone::Waiting => "queued",
        }
    }

    fn of_run(state: RunState, verdict: Option<Verdict>) -> Self {
        match (state, verdict) {
            (RunState::Queued, _) => Tone::Waiting,
            (RunState::Active, _) => Tone::Live,
            (RunState::Finished, Some(verdict)) => verdict.into(),
            (RunState::Finished, None) => Tone::Error,
        }
    }
}

impl From<Verdict> for Tone {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Tone::Success,
            Verdict::Failure => Tone::Failure,
            Verdict::Error => Tone::Error,
        }
    }
}

impl From<StatusState> for Tone {
    fn from(state: StatusState) -> Self {
        match state {
            StatusState::Pending => Tone::Live,
            StatusState::Success => Tone::Success,
            StatusState::Failure => Tone::Failure,
            StatusState::Error => Tone::Error,
        }
    }
}

/// A moment for people and for programs.
pub(super) struct When {
    pub(super) exact: String,
    pub(super) ago: String,
}

impl When {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        let exact = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        let age = now.duration_since(at).as_secs().max(0);
        let ago = match age {
            0..10 => "just now".to_owned(),
            10..60 => format!("{age} s ago"),
            60..3600 => format!("{} min ago", age / 60),
            3600..86_400 => format!("{} h ago", age / 3600),
            _ => at.strftime("%Y-%m-%d").to_string(),
        };
        Self { exact, ago }
    }
}

/// Addresses at the forge.
pub(super) struct Forge<'a>(pub(super) &'a str);

impl Forge<'_> {
    fn pull(&self, repo: &RepoName, pr: u64) -> String {
        format!("{}/{repo}/pull/{pr}", self.0)
    }

    fn commit(&self, repo: &RepoName, sha: &Sha) -> String {
        format!("{}/{repo}/commit/{sha}", self.0)
    }
}

/// A run's word; a cancelled one has its own.
fn word(tone: Tone, cancel: Option<CancelReason>) -> &'static str {
    match (cancel, tone) {
        (None, _) => tone.word(),
        (Some(_), Tone::Live | Tone::Waiting) => "stopping",
        (Some(_), Tone::Success | Tone::Failure | Tone::Error) => "cancelled",
    }
}

/// Who caused a run, and how.
fn why(trigger: Trigger, actor: &str) -> String {
    match trigger {
        Trigger::Label => format!("labelled by {actor}"),
        Trigger::Push => format!("pushed by {actor}"),
        Trigger::Comment => format!("asked for by {actor}"),
        Trigger::MergeGroup => "asked for by the merge queue".to_owned(),
        Trigger::Recheck => format!("run again by {actor}"),
        Trigger::Base => format!("base changed by {actor}"),
    }
}

/// A suite as a list of runs shows it.
pub(super) struct Chip {
    pub(super) name: SuiteName,
    pub(super) tone: Tone,
}

/// A run as a list shows it.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) tone: Tone,
    pub(super) word: &'static str,
    pub(super) repo: RepoName,
    pub(super) pr: Option<u64>,
    pub(super) head: String,
    pub(super) why: String,
    pub(super) suites: Vec<Chip>,
    pub(super) message: Option<String>,
    pub(super) when: When,
    pub(super) took: String,
}

impl Row {
    pub(super) fn new(line: &RunLine, now: Timestamp) -> Self {
        let tone = Tone::of_run(line.state, line.verdict);
        let chip = |(name, verdict): &(SuiteName, Option<Verdict>)| Chip {
            name: name.clone(),
            tone: verdict.map_or(tone, Tone::from),
        };
        Self {
            id: line.id.to_string(),
            tone,
            word: word(tone, line.cancel),
            repo: line.repo.clone(),
            pr: line.pr,
            head: line.head.short().to_owned(),
            why: why(line.trigger, &line.actor),
            suites: line.suites.iter().map(chip).collect(),
            message: line.message.clone(),
            when: When::new(line.created_at, now),
            took: took(line.created_at, line.finished_at.unwrap_or(now)),
        }
    }
}

/// A commit with the address it has at the forge.
pub(super) struct Commit {
    pub(super) short: String,
    pub(super) url: String,
}

/// The head of a run's page.
pub(super) struct Header {
    pub(super) id: String,
    pub(super) tone: Tone,
    pub(super) word: &'static str,
    pub(super) repo: RepoName,
    pub(super) pr: Option<(u64, String)>,
    pub(super) head: Commit,
    pub(super) base: Commit,
    /// Absent where the head itself is tested.
    pub(super) tested: Option<Commit>,
    pub(super) why: String,
    pub(super) when: When,
    pub(super) took: String,
    pub(super) message: Option<String>,
    pub(super) live: bool,
}

impl Header {
    pub(super) fn new(run: &Run, forge: &Forge<'_>, now: Timestamp) -> Self {
        let tone = Tone::of_run(run.state, run.verdict);
        let commit = |sha: &Sha| Commit { short: sha.short().to_owned(), url: forge.commit(&run.repo, sha) };
        let live = run.state != RunState::Finished;
        Self {
            id: run.id.to_string(),
            tone,
            word: word(tone, run.cancel),
            repo: run.repo.clone(),
            pr: run.pr.map(|pr| (pr, forge.pull(&run.repo, pr))),
            head: commit(&run.head),
            base: commit(&run.base),
            tested: (run.tested != run.head).then(|| commit(&run.tested)),
            why: why(run.trigger, &run.actor),
            when: When::new(run.created_at, now),
            took: took(run.created_at, run.finished_at.unwrap_or(now)),
            message: run.message.clone().or_else(|| run.cancel.map(|reason| reason.text().to_owned())),
            live,
        }
    }
}

/// What was read of an attempt beyond its row.
#[derive(Default)]
pub(super) struct Found {
    pub(super) notable: Vec<NotableCase>,
    pub(super) has_log: bool,
    pub(super) has_junit: bool,
    pub(super) has_summary: bool,
    pub(super) has_diagnostics: bool,
    pub(super) has_results: bool,
    /// The last lines, while it runs.
    pub(super) tail: Vec<Line>,
}

/// A spec that failed or flaked.
pub(super) struct Failure {
    pub(super) name: String,
    pub(super) class: String,
    pub(super) word: &'static str,
    pub(super) tone: Tone,
    pub(super) took: String,
    pub(super) headline: String,
    pub(super) message: String,
    /// What was known of the spec before it failed here.
    pub(super) known: Option<String>,
    pub(super) open: bool,
}

impl Failure {
    fn new(case: &NotableCase, digest: Option<&Digest>, open: bool) -> Self {
        let of_case = |failed: &&NamedFailure| failed.name == case.name && failed.class == case.class;
        let named = digest.and_then(|digest| digest.failures.iter().find(of_case));
        let (word, tone) = match case.outcome {
            CaseOutcome::Failed => ("failed", Tone::Failure),
            CaseOutcome::Errored => ("errored", Tone::Failure),
            CaseOutcome::Flaky => ("flaky", Tone::Error),
            CaseOutcome::Passed | CaseOutcome::Skipped => ("passed", Tone::Success),
        };
        let message = case.message.as_deref().unwrap_or("");
        Self {
            name: case.name.clone(),
            class: case.class.clone(),
            word,
            tone,
            took: human_duration(std::time::Duration::from_millis(case.duration_ms)),
            headline: headline(message).to_owned(),
            message: shorten(message),
            known: named.and_then(|failed| failed.known).map(Known::text),
            open: open && case.outcome.is_bad() && !message.is_empty(),
        }
    }
}

fn shorten(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((cut, _)) => format!("{}\n… the report has the rest", &message[..cut]),
        None => message.to_owned(),
    }
}

/// An attempt of a suite.
pub(super) struct Try {
    pub(super) id: String,
    pub(super) number: u32,
    /// What of the suite it ran; empty for all of it.
    pub(super) part: String,
    pub(super) tone: Tone,
    pub(super) word: String,
    pub(super) took: Option<String>,
    pub(super) counts: Option<String>,
    /// Percent of the announced specs that have run, while it runs.
    pub(super) percent: Option<u64>,
    pub(super) problems: Vec<String>,
    pub(super) failures: Vec<Failure>,
    /// Failed and flaky specs beyond those listed.
    pub(super) unlisted: u64,
    pub(super) found: Found,
}

impl Try {
    fn new(attempt: &Attempt, view: &RunView, found: Found, now: Timestamp) -> Self {
        let suite = view.run.gate.suites.get(&attempt.suite);
        let judged = suite.and_then(|suite| course::judged(attempt, suite));
        let (tone, word) = match (attempt.state, &judged) {
            (AttemptState::Waiting, _) => (Tone::Waiting, "starting".to_owned()),
            (AttemptState::Running, _) if attempt.stop.is_some() => (Tone::Live, "stopping".to_owned()),
            (AttemptState::Running, _) => (Tone::Live, "running".to_owned()),
            (AttemptState::Collecting, _) => (Tone::Live, "reading the reports".to_owned()),
            (AttemptState::Done, Some(judged)) => (judged.verdict.into(), judged.description.clone()),
            (AttemptState::Done, None) => (Tone::Error, "nothing is known of it".to_owned()),
        };
        let verdict = judged.as_ref().map(|judged| judged.verdict);
        let live = attempt.state != AttemptState::Done;
        let progress = attempt.progress;
        let notable = attempt.evidence.as_ref().map_or(0, |evidence| {
            let counts = evidence.digest.counts;
            counts.bad() + counts.flaky
        });
        Self {
            id: attempt.id.to_string(),
            number: attempt.number,
            part: course::part(view, attempt),
            tone,
            word,
            took: attempt
                .started_at
                .filter(|_| verdict != Some(Verdict::Success))
                .map(|start| took(start, attempt.finished_at.unwrap_or(now))),
            counts: match &attempt.evidence {
                Some(evidence) => counts(evidence, verdict),
                None if progress.total > 0 => Some(progress_in_words(attempt)),
                None => None,
            },
            percent: (live && progress.total > 0).then(|| progress.completed * 100 / progress.total),
            problems: judged.map(|judged| judged.problems).unwrap_or_default(),
            unlisted: notable.saturating_sub(found.notable.len() as u64),
            failures: {
                let digest = attempt.evidence.as_ref().map(|evidence| &evidence.digest);
                let notable = found.notable.iter().enumerate();
                notable.map(|(at, case)| Failure::new(case, digest, at < OPEN)).collect()
            },
            found,
        }
    }
}

fn progress_in_words(attempt: &Attempt) -> String {
    let progress = attempt.progress;
    let failed = if progress.failed > 0 { format!(", {} failed", progress.failed) } else { String::new() };
    format!("{} of {}{failed}", progress.completed, counted(progress.total, "spec"))
}

/// `311 passed, 1 failed, 12 skipped`; of a success only what its description leaves out.
fn counts(evidence: &Evidence, verdict: Option<Verdict>) -> Option<String> {
    let Counts { total: _, passed, failed, errored, skipped, flaky } = evidence.digest.counts;
    let parts = [(passed, "passed"), (failed, "failed"), (errored, "errored"), (flaky, "flaky"), (skipped, "skipped")];
    let left = if verdict == Some(Verdict::Success) { &parts[4..] } else { &parts[..] };
    let said: Vec<_> = left.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// A suite of a run.
pub(super) struct Suite {
    pub(super) name: SuiteName,
    pub(super) required: bool,
    pub(super) tone: Tone,
    pub(super) description: String,
    /// Newest first.
    pub(super) attempts: Vec<Try>,
    /// Entries of the skip list that hit its specs.
    pub(super) skips: Vec<skips::Entry>,
    /// A report of all its attempts exists.
    pub(super) has_junit: bool,
}

/// Every suite of the run in the gate's order. `found` gives what was read of each attempt.
pub(super) fn suites(
    view: &RunView,
    links: &Links,
    now: Timestamp,
    hits: &[(SuiteName, Hit)],
    has_junit: &HashSet<SuiteName>,
    mut found: impl FnMut(&Attempt) -> Found,
) -> Vec<Suite> {
    let pending = wording::pending(view, links);
    let said = |name: &SuiteName| {
        let context = links.context(name.as_str());
        pending.iter().find(|status| status.context == context).map(|status| status.description.clone())
    };
    let run_tone = Tone::of_run(view.run.state, view.run.verdict);
    let suite = |(name, suite): (&SuiteName, &crate::domain::suite::Suite)| {
        let concluded = view.conclusions.get(name);
        let is_live = view.attempts_of(name).any(|attempt| attempt.state != AttemptState::Done);
        Suite {
            name: name.clone(),
            required: suite.required,
            tone: match concluded {
                Some(conclusion) => conclusion.verdict.into(),
                None if run_tone == Tone::Live && !is_live => Tone::Waiting,
                None => run_tone,
            },
            description: concluded.map(|c| c.description.clone()).or_else(|| said(name)).unwrap_or_default(),
            attempts: view.attempts_of(name).rev().map(|a| Try::new(a, view, found(a), now)).collect(),
            skips: skips::of_suite(view, name, hits),
            has_junit: has_junit.contains(name),
        }
    };
    view.run.gate.suites.iter().map(suite).collect()
}

/// A commit status as the forge was, or will be, told.
pub(super) struct Told {
    pub(super) context: String,
    pub(super) tone: Tone,
    pub(super) state: &'static str,
    pub(super) description: String,
    pub(super) note: Option<&'static str>,
}

impl Told {
    pub(super) fn new(line: &StatusLine) -> Self {
        // The reason itself names addresses and accounts; it stands in the log.
        let note = match (line.published, &line.error) {
            (false, Some(_)) => Some("not taken yet; it is sent again"),
            (false, None) => Some("about to be sent"),
            (true, _) => line.given_up.map(GivenUp::text),
        };
        Self {
            context: line.context.clone(),
            tone: line.state.into(),
            state: line.state.as_str(),
            description: line.description.clone(),
            note,
        }
    }
}

/// The picture of a run's phases.
pub(super) fn picture(view: &RunView, now: Timestamp) -> Vec<Bar> {
    bars(&phases(view), now)
}
