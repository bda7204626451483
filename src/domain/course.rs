//! Where a suite stands after its attempts, and what it needs next: another phase, its failed specs again, a fresh cluster, or nothing
//! because its verdict is known. Pure; `plan` sees to clusters and to the order of suites.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::attempt::{Attempt, Part, Spec};
use super::combine::{self, Piece, combine, is_complete};
use super::ids::ClusterId;
use super::names::SuiteName;
use super::plan::{RunView, Wanted};
use super::run::Conclusion;
use super::skip;
use super::status::MAX_DESCRIPTION;
use super::suite::Suite;
use super::text::{counted, cut};
use super::verdict::{Evidence, Judgement, Reason, Verdict, judge};

/// What a suite needs next.
#[derive(Debug)]
pub(super) enum Next {
    /// Its verdict.
    Known(Conclusion),
    /// An attempt.
    Attempt(Wanted),
    /// The infrastructure failed on this cluster: the same again on a fresh one, or this conclusion where none may be had.
    Again { last: ClusterId, conclusion: Conclusion, what: Wanted },
}

/// What an attempt and those before it say, put together.
pub struct Standing {
    /// Every phase, what was run again taken into account.
    pub evidence: Evidence,
    pub judgement: Judgement,
}

/// Whether an attempt met trouble of the infrastructure.
pub fn broke(attempt: &Attempt, suite: &Suite) -> bool {
    piece(attempt).is_some_and(|piece| piece.judge(suite).reason.is_infrastructure())
}

/// What an attempt alone came to, once it has.
pub fn judged(attempt: &Attempt, suite: &Suite) -> Option<Judgement> {
    Some(piece(attempt)?.judge(suite))
}

/// A suite's result so far. `None` while a phase is missing.
pub fn standing(view: &RunView, name: &SuiteName, suite: &Suite) -> Option<Standing> {
    let attempts = counting(view, name, suite);
    let phases: Option<Vec<Piece<'_>>> =
        (0..suite.parts()).map(|number| last_of_phase(&attempts, number).and_then(piece)).collect();
    let evidence = combine(&phases?, &reruns(&attempts), suite)?;
    Some(Standing { judgement: judge(&evidence, &suite.policy()), evidence })
}

/// What of its suite an attempt runs, where that is not all of it: a phase's name, or how many specs again.
pub fn part(view: &RunView, attempt: &Attempt) -> String {
    match &attempt.part {
        Part::Specs(specs) => format!("{} again", counted(specs.len() as u64, "spec")),
        Part::Phase(number) => {
            let suite = view.run.gate.suites.get(&attempt.suite);
            suite.and_then(|suite| suite.phase(*number)).map(|phase| phase.name.clone()).unwrap_or_default()
        }
    }
}

/// What tells an attempt from its suite's others, for people: the part that it runs, or its number.
pub fn label(view: &RunView, attempt: &Attempt) -> Option<String> {
    let part = part(view, attempt);
    match attempt.number {
        _ if !part.is_empty() => Some(part),
        1 => None,
        number => Some(format!("attempt {number}")),
    }
}

pub(super) fn next(view: &RunView, name: &SuiteName, suite: &Suite, now: Timestamp) -> Next {
    let attempts = counting(view, name, suite);
    for number in 0..suite.parts() {
        let wanted = Wanted::Phase(number);
        let Some((last, piece)) = last_of_phase(&attempts, number).and_then(|last| Some((last, piece(last)?))) else {
            return Next::Attempt(wanted);
        };
        let judgement = piece.judge(suite);
        if judgement.verdict != Verdict::Error || piece.is_empty_phase(suite) {
            continue;
        }
        let conclusion = conclude(view, name, suite, number, &judgement, attempts.len());
        return match judgement.reason.is_infrastructure() {
            true => Next::Again { last: last.cluster, conclusion, what: wanted },
            false => Next::Known(conclusion),
        };
    }
    let Some(standing) = standing(view, name, suite) else { return Next::Attempt(Wanted::Phase(0)) };
    let own: Vec<&Attempt> = view.attempts_of(name).filter(|attempt| is_rerun(attempt)).collect();
    let mut conclusion = conclusion(view, name, suite, &standing.judgement);
    let failed: Vec<&str> = standing.evidence.digest.failures.iter().map(|failed| failed.name.as_str()).collect();
    let today = now.to_zoned(TimeZone::UTC).date();
    if let Some(end) = skip::missed(&view.run.gate.skips, name, suite, &failed, today) {
        lead(&mut conclusion.description, &format!("skip expired {end} · "));
    }
    if let Some(last) = own.last().filter(|last| broke(last, suite)) {
        return Next::Again { last: last.cluster, conclusion, what: Wanted::FailedSpecs };
    }
    // A run that is there to run failed specs again does so at least once, however many they are.
    let asked_for = view.run.retry_of.is_some() && view.attempts_of(name).next().is_none();
    match asked_for || may_rerun(&standing, suite, own.len()) {
        true => Next::Attempt(Wanted::FailedSpecs),
        false => Next::Known(conclusion),
    }
}

