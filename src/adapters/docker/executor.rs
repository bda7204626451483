//! Suites on Docker: one container per attempt, found by its label and never by memory, so that nothing is started twice.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder};

use jiff::Timestamp;
use secrecy::SecretString;

use super::engine::bounded;
use super::error::EngineError;
use super::labels::{ATTEMPT, ROLE, Role};
use super::objects::{Found, Phase, Vitals, gone};
use super::{Docker, container, limits};
use crate::domain::ids::AttemptId;
use crate::domain::mask::Masker;
use crate::domain::progress::Progress;
use crate::ports::{ContainerState, Execution, ExecutorError, Observation, Question, Stop, SuiteExecutor};

#[async_trait]
impl SuiteExecutor for Docker {
    async fn ensure_started(&self, execution: &Execution) -> Result<(), ExecutorError> {
        let id = match self.engine.attempt(execution.attempt).await? {
            Some(Found { phase: Phase::Running | Phase::Ended | Phase::Removing, .. }) => return Ok(()),
            // We stopped before it was started; its files may be there in part and are put in again.
            Some(Found { phase: Phase::Created, id, .. }) => id,
            None => self.create(execution).await?,
        };
        self.engine.upload_contract(&id, &execution.access.kubeconfig).await?;
        if let Some(workspace) = &execution.workspace {
            self.engine.upload_workspace(&id, workspace.clone()).await?;
        }
        Ok(self.engine.start(&id).await?)
    }

    async fn held(&self, attempt: AttemptId, variables: &[&str]) -> Result<Vec<SecretString>, ExecutorError> {
        let Some(found) = self.engine.attempt(attempt).await? else { return Ok(vec![]) };
        let call = self.engine.api().await?.inspect_container(&found.id, None::<InspectContainerOptions>);
        let config = match bounded("looking at a container", limits::CALL, call).await {
            Err(error) if error.is_missing() => None,
            other => other?.config,
        };
        let env = config.and_then(|config| config.env).unwrap_or_default();
        let named = env.iter().filter_map(|one| one.split_once('=')).filter(|(name, _)| variables.contains(name));
        Ok(named.map(|(_, value)| value.into()).collect())
    }

    fn follow(&self, attempt: AttemptId, log: &Path, max_bytes: u64, mask: &Arc<Masker>) {
        self.followers.start(attempt, &self.engine, log, max_bytes, mask);
    }

    async fn observe(&self, attempt: AttemptId) -> Result<Observation, ExecutorError> {
        let watched = self.followers.get(attempt);
        let (progress, silent_for) = match &watched {
            Some(watched) => watched.progress().await,
            None => (Progress::default(), Duration::ZERO),
        };
        let Vitals { disk_bytes, oom_killed } = watched.map(|watched| watched.vitals()).unwrap_or_default();
        Ok(Observation { state: self.state(attempt).await?, progress, silent_for, disk_bytes, oom_killed })
    }

    async fn collect(
        &self,
        attempt: AttemptId,
        into: &Path,
        max_bytes: u64,
        mask: &Arc<Masker>,
    ) -> Result<Vec<String>, ExecutorError> {
        let mut problems = Vec::new();
        if let Some(watched) = self.followers.get(attempt)
            && !watched.wait(limits::LOG_END).await
        {
            problems.push("the log could not be read to its end".to_owned());
        }
        match self.engine.attempt(attempt).await? {
            Some(found) => problems.extend(self.engine.copy_results(&found.id, into, max_bytes, mask).await?),
            None => problems.push("the container is gone, and its results with it".to_owned()),
        }
        Ok(problems)
    }

    async fn stop(&self, attempt: AttemptId, how: Stop) -> Result<(), ExecutorError> {
        let Some(found) = self.engine.attempt(attempt).await? else { return Ok(()) };
        let signal = match how {
            Stop::Interrupt => "SIGINT",
            Stop::Dump => "SIGQUIT",
            Stop::Kill => "SIGKILL",
        };
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        let call = self.engine.api().await?.kill_container(&found.id, Some(options));
        Ok(gone(bounded(format!("sending {signal} to {}", found.name), limits::CALL, call).await)?)
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        for found in self.engine.containers(&[(ATTEMPT, &attempt.to_string())]).await? {
            self.engine.remove_container(&found.id).await?;
        }
        self.followers.forget(attempt);
        match self.engine.attempt(attempt).await? {
            None => Ok(()),
            Some(found) => {
                let source = anyhow::anyhow!("container {} is still there", found.name);
                Err(ExecutorError::Failed { what: format!("removing the container of attempt {attempt}"), source })
            }
        }
    }

    async fn ask(&self, question: &Question, into: &Path) -> Result<i64, ExecutorError> {
        Ok(self.engine.ask(question, into).await?)
    }

    async fn forget_questions(&self, now: Timestamp) -> Result<(), ExecutorError> {
        Ok(self.engine.forget_questions(now).await?)
    }

    async fn image_id(&self, image: &str) -> Result<String, ExecutorError> {
        Ok(self.engine.image("image", image).await?.id)
    }

    async fn list(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        let found = self.engine.containers(&[(ROLE, Role::Suite.as_str())]).await?;
        Ok(found.iter().filter_map(|found| found.label(ATTEMPT).parse().ok()).collect())
    }
}

impl Docker {
    async fn create(&self, execution: &Execution) -> Result<String, EngineError> {
        let image = self.engine.image("image", &execution.image).await?;
        let body = container::body(execution, &image, self.engine.cpus().await?, &self.engine.settings)?;
        let name = container::name(execution);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let call = self.engine.api().await?.create_container(Some(options), body);
        Ok(bounded(format!("creating container {name}"), limits::START, call).await?.id)
    }

    async fn state(&self, attempt: AttemptId) -> Result<ContainerState, EngineError> {
        let Some(found) = self.engine.attempt(attempt).await? else { return Ok(ContainerState::Lost) };
        match found.phase {
            Phase::Running => Ok(ContainerState::Running),
            // Never started, or half removed: there is no run of it to speak of.
            Phase::Created | Phase::Removing => Ok(ContainerState::Lost),
            Phase::Ended => {
                let call = self.engine.api().await?.inspect_container(&found.id, None::<InspectContainerOptions>);
                let end = match bounded("looking at a container", limits::CALL, call).await {
                    Err(error) if error.is_missing() => return Ok(ContainerState::Lost),
                    other => other?.state.unwrap_or_default(),
                };
                let (code, oom_killed) = (end.exit_code.unwrap_or(-1), end.oom_killed.unwrap_or(false));
                Ok(ContainerState::Exited { code, oom_killed })
            }
        }
    }
}
