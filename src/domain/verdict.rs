//! What a suite came to: one function from evidence to verdict, nothing else decides.
//! Green needs evidence; whatever is not known is an error, never a success.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempt::StopReason;
use super::cause::blame;
use super::flake::Known;
use super::report::{Digest, NamedFailure, SuiteEnd, SuiteEvent, Taken, Weight};
use super::status::MAX_DESCRIPTION;
use super::suite::FlakyPolicy;
use super::text::{counted, cut, headline, human_duration};

/// Ginkgo's exit status for a suite in which somebody left `FIt` or `FDescribe`.
const PROGRAMMATIC_FOCUS: i64 = 197;

/// The three outcomes a status can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Success,
    /// Tests failed.
    Failure,
    /// Anything else that is not a success: infrastructure, cancelled, nothing ran, reports that cannot be believed.
    Error,
}

/// Everything an attempt showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    pub exit: Exit,
    pub digest: Digest,
    /// How many specs the suite said it would run, where it said so.
    pub announced: Option<u64>,
    /// Wall time of the suite's container in milliseconds.
    pub took_ms: Option<u64>,
}

/// How the suite's process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Only the reports are known.
    #[default]
    Unknown,
    /// It ended by itself, or with 128 + the signal that killed it.
    Code(i64),
    OutOfMemory,
    /// We stopped it.
    Stopped(StopReason),
    /// Its container was taken away by somebody else.
    Lost,
    /// It never ran; the text says why.
    NotStarted(String),
}

/// What the gate asks of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Fewer specs that ran than this is an error.
    pub min_specs: u64,
    pub flaky: FlakyPolicy,
}

impl Default for Policy {
    fn default() -> Self {
        Self { min_specs: 1, flaky: FlakyPolicy::Pass }
    }
}

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    pub reason: Reason,
    /// At most 140 characters.
    pub description: String,
    /// Everything a reader should know beyond the description, most important first.
    pub problems: Vec<String>,
}

/// Why a verdict is what it is, by what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Passed,
    CasesFailed,
    FlakyForbidden,
    Cancelled,
    /// The cluster, the machine or the engine failed; a fresh cluster may help.
    Infrastructure,
    /// A suite-level node failed before or after the specs.
    SuiteNodeFailed,
    TimedOut,
    Stalled,
    OutOfMemory,
    DiskFull,
    /// The reports are missing, cut short, or contradict themselves.
    ReportsUnusable,
    NothingRan,
    TooFewRan,
    ProgrammaticFocus,
    /// It exited with an error although every case is green.
    ExitContradicts,
}

impl Reason {
    /// Whether the whole suite may be tried once more on a fresh cluster.
    pub fn is_infrastructure(self) -> bool {
        match self {
            Reason::Infrastructure | Reason::SuiteNodeFailed | Reason::Stalled | Reason::OutOfMemory => true,
            Reason::Passed
            | Reason::CasesFailed
            | Reason::FlakyForbidden
            | Reason::Cancelled
            | Reason::TimedOut
            | Reason::DiskFull
            | Reason::ReportsUnusable
            | Reason::NothingRan
            | Reason::TooFewRan
            | Reason::ProgrammaticFocus
            | Reason::ExitContradicts => false,
        }
    }
}

