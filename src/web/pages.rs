//! The pages: which address shows what. Reads, hands over to views and templates, decides nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State as Extract};
use axum::http::HeaderMap;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use super::deeds::Done;
use super::errors::Trouble;
use super::files::{self, Shown};
use super::follow::{self, Follower, Line, Tail};
use super::machines::{Left, Machine};
use super::shelf::{self, Shelf};
use super::skips;
use super::timeline::Bar;
use super::views::{self, Forge, Found, Header, Row, Suite, Told};
use super::{Room, State};
use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::ids::{AttemptId, ClusterId, RunId};
use crate::domain::plan::RunView;
use crate::domain::verdict::Verdict;
use crate::store::{RunFilter, Standing, Start};

/// Runs on one page.
const PAGE: u32 = 50;
/// Failed and flaky specs listed of one attempt.
const NOTABLE: u32 = 50;
/// What the log page shows before it follows.
const LOG_LINES: usize = 2000;
const LOG_BYTES: u64 = 1 << 20;
/// What a run's page shows of a log that is being written.
const GLANCE_LINES: usize = 8;
const GLANCE_BYTES: u64 = 8 << 10;

type Page = Result<Response, Trouble>;

pub(super) fn routes() -> Router<Arc<Room>> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/runs")))
        .route("/runs", get(runs))
        .route("/runs/{run}", get(run))
        .route("/runs/{run}/suites/{suite}/junit.xml", get(suite_junit))
        .route("/runs/{run}/clusters/{cluster}/log.txt", get(cluster_log))
        .route("/runs/{run}/clusters/{cluster}/diagnostics.tar.gz", get(cluster_diagnostics))
        .route("/runs/{run}/attempts/{attempt}/log", get(log))
        .route("/runs/{run}/attempts/{attempt}/log.txt", get(log_text))
        .route("/runs/{run}/attempts/{attempt}/log/events", get(log_events))
        .route("/runs/{run}/attempts/{attempt}/junit.xml", get(junit))
        .route("/runs/{run}/attempts/{attempt}/summary.json", get(summary))
        .route("/runs/{run}/attempts/{attempt}/diagnostics.tar.gz", get(diagnostics))
        .route("/runs/{run}/attempts/{attempt}/results", get(results))
        .route("/runs/{run}/attempts/{attempt}/results/{*path}", get(result))
}

fn show(page: &impl Template) -> Page {
    Ok(Html(page.render()?).into_response())
}

/// What a list of runs can be narrowed to; empty fields of the form count as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Narrow {
    repo: String,
    pr: String,
    state: String,
    before: String,
    after: String,
}

impl Narrow {
    /// The filter and the place in the list, or what is wrong with them.
    pub(super) fn parse(&self) -> Result<(RunFilter, Start), Trouble> {
        let filter = RunFilter {
            repo: parsed(&self.repo)?,
            pr: parsed(self.pr.trim_start_matches('#'))?,
            stands: match self.state.as_str() {
                "" => None,
                "queued" => Some(Standing::Queued),
                "active" => Some(Standing::Active),
                "success" => Some(Standing::Ended(Verdict::Success)),
                "failure" => Some(Standing::Ended(Verdict::Failure)),
                "error" => Some(Standing::Ended(Verdict::Error)),
                other => return Err(Trouble::Nonsense(format!("`{other}` is no state of a run"))),
            },
        };
        let start = match (parsed(&self.before)?, parsed(&self.after)?) {
            (Some(id), _) => Start::OlderThan(id),
            (None, Some(id)) => Start::NewerThan(id),
            (None, None) => Start::Newest,
        };
        Ok((filter, start))
    }

    fn is_empty(&self) -> bool {
        self.repo.is_empty() && self.pr.is_empty() && self.state.is_empty()
    }

    /// The address of this list from another place on.
    fn address(&self, key: &str, id: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::from("/runs?"));
        for (name, value) in [("repo", &self.repo), ("pr", &self.pr), ("state", &self.state)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.append_pair(key, id).finish()
    }
}

/// What a field of a form holds; empty is absent.
pub(super) fn parsed<T: std::str::FromStr>(text: &str) -> Result<Option<T>, Trouble>
where
    T::Err: std::fmt::Display,
{
    let text = text.trim();
    let wrong = |error| {
        Trouble::Nonsense(format!("`{}` cannot be looked for: {error}", text.chars().take(80).collect::<String>()))
    };
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(wrong) }
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage<'a> {
    rows: Vec<Row>,
    narrow: &'a Narrow,
    newer: Option<String>,
    older: Option<String>,
    live: bool,
}

