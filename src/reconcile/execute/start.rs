//! Starting a suite's container: its workspace fetched, its files put in. Long, so it is a task of its own; cut off anywhere, it is
//! done again and finds by the label what there is.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::super::prepare::fetch;
use super::super::{Activity, Context};
use super::{finish, move_to, suite_of, without_report};
use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::ids::ClusterId;
use crate::domain::plan::RunView;
use crate::domain::skip;
use crate::domain::verdict::Exit;
use crate::ports::{Audience, Execution, ExecutorError};

/// If we stop between the container's start and the row's, the next process finds the container by its label.
pub(super) async fn start(context: &Context, view: &RunView, attempt: &Attempt) -> anyhow::Result<Activity> {
    let version = version(context, attempt.cluster).await?;
    let execution = execution(context, view, attempt, &version).await?;
    match context.ports.executor.ensure_started(&execution).await {
        Ok(()) => move_to(context, attempt, AttemptState::Running).await,
        Err(ExecutorError::Refused(why)) => finish(context, attempt, without_report(Exit::NotStarted(why))).await,
        Err(error @ (ExecutorError::Unreachable { .. } | ExecutorError::Failed { .. })) => Err(error.into()),
    }
}

async fn execution(context: &Context, view: &RunView, attempt: &Attempt, version: &str) -> anyhow::Result<Execution> {
    let suite = suite_of(view, attempt)?;
    let access = context.ports.provider.access(attempt.cluster, Audience::Suite).await?;
    let today = context.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    Ok(Execution {
        attempt: attempt.id,
        run: attempt.run,
        cluster: attempt.cluster,
        name: attempt.suite.clone(),
        suite: suite.clone(),
        image: suite.image.replace("{version}", version),
        skips: skip::patterns(&view.run.gate.skips, &attempt.suite, today),
        access: access.context("the cluster is ready and has no credentials")?,
        env: BTreeMap::new(),
        workspace: Some(fetch(context, &view.run, &view.run.tested).await?),
    })
}

async fn version(context: &Context, cluster: ClusterId) -> anyhow::Result<String> {
    let access = context.ports.provider.access(cluster, Audience::Service).await?;
    let access = access.context("the cluster has no credentials")?;
    Ok(context.ports.kubernetes.version(&access).await?)
}
