//! What of a suite failed in the end, found out in one place for everybody: for what is run again, and for the check runs and the
//! comment that name it. Which attempts count is `course`'s to say, as it is for the verdict.

use std::collections::{BTreeSet, HashMap};

use crate::domain::attempt::Spec;
use crate::domain::case::CaseOutcome;
use crate::domain::course;
use crate::domain::ids::AttemptId;
use crate::domain::names::SuiteName;
use crate::domain::notice::Failing;
use crate::domain::plan::RunView;
use crate::domain::skip::{self, Action, Matcher};
use crate::store::{Store, StoreError};

/// Cases of one attempt that are read for their messages.
const MOST_MESSAGES: u32 = 500;

/// A spec, and the attempt in which it failed last.
pub(super) struct Failed {
    pub(super) spec: Spec,
    attempt: AttemptId,
}

impl AsRef<Spec> for Failed {
    fn as_ref(&self) -> &Spec {
        &self.spec
    }
}

/// The specs that failed and did not pass since, without those whose failure does not count.
pub(super) async fn specs(store: &Store, view: &RunView, name: &SuiteName) -> Result<Vec<Failed>, StoreError> {
    let Some(suite) = view.run.gate.suites.get(name) else { return Ok(vec![]) };
    let attempts = course::counting(view, name, suite);
    let mut of_attempt: HashMap<AttemptId, Vec<Spec>> = HashMap::new();
    for attempt in &attempts {
        of_attempt.insert(attempt.id, store.failed_specs(attempt.id).await?);
    }
    let quarantines: Vec<Matcher> = attempts
        .iter()
        .flat_map(|attempt| skip::at(&view.run.gate.skips, &attempt.skips))
        .filter(|(_, entry)| entry.action == Action::Quarantine)
        .filter_map(|(_, entry)| entry.matcher(suite))
        .collect();
    let mut failed = course::failed_specs(&attempts, suite, |attempt| {
        let specs = of_attempt.get(&attempt.id).into_iter().flatten();
        specs.map(|spec| Failed { spec: spec.clone(), attempt: attempt.id }).collect()
    });
    failed.retain(|failed| !quarantines.iter().any(|matcher| matcher.matches(&failed.spec.name)));
    Ok(failed)
}

/// The same with what each of them said.
pub(super) async fn with_messages(store: &Store, view: &RunView, name: &SuiteName) -> Result<Vec<Failing>, StoreError> {
    let failed = specs(store, view, name).await?;
    let attempts: BTreeSet<AttemptId> = failed.iter().map(|failed| failed.attempt).collect();
    let mut messages: HashMap<(AttemptId, Spec), String> = HashMap::new();
    for attempt in attempts {
        let cases = store.notable_cases(attempt, MOST_MESSAGES).await?;
        for case in cases.into_iter().filter(|case| case.outcome != CaseOutcome::Flaky) {
            let spec = Spec { class: case.class, name: case.name };
            messages.insert((attempt, spec), case.message.unwrap_or_default());
        }
    }
    let told = |Failed { spec, attempt }: Failed| {
        let message = messages.get(&(attempt, spec.clone())).cloned().unwrap_or_default();
        Failing { class: spec.class, name: spec.name, message }
    };
    Ok(failed.into_iter().map(told).collect())
}
