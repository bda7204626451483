//! An attempt in numbers and names, as a file beside its report: for scripts that want neither XML nor a second request.
//! The struct here is the promise; domain types may change behind it.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::attempt::Attempt;
use crate::domain::plan::RunView;
use crate::domain::report::{Counts, NamedFailure, Taken};
use crate::domain::verdict::{Evidence, Judgement, Reason, Verdict};

/// The file's content.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    run: String,
    /// `owner/name`, in lower case.
    repo: &'a str,
    /// The pull request; `null` for runs on a branch.
    pr: Option<u64>,
    head: &'a str,
    base: &'a str,
    tested: &'a str,
    suite: &'a str,
    attempt: u32,
    started_at: Option<Timestamp>,
    took_ms: Option<u64>,
    /// `success`, `failure` or `error`: what this attempt alone comes to.
    verdict: Verdict,
    /// Why, in one word.
    reason: Reason,
    description: &'a str,
    cases: Counts,
    /// The first failed specs, with what was known of each before.
    failures: Vec<Failure<'a>>,
    /// The first flaky specs.
    flaky: &'a [String],
    /// Causes that took several specs along.
    causes: &'a [Taken],
    problems: &'a [String],
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    class: &'a str,
    name: &'a str,
    message: &'a str,
    known: Option<String>,
}

impl<'a> Summary<'a> {
    pub(super) fn new(
        view: &'a RunView,
        attempt: &'a Attempt,
        evidence: &'a Evidence,
        judgement: &'a Judgement,
    ) -> Self {
        let (run, digest) = (&view.run, &evidence.digest);
        let failure = |failed: &'a NamedFailure| Failure {
            class: &failed.class,
            name: &failed.name,
            message: &failed.headline,
            known: failed.known.map(|known| known.text()),
        };
        Self {
            run: run.id.to_string(),
            repo: run.repo.as_str(),
            pr: run.pr,
            head: run.head.as_str(),
            base: run.base.as_str(),
            tested: run.tested.as_str(),
            suite: attempt.suite.as_str(),
            attempt: attempt.number,
            started_at: attempt.started_at,
            took_ms: evidence.took_ms,
            verdict: judgement.verdict,
            reason: judgement.reason,
            description: &judgement.description,
            cases: digest.counts,
            failures: digest.failures.iter().map(failure).collect(),
            flaky: &digest.flaky,
            causes: &digest.behind.causes,
            problems: &judgement.problems,
        }
    }
}