/// The verdict of one attempt.
pub fn judge(evidence: &Evidence, policy: &Policy) -> Judgement {
    let (verdict, reason, text) = decide(evidence, policy);
    let mut problems: Vec<String> = Vec::new();
    if verdict == Verdict::Error {
        problems.push(text.clone());
    }
    let events =
        evidence.digest.events.iter().map(|event| format!("{} failed: {}", event.node, headline(&event.message)));
    let doubts = evidence.digest.problems.iter().map(|problem| problem.text.clone());
    for problem in events.chain(doubts) {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    Judgement { verdict, reason, description: cut(&text, MAX_DESCRIPTION), problems }
}

type Decision = (Verdict, Reason, String);

/// First match decides. The order is the rule: who stopped it, what failed, what broke, whether anything ran, and
/// only then green.
fn decide(evidence: &Evidence, policy: &Policy) -> Decision {
    None.or_else(|| stopped_for_good(evidence))
        .or_else(|| cases_failed(evidence))
        .or_else(|| suite_broke(evidence))
        .or_else(|| ended_early(evidence))
        .or_else(|| not_believable(evidence))
        .or_else(|| nothing_ran(evidence))
        .or_else(|| exit_contradicts(evidence))
        .or_else(|| too_few_ran(evidence, policy))
        .or_else(|| flaky_forbidden(evidence, policy))
        .unwrap_or_else(|| (Verdict::Success, Reason::Passed, passed(evidence)))
}

/// Ends after which the cases decide nothing.
fn stopped_for_good(evidence: &Evidence) -> Option<Decision> {
    let (reason, text) = match &evidence.exit {
        Exit::Stopped(StopReason::Cancelled) => (Reason::Cancelled, "cancelled".to_owned()),
        Exit::Stopped(StopReason::ClusterLost) => (Reason::Infrastructure, "the cluster was lost".to_owned()),
        Exit::Stopped(StopReason::StartUp) => (Reason::Infrastructure, "the suite did not start in time".to_owned()),
        Exit::Lost => (Reason::Infrastructure, "the suite's container was taken away".to_owned()),
        Exit::NotStarted(why) => return Some((Verdict::Error, Reason::Infrastructure, why.clone())),
        Exit::Unknown
        | Exit::Code(_)
        | Exit::OutOfMemory
        | Exit::Stopped(StopReason::TimedOut | StopReason::Stalled | StopReason::DiskFull | StopReason::OutOfMemory) => {
            return None;
        }
    };
    Some((Verdict::Error, reason, format!("{text}{}", so_far(&evidence.digest))))
}

/// Cases that failed, on their own account or by a cause that took several along.
fn cases_failed(evidence: &Evidence) -> Option<Decision> {
    let digest = &evidence.digest;
    let genuine = digest.counts.bad().saturating_sub(digest.behind.suite_end);
    if genuine == 0 {
        return None;
    }
    if let Some(taken) = the_cluster_alone(digest, genuine) {
        let text = format!("{}, {} failed by it", taken.said, counted(genuine, "spec"));
        return Some((Verdict::Error, Reason::Infrastructure, text));
    }
    let then = end_in_words(evidence).map(|end| format!(", then {end}")).unwrap_or_default();
    let failed = format!("{} of {} failed{then}", digest.counts.bad(), digest.counts.ran());
    let first = digest.failures.iter().find(|failure| failure.cause.is_none());
    let text = match digest.behind.causes.first().filter(|taken| taken.specs > 1) {
        Some(taken) if taken.specs == genuine => format!("{failed} by one cause: {}", taken.said),
        Some(taken) => format!("{failed}, {} by one cause: {}{}", taken.specs, taken.said, named("; ", digest, first)),
        None => format!("{failed}{}", named(": ", digest, first.or(digest.failures.first()))),
    };
    Some((Verdict::Failure, Reason::CasesFailed, text))
}

/// The cause to name when the cluster is to blame for every failure.
fn the_cluster_alone(digest: &Digest, genuine: u64) -> Option<&Taken> {
    let causes = &digest.behind.causes;
    let first = causes.first()?;
    let all = digest.behind.explained() == genuine && causes.iter().all(|taken| taken.cause.is_infrastructure());
    let sure = genuine > 1 || first.cause.shows_in_one();
    (all && sure).then_some(first)
}

/// `: name: reason`, with what takes blame off the change before it, as in ` (2 known flake): name: reason`.
fn named(lead: &str, digest: &Digest, failure: Option<&NamedFailure>) -> String {
    let Some(failure) = failure else { return String::new() };
    let known = digest.failures.iter().filter_map(|failure| failure.known);
    let mut words: Vec<(&str, u64)> = Vec::new();
    for word in known.map(Known::short) {
        match words.iter_mut().find(|(said, _)| *said == word) {
            Some((_, count)) => *count += 1,
            None => words.push((word, 1)),
        }
    }
    let all = digest.counts.bad();
    let word = |(word, count): &(&str, u64)| if *count == all { (*word).to_owned() } else { format!("{count} {word}") };
    let words: Vec<String> = words.iter().map(word).collect();
    let known = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
    let why = if failure.headline.is_empty() { String::new() } else { format!(": {}", failure.headline) };
    format!("{known}{lead}{}{why}", failure.name)
}

/// A failed BeforeSuite and the like: no case of it can be believed or blamed.
fn suite_broke(evidence: &Evidence) -> Option<Decision> {
    let events = &evidence.digest.events;
    let event: &SuiteEvent = events.first()?;
    let mut blamed = events.iter().filter_map(|event| blame(&event.message));
    Some(match blamed.find(|blame| blame.cause.is_infrastructure()) {
        Some(blame) => (Verdict::Error, Reason::Infrastructure, blame.said),
        None => {
            let text = format!("{} failed: {}", event.node, headline(&event.message));
            (Verdict::Error, Reason::SuiteNodeFailed, text)
        }
    })
}

/// The suite did not come to its own end.
fn ended_early(evidence: &Evidence) -> Option<Decision> {
    let digest = &evidence.digest;
    let reason = match (&evidence.exit, digest.end) {
        (Exit::OutOfMemory | Exit::Stopped(StopReason::OutOfMemory), _) => Reason::OutOfMemory,
        (Exit::Stopped(StopReason::TimedOut), _) | (_, SuiteEnd::TimedOut) => Reason::TimedOut,
        (Exit::Stopped(StopReason::Stalled), _) => Reason::Stalled,
        (Exit::Stopped(StopReason::DiskFull), _) => Reason::DiskFull,
        (_, SuiteEnd::Interrupted) => Reason::Cancelled,
        (_, SuiteEnd::Complete) if digest.behind.suite_end > 0 => Reason::Cancelled,
        (_, SuiteEnd::Complete) => return None,
    };
    let end = end_in_words(evidence).unwrap_or("interrupted");
    let during = digest.failures.first().filter(|_| digest.behind.suite_end > 0);
    let during = during.map_or(String::new(), |f| format!(", during: {}", f.name));
    Some((Verdict::Error, reason, format!("{end}{}{during}", so_far(digest))))
}

/// How it ended, where that is worth a word.
fn end_in_words(evidence: &Evidence) -> Option<&'static str> {
    match (&evidence.exit, evidence.digest.end) {
        (Exit::OutOfMemory, _) => Some("out of memory"),
        (Exit::Stopped(StopReason::OutOfMemory), _) => Some("out of memory: a process was killed and the suite hung"),
        (Exit::Stopped(StopReason::TimedOut), _) | (_, SuiteEnd::TimedOut) => Some("timed out"),
        (Exit::Stopped(StopReason::Stalled), _) => Some("stalled without output"),
        (Exit::Stopped(StopReason::DiskFull), _) => Some("stopped for writing too much to its disk"),
        (Exit::Stopped(StopReason::Cancelled), _) => Some("cancelled"),
        (Exit::Stopped(StopReason::StartUp), _) => Some("not started in time"),
        (Exit::Stopped(StopReason::ClusterLost), _) => Some("the cluster was lost"),
        (_, SuiteEnd::Interrupted) => Some("interrupted"),
        (Exit::Unknown | Exit::Code(_) | Exit::Lost | Exit::NotStarted(_), SuiteEnd::Complete) => None,
    }
}

