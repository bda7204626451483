//! Statistics of specs: rolled up per day in the transaction that fixes an attempt, so that each is counted exactly once.
//! Rows grow with specs and days, never with runs. What the numbers mean is `domain::flake`'s.

use std::collections::HashMap;

use sqlx::{Database, QueryBuilder};

use super::rows::{Columns, to_json};
use super::{Db, Result, Store, execute, on};
use crate::domain::flake::{Day, FailedIn, Mark, SpecHistory, Tally, day_of, start_of};
use crate::domain::names::{RepoName, SuiteName};

/// Pull requests remembered of one spec.
const FAILED_IN: usize = 10;
/// Specs that are asked for by name at once.
const BY_NAME: usize = 100;

/// Which specs a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlakeFilter {
    pub repo: Option<RepoName>,
    pub suite: Option<SuiteName>,
}

/// A spec by class and name.
pub(super) type Spec = (String, String);

/// What earlier attempts on the same code showed of a spec that failed there.
#[derive(Default)]
pub(super) struct Earlier {
    /// The day on which it failed in the same run.
    in_run: Option<i64>,
    in_another: bool,
}

/// What an observation does to the counts.
pub(super) enum Effect {
    Count(Mark),
    /// The failure counted on this day was a flake.
    Turn(i64),
    /// It failed again within one run: counted already.
    Nothing,
}

impl Earlier {
    pub(super) fn effect(earlier: Option<&Earlier>, mark: Mark) -> Effect {
        match (earlier, mark) {
            (Some(Earlier { in_run: Some(_), .. }), Mark::Failed) => Effect::Nothing,
            (Some(Earlier { in_run: Some(day), .. }), Mark::Passed | Mark::Flaky) => Effect::Turn(*day),
            (Some(Earlier { in_another: true, .. }), Mark::Passed) => Effect::Count(Mark::Flaky),
            (_, mark) => Effect::Count(mark),
        }
    }
}

/// Specs that failed before on the same code, by the rows of [`FAILED_BEFORE`].
pub(super) fn earlier(rows: &[impl Columns], run: &str) -> Result<HashMap<Spec, Earlier>> {
    let mut all: HashMap<Spec, Earlier> = HashMap::new();
    for row in rows {
        let found = all.entry((row.text("class")?, row.text("name")?)).or_default();
        match row.text("run")? == run {
            true => found.in_run = Some(day_of(row.time("at")?)),
            false => found.in_another = true,
        }
    }
    Ok(all)
}

/// The pull requests a spec failed in, with one more or one less.
pub(super) fn failed_in(stored: &str, pr: u64, day: Option<i64>) -> String {
    let mut all: Vec<FailedIn> = serde_json::from_str(stored).unwrap_or_default();
    all.retain(|failed| failed.pr != pr);
    if let Some(day) = day {
        all.insert(0, FailedIn { pr, day });
    }
    all.truncate(FAILED_IN);
    to_json(&all)
}

pub(super) const FAILED_BEFORE: &str = "SELECT c.class, c.name, a.run, MIN(a.finished_at) AS at \
     FROM runs r JOIN attempts a ON a.run = r.id JOIN cases c ON c.attempt = a.id \
     WHERE r.repo = $1 AND r.head = $2 AND r.base = $3 AND a.suite = $4 AND a.id <> $5 AND a.observed = 1 \
     AND c.outcome IN ('failed', 'errored') GROUP BY c.class, c.name, a.run";
pub(super) const SPEC: &str = "INSERT INTO specs (repo, suite, class, name, seen_at, bad_at, last, clean, base_failing) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (repo, suite, class, name) DO UPDATE SET \
     seen_at = excluded.seen_at, bad_at = COALESCE(excluded.bad_at, specs.bad_at), \
     flipped = CASE WHEN specs.last <> excluded.last THEN 1 ELSE 0 END, last = excluded.last, \
     clean = CASE WHEN excluded.clean = 0 THEN 0 ELSE specs.clean + 1 END, \
     base_failing = CASE WHEN $10 = 0 THEN specs.base_failing WHEN excluded.base_failing = 0 THEN 0 \
     ELSE specs.base_failing + 1 END RETURNING id, flipped, failed_in";
