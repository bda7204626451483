//! What pages, the API and the metrics read: lists by key, one run's evidence, counts. Reads only.
//! Lists never load a finished run's gate: with 100,000 runs that would be most of the bytes.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{Database, QueryBuilder};

use super::attempts::attempt;
use super::rows::{Columns, name_of};
use super::{Db, Result, Store, StoreError, on};
use crate::domain::attempt::Attempt;
use crate::domain::case::CaseOutcome;
use crate::domain::gate::Gate;
use crate::domain::ids::{AttemptId, RunId};
use crate::domain::names::{RepoName, Sha, SuiteName};
use crate::domain::run::{CancelReason, RunState, Trigger};
use crate::domain::status::{GivenUp, StatusState};
use crate::domain::verdict::Verdict;

/// A run as a list shows it.
#[derive(Debug, Clone)]
pub struct RunLine {
    pub id: RunId,
    pub repo: RepoName,
    pub pr: Option<u64>,
    pub head: Sha,
    pub trigger: Trigger,
    pub actor: String,
    pub state: RunState,
    pub cancel: Option<CancelReason>,
    pub verdict: Option<Verdict>,
    pub message: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// Suites with what they came to; `None` while they are not concluded. In the gate's order while the run lasts.
    pub suites: Vec<(SuiteName, Option<Verdict>)>,
}

/// Which runs a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub repo: Option<RepoName>,
    pub pr: Option<u64>,
    pub stands: Option<Standing>,
}

/// How a run stands, in the one word that a list is filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Queued,
    Active,
    /// Finished with this verdict.
    Ended(Verdict),
}

/// Where a page of a list, newest first, begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    Newest,
    /// Right after this run, going back in time.
    OlderThan(RunId),
    /// The runs that came right after this one.
    NewerThan(RunId),
}

/// A spec that deserves a look: it failed, or it passed only when tried again.
#[derive(Debug, Clone)]
pub struct NotableCase {
    /// JUnit's class; often empty or the name of a package.
    pub class: String,
    pub name: String,
    pub outcome: CaseOutcome,
    /// How often it was tried.
    pub tries: u64,
    pub duration_ms: u64,
    pub message: Option<String>,
}

/// A commit status as wanted and as GitHub was told.
#[derive(Debug, Clone)]
pub struct StatusLine {
    pub context: String,
    pub state: StatusState,
    pub description: String,
    /// Whether GitHub shows it so.
    pub published: bool,
    /// Why it could not be published last time.
    pub error: Option<String>,
    /// Why GitHub will never be told.
    pub given_up: Option<GivenUp>,
}

/// Rows by state, for metrics.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// State and, where finished, verdict.
    pub runs: Vec<(String, Option<String>, u64)>,
    /// Clusters that may still own something.
    pub clusters: Vec<(String, u64)>,
    /// Attempts that are not done.
    pub attempts: Vec<(String, u64)>,
    pub deliveries_waiting: u64,
    pub statuses_waiting: u64,
    /// Statuses that GitHub did not take when told last.
    pub statuses_failing: u64,
}

const LINE: &str = "SELECT id, repo, pr, head, trigger_kind, actor, state, cancel, verdict, message, created_at, finished_at, \
     CASE WHEN state <> 'finished' THEN gate END AS gate FROM runs WHERE 1 = 1";
/// The literal list repeats the condition of the index `cases_notable`.
const NOTABLE: &str = "SELECT class, name, outcome, tries, duration_ms, message FROM cases \
     WHERE attempt = $1 AND outcome IN ('failed', 'errored', 'flaky') ORDER BY seq LIMIT $2";

impl Store {
    /// One page of runs, newest first.
    pub async fn list_runs(&self, filter: &RunFilter, start: Start, limit: u32) -> Result<Vec<RunLine>> {
        let (mut lines, gates) = match &self.db {
            Db::Sqlite(pool) => lines(&select(filter, start, limit).build().fetch_all(pool).await?)?,
            Db::Postgres(pool) => lines(&select(filter, start, limit).build().fetch_all(pool).await?)?,
        };
        if let Start::NewerThan(_) = start {
            lines.reverse();
        }
        let concluded = match &self.db {
            Db::Sqlite(pool) => conclusions(&select_conclusions(&lines).build().fetch_all(pool).await?)?,
            Db::Postgres(pool) => conclusions(&select_conclusions(&lines).build().fetch_all(pool).await?)?,
        };
        for line in &mut lines {
            line.suites = suites(gates.get(&line.id), concluded.get(&line.id));
        }
        Ok(lines)
    }

