//! Attempts, their progress, their evidence and the cases they showed.

use jiff::Timestamp;

use super::flakes::{self, observe};
use super::rows::{Columns, guard, millis, name_of, to_json};
use super::{Result, Store, StoreError, execute, on, transaction};
use crate::domain::attempt::{Attempt, AttemptState, Spec, StopReason};
use crate::domain::case::Case;
use crate::domain::flake::{Mark, Observation, day_of};
use crate::domain::ids::AttemptId;
use crate::domain::progress::Progress;
use crate::domain::skip::Hit;
use crate::domain::verdict::Evidence;

/// What an attempt showed beside its evidence.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'a> {
    pub cases: &'a [Case],
    pub observations: &'a [Observation],
    /// Specs that the skip list hit.
    pub hits: &'a [Hit],
}

impl Store {
    /// Creates an attempt of a run that goes on; a second one with the same number changes nothing.
    pub async fn create_attempt(&self, attempt: &Attempt) -> Result<bool> {
        const SQL: &str = "INSERT INTO attempts (id, run, cluster, suite, number, state, progress, created_at, part) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 \
             WHERE EXISTS (SELECT 1 FROM runs WHERE id = $2 AND state = 'active' AND cancel IS NULL) \
             ON CONFLICT DO NOTHING";
        let (id, run, cluster) = (attempt.id.to_string(), attempt.run.to_string(), attempt.cluster.to_string());
        let (state, progress) = (name_of(&attempt.state), to_json(&attempt.progress));
        let (number, at) = (i64::from(attempt.number), millis(attempt.created_at));
        let (suite, part) = (attempt.suite.as_str(), to_json(&attempt.part));
        Ok(on!(self, pool => execute!(pool, SQL, id, run, cluster, suite, number, state, progress, at, part)) == 1)
    }

    /// Moves an attempt on to a state short of its end. `false`: somebody else moved it, or the way is not legal.
    pub async fn move_attempt(&self, attempt: &Attempt, to: AttemptState, now: Timestamp) -> Result<bool> {
        const SQL: &str = "UPDATE attempts SET state = $1, generation = generation + 1, \
             started_at = CASE WHEN $1 = 'running' THEN $2 ELSE started_at END \
             WHERE id = $3 AND generation = $4 AND $5 LIKE '%,' || state || ',%'";
        let (from, id) = (guard(to.predecessors()), attempt.id.to_string());
        Ok(on!(self, pool => execute!(pool, SQL, name_of(&to), millis(now), id, attempt.generation, from)) == 1)
    }

    /// Notes that a live attempt is to be stopped. The first reason stands.
    pub async fn stop_attempt(&self, attempt: &Attempt, reason: StopReason, now: Timestamp) -> Result<bool> {
        const SQL: &str = "UPDATE attempts SET stop = $1, stop_at = $2, generation = generation + 1 \
             WHERE id = $3 AND generation = $4 AND stop IS NULL AND state <> 'done'";
        let id = attempt.id.to_string();
        Ok(on!(self, pool => execute!(pool, SQL, name_of(&reason), millis(now), id, attempt.generation)) == 1)
    }

    /// Fixes an attempt's evidence together with its cases and what they add to the statistics.
    pub async fn finish_attempt(
        &self,
        attempt: &Attempt,
        evidence: &Evidence,
        shown: Shown<'_>,
        now: Timestamp,
    ) -> Result<bool> {
        const HIT: &str = "INSERT INTO skip_hits (run, suite, entry, spec, outcome) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (run, suite, entry, spec) DO UPDATE SET outcome = excluded.outcome";
        const SQL: &str = "UPDATE attempts SET state = 'done', evidence = $1, finished_at = $2, \
             observed = $6, has_cases = $7, generation = generation + 1 WHERE id = $3 AND generation = $4 AND $5 LIKE '%,' || state || ',%'";
        let (from, id) = (guard(AttemptState::Done.predecessors()), attempt.id.to_string());
        let Shown { cases, observations, .. } = shown;
        let observed = i64::from(!observations.is_empty());
        Ok(transaction!(self, tx => {
            let (evidence, generation) = (to_json(evidence), attempt.generation);
            let has_cases = i64::from(!cases.is_empty());
            let moved =
                execute!(&mut *tx, SQL, evidence, millis(now), id.as_str(), generation, from, observed, has_cases);
            if moved == 1 {
                for (seq, case) in (0_i64..).zip(cases) {
                    insert_case!(tx, id, seq, case);
                }
                let (run, suite) = (attempt.run.to_string(), attempt.suite.as_str());
                for hit in shown.hits {
                    let (entry, outcome) = (i64::from(hit.entry), name_of(&hit.outcome));
                    execute!(&mut *tx, HIT, run.as_str(), suite, entry, hit.spec.as_str(), outcome);
                }
                if !observations.is_empty() {
                    observe!(tx, attempt, observations, now);
                }
            }
            moved == 1
        }))
    }