async fn runs(Extract(room): State, Query(narrow): Query<Narrow>) -> Page {
    let (filter, start) = narrow.parse()?;
    let mut lines = room.web.store.list_runs(&filter, start, PAGE + 1).await?;
    let more = lines.len() > PAGE as usize;
    let (has_newer, has_older) = match start {
        Start::Newest => (false, more),
        Start::OlderThan(_) => (true, more),
        Start::NewerThan(_) => (more, true),
    };
    if more {
        // The one too many stands at the far end.
        match start {
            Start::NewerThan(_) => drop(lines.remove(0)),
            Start::Newest | Start::OlderThan(_) => drop(lines.pop()),
        }
    }
    let address =
        |key, line: Option<&crate::store::RunLine>| line.map(|line| narrow.address(key, &line.id.to_string()));
    let (newer, older) = (address("after", lines.first()), address("before", lines.last()));
    let now = room.web.clock.now();
    show(&RunsPage {
        rows: lines.iter().map(|line| Row::new(line, now)).collect(),
        live: start == Start::Newest,
        newer: newer.filter(|_| has_newer),
        older: older.filter(|_| has_older),
        narrow: &narrow,
    })
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    header: Header,
    bars: Vec<Bar>,
    suites: Vec<Suite>,
    /// What is wrong with the skip list.
    findings: Vec<String>,
    clusters: Vec<Machine>,
    statuses: Vec<Told>,
    deeds: Vec<Done>,
}

/// Entries of the audit log on a run's page.
const DEEDS: u32 = 100;

async fn run(Extract(room): State, Path(run): Path<String>) -> Page {
    let view = view(&room, &run).await?;
    let now = room.web.clock.now();
    let mut found = HashMap::new();
    let shelf = shelf::of(&room, view.run.id).await?;
    for attempt in &view.attempts {
        found.insert(attempt.id, look(&room, &shelf, attempt).await?);
    }
    let mut clusters = Vec::new();
    for cluster in &view.clusters {
        let (run, artifacts) = (view.run.id, &room.web.artifacts);
        let left = Left {
            log: shelf.has(&room, &artifacts.cluster_log(run, cluster.id)),
            diagnostics: shelf.has(&room, &artifacts.cluster_diagnostics(run, cluster.id)),
        };
        clusters.push(Machine::new(cluster, &view, left));
    }
    let statuses = room.web.store.statuses_of(view.run.id).await?;
    let deeds = room.web.store.audit_of(&view.run, DEEDS).await?;
    let hits = room.web.store.skip_hits(view.run.id).await?;
    let mut has_junit = HashSet::new();
    for suite in view.run.gate.suites.keys() {
        if shelf.has(&room, &room.web.artifacts.suite_junit(view.run.id, suite)) {
            has_junit.insert(suite.clone());
        }
    }
    let look_up = |attempt: &Attempt| found.remove(&attempt.id).unwrap_or_default();
    show(&RunPage {
        deeds: deeds.iter().map(|deed| Done::new(deed, now)).collect(),
        header: Header::new(&view.run, &Forge(&room.web.forge_url), now),
        bars: views::picture(&view, now),
        suites: views::suites(&view, &room.web.links, now, &hits, &has_junit, look_up),
        findings: skips::findings(&view),
        clusters,
        statuses: statuses.iter().map(Told::new).collect(),
    })
}

async fn look(room: &Room, shelf: &Shelf, attempt: &Attempt) -> Result<Found, Trouble> {
    let (artifacts, run, id) = (&room.web.artifacts, attempt.run, attempt.id);
    let log = artifacts.log(run, id);
    if attempt.state != AttemptState::Done {
        let tail = follow::tail(&log, GLANCE_BYTES, GLANCE_LINES).await?;
        return Ok(Found { has_log: shelf.has(room, &log), tail: tail.lines, ..Found::default() });
    }
    Ok(Found {
        notable: room.web.store.notable_cases(id, NOTABLE).await?,
        has_log: shelf.has(room, &log),
        has_junit: shelf.has(room, &artifacts.junit(run, id)),
        has_summary: shelf.has(room, &artifacts.summary(run, id)),
        has_diagnostics: shelf.has(room, &artifacts.diagnostics(run, id)),
        has_results: shelf.has(room, &artifacts.results(run, id)),
        tail: vec![],
    })
}

async fn view(room: &Room, run: &str) -> Result<RunView, Trouble> {
    let id: RunId = run.parse().map_err(|_| Trouble::Missing("run"))?;
    room.web.store.run_view(id).await?.ok_or(Trouble::Missing("run"))
}

/// An attempt by the names in its address; the run must be its own.
async fn attempt_of(room: &Room, run: &str, attempt: &str) -> Result<Attempt, Trouble> {
    let missing = || Trouble::Missing("attempt");
    let run: RunId = run.parse().map_err(|_| missing())?;
    let id: AttemptId = attempt.parse().map_err(|_| missing())?;
    room.web.store.attempt(id).await?.filter(|attempt| attempt.run == run).ok_or_else(missing)
}

type AttemptPath = Path<(String, String)>;

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    run: String,
    attempt: String,
    suite: String,
    number: u32,
    live: bool,
    lines: Vec<Line>,
    is_cut: bool,
    end: u64,
}

