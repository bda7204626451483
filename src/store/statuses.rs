//! Desired and published commit statuses. Desired ones are written in the transaction that changes the run.

use jiff::Timestamp;

use super::rows::{Columns, millis, name_of};
use super::{Result, Store, execute, on, transaction};
use crate::domain::ids::RunId;
use crate::domain::names::{RepoName, Sha};
use crate::domain::status::{CommitStatus, GivenUp, Published, StatusState};

/// A newer run takes a context over. Within one run a final status stands: a late pending changes nothing. A check run
/// that did not end yet is taken over too; one that ended stays as it is, and the newer run gets its own.
pub(super) const DESIRE: &str = "INSERT INTO statuses (repo, sha, context, run, state, description, target_url, report) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (repo, sha, context) DO UPDATE SET run = excluded.run, \
     state = excluded.state, description = excluded.description, target_url = excluded.target_url, \
     report = excluded.report, desired_gen = statuses.desired_gen + 1, next_try_at = 0, tries = 0, given_up = NULL, \
     in_both = CASE WHEN excluded.report <> statuses.report AND statuses.published_gen > 0 THEN 1 ELSE statuses.in_both END, \
     writes = CASE WHEN excluded.run > statuses.run THEN 0 ELSE statuses.writes END, \
     repairs = CASE WHEN excluded.run > statuses.run THEN 0 ELSE statuses.repairs END, \
     check_run = CASE WHEN excluded.run > statuses.run AND statuses.published_state <> 'pending' \
     THEN NULL ELSE statuses.check_run END, \
     begun_gen = CASE WHEN excluded.run > statuses.run AND statuses.published_state <> 'pending' \
     THEN 0 ELSE statuses.begun_gen END \
     WHERE excluded.run > statuses.run OR (excluded.run = statuses.run AND statuses.state = 'pending' \
     AND (excluded.state <> statuses.state OR excluded.description <> statuses.description))";

pub(super) const REPAIR: &str = "UPDATE statuses SET desired_gen = desired_gen + 1, repairs = repairs + 1, \
     next_try_at = 0, tries = 0, given_up = NULL WHERE repo = $1 AND sha = $2 AND context = $3 \
     AND published_gen = desired_gen";
pub(super) const LEAVE: &str = "UPDATE statuses SET given_up = $1 WHERE repo = $2 AND sha = $3 AND context = $4 \
     AND published_gen = desired_gen AND given_up IS NULL";

/// Wants one status, within an open transaction.
macro_rules! desire {
    ($tx:expr, $run:expr, $status:expr) => {
        execute!(
            &mut *$tx,
            $crate::store::statuses::DESIRE,
            $status.repo.as_str(),
            $status.sha.as_str(),
            $status.context.as_str(),
            $run.to_string(),
            name_of(&$status.state),
            $status.description.as_str(),
            $status.target_url.as_str(),
            name_of(&$status.report),
        )
    };
}

/// Wants several statuses, within an open transaction; gives how many of them are news.
macro_rules! desire_all {
    ($tx:expr, $run:expr, $statuses:expr) => {{
        let mut news = 0;
        for status in $statuses {
            news += desire!($tx, $run, status);
        }
        news
    }};
}
pub(super) use {desire, desire_all};

/// A status that GitHub does not show yet.
#[derive(Debug, Clone)]
pub struct Unpublished {
    pub status: CommitStatus,
    pub run: RunId,
    /// What `published_gen` becomes once GitHub has taken it.
    pub desired_gen: i64,
    pub published: Published,
    pub tries: u32,
    pub check: CheckRun,
    /// It was told as statuses and as check runs: the policy changed in between.
    pub is_both: bool,
}

/// What is known of a context's check run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckRun {
    /// None was ever posted.
    None,
    /// Posting was begun once and its number was never noted.
    Lost,
    /// GitHub's number.
    Known(u64),
    /// The same, and telling it this very generation was begun before.
    Begun(u64),
}

/// A status as GitHub was told it, to be compared with what GitHub shows.
#[derive(Debug, Clone)]
pub struct Told {
    pub context: String,
    pub state: StatusState,
    pub description: String,
    pub repairs: u32,
    /// When.
    pub at: Option<Timestamp>,
}