pub(super) const DAY: &str = "INSERT INTO spec_days (spec, day, passed, flaky, failed, flips) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (spec, day) DO UPDATE SET passed = spec_days.passed + excluded.passed, \
     flaky = spec_days.flaky + excluded.flaky, failed = spec_days.failed + excluded.failed, \
     flips = spec_days.flips + excluded.flips";

/// Adds an attempt's observations to the statistics, inside the transaction that moves it to its end.
macro_rules! observe {
    ($tx:expr, $attempt:expr, $observations:expr, $now:expr) => {{
        let (run, suite) = ($attempt.run.to_string(), $attempt.suite.as_str());
        let of_run = "SELECT repo, pr, head, base FROM runs WHERE id = $1";
        let row = sqlx::query(of_run).bind(run.as_str()).fetch_one(&mut *$tx).await?;
        let (repo, pr) = (row.text("repo")?, row.int_opt("pr")?.and_then(|pr| u64::try_from(pr).ok()));
        let before = sqlx::query(flakes::FAILED_BEFORE)
            .bind(repo.as_str())
            .bind(row.text("head")?)
            .bind(row.text("base")?)
            .bind(suite)
            .bind($attempt.id.to_string())
            .fetch_all(&mut *$tx)
            .await?;
        let before = flakes::earlier(&before, &run)?;
        let (at, day, on_base) = (millis($now), day_of($now), i64::from(pr.is_none()));
        for Observation { class, name, mark } in $observations {
            let effect = flakes::Earlier::effect(before.get(&(class.clone(), name.clone())), *mark);
            let mark = match effect {
                flakes::Effect::Nothing => continue,
                flakes::Effect::Count(mark) => mark,
                flakes::Effect::Turn(_) => Mark::Flaky,
            };
            let [passed, flaky, failed] = [Mark::Passed, Mark::Flaky, Mark::Failed].map(|m| i64::from(m == mark));
            let bad_at = (mark != Mark::Passed).then_some(at);
            let spec = sqlx::query(flakes::SPEC)
                .bind(repo.as_str())
                .bind(suite)
                .bind(class.as_str())
                .bind(name.as_str())
                .bind(at)
                .bind(bad_at)
                .bind(name_of(&mark))
                .bind(passed)
                .bind(failed * on_base)
                .bind(on_base)
                .fetch_one(&mut *$tx)
                .await?;
            let id = spec.int("id")?;
            if let flakes::Effect::Turn(since) = effect {
                let turn = "UPDATE spec_days SET failed = failed - 1, flaky = flaky + 1 \
                     WHERE spec = $1 AND day = $2 AND failed > 0";
                execute!(&mut *$tx, turn, id, since);
            } else {
                execute!(&mut *$tx, flakes::DAY, id, day, passed, flaky, failed, spec.int("flipped")?);
            }
            let turned = matches!(effect, flakes::Effect::Turn(_));
            if let Some(pr) = pr.filter(|_| turned || mark == Mark::Failed) {
                let list = flakes::failed_in(&spec.text("failed_in")?, pr, (!turned).then_some(day));
                execute!(&mut *$tx, "UPDATE specs SET failed_in = $1 WHERE id = $2", list, id);
            }
        }
    }};
}
pub(super) use observe;

impl Store {
    /// Specs that failed or flaked since a day, those that did last first, with their days since then.
    pub async fn flakes(&self, filter: &FlakeFilter, since_day: i64, limit: u32) -> Result<Vec<SpecHistory>> {
        let found = match &self.db {
            Db::Sqlite(pool) => specs(&select(filter, since_day, limit).build().fetch_all(pool).await?)?,
            Db::Postgres(pool) => specs(&select(filter, since_day, limit).build().fetch_all(pool).await?)?,
        };
        self.with_days(found, since_day).await
    }

    /// What is known of some specs of a suite, by class and name; at most a hundred.
    pub async fn histories(
        &self,
        repo: &RepoName,
        suite: &SuiteName,
        names: &[(&str, &str)],
        since_day: i64,
    ) -> Result<Vec<SpecHistory>> {
        if names.is_empty() {
            return Ok(vec![]);
        }
        let names = &names[..names.len().min(BY_NAME)];
        let found = match &self.db {
            Db::Sqlite(pool) => specs(&select_named(repo, suite, names).build().fetch_all(pool).await?)?,
            Db::Postgres(pool) => specs(&select_named(repo, suite, names).build().fetch_all(pool).await?)?,
        };
        self.with_days(found, since_day).await
    }