/// Reports that are missing, broken, or at odds with themselves.
fn not_believable(evidence: &Evidence) -> Option<Decision> {
    let digest = &evidence.digest;
    let fatal = digest.problems.iter().find(|problem| problem.weight == Weight::Fatal);
    if let Some(problem) = fatal {
        return Some((Verdict::Error, Reason::ReportsUnusable, problem.text.clone()));
    }
    if digest.files == 0 {
        let text = match &evidence.exit {
            Exit::Code(code) => format!("{} without a result file", exited(*code)),
            _ => "no result file found".to_owned(),
        };
        return Some((Verdict::Error, Reason::ReportsUnusable, text));
    }
    if digest.focused || evidence.exit == Exit::Code(PROGRAMMATIC_FOCUS) {
        let text = "programmatic focus (FIt, FDescribe, …) was left in the suite: only some specs ran";
        return Some((Verdict::Error, Reason::ProgrammaticFocus, text.to_owned()));
    }
    None
}

fn nothing_ran(evidence: &Evidence) -> Option<Decision> {
    let counts = evidence.digest.counts;
    let text = match (evidence.digest.dry_run, counts.ran(), counts.skipped) {
        (true, listed, _) => format!("no spec ran: a dry run that lists {}", counted(listed, "spec")),
        (false, 0, _) if evidence.digest.quarantined_count > 0 => return None,
        (false, 0, 0) => "no spec ran".to_owned(),
        (false, 0, skipped) => format!("no spec ran, {skipped} skipped"),
        (false, _, _) => return None,
    };
    let exit = match evidence.exit {
        Exit::Code(code) if code != 0 => format!(" ({})", exited(code)),
        _ => String::new(),
    };
    Some((Verdict::Error, Reason::NothingRan, format!("{text}{exit}")))
}

