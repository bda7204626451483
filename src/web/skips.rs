//! What a run's page says of the skip list: which entry hit which spec, what came of it, and which entries no longer do what they say.

use jiff::tz::TimeZone;

use crate::domain::lint::Finding;
use crate::domain::names::SuiteName;
use crate::domain::plan::RunView;
use crate::domain::skip::{Action, Circumstances, Hit, HitOutcome, SkipEntry};
use crate::domain::text::counted;

/// Specs named of one entry.
const NAMED: usize = 30;

/// An entry as one suite met it.
pub(super) struct Entry {
    pub(super) pattern: String,
    pub(super) word: &'static str,
    pub(super) reason: String,
    pub(super) owner: String,
    pub(super) issue: Option<String>,
    pub(super) expires: String,
    /// Names, with what came of each where it ran.
    pub(super) specs: Vec<(String, &'static str)>,
    pub(super) more: Option<String>,
}

/// The entries that hit specs of a suite, in the list's order.
pub(super) fn of_suite(view: &RunView, suite: &SuiteName, hits: &[(SuiteName, Hit)]) -> Vec<Entry> {
    let entry = |(place, entry): (u32, &SkipEntry)| {
        let mine: Vec<&Hit> =
            hits.iter().filter(|(of, hit)| of == suite && hit.entry == place).map(|(_, hit)| hit).collect();
        let more = mine.len().saturating_sub(NAMED);
        (!mine.is_empty()).then(|| Entry {
            pattern: entry.pattern.clone(),
            word: match entry.action {
                Action::Skip => "skipped",
                Action::Quarantine => "in quarantine",
            },
            reason: entry.reason.clone(),
            owner: entry.owner.clone(),
            // Only what leads somewhere is a link.
            issue: entry.issue.clone().filter(|issue| issue.starts_with("https://")),
            expires: entry.expires.to_string(),
            specs: mine.iter().take(NAMED).map(|hit| (hit.spec.clone(), outcome(hit.outcome))).collect(),
            more: (more > 0).then(|| format!("and {} more", counted(more as u64, "spec"))),
        })
    };
    (0..).zip(&view.run.gate.skips).filter_map(entry).collect()
}

fn outcome(outcome: HitOutcome) -> &'static str {
    match outcome {
        HitOutcome::NotRun => "",
        HitOutcome::Passed => "passed",
        HitOutcome::Failed => "failed, does not count",
    }
}

/// Entries that expired, match nothing or match too much, as of the run's own day.
pub(super) fn findings(view: &RunView) -> Vec<String> {
    let today = view.run.created_at.to_zoned(TimeZone::UTC).date();
    let here = Circumstances { today, kubernetes: None, provider: "" };
    let lint = view.lint.clone().unwrap_or_default();
    let skips = &view.run.gate.skips;
    let text = |finding: &Finding| Some(finding.text(skips.get(finding.entry() as usize)?));
    let unknown = lint.suites.iter().filter_map(|suite| {
        let why = suite.problem.as_ref()?;
        Some(format!("the skip list could not be compared with the specs of {}: {why}", suite.suite))
    });
    lint.findings(skips, &here).iter().filter_map(text).chain(unknown).collect()
}