    async fn with_days(&self, specs: Vec<(i64, SpecHistory)>, since_day: i64) -> Result<Vec<SpecHistory>> {
        // Numbers of our own making need no binding, and no list of them is empty.
        let ids = specs.iter().fold("0".to_owned(), |list, (id, _)| format!("{list},{id}"));
        let sql = format!("SELECT * FROM spec_days WHERE spec IN ({ids}) AND day >= {since_day} ORDER BY spec, day");
        let days: Vec<(i64, Day)> = on!(self, pool => {
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await?;
            rows.iter().map(day).collect::<Result<_>>()?
        });
        let place: HashMap<i64, usize> = specs.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        let mut histories: Vec<SpecHistory> = specs.into_iter().map(|(_, history)| history).collect();
        for (spec, day) in days {
            if let Some(at) = place.get(&spec) {
                histories[*at].days.push(day);
            }
        }
        Ok(histories)
    }

    /// Forgets days before `day` and specs not seen since, at most `limit` rows of each.
    pub async fn prune_statistics(&self, day: i64, limit: u32) -> Result<u64> {
        const DAYS: &str = "DELETE FROM spec_days WHERE (spec, day) IN \
             (SELECT spec, day FROM spec_days WHERE day < $1 LIMIT $2)";
        const SPECS: &str = "DELETE FROM specs WHERE id IN (SELECT id FROM specs WHERE seen_at < $1 LIMIT $2)";
        let limit = i64::from(limit);
        Ok(on!(self, pool => {
            execute!(pool, DAYS, day, limit) + execute!(pool, SPECS, start_of(day), limit)
        }))
    }
}

fn select<D>(filter: &FlakeFilter, since_day: i64, limit: u32) -> QueryBuilder<D>
where
    D: Database,
    String: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
    i64: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
{
    let mut query = QueryBuilder::new("SELECT * FROM specs WHERE bad_at IS NOT NULL AND bad_at >= ");
    query.push_bind(start_of(since_day));
    if let Some(repo) = &filter.repo {
        query.push(" AND repo = ").push_bind(repo.as_str().to_owned());
    }
    if let Some(suite) = &filter.suite {
        query.push(" AND suite = ").push_bind(suite.as_str().to_owned());
    }
    query.push(" ORDER BY bad_at DESC, id LIMIT ").push_bind(i64::from(limit));
    query
}

fn select_named<D>(repo: &RepoName, suite: &SuiteName, names: &[(&str, &str)]) -> QueryBuilder<D>
where
    D: Database,
    String: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
{
    let mut query = QueryBuilder::new("SELECT * FROM specs WHERE repo = ");
    query.push_bind(repo.as_str().to_owned()).push(" AND suite = ").push_bind(suite.as_str().to_owned());
    query.push(" AND (class, name) IN (VALUES ");
    for (at, (class, name)) in names.iter().enumerate() {
        query.push(if at == 0 { "(" } else { ", (" });
        query.push_bind((*class).to_owned()).push(", ").push_bind((*name).to_owned()).push(")");
    }
    query.push(")");
    query
}

fn specs(rows: &[impl Columns]) -> Result<Vec<(i64, SpecHistory)>> {
    rows.iter().map(spec).collect()
}

fn spec(row: &impl Columns) -> Result<(i64, SpecHistory)> {
    let history = SpecHistory {
        repo: row.parsed("repo", "repository name")?,
        suite: row.parsed("suite", "suite name")?,
        class: row.text("class")?,
        name: row.text("name")?,
        seen_at: row.time("seen_at")?,
        bad_at: row.time_opt("bad_at")?,
        clean: count(row, "clean")?,
        base_failing: count(row, "base_failing")?,
        failed_in: row.json("failed_in", "list of pull requests")?,
        days: vec![],
    };
    Ok((row.int("id")?, history))
}

fn day(row: &impl Columns) -> Result<(i64, Day)> {
    let tally = Tally {
        passed: count(row, "passed")?,
        flaky: count(row, "flaky")?,
        failed: count(row, "failed")?,
        flips: count(row, "flips")?,
    };
    Ok((row.int("spec")?, Day { day: row.int("day")?, tally }))
}

fn count(row: &impl Columns, name: &str) -> Result<u64> {
    Ok(u64::try_from(row.int(name)?).unwrap_or(0))
}