impl Store {
    /// Wants these statuses of a run; gives how many of them are news.
    pub async fn desire(&self, run: RunId, statuses: &[CommitStatus]) -> Result<u64> {
        Ok(transaction!(self, tx => { desire_all!(tx, run, statuses) }))
    }

    /// Whether a context on a commit ever said anything.
    pub async fn has_status(&self, repo: &RepoName, sha: &Sha, context: &str) -> Result<bool> {
        const SQL: &str = "SELECT 1 FROM statuses WHERE repo = $1 AND sha = $2 AND context = $3";
        on!(self, pool => {
            let row = sqlx::query(SQL).bind(repo.as_str()).bind(sha.as_str()).bind(context).fetch_optional(pool).await?;
            Ok(row.is_some())
        })
    }

    /// The youngest id that anything was said under, or that a run has.
    pub async fn newest_voice(&self) -> Result<Option<RunId>> {
        const SQL: &str = "SELECT MAX(id) AS id FROM \
             (SELECT MAX(run) AS id FROM statuses UNION ALL SELECT MAX(id) AS id FROM runs) AS newest";
        on!(self, pool => sqlx::query(SQL).fetch_one(pool).await?.parsed_opt("id", "run id"))
    }

    /// Statuses to be published, the most urgent first: final ones, then first ones, then those longest due.
    pub async fn unpublished(&self, now: Timestamp, limit: u32) -> Result<Vec<Unpublished>> {
        const SQL: &str = "SELECT * FROM statuses WHERE published_gen < desired_gen AND next_try_at <= $1 \
             ORDER BY CASE WHEN state <> 'pending' THEN 0 WHEN writes = 0 THEN 1 ELSE 2 END, \
             next_try_at, run, context LIMIT $2";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(millis(now)).bind(i64::from(limit)).fetch_all(pool).await?;
            rows.iter().map(unpublished).collect()
        })
    }

    /// When the next put-off status is due; `None` where nothing waits.
    pub async fn next_publish_at(&self) -> Result<Option<Timestamp>> {
        const SQL: &str = "SELECT MIN(next_try_at) AS at FROM statuses WHERE published_gen < desired_gen";
        on!(self, pool => sqlx::query(SQL).fetch_one(pool).await?.time_opt("at"))
    }

    /// A check run for this generation is about to be posted or changed. `false`: something newer is desired, and this one must
    /// not be posted, for nobody would note its number.
    pub async fn begin(&self, item: &Unpublished) -> Result<bool> {
        const SQL: &str = "UPDATE statuses SET begun_gen = desired_gen \
             WHERE repo = $1 AND sha = $2 AND context = $3 AND run = $4 AND desired_gen = $5";
        let (repo, sha, context) = key(&item.status);
        Ok(on!(self, pool => execute!(pool, SQL, repo, sha, context, item.run.to_string(), item.desired_gen)) == 1)
    }

    /// GitHub has taken this generation by so many writes, as this check run where it is one. A newer desired one stays
    /// to be published; a newer run's gets a check run of its own where this one ended.
    pub async fn published(&self, item: &Unpublished, told: Taken, now: Timestamp) -> Result<()> {
        const SQL: &str = "UPDATE statuses SET published_gen = $1, published_state = $2, published_at = $3, \
             writes = writes + $4, total = total + $4, tries = 0, error = NULL, given_up = NULL, \
             check_run = CASE WHEN run = $5 THEN COALESCE($6, check_run) WHEN $2 = 'pending' THEN check_run ELSE NULL END, \
             begun_gen = CASE WHEN run = $5 OR $2 = 'pending' THEN begun_gen ELSE 0 END \
             WHERE repo = $7 AND sha = $8 AND context = $9 AND published_gen < $1";
        let (repo, sha, context) = key(&item.status);
        let state = name_of(&item.status.state);
        let check = told.check_run.and_then(|id| i64::try_from(id).ok());
        on!(self, pool => {
            execute!(
                pool, SQL, item.desired_gen, state, millis(now), i64::from(told.writes), item.run.to_string(), check,
                repo, sha, context,
            );
        });
        Ok(())
    }

    /// The status waits: for its turn (no error) or after so many failures. A newer desired one is not held back.
    pub async fn put_off(&self, item: &Unpublished, until: Timestamp, tries: u32, error: Option<&str>) -> Result<()> {
        const SQL: &str = "UPDATE statuses SET next_try_at = $1, error = COALESCE($2, error), tries = $3 \
             WHERE repo = $4 AND sha = $5 AND context = $6 AND desired_gen = $7";
        let (repo, sha, context) = key(&item.status);
        on!(self, pool => { execute!(pool, SQL, millis(until), error, i64::from(tries), repo, sha, context, item.desired_gen); });
        Ok(())
    }

    /// GitHub will never take it. It is kept with the reason and not tried again.
    pub async fn give_up_status(&self, item: &Unpublished, why: GivenUp, error: &str) -> Result<()> {
        const SQL: &str = "UPDATE statuses SET published_gen = $1, error = $2, given_up = $3 \
             WHERE repo = $4 AND sha = $5 AND context = $6 AND desired_gen = $1";
        let (repo, sha, context) = key(&item.status);
        on!(self, pool => { execute!(pool, SQL, item.desired_gen, error, name_of(&why), repo, sha, context); });
        Ok(())
    }

    /// What GitHub was told of a commit by statuses before then and should show; what is about to be told is left out.
    pub async fn told(&self, repo: &RepoName, sha: &Sha, before: Timestamp) -> Result<Vec<Told>> {
        const SQL: &str = "SELECT context, state, description, repairs, published_at FROM statuses WHERE repo = $1 AND sha = $2 \
             AND published_gen = desired_gen AND report = 'statuses' AND COALESCE(published_at, 0) < $3 \
             ORDER BY context";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(repo.as_str()).bind(sha.as_str()).bind(millis(before)).fetch_all(pool).await?;
            rows.iter().map(|row| Ok(Told {
                context: row.text("context")?,
                state: row.one_of("state", "status")?,
                description: row.text("description")?,
                repairs: count(row, "repairs")?,
                at: row.time_opt("published_at")?,
            })).collect()
        })
    }

    /// GitHub shows something else: it is told once more.
    pub async fn repair(&self, repo: &RepoName, sha: &Sha, context: &str) -> Result<()> {
        on!(self, pool => { execute!(pool, REPAIR, repo.as_str(), sha.as_str(), context); });
        Ok(())
    }

    /// GitHub shows something else time and again; whoever it is may have it. `true` when that is news.
    pub async fn leave_contested(&self, repo: &RepoName, sha: &Sha, context: &str) -> Result<bool> {
        let why = name_of(&GivenUp::Contested);
        Ok(on!(self, pool => execute!(pool, LEAVE, why, repo.as_str(), sha.as_str(), context)) == 1)
    }
}

