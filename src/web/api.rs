//! `/api/v1`: runs as JSON for scripts. The structs here are the promise; stored rows and domain types may change behind it.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Extract};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::errors::Trouble;
use super::pages::Narrow;
use super::{Room, State, errors};
use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::audit::{AuditEntry, Deed};
use crate::domain::cluster::{Cluster, ClusterState, Setup, SetupState, Stage};
use crate::domain::course;
use crate::domain::ids::RunId;
use crate::domain::plan::RunView;
use crate::domain::progress::Progress;
use crate::domain::report::Counts;
use crate::domain::run::{CancelReason, RunState, Trigger};
use crate::domain::status::{GivenUp, StatusState};
use crate::domain::verdict::Verdict;
use crate::domain::wording::Links;
use crate::store::{AuditFilter, RunLine, StatusLine};

/// Runs in one answer.
const PAGE: u32 = 100;

pub(super) fn routes() -> Router<Arc<Room>> {
    Router::new()
        .route("/api/v1/runs", get(runs))
        .route("/api/v1/runs/{run}", get(run))
        .route("/api/v1/audit", get(audit))
        .route("/api/{*rest}", get(errors::no_such_page))
}

/// A page of runs, newest first.
#[derive(Debug, Serialize)]
struct Runs {
    runs: Vec<RunSummary>,
    /// Ask for `?before=` this to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A run in a list.
#[derive(Debug, Serialize)]
struct RunSummary {
    id: String,
    /// The run's page.
    url: String,
    /// `owner/name`, in lower case.
    repo: String,
    /// The pull request; `null` for runs on a branch.
    pr: Option<u64>,
    /// The commit that carries the statuses.
    head: String,
    trigger: Trigger,
    /// Who caused it.
    actor: String,
    /// `queued`, `active` or `finished`.
    state: RunState,
    /// `success`, `failure` or `error` once finished.
    verdict: Option<Verdict>,
    /// Why it ended or waits, where that is not the suites' own doing.
    message: Option<String>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    suites: Vec<SuiteSummary>,
}

#[derive(Debug, Serialize)]
struct SuiteSummary {
    name: String,
    /// `null` until concluded.
    verdict: Option<Verdict>,
}

/// A run with all that belongs to it.
#[derive(Debug, Serialize)]
struct RunDetail {
    #[serde(flatten)]
    run: RunSummary,
    /// The commit whose gate policy holds.
    base: String,
    /// The commit that is tested: the merge of head into base, or the head.
    tested: String,
    /// Why it is being, or was, stopped.
    cancel: Option<CancelReason>,
    admitted_at: Option<Timestamp>,
    attempts: Vec<AttemptDetail>,
    clusters: Vec<ClusterDetail>,
    setups: Vec<SetupDetail>,
    statuses: Vec<StatusDetail>,
    /// Who did what to the run and its commit, oldest first.
    audit: Vec<DeedDetail>,
}

/// A page of the audit log, newest first.
#[derive(Debug, Serialize)]
struct Audit {
    entries: Vec<DeedDetail>,
    /// Ask for `?before=` this to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Who did what, and why.
#[derive(Debug, Serialize)]
struct DeedDetail {
    at: Timestamp,
    /// `started`, `cancelled`, `skipped`, `overrode`, `held`, `released`, `approved`, `withdrew` or `label_removed`.
    deed: Deed,
    /// As GitHub names them.
    actor: String,
    reason: String,
    repo: String,
    pr: Option<u64>,
    sha: Option<String>,
    run: Option<String>,
    suite: Option<String>,
}

/// One execution of a suite.
#[derive(Debug, Serialize)]
struct AttemptDetail {
    id: String,
    suite: String,
    /// Counts from 1 within the suite.
    number: u32,
    /// `waiting`, `running`, `collecting` or `done`.
    state: AttemptState,
    /// What this attempt alone comes to, once done.
    verdict: Option<Verdict>,
    description: Option<String>,
    /// Cases by outcome, once done.
    cases: Option<Counts>,
    /// How far it is, from its output.
    progress: Progress,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// The log as text, each line after its time.
    log_url: String,
    /// The merged JUnit report; there once the attempt is done and left one.
    junit_url: String,
    /// The attempt in numbers and names as JSON; there as soon as the report.
    summary_url: String,
}

#[derive(Debug, Serialize)]
struct ClusterDetail {
    id: String,
    /// `requested`, `creating`, `ready`, `failing`, `destroying` or `destroyed`.
    state: ClusterState,
    nodes: u8,
    message: Option<String>,
    created_at: Timestamp,
    ready_at: Option<Timestamp>,
    destroyed_at: Option<Timestamp>,
}

/// Bringing a cluster to the state a commit describes.
#[derive(Debug, Serialize)]
struct SetupDetail {
    /// The cluster's id.
    cluster: String,
    /// `base` before an upgrade, `head` for the tested commit.
    stage: Stage,
    /// `applying`, `rolling_out`, `done` or `failed`.
    state: SetupState,
    message: Option<String>,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// A commit status as it should read.
#[derive(Debug, Serialize)]
struct StatusDetail {
    context: String,
    state: StatusState,
    description: String,
    /// Whether the forge shows it so.
    published: bool,
    /// Why GitHub will never be told.
    given_up: Option<GivenUp>,
}

async fn runs(Extract(room): State, Query(narrow): Query<Narrow>) -> Result<Json<Runs>, Trouble> {
    let (filter, start) = narrow.parse()?;
    let lines = room.web.store.list_runs(&filter, start, PAGE).await?;
    let next = lines.last().filter(|_| lines.len() == PAGE as usize).map(|line| line.id.to_string());
    Ok(Json(Runs { runs: lines.iter().map(|line| summary(line, &room.web.links)).collect(), next }))
}

async fn run(Extract(room): State, Path(run): Path<String>) -> Result<Json<RunDetail>, Trouble> {
    let id: RunId = run.parse().map_err(|_| Trouble::Missing("run"))?;
    let view = room.web.store.run_view(id).await?.ok_or(Trouble::Missing("run"))?;
    let statuses = room.web.store.statuses_of(id).await?;
    let audit = room.web.store.audit_of(&view.run, PAGE).await?;
    let audit = audit.into_iter().map(deed).collect();
    Ok(Json(RunDetail { audit, ..detail(&view, &statuses, &room.web.links) }))
}

/// What narrows the audit log. Everything is optional.
#[derive(Debug, Deserialize)]
struct AuditQuery {
    repo: Option<String>,
    pr: Option<u64>,
    before: Option<i64>,
}

async fn audit(Extract(room): State, Query(query): Query<AuditQuery>) -> Result<Json<Audit>, Trouble> {
    let repo = query.repo.as_deref().map(str::parse).transpose().map_err(|_| Trouble::Missing("repository"))?;
    let filter = AuditFilter { repo, pr: query.pr, before: query.before };
    let entries = room.web.store.audit(&filter, PAGE).await?;
    let next = entries.last().filter(|_| entries.len() == PAGE as usize).map(|(seq, _)| seq.to_string());
    Ok(Json(Audit { entries: entries.into_iter().map(|(_, entry)| deed(entry)).collect(), next }))
}

fn deed(entry: AuditEntry) -> DeedDetail {
    DeedDetail {
        at: entry.at,
        deed: entry.deed,
        actor: entry.actor,
        reason: entry.reason,
        repo: entry.repo.to_string(),
        pr: entry.pr,
        sha: entry.sha.map(|sha| sha.to_string()),
        run: entry.run.map(|run| run.to_string()),
        suite: entry.suite.map(|suite| suite.to_string()),
    }
}

fn summary(line: &RunLine, links: &Links) -> RunSummary {
    let suite =
        |(name, verdict): &(_, Option<Verdict>)| SuiteSummary { name: ToString::to_string(name), verdict: *verdict };
    RunSummary {
        id: line.id.to_string(),
        url: links.run(line.id),
        repo: line.repo.to_string(),
        pr: line.pr,
        head: line.head.to_string(),
        trigger: line.trigger,
        actor: line.actor.clone(),
        state: line.state,
        verdict: line.verdict,
        message: line.message.clone(),
        created_at: line.created_at,
        finished_at: line.finished_at,
        suites: line.suites.iter().map(suite).collect(),
    }
}

fn detail(view: &RunView, statuses: &[StatusLine], links: &Links) -> RunDetail {
    let run = &view.run;
    let verdict = |name| view.conclusions.get(name).map(|conclusion| conclusion.verdict);
    let line = RunLine {
        id: run.id,
        repo: run.repo.clone(),
        pr: run.pr,
        head: run.head.clone(),
        trigger: run.trigger,
        actor: run.actor.clone(),
        state: run.state,
        cancel: run.cancel,
        verdict: run.verdict,
        message: run.message.clone(),
        created_at: run.created_at,
        finished_at: run.finished_at,
        suites: run.gate.suites.keys().map(|name| (name.clone(), verdict(name))).collect(),
    };
    RunDetail {
        run: summary(&line, links),
        base: run.base.to_string(),
        tested: run.tested.to_string(),
        cancel: run.cancel,
        admitted_at: run.admitted_at,
        attempts: view.attempts.iter().map(|attempt| attempt_detail(attempt, view, links)).collect(),
        clusters: view.clusters.iter().map(cluster_detail).collect(),
        setups: view.setups.iter().map(setup_detail).collect(),
        statuses: statuses.iter().map(status_detail).collect(),
        audit: vec![],
    }
}

fn attempt_detail(attempt: &Attempt, view: &RunView, links: &Links) -> AttemptDetail {
    let suite = view.run.gate.suites.get(&attempt.suite);
    let judged = suite.and_then(|suite| course::judged(attempt, suite));
    let files = format!("{}/attempts/{}", links.run(attempt.run), attempt.id);
    AttemptDetail {
        id: attempt.id.to_string(),
        suite: attempt.suite.to_string(),
        number: attempt.number,
        state: attempt.state,
        verdict: judged.as_ref().map(|judged| judged.verdict),
        description: judged.map(|judged| judged.description),
        cases: attempt.evidence.as_ref().map(|evidence| evidence.digest.counts),
        progress: attempt.progress,
        created_at: attempt.created_at,
        started_at: attempt.started_at,
        finished_at: attempt.finished_at,
        log_url: format!("{files}/log.txt"),
        junit_url: format!("{files}/junit.xml"),
        summary_url: format!("{files}/summary.json"),
    }
}

fn cluster_detail(cluster: &Cluster) -> ClusterDetail {
    ClusterDetail {
        id: cluster.id.to_string(),
        state: cluster.state,
        nodes: cluster.plan.nodes,
        message: cluster.message.clone(),
        created_at: cluster.created_at,
        ready_at: cluster.ready_at,
        destroyed_at: cluster.destroyed_at,
    }
}

fn setup_detail(setup: &Setup) -> SetupDetail {
    SetupDetail {
        cluster: setup.cluster.to_string(),
        stage: setup.stage,
        state: setup.state,
        message: setup.message.clone(),
        started_at: setup.started_at,
        finished_at: setup.finished_at,
    }
}

fn status_detail(line: &StatusLine) -> StatusDetail {
    StatusDetail {
        context: line.context.clone(),
        state: line.state,
        description: line.description.clone(),
        published: line.published && line.given_up.is_none(),
        given_up: line.given_up,
    }
}
