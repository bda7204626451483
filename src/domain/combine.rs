//! A suite's result from its attempts: phases side by side, specs that were run again after them. Only digests are needed.
//! What an attempt alone came to is `verdict`'s.

use super::attempt::Part;
use super::report::{Digest, SuiteEnd, Weight};
use super::suite::Suite;
use super::verdict::{Evidence, Exit, Judgement, Reason, judge};

/// Names a digest holds of each kind.
const NAMED: usize = 20;

/// An attempt's part in its suite's result.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    pub part: &'a Part,
    pub evidence: &'a Evidence,
}

impl Piece<'_> {
    /// What this attempt alone came to.
    pub fn judge(&self, suite: &Suite) -> Judgement {
        let policy = match self.part {
            Part::Phase(number) => suite.policy_of(*number),
            // However many the suite must have: these are a few of them.
            Part::Specs(_) => super::verdict::Policy { min_specs: 1, ..suite.policy() },
        };
        judge(self.evidence, &policy)
    }

    /// A phase in which nothing was to run, and where that is allowed.
    pub fn is_empty_phase(&self, suite: &Suite) -> bool {
        let Part::Phase(number) = self.part else { return false };
        let may_be = suite.phase(*number).is_some_and(|phase| phase.min_specs == 0);
        may_be && self.evidence.exit == Exit::Code(0) && self.judge(suite).reason == Reason::NothingRan
    }
}

/// Whether an attempt says of each of its specs how it came out, so that some of them may be run again.
pub fn is_complete(evidence: &Evidence) -> bool {
    let Evidence { exit, digest, .. } = evidence;
    // Killed by a signal, it may not have come to the specs that its report does not name.
    matches!(exit, Exit::Code(0..=125))
        && digest.end == SuiteEnd::Complete
        && digest.events.is_empty()
        && !digest.dry_run
}

/// Whether what was run again says of every one of its specs how it came out.
pub fn is_believed(piece: &Piece<'_>, suite: &Suite) -> bool {
    is_complete(piece.evidence)
        && !piece.evidence.digest.problems.iter().any(|problem| problem.weight == Weight::Fatal)
        && matches!(piece.judge(suite).reason, Reason::Passed | Reason::CasesFailed | Reason::FlakyForbidden)
}

/// The pieces as one: each phase by the attempt that counts for it, then what was run again, oldest first. `None` without any.
pub fn combine(phases: &[Piece<'_>], reruns: &[Piece<'_>], suite: &Suite) -> Option<Evidence> {
    let mut ran = phases.iter().filter(|piece| !piece.is_empty_phase(suite));
    let first = ran.next().or_else(|| phases.first())?.evidence.clone();
    let mut all = ran.fold(first, |all, piece| beside(all, piece.evidence));
    for piece in reruns {
        let Part::Specs(specs) = piece.part else { continue };
        // Where it cannot be believed, what failed before stands.
        if is_believed(piece, suite) {
            let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
            all = followed_by(all, piece.evidence, &names);
        }
    }
    Some(all)
}

/// Another phase of the same suite. Both list what the other ran as filtered out.
fn beside(mut one: Evidence, other: &Evidence) -> Evidence {
    one.exit = match (one.exit, &other.exit) {
        (Exit::Code(0), exit) => exit.clone(),
        (exit, _) => exit,
    };
    one.announced = one.announced.zip(other.announced).map(|(a, b)| a + b);
    one.took_ms = one.took_ms.zip(other.took_ms).map(|(a, b)| a + b);
    let (mine, theirs) = (&mut one.digest, &other.digest);
    let total = mine.counts.total.max(theirs.counts.total);
    mine.counts.passed += theirs.counts.passed;
    mine.counts.failed += theirs.counts.failed;
    mine.counts.errored += theirs.counts.errored;
    mine.counts.flaky += theirs.counts.flaky;
    let ran = mine.counts.passed + mine.counts.failed + mine.counts.errored + mine.counts.flaky;
    mine.counts.total = total.max(ran);
    mine.counts.skipped = mine.counts.total - ran;
    mine.skipped_running += theirs.skipped_running;
    mine.behind.suite_end += theirs.behind.suite_end;
    mine.behind.causes.extend(theirs.behind.causes.iter().cloned());
    mine.behind.causes.sort_by_key(|taken| std::cmp::Reverse(taken.specs));
    append(mine, theirs);
    mine.files += theirs.files;
    mine.took_ms += theirs.took_ms;
    mine.dry_run |= theirs.dry_run;
    mine.focused |= theirs.focused;
    if mine.end == SuiteEnd::Complete {
        mine.end = theirs.end;
    }
    one
}

fn append(mine: &mut Digest, theirs: &Digest) {
    mine.failures.extend(theirs.failures.iter().cloned());
    mine.failures.truncate(NAMED);
    mine.flaky.extend(theirs.flaky.iter().cloned());
    mine.flaky.truncate(NAMED);
    mine.quarantined.extend(theirs.quarantined.iter().cloned());
    mine.quarantined.truncate(NAMED);
    mine.quarantined_count += theirs.quarantined_count;
    mine.events.extend(theirs.events.iter().cloned());
    mine.problems.extend(theirs.problems.iter().cloned());
}

/// These specs were run again: which of them passed is flaky, which failed again failed. The whole suite may have been run for it.
fn followed_by(mut before: Evidence, again: &Evidence, asked: &[&str]) -> Evidence {
    let (old, new) = (&mut before.digest, &again.digest);
    let still_bad = |name: &str| new.failures.iter().any(|failure| failure.name == name);
    let recovered: Vec<&str> = asked.iter().copied().filter(|name| !still_bad(name)).collect();
    let (ran, bad) = (old.counts.ran().max(new.counts.ran()), new.counts.bad());
    old.flaky.retain(|name| !still_bad(name) && !recovered.contains(&name.as_str()));
    if bad > new.failures.len() as u64 {
        // More failed again than are named: how many recovered is known, which is not.
        old.counts.flaky += (asked.len() as u64).saturating_sub(bad);
    } else {
        old.counts.flaky += recovered.len() as u64;
        old.flaky.extend(recovered.into_iter().map(str::to_owned));
        old.flaky.truncate(NAMED);
    }
    (old.counts.failed, old.counts.errored) = (new.counts.failed, new.counts.errored);
    old.counts.passed = ran.saturating_sub(bad + old.counts.flaky);
    old.counts.total = old.counts.total.max(ran);
    old.counts.skipped = old.counts.total.saturating_sub(ran);
    old.failures.clone_from(&new.failures);
    old.behind.clone_from(&new.behind);
    old.problems.extend(new.problems.iter().cloned());
    old.took_ms += new.took_ms;
    before.exit = again.exit.clone();
    before.announced = None;
    before.took_ms = before.took_ms.zip(again.took_ms).map(|(a, b)| a + b);
    before
}

#[cfg(test)]
#[path = "combine_tests.rs"]
mod tests;