/// A few failed specs of a suite that came to its end may be flakes. Of more it is known already what they are.
fn may_rerun(standing: &Standing, suite: &Suite, rounds: usize) -> bool {
    let counts = standing.evidence.digest.counts;
    standing.judgement.reason == Reason::CasesFailed
        && is_complete(&standing.evidence)
        && rounds < suite.rerun.rounds as usize
        && suite.rerun.allows(counts.bad(), counts.ran())
}

/// The attempts that count: those of the run itself, after those of the run whose failed specs it runs again. Where that one left
/// nothing to run again, it counts for nothing.
pub fn counting<'a>(view: &'a RunView, name: &'a SuiteName, suite: &Suite) -> Vec<&'a Attempt> {
    let earlier: Vec<&Attempt> = view.earlier.iter().filter(|attempt| attempt.suite == *name).collect();
    let phases: Option<Vec<Piece<'_>>> =
        (0..suite.parts()).map(|number| last_of_phase(&earlier, number).and_then(piece)).collect();
    let usable = phases.and_then(|phases| combine(&phases, &reruns(&earlier), suite)).is_some_and(|evidence| {
        judge(&evidence, &suite.policy()).reason == Reason::CasesFailed && is_complete(&evidence)
    });
    let own = view.attempts_of(name);
    if usable { earlier.into_iter().chain(own).collect() } else { own.collect() }
}

/// The specs that failed and did not pass since, in their order. `failed` gives an attempt's own.
pub fn failed_specs<T: AsRef<Spec>>(
    attempts: &[&Attempt],
    suite: &Suite,
    failed: impl Fn(&Attempt) -> Vec<T>,
) -> Vec<T> {
    let phases = (0..suite.parts()).filter_map(|number| last_of_phase(attempts, number));
    let mut open: Vec<T> = phases.flat_map(&failed).collect();
    for attempt in attempts {
        let Part::Specs(asked) = &attempt.part else { continue };
        let believed = piece(attempt).is_some_and(|piece| combine::is_believed(&piece, suite));
        if believed {
            open.retain(|one| !asked.contains(one.as_ref()));
            open.extend(failed(attempt));
        }
    }
    open
}

fn piece(attempt: &Attempt) -> Option<Piece<'_>> {
    Some(Piece { part: &attempt.part, evidence: attempt.evidence.as_ref()? })
}

fn last_of_phase<'a>(attempts: &[&'a Attempt], number: u32) -> Option<&'a Attempt> {
    attempts.iter().rev().find(|attempt| attempt.part == Part::Phase(number)).copied()
}

fn is_rerun(attempt: &Attempt) -> bool {
    matches!(attempt.part, Part::Specs(_))
}

fn reruns<'a>(attempts: &[&'a Attempt]) -> Vec<Piece<'a>> {
    attempts.iter().filter(|attempt| is_rerun(attempt)).filter_map(|attempt| piece(attempt)).collect()
}

/// A phase that came to nothing speaks for the suite, and says which it is.
fn conclude(
    view: &RunView,
    name: &SuiteName,
    suite: &Suite,
    phase: u32,
    judged: &Judgement,
    count: usize,
) -> Conclusion {
    let mut judged = judged.clone();
    if let Some(phase) = suite.phase(phase) {
        judged.description = cut(&format!("{}: {}", phase.name, judged.description), MAX_DESCRIPTION);
    } else if count > 1 {
        append(&mut judged.description, &format!(" · attempt {count}"));
    }
    conclusion(view, name, suite, &judged)
}

fn conclusion(view: &RunView, name: &SuiteName, suite: &Suite, judged: &Judgement) -> Conclusion {
    let mut description = judged.description.clone();
    let wholes = view.attempts_of(name).filter(|attempt| attempt.part == Part::Phase(0)).count();
    if wholes > 1 && suite.phases.is_empty() && judged.verdict != Verdict::Error {
        append(&mut description, &format!(" · attempt {wholes}"));
    }
    Conclusion { verdict: judged.verdict, description }
}

/// Put before what may be cut: it explains the rest.
fn lead(description: &mut String, words: &str) {
    *description = cut(&format!("{words}{description}"), MAX_DESCRIPTION);
}

fn append(description: &mut String, more: &str) {
    if description.chars().count() + more.chars().count() <= MAX_DESCRIPTION {
        description.push_str(more);
    }
}