/// How GitHub took a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub writes: u32,
    /// GitHub's number of the check run, where it is one.
    pub check_run: Option<u64>,
}

fn key(status: &CommitStatus) -> (&str, &str, &str) {
    (status.repo.as_str(), status.sha.as_str(), status.context.as_str())
}

fn count(row: &impl Columns, name: &str) -> Result<u32> {
    row.int(name).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn check_run(row: &impl Columns) -> Result<CheckRun> {
    let known = row.int_opt("check_run")?.and_then(|id| u64::try_from(id).ok());
    let begun = row.int("begun_gen")?;
    Ok(match known {
        Some(id) if begun == row.int("desired_gen")? => CheckRun::Begun(id),
        Some(id) => CheckRun::Known(id),
        None if begun > 0 => CheckRun::Lost,
        None => CheckRun::None,
    })
}

fn unpublished(row: &impl Columns) -> Result<Unpublished> {
    Ok(Unpublished {
        run: row.parsed("run", "run id")?,
        desired_gen: row.int("desired_gen")?,
        tries: count(row, "tries")?,
        check: check_run(row)?,
        is_both: row.int("in_both")? != 0,
        published: Published {
            state: row.one_of_opt::<StatusState>("published_state", "status")?,
            at: row.time_opt("published_at")?,
            writes: count(row, "writes")?,
            total: count(row, "total")?,
        },
        status: status(row)?,
    })
}

/// A context as it should read.
pub(super) fn status(row: &impl Columns) -> Result<CommitStatus> {
    Ok(CommitStatus {
        repo: row.parsed("repo", "repository name")?,
        sha: row.parsed("sha", "commit id")?,
        context: row.text("context")?,
        state: row.one_of("state", "status")?,
        description: row.text("description")?,
        target_url: row.text("target_url")?,
        report: row.one_of("report", "way to report")?,
    })
}
