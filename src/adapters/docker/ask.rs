//! Asking an image a question: a container without network or cluster that runs to its end and is taken away. A crash may leave one
//! behind; it carries when it expires.

use std::path::Path;
use std::sync::Arc;

use bollard::container::LogOutput;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt;
use jiff::Timestamp;

use super::engine::{Engine, bounded};
use super::error::EngineError;
use super::labels::{self, EXPIRES, ROLE, Role};
use super::{container, limits};
use crate::domain::ids::{AttemptId, ClusterId, RunId};
use crate::domain::suite::Suite;
use crate::ports::{ClusterAccess, Execution, Question};

impl Engine {
    /// Runs the question to its end; its answer is in `into`.
    pub(super) async fn ask(&self, question: &Question, into: &Path) -> Result<i64, EngineError> {
        let id = self.pose(question).await?;
        let answered = self.answer(&id, into).await;
        self.remove_container(&id).await?;
        answered
    }

    /// Removes the containers of questions that expired. One that stays keeps no other from going.
    pub(super) async fn forget_questions(&self, now: Timestamp) -> Result<(), EngineError> {
        let mut removed = Ok(());
        for found in self.containers(&[(ROLE, Role::Question.as_str())]).await? {
            let expires = found.label(EXPIRES).parse::<i64>().unwrap_or(0);
            if expires < now.as_second() {
                removed = self.remove_container(&found.id).await.and(removed);
            }
        }
        removed
    }

    async fn pose(&self, question: &Question) -> Result<String, EngineError> {
        let image = self.image("image", &question.image).await?;
        let now = question.asked_at;
        let execution = Execution {
            attempt: AttemptId::new(now),
            run: RunId::new(now),
            cluster: ClusterId::new(now),
            name: "question".parse().expect("a suite name as any"),
            image: question.image.clone(),
            invocation: question.invocation.clone(),
            secrets: vec![],
            limits: Suite::plain("").limits,
            access: ClusterAccess { kubeconfig: String::new(), network: Some("none".to_owned()) },
            workspace: None,
        };
        let mut body = container::body(&execution, &image, self.cpus().await?, &self.settings)?;
        body.labels = Some(labels::of_question(&self.settings, now.saturating_add(Question::LIFE).unwrap_or(now)));
        let name = container::name(&execution);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let call = self.api().await?.create_container(Some(options), body);
        let id = bounded(format!("creating container {name}"), limits::START, call).await?.id;
        self.upload_contract(&id, "").await?;
        Ok(id)
    }

    async fn answer(&self, id: &str, into: &Path) -> Result<i64, EngineError> {
        self.start(id).await?;
        let api = self.api().await?;
        let mut ended = api.wait_container(id, None::<WaitContainerOptions>);
        let wait = async {
            // An exit status other than 0 comes as an error, and is looked up below.
            drop(ended.next().await);
            Ok(())
        };
        bounded("waiting for an answer", limits::ANSWER, wait).await?;
        let inspected = api.inspect_container(id, None::<InspectContainerOptions>);
        let state = bounded("looking at a container", limits::CALL, inspected).await?.state.unwrap_or_default();
        self.printed(id, &into.join("stdout.txt")).await?;
        self.copy_results(id, &into.join("results"), limits::ANSWER_BYTES, &Arc::default()).await?;
        Ok(state.exit_code.unwrap_or(-1))
    }

    async fn printed(&self, id: &str, file: &Path) -> Result<(), EngineError> {
        let options = LogsOptionsBuilder::new().stdout(true).build();
        let mut stream = self.api().await?.logs(id, Some(options));
        let mut text = Vec::new();
        let read = async {
            while let Some(piece) = stream.next().await {
                if let LogOutput::StdOut { message } = piece?
                    && (text.len() + message.len()) as u64 <= limits::ANSWER_BYTES
                {
                    text.extend_from_slice(&message);
                }
            }
            Ok(())
        };
        bounded("reading an answer", limits::CALL, read).await?;
        let failed =
            |error: std::io::Error| EngineError::Failed { what: "keeping an answer".into(), source: error.into() };
        tokio::fs::write(file, text).await.map_err(failed)
    }
}
