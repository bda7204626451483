//! The secrets of suites at work: given to containers, and hidden from everything that is kept. Nothing of them is ever stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use crate::domain::attempt::Attempt;
use crate::domain::gate::Gate;
use crate::domain::ids::AttemptId;
use crate::domain::mask::Masker;
use crate::domain::names::RepoName;
use crate::domain::plan::RunView;
use crate::domain::secret::Secrets;
use crate::domain::suite::Suite;
use crate::ports::{ExecutorError, SuiteExecutor};

/// The server's secrets, and what hides them.
pub struct Vault {
    secrets: Secrets,
    none: Arc<Masker>,
    /// By attempt, for as long as its container is there.
    maskers: Mutex<HashMap<AttemptId, Arc<Masker>>>,
}

impl Vault {
    /// Of what the operator configured.
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets, none: Arc::default(), maskers: Mutex::default() }
    }

    /// Whether the gate may have what it asks for; else why not.
    pub(super) fn check(&self, repo: &RepoName, gate: &Gate) -> Result<(), String> {
        self.secrets.check(repo, gate)
    }

    /// The variables of a suite that hold secrets; else why it may not have them (any more).
    pub(super) fn of_suite(&self, repo: &RepoName, suite: &Suite) -> Result<Vec<(String, SecretString)>, String> {
        self.secrets.of_suite(repo, suite)
    }

    /// What hides the secrets of a run's suites.
    pub(super) fn of_run(&self, view: &RunView) -> Masker {
        self.secrets.masker(&view.run.repo, &view.run.gate, [])
    }

    /// What hides them from what an attempt leaves. The operator may have changed them since its container was started, so what that
    /// holds counts as well.
    pub(super) async fn of_attempt(
        &self,
        executor: &dyn SuiteExecutor,
        view: &RunView,
        attempt: &Attempt,
    ) -> Result<Arc<Masker>, ExecutorError> {
        let gate = &view.run.gate;
        if gate.suites.values().all(|suite| suite.secrets.is_empty()) {
            return Ok(Arc::clone(&self.none));
        }
        if let Some(known) = self.maskers().get(&attempt.id) {
            return Ok(Arc::clone(known));
        }
        let variables = gate.suites.get(&attempt.suite).into_iter().flat_map(|suite| suite.secrets.keys());
        let variables: Vec<&str> = variables.map(String::as_str).collect();
        let held = executor.held(attempt.id, &variables).await?;
        let held = held.iter().map(ExposeSecret::expose_secret);
        let masker = Arc::new(self.secrets.masker(&view.run.repo, gate, held));
        self.maskers().insert(attempt.id, Arc::clone(&masker));
        Ok(masker)
    }

    /// The attempt's container is gone.
    pub(super) fn forget(&self, attempt: AttemptId) {
        self.maskers().remove(&attempt);
    }

    fn maskers(&self) -> std::sync::MutexGuard<'_, HashMap<AttemptId, Arc<Masker>>> {
        self.maskers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
