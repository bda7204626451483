//! Starting a suite's container: its workspace fetched, its files put in. Long, so it is a task of its own; cut off anywhere, it is
//! done again and finds by the label what there is.

use anyhow::Context as _;

use super::super::prepare::fetch;
use super::super::{Activity, Context};
use super::{finish, move_to, suite_of, without_report};
use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::ids::ClusterId;
use crate::domain::invocation;
use crate::domain::plan::RunView;
use crate::domain::skip::{self, Circumstances};
use crate::domain::verdict::Exit;
use crate::ports::{Audience, Execution, ExecutorError};

/// If we stop between the container's start and the row's, the next process finds the container by its label.
pub(super) async fn start(context: &Context, view: &RunView, attempt: &Attempt) -> anyhow::Result<Activity> {
    let version = version(context, attempt.cluster).await?;
    let execution = match execution(context, view, attempt, &version).await? {
        Ok(execution) => execution,
        Err(why) => return finish(context, attempt, without_report(Exit::NotStarted(why))).await,
    };
    match context.ports.executor.ensure_started(&execution).await {
        Ok(()) => move_to(context, attempt, AttemptState::Running).await,
        Err(ExecutorError::Refused(why)) => finish(context, attempt, without_report(Exit::NotStarted(why))).await,
        Err(error @ (ExecutorError::Unreachable { .. } | ExecutorError::Failed { .. })) => Err(error.into()),
    }
}

/// The execution, or why the suite cannot be run so.
async fn execution(
    context: &Context,
    view: &RunView,
    attempt: &Attempt,
    version: &str,
) -> anyhow::Result<Result<Execution, String>> {
    let (suite, gate) = (suite_of(view, attempt)?, &view.run.gate);
    let here = Circumstances {
        today: context.now().to_zoned(jiff::tz::TimeZone::UTC).date(),
        kubernetes: Some(version),
        provider: context.ports.provider.name(),
    };
    let mut places = skip::holding(&gate.skips, &attempt.suite, suite, &here);
    let barred = view.lint.as_ref().map(|lint| lint.barred(&attempt.suite)).unwrap_or_default();
    places.retain(|place| !barred.contains(place));
    // Noted first: what the container is told must be known when its results are read.
    context.store.note_skips(attempt.id, &places).await?;
    let patterns = skip::patterns(&gate.skips, &places, suite);
    let invocation = match invocation::of_attempt(suite, &attempt.part, &patterns, version) {
        Ok(invocation) => invocation,
        Err(why) => return Ok(Err(why)),
    };
    // Checked when the run was made; the operator may have changed it since.
    let secrets = match context.vault.of_suite(&view.run.repo, suite) {
        Ok(secrets) => secrets,
        Err(why) => return Ok(Err(why)),
    };
    let access = context.ports.provider.access(attempt.cluster, Audience::Suite).await?;
    Ok(Ok(Execution {
        attempt: attempt.id,
        run: attempt.run,
        cluster: attempt.cluster,
        name: attempt.suite.clone(),
        image: suite.image.replace("{version}", version),
        invocation,
        secrets,
        limits: suite.limits.clone(),
        access: access.context("the cluster is ready and has no credentials")?,
        workspace: Some(fetch(context, &view.run, &view.run.tested).await?),
    }))
}

async fn version(context: &Context, cluster: ClusterId) -> anyhow::Result<String> {
    let access = context.ports.provider.access(cluster, Audience::Service).await?;
    let access = access.context("the cluster has no credentials")?;
    Ok(context.ports.kubernetes.version(&access).await?)
}