    /// Notes which entries of the skip list hold for an attempt, before its container is asked for.
    pub async fn note_skips(&self, id: AttemptId, places: &[u32]) -> Result<()> {
        const SQL: &str = "UPDATE attempts SET skips = $1 WHERE id = $2 AND state = 'waiting'";
        on!(self, pool => { execute!(pool, SQL, to_json(&places), id.to_string()); });
        Ok(())
    }

    /// The specs that failed in an attempt, in the order in which it reported them.
    pub async fn failed_specs(&self, id: AttemptId) -> Result<Vec<Spec>> {
        const SQL: &str =
            "SELECT class, name FROM cases WHERE attempt = $1 AND outcome IN ('failed', 'errored') ORDER BY seq";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(id.to_string()).fetch_all(pool).await?;
            rows.iter().map(|row| Ok(Spec { class: row.text("class")?, name: row.text("name")? })).collect()
        })
    }

    /// Forgets cases of attempts that ended before `before` and whose runs are over, with what the skip list hit of them: at most
    /// `limit` cases at a time, of at most `limit` attempts. Gives how many rows went, `limit` where there may be more.
    pub async fn prune_cases(&self, before: Timestamp, limit: u32) -> Result<u64> {
        const OLD: &str = "SELECT id, run, suite FROM attempts WHERE has_cases = 1 AND finished_at < $1 \
             AND EXISTS (SELECT 1 FROM runs WHERE runs.id = attempts.run AND runs.state = 'finished') \
             ORDER BY finished_at LIMIT $2";
        const CASES: &str = "DELETE FROM cases WHERE attempt = $1 AND seq IN \
             (SELECT seq FROM cases WHERE attempt = $1 ORDER BY seq LIMIT $2)";
        const HITS: &str = "DELETE FROM skip_hits WHERE run = $1 AND suite = $2";
        const NONE_LEFT: &str = "UPDATE attempts SET has_cases = 0 WHERE id = $1";
        let limit = i64::from(limit);
        Ok(transaction!(self, tx => {
            let old = sqlx::query(OLD).bind(millis(before)).bind(limit).fetch_all(&mut *tx).await?;
            let mut gone = 0;
            for attempt in &old {
                let (id, left) = (attempt.text("id")?, limit - i64::try_from(gone).unwrap_or(limit));
                gone += execute!(&mut *tx, CASES, id.as_str(), left);
                if gone >= limit.unsigned_abs() {
                    break;
                }
                execute!(&mut *tx, HITS, attempt.text("run")?, attempt.text("suite")?);
                execute!(&mut *tx, NONE_LEFT, id);
            }
            if old.len() as u64 == limit.unsigned_abs() { limit.unsigned_abs() } else { gone }
        }))
    }

    /// How far a running attempt is. Never moves it.
    pub async fn note_progress(&self, id: AttemptId, progress: &Progress) -> Result<()> {
        const SQL: &str = "UPDATE attempts SET progress = $1 WHERE id = $2 AND state <> 'done'";
        on!(self, pool => { execute!(pool, SQL, to_json(progress), id.to_string()); });
        Ok(())
    }
}

macro_rules! insert_case {
    ($tx:expr, $attempt:expr, $seq:expr, $case:expr) => {
        execute!(
            &mut *$tx,
            "INSERT INTO cases (attempt, seq, class, name, outcome, tries, duration_ms, message) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            $attempt.as_str(),
            $seq,
            $case.id.class.as_str(),
            $case.id.name.as_str(),
            name_of(&$case.outcome()),
            i64::try_from($case.tries.len()).unwrap_or(i64::MAX),
            i64::try_from($case.took().as_millis()).unwrap_or(i64::MAX),
            $case.message(),
        )
    };
}
use insert_case;

pub(super) fn attempt(row: &impl Columns) -> Result<Attempt> {
    let number = u32::try_from(row.int("number")?);
    Ok(Attempt {
        id: row.parsed("id", "attempt id")?,
        run: row.parsed("run", "run id")?,
        cluster: row.parsed("cluster", "cluster id")?,
        suite: row.parsed("suite", "suite name")?,
        part: row.json("part", "part of a suite")?,
        skips: row.json("skips", "places of skip entries")?,
        number: number.map_err(|_| StoreError::Corrupt { what: "attempt number", value: "out of range".into() })?,
        state: row.one_of("state", "attempt state")?,
        generation: row.int("generation")?,
        progress: row.json("progress", "progress")?,
        stop: row.one_of_opt("stop", "reason to stop")?,
        stop_at: row.time_opt("stop_at")?,
        evidence: row.json_opt("evidence", "evidence")?,
        created_at: row.time("created_at")?,
        started_at: row.time_opt("started_at")?,
        finished_at: row.time_opt("finished_at")?,
    })
}
