//! Runs once they are created: admitted, explained, concluded and finished.

use jiff::Timestamp;

use super::rows::{Columns, guard, millis, name_of, to_json};
use super::statuses::desire;
use super::{Result, Store, StoreError, execute, on, summaries, transaction};
use crate::domain::cluster::Cluster;
use crate::domain::ids::RunId;
use crate::domain::lint::Lint;
use crate::domain::names::{Sha, SuiteName};
use crate::domain::run::{Conclusion, Coverage, Run, RunState};
use crate::domain::skip::Hit;
use crate::domain::status::CommitStatus;
use crate::domain::verdict::Verdict;

pub(super) const INSERT: &str = "INSERT INTO runs (id, repo, pr, head, base, base_ref, tested, scope, retry_of, trigger_kind, actor, \
     state, gate, verdict, message, created_at, finished_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT DO NOTHING";
impl Store {
    /// Notes how a run's skip list fits its suites. `false`: that is known already.
    pub async fn note_lint(&self, run: RunId, lint: &Lint) -> Result<bool> {
        const SQL: &str = "INSERT INTO lints (run, report) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        Ok(on!(self, pool => execute!(pool, SQL, run.to_string(), to_json(lint))) == 1)
    }

    /// Specs that entries of a run's skip list hit, by suite.
    pub async fn skip_hits(&self, run: RunId) -> Result<Vec<(SuiteName, Hit)>> {
        const SQL: &str = "SELECT * FROM skip_hits WHERE run = $1 ORDER BY suite, entry, spec LIMIT 2000";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(run.to_string()).fetch_all(pool).await?;
            rows.iter().map(hit).collect()
        })
    }

    /// Gives a run its place within capacity and requests its cluster. `false`: somebody else moved it.
    pub async fn admit(&self, run: &Run, cluster: &Cluster, now: Timestamp) -> Result<bool> {
        const SQL: &str = "UPDATE runs SET state = 'active', admitted_at = $1, generation = generation + 1 \
             WHERE id = $2 AND generation = $3 AND $4 LIKE '%,' || state || ',%'";
        let from = guard(RunState::Active.predecessors());
        Ok(transaction!(self, tx => {
            let moved = execute!(&mut *tx, SQL, millis(now), run.id.to_string(), run.generation, from);
            if moved == 1 {
                insert_cluster!(tx, cluster);
            }
            moved == 1
        }))
    }

    /// Fixes what a suite came to, with its status. The first conclusion stands.
    pub async fn conclude(
        &self,
        run: RunId,
        suite: &SuiteName,
        conclusion: &Conclusion,
        status: &CommitStatus,
        now: Timestamp,
    ) -> Result<bool> {
        Ok(transaction!(self, tx => {
            let inserted = conclude_one!(tx, run, suite, conclusion, now);
            if inserted == 1 {
                desire!(tx, run, status);
                execute!(&mut *tx, summaries::TOUCH, run.to_string());
            }
            inserted == 1
        }))
    }

    /// Fixes the run's verdict and lets its clusters go, with the last statuses. `false`: somebody else moved it.
    pub async fn finish(
        &self,
        run: &Run,
        verdict: Verdict,
        message: Option<&str>,
        rest: &[(SuiteName, Conclusion, CommitStatus)],
        now: Timestamp,
    ) -> Result<bool> {
        const SQL: &str = "UPDATE runs SET state = 'finished', verdict = $1, message = $2, finished_at = $3, \
             generation = generation + 1 WHERE id = $4 AND generation = $5 AND $6 LIKE '%,' || state || ',%'";
        let from = guard(RunState::Finished.predecessors());
        Ok(transaction!(self, tx => {
            let id = run.id.to_string();
            let moved =
                execute!(&mut *tx, SQL, name_of(&verdict), message, millis(now), id.as_str(), run.generation, from);
            if moved == 1 {
                for (suite, conclusion, status) in rest {
                    conclude_one!(tx, run.id, suite, conclusion, now);
                    desire!(tx, run.id, status);
                }
                if let Some(seconds) = run.hold_s {
                    execute!(&mut *tx, HOLD_OF_RUN, millis(held_until(now, seconds)), id.as_str());
                }
                execute!(&mut *tx, summaries::TOUCH, id.as_str());
                execute!(&mut *tx, RELEASE_OF_RUN, millis(now), id.as_str());
            }
            moved == 1
        }))
    }

    /// Says what a queued run waits for. `true` when that is news.
    pub async fn explain_run(&self, id: RunId, message: &str) -> Result<bool> {
        const SQL: &str =
            "UPDATE runs SET message = $1 WHERE id = $2 AND state <> 'finished' AND message IS DISTINCT FROM $1";
        Ok(on!(self, pool => execute!(pool, SQL, message, id.to_string())) == 1)
    }

    /// One run, whatever its state.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>> {
        on!(self, pool => {
            let row = sqlx::query("SELECT * FROM runs WHERE id = $1").bind(id.to_string()).fetch_optional(pool).await?;
            row.as_ref().map(run).transpose()
        })
    }
}