    /// The specs of an attempt that failed or flaked, in the order of the report.
    pub async fn notable_cases(&self, attempt: AttemptId, limit: u32) -> Result<Vec<NotableCase>> {
        on!(self, pool => {
            let query = sqlx::query(NOTABLE).bind(attempt.to_string()).bind(i64::from(limit));
            query.fetch_all(pool).await?.iter().map(notable).collect()
        })
    }

    /// One attempt, whatever its state.
    pub async fn attempt(&self, id: AttemptId) -> Result<Option<Attempt>> {
        on!(self, pool => {
            let query = sqlx::query("SELECT * FROM attempts WHERE id = $1").bind(id.to_string());
            query.fetch_optional(pool).await?.as_ref().map(attempt).transpose()
        })
    }

    /// The statuses a run speaks through; a newer run of the same commit takes them over.
    pub async fn statuses_of(&self, run: RunId) -> Result<Vec<StatusLine>> {
        const SQL: &str = "SELECT context, state, description, desired_gen, published_gen, error, given_up FROM statuses \
             WHERE run = $1 ORDER BY context";
        on!(self, pool => {
            sqlx::query(SQL).bind(run.to_string()).fetch_all(pool).await?.iter().map(status).collect()
        })
    }

    /// Counts for metrics; reads indexes alone, so that it stays cheap with many rows.
    pub async fn census(&self) -> Result<Census> {
        const WAITING: &str = "SELECT (SELECT COUNT(*) FROM deliveries WHERE processed_at IS NULL) AS deliveries, \
             (SELECT COUNT(*) FROM statuses WHERE published_gen < desired_gen) AS statuses, \
             (SELECT COUNT(*) FROM statuses WHERE published_gen < desired_gen AND error IS NOT NULL) AS failing";
        on!(self, pool => {
            let all = "SELECT state, verdict, COUNT(*) AS rows FROM runs GROUP BY state, verdict";
            let runs = sqlx::query(all).fetch_all(pool).await?;
            let owned = "SELECT state, COUNT(*) AS rows FROM clusters WHERE state <> 'destroyed' GROUP BY state";
            let clusters = sqlx::query(owned).fetch_all(pool).await?;
            let live = "SELECT state, COUNT(*) AS rows FROM attempts WHERE state <> 'done' GROUP BY state";
            let attempts = sqlx::query(live).fetch_all(pool).await?;
            let waiting = sqlx::query(WAITING).fetch_one(pool).await?;
            Ok(Census {
                runs: runs.iter().map(standing_count).collect::<Result<_>>()?,
                clusters: clusters.iter().map(state_count).collect::<Result<_>>()?,
                attempts: attempts.iter().map(state_count).collect::<Result<_>>()?,
                deliveries_waiting: count(&waiting, "deliveries")?,
                statuses_waiting: count(&waiting, "statuses")?,
                statuses_failing: count(&waiting, "failing")?,
            })
        })
    }
}

fn select<D>(filter: &RunFilter, start: Start, limit: u32) -> QueryBuilder<D>
where
    D: Database,
    String: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
    i64: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
{
    let mut query = QueryBuilder::new(LINE);
    if let Some(repo) = &filter.repo {
        query.push(" AND repo = ").push_bind(repo.as_str().to_owned());
    }
    if let Some(pr) = filter.pr {
        query.push(" AND pr = ").push_bind(i64::try_from(pr).unwrap_or(i64::MAX));
    }
    match filter.stands {
        None => {}
        Some(Standing::Queued) => drop(query.push(" AND state = 'queued' AND verdict IS NULL")),
        Some(Standing::Active) => drop(query.push(" AND state = 'active' AND verdict IS NULL")),
        Some(Standing::Ended(verdict)) => {
            query.push(" AND state = 'finished' AND verdict = ").push_bind(name_of(&verdict));
        }
    }
    let order = match start {
        Start::Newest => " ORDER BY id DESC",
        Start::OlderThan(id) => {
            query.push(" AND id < ").push_bind(id.to_string());
            " ORDER BY id DESC"
        }
        Start::NewerThan(id) => {
            query.push(" AND id > ").push_bind(id.to_string());
            " ORDER BY id"
        }
    };
    query.push(order).push(" LIMIT ").push_bind(i64::from(limit));
    query
}

