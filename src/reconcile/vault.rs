//! The secrets of suites at work: given to containers, and hidden from everything that is kept. Nothing of them is ever stored.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use crate::domain::attempt::Attempt;
use crate::domain::gate::Gate;
use crate::domain::ids::{AttemptId, RunId};
use crate::domain::mask::Masker;
use crate::domain::names::RepoName;
use crate::domain::plan::RunView;
use crate::domain::secret::Secrets;
use crate::domain::suite::Suite;
use crate::ports::{ExecutorError, SuiteExecutor};

/// Runs whose secrets are remembered; of those beyond, only what containers still hold is known.
const MOST: usize = 256;

/// The server's secrets, and what hides them.
pub struct Vault {
    secrets: Secrets,
    none: Arc<Masker>,
    /// By run, until its clusters are gone.
    runs: Mutex<BTreeMap<RunId, Known>>,
}

/// What hides a run's secrets.
#[derive(Clone)]
struct Known {
    mask: Arc<Masker>,
    /// What containers hold or held beside what is configured.
    held: Vec<SecretString>,
    /// Attempts whose containers were asked.
    asked: HashSet<AttemptId>,
}

impl Vault {
    /// Of what the operator configured.
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets, none: Arc::default(), runs: Mutex::default() }
    }

    /// Whether the gate may have what it asks for; else why not.
    pub(super) fn check(&self, repo: &RepoName, gate: &Gate) -> Result<(), String> {
        self.secrets.check(repo, gate)
    }

    /// The variables of a suite that hold secrets; else why it may not have them (any more).
    pub(super) fn of_suite(&self, repo: &RepoName, suite: &Suite) -> Result<Vec<(String, SecretString)>, String> {
        self.secrets.of_suite(repo, suite)
    }

    /// What hides the secrets of a run's suites from what its clusters leave.
    pub(super) async fn of_run(
        &self,
        executor: &dyn SuiteExecutor,
        view: &RunView,
    ) -> Result<Arc<Masker>, ExecutorError> {
        self.asking(executor, view, &view.attempts).await
    }

    /// What hides them from what an attempt leaves.
    pub(super) async fn of_attempt(
        &self,
        executor: &dyn SuiteExecutor,
        view: &RunView,
        attempt: &Attempt,
    ) -> Result<Arc<Masker>, ExecutorError> {
        self.asking(executor, view, std::slice::from_ref(attempt)).await
    }

    /// The operator may have changed secrets since containers were started, so what those of these attempts hold counts as well. One
    /// that there is not yet will hold what is configured now.
    async fn asking(
        &self,
        executor: &dyn SuiteExecutor,
        view: &RunView,
        attempts: &[Attempt],
    ) -> Result<Arc<Masker>, ExecutorError> {
        let (run, gate) = (&view.run, &view.run.gate);
        if gate.suites.values().all(|suite| suite.secrets.is_empty()) {
            return Ok(Arc::clone(&self.none));
        }
        let known = self.runs().get(&run.id).cloned();
        let of_all = |held: &[SecretString]| {
            Arc::new(self.secrets.masker(&run.repo, gate, held.iter().map(ExposeSecret::expose_secret)))
        };
        let is_new = |attempt: &&Attempt| known.as_ref().is_none_or(|known| !known.asked.contains(&attempt.id));
        let (mut asked, mut held) = (Vec::new(), Vec::new());
        for attempt in attempts.iter().filter(is_new) {
            let variables = gate.suites.get(&attempt.suite).into_iter().flat_map(|suite| suite.secrets.keys());
            let variables: Vec<&str> = variables.map(String::as_str).collect();
            if !variables.is_empty() {
                held.extend(executor.held(attempt.id, &variables).await?);
            }
            asked.push(attempt.id);
        }
        let mut runs = self.runs();
        let known =
            runs.entry(run.id).or_insert_with(|| Known { mask: of_all(&[]), held: vec![], asked: HashSet::new() });
        known.asked.extend(asked);
        let before = known.held.len();
        let configured = |value: &SecretString| self.secrets.holds(&run.repo, gate, value.expose_secret());
        for value in held.into_iter().filter(|value| !configured(value)) {
            if known.held.iter().all(|other| other.expose_secret() != value.expose_secret()) {
                known.held.push(value);
            }
        }
        if known.held.len() > before {
            known.mask = of_all(&known.held);
        }
        let mask = Arc::clone(&known.mask);
        while runs.len() > MOST {
            runs.pop_first();
        }
        Ok(mask)
    }

    /// The run's clusters are gone.
    pub(super) fn forget(&self, run: RunId) {
        self.runs().remove(&run);
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, BTreeMap<RunId, Known>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