async fn log(Extract(room): State, Path((run, attempt)): AttemptPath) -> Page {
    let attempt = attempt_of(&room, &run, &attempt).await?;
    let Tail { lines, is_cut, end } = shelf::tail(&room, (attempt.run, attempt.id), LOG_BYTES, LOG_LINES).await?;
    show(&LogPage {
        run: attempt.run.to_string(),
        attempt: attempt.id.to_string(),
        suite: attempt.suite.to_string(),
        number: attempt.number,
        live: attempt.state != AttemptState::Done,
        lines,
        is_cut,
        end,
    })
}

async fn log_text(Extract(room): State, Path((run, attempt)): AttemptPath) -> Page {
    let attempt = attempt_of(&room, &run, &attempt).await?;
    shelf::serve_log(&room, attempt.run, attempt.id).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FromByte {
    from: u64,
}

async fn log_events(
    Extract(room): State,
    Path((run, attempt)): AttemptPath,
    Query(FromByte { from }): Query<FromByte>,
    headers: HeaderMap,
) -> Page {
    let attempt = attempt_of(&room, &run, &attempt).await?;
    let place = Arc::clone(&room.streams).try_acquire_owned();
    let place = place.map_err(|_| Trouble::Busy("too many logs are being followed; the log is also there as text"))?;
    // A browser that lost the connection says what it saw last.
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let path = room.web.artifacts.log(attempt.run, attempt.id);
    let follower = Follower { attempt: attempt.id, path, from: seen.unwrap_or(from), _place: place, room };
    Ok(Sse::new(follower.events()).keep_alive(KeepAlive::default()).into_response())
}

async fn junit(Extract(room): State, Path((run, attempt)): AttemptPath) -> Page {
    let attempt = attempt_of(&room, &run, &attempt).await?;
    let name = format!("junit-{}-{}.xml", attempt.suite, attempt.number);
    shelf::serve(&room, &room.web.artifacts.junit(attempt.run, attempt.id), Shown::Download, &name).await
}

async fn suite_junit(Extract(room): State, Path((run, suite)): AttemptPath) -> Page {
    let view = view(&room, &run).await?;
    let suite = view.run.gate.suites.keys().find(|name| name.as_str() == suite).ok_or(Trouble::Missing("suite"))?;
    let path = room.web.artifacts.suite_junit(view.run.id, suite);
    shelf::serve(&room, &path, Shown::Download, &format!("junit-{suite}.xml")).await
}

async fn summary(Extract(room): State, Path((run, attempt)): AttemptPath) -> Page {
    let attempt = attempt_of(&room, &run, &attempt).await?;
    shelf::serve(&room, &room.web.artifacts.summary(attempt.run, attempt.id), Shown::Text, "summary.json").await
}

async fn diagnostics(Extract(room): State, Path((run, attempt)): AttemptPath) -> Page {
    let attempt = attempt_of(&room, &run, &attempt).await?;
    let name = format!("diagnostics-{}-{}.tar.gz", attempt.suite, attempt.number);
    shelf::serve(&room, &room.web.artifacts.diagnostics(attempt.run, attempt.id), Shown::Download, &name).await
}

#[derive(Template)]
#[template(path = "results.html")]
struct ResultsPage {
    run: String,
    attempt: String,
    suite: String,
    number: u32,
    files: Vec<files::Listed>,
}

async fn results(Extract(room): State, Path((run, attempt)): AttemptPath) -> Page {
    let attempt = attempt_of(&room, &run, &attempt).await?;
    let files = shelf::results(&room, &room.web.artifacts.results(attempt.run, attempt.id)).await?;
    show(&ResultsPage {
        run: attempt.run.to_string(),
        attempt: attempt.id.to_string(),
        suite: attempt.suite.to_string(),
        number: attempt.number,
        files,
    })
}

async fn result(Extract(room): State, Path((run, attempt, path)): Path<(String, String, String)>) -> Page {
    let attempt = attempt_of(&room, &run, &attempt).await?;
    shelf::serve_result(&room, &room.web.artifacts.results(attempt.run, attempt.id), &path).await
}

/// A cluster by the names in its address.
fn cluster_of(run: &str, cluster: &str) -> Result<(RunId, ClusterId), Trouble> {
    let missing = || Trouble::Missing("cluster");
    Ok((run.parse().map_err(|_| missing())?, cluster.parse().map_err(|_| missing())?))
}

async fn cluster_log(Extract(room): State, Path((run, cluster)): AttemptPath) -> Page {
    let (run, cluster) = cluster_of(&run, &cluster)?;
    shelf::serve(&room, &room.web.artifacts.cluster_log(run, cluster), Shown::Text, "cluster.log").await
}

async fn cluster_diagnostics(Extract(room): State, Path((run, cluster)): AttemptPath) -> Page {
    let (run, cluster) = cluster_of(&run, &cluster)?;
    let file = room.web.artifacts.cluster_diagnostics(run, cluster);
    shelf::serve(&room, &file, Shown::Download, "cluster-diagnostics.tar.gz").await
}