fn exit_contradicts(evidence: &Evidence) -> Option<Decision> {
    let counts = evidence.digest.counts;
    match evidence.exit {
        Exit::Code(0) => None,
        // What failed under quarantine is reason enough; a crash is not.
        Exit::Code(1..=125) if evidence.digest.quarantined_count > 0 => None,
        Exit::Code(code) => {
            let text = format!("{} although none of {} failed", exited(code), counted(counts.ran(), "spec"));
            Some((Verdict::Error, Reason::ExitContradicts, text))
        }
        _ => {
            let doubt = evidence.digest.problems.iter().find(|problem| problem.weight == Weight::Doubt)?;
            Some((Verdict::Error, Reason::ReportsUnusable, doubt.text.clone()))
        }
    }
}

fn too_few_ran(evidence: &Evidence, policy: &Policy) -> Option<Decision> {
    let ran = evidence.digest.counts.ran() + evidence.digest.quarantined_count;
    if let Some(announced) = evidence.announced {
        let started = ran + evidence.digest.skipped_running;
        if started < announced {
            let text = format!("only {started} of {announced} announced specs ran");
            return Some((Verdict::Error, Reason::TooFewRan, text));
        }
    }
    (ran < policy.min_specs).then(|| {
        let text = format!("only {} ran, at least {} are required", counted(ran, "spec"), policy.min_specs);
        (Verdict::Error, Reason::TooFewRan, text)
    })
}

fn flaky_forbidden(evidence: &Evidence, policy: &Policy) -> Option<Decision> {
    let counts = evidence.digest.counts;
    match policy.flaky {
        FlakyPolicy::Fail if counts.flaky > 0 => {
            let name = evidence.digest.flaky.first().map_or(String::new(), |name| format!(": {name}"));
            let text = format!("{} of {} flaky, which this gate does not allow{name}", counts.flaky, counts.ran());
            Some((Verdict::Failure, Reason::FlakyForbidden, text))
        }
        FlakyPolicy::Fail | FlakyPolicy::Pass => None,
    }
}

/// `311 passed, 1 flaky, 2 failed in quarantine · 1h24m`
fn passed(evidence: &Evidence) -> String {
    let counts = evidence.digest.counts;
    let flaky = if counts.flaky > 0 { format!(", {} flaky", counts.flaky) } else { String::new() };
    let took = Duration::from_millis(evidence.took_ms.unwrap_or(evidence.digest.took_ms));
    let took = if took >= Duration::from_secs(1) { format!(" · {}", human_duration(took)) } else { String::new() };
    let quarantined = match evidence.digest.quarantined_count {
        0 => String::new(),
        count => format!(", {count} failed in quarantine"),
    };
    format!("{} passed{flaky}{quarantined}{took}", counts.passed)
}

/// ` after 83 specs, 1 failed`, or nothing when nothing had run.
fn so_far(digest: &Digest) -> String {
    let finished = digest.counts.ran().saturating_sub(digest.behind.suite_end);
    let bad = digest.counts.bad().saturating_sub(digest.behind.suite_end);
    match (finished, bad) {
        (0, _) => String::new(),
        (_, 0) => format!(" after {}", counted(finished, "spec")),
        (_, bad) => format!(" after {}, {bad} failed", counted(finished, "spec")),
    }
}

/// An exit status in words.
fn exited(code: i64) -> String {
    match code {
        130 => "interrupted (exit status 130)".to_owned(),
        137 => "killed (exit status 137, out of memory or stopped)".to_owned(),
        139 => "crashed (exit status 139, segmentation fault)".to_owned(),
        143 => "terminated (exit status 143)".to_owned(),
        code => format!("exited with status {code}"),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