const RELEASE_OF_RUN: &str = "UPDATE clusters SET released_at = $1, generation = generation + 1 \
     WHERE run = $2 AND released_at IS NULL AND held_until IS NULL AND state <> 'destroyed'";
/// Only a cluster that works is worth keeping.
const HOLD_OF_RUN: &str = "UPDATE clusters SET held_until = $1, generation = generation + 1, \
     expires_at = CASE WHEN expires_at < $1 THEN $1 ELSE expires_at END \
     WHERE run = $2 AND released_at IS NULL AND state = 'ready'";

fn held_until(now: Timestamp, seconds: u64) -> Timestamp {
    let time = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.saturating_add(time).unwrap_or(now)
}

/// One conclusion; 0 where the suite has one already.
macro_rules! conclude_one {
    ($tx:expr, $run:expr, $suite:expr, $conclusion:expr, $now:expr) => {
        execute!(
            &mut *$tx,
            "INSERT INTO conclusions (run, suite, verdict, description, concluded_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT DO NOTHING",
            $run.to_string(),
            $suite.as_str(),
            name_of(&$conclusion.verdict),
            $conclusion.description.as_str(),
            millis($now),
        )
    };
}
use super::clusters::insert_cluster;
pub(super) use conclude_one;

/// What tells live runs of one commit apart: nothing for a whole one, else its suites.
pub(super) fn scope(run: &Run) -> String {
    match run.coverage {
        Coverage::Whole => String::new(),
        Coverage::Chosen => run.gate.suites.keys().map(SuiteName::as_str).collect::<Vec<_>>().join(","),
    }
}

fn hit(row: &impl Columns) -> Result<(SuiteName, Hit)> {
    let entry = u32::try_from(row.int("entry")?);
    let hit = Hit {
        entry: entry
            .map_err(|_| StoreError::Corrupt { what: "place of a skip entry", value: "out of range".into() })?,
        spec: row.text("spec")?,
        outcome: row.one_of("outcome", "outcome of a spec")?,
    };
    Ok((row.parsed("suite", "suite name")?, hit))
}

pub(super) fn run(row: &impl Columns) -> Result<Run> {
    let pr = row.int_opt("pr")?.map(u64::try_from).transpose();
    Ok(Run {
        id: row.parsed("id", "run id")?,
        repo: row.parsed("repo", "repository name")?,
        pr: pr.map_err(|_| StoreError::Corrupt { what: "pull request number", value: "a negative number".into() })?,
        head: row.parsed("head", "commit id")?,
        base: row.parsed("base", "commit id")?,
        base_ref: row.text("base_ref")?,
        tested: row.parsed::<Sha>("tested", "commit id")?,
        coverage: if row.text("scope")?.is_empty() { Coverage::Whole } else { Coverage::Chosen },
        retry_of: row.parsed_opt("retry_of", "run id")?,
        trigger: row.one_of("trigger_kind", "trigger")?,
        actor: row.text("actor")?,
        state: row.one_of("state", "run state")?,
        generation: row.int("generation")?,
        gate: row.json("gate", "gate")?,
        cancel: row.one_of_opt("cancel", "reason to cancel")?,
        hold_s: row.int_opt("hold_s")?.and_then(|seconds| u64::try_from(seconds).ok()),
        verdict: row.one_of_opt("verdict", "verdict")?,
        message: row.text_opt("message")?,
        created_at: row.time("created_at")?,
        admitted_at: row.time_opt("admitted_at")?,
        finished_at: row.time_opt("finished_at")?,
    })
}