fn select_conclusions<D>(lines: &[RunLine]) -> QueryBuilder<D>
where
    D: Database,
    String: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
{
    // The empty id matches nothing and keeps the list from being empty.
    let mut query = QueryBuilder::new("SELECT run, suite, verdict FROM conclusions WHERE run IN (''");
    for line in lines {
        query.push(", ").push_bind(line.id.to_string());
    }
    query.push(") ORDER BY run, concluded_at, suite");
    query
}

type Gates = HashMap<RunId, Gate>;
type Concluded = HashMap<RunId, Vec<(SuiteName, Verdict)>>;

fn lines(rows: &[impl Columns]) -> Result<(Vec<RunLine>, Gates)> {
    let mut gates = Gates::new();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let line = line(row)?;
        if let Some(gate) = row.json_opt("gate", "gate")? {
            gates.insert(line.id, gate);
        }
        lines.push(line);
    }
    Ok((lines, gates))
}

fn line(row: &impl Columns) -> Result<RunLine> {
    Ok(RunLine {
        id: row.parsed("id", "run id")?,
        repo: row.parsed("repo", "repository name")?,
        pr: row.int_opt("pr")?.and_then(|pr| u64::try_from(pr).ok()),
        head: row.parsed("head", "commit id")?,
        trigger: row.one_of("trigger_kind", "trigger")?,
        actor: row.text("actor")?,
        state: row.one_of("state", "run state")?,
        cancel: row.one_of_opt("cancel", "reason to cancel")?,
        verdict: row.one_of_opt("verdict", "verdict")?,
        message: row.text_opt("message")?,
        created_at: row.time("created_at")?,
        finished_at: row.time_opt("finished_at")?,
        suites: vec![],
    })
}

fn conclusions(rows: &[impl Columns]) -> Result<Concluded> {
    let mut all = Concluded::new();
    for row in rows {
        let suite = (row.parsed("suite", "suite name")?, row.one_of("verdict", "verdict")?);
        all.entry(row.parsed("run", "run id")?).or_default().push(suite);
    }
    Ok(all)
}

fn suites(gate: Option<&Gate>, concluded: Option<&Vec<(SuiteName, Verdict)>>) -> Vec<(SuiteName, Option<Verdict>)> {
    let concluded = concluded.map(Vec::as_slice).unwrap_or_default();
    let Some(gate) = gate else {
        return concluded.iter().map(|(name, verdict)| (name.clone(), Some(*verdict))).collect();
    };
    let verdict = |name| concluded.iter().find(|(suite, _)| suite == name).map(|(_, verdict)| *verdict);
    gate.suites.keys().map(|name| (name.clone(), verdict(name))).collect()
}

fn notable(row: &impl Columns) -> Result<NotableCase> {
    let outcome = match row.text("outcome")?.as_str() {
        "failed" => CaseOutcome::Failed,
        "errored" => CaseOutcome::Errored,
        "flaky" => CaseOutcome::Flaky,
        other => return Err(StoreError::Corrupt { what: "notable outcome", value: other.to_owned() }),
    };
    Ok(NotableCase {
        class: row.text("class")?,
        name: row.text("name")?,
        outcome,
        tries: count(row, "tries")?,
        duration_ms: count(row, "duration_ms")?,
        message: row.text_opt("message")?,
    })
}

fn status(row: &impl Columns) -> Result<StatusLine> {
    Ok(StatusLine {
        context: row.text("context")?,
        state: row.one_of("state", "status")?,
        description: row.text("description")?,
        published: row.int("published_gen")? >= row.int("desired_gen")?,
        error: row.text_opt("error")?,
        given_up: row.one_of_opt("given_up", "reason to give up")?,
    })
}

fn standing_count(row: &impl Columns) -> Result<(String, Option<String>, u64)> {
    Ok((row.text("state")?, row.text_opt("verdict")?, count(row, "rows")?))
}

fn state_count(row: &impl Columns) -> Result<(String, u64)> {
    Ok((row.text("state")?, count(row, "rows")?))
}

fn count(row: &impl Columns, name: &str) -> Result<u64> {
    Ok(u64::try_from(row.int(name)?).unwrap_or(0))
}
