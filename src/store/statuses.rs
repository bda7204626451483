//! Desired and published commit statuses. Desired ones are written in the transaction that changes the run.

use jiff::Timestamp;

use super::rows::{Columns, millis, name_of};
use super::{Result, Store, execute, on, transaction};
use crate::domain::ids::RunId;
use crate::domain::names::{RepoName, Sha};
use crate::domain::status::{CommitStatus, Published, StatusState};

/// A newer run takes a context over. Within one run a final status stands: a late pending changes nothing.
pub(super) const DESIRE: &str = "INSERT INTO statuses (repo, sha, context, run, state, description, target_url) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (repo, sha, context) DO UPDATE SET run = excluded.run, \
     state = excluded.state, description = excluded.description, target_url = excluded.target_url, \
     desired_gen = statuses.desired_gen + 1, next_try_at = 0, tries = 0, \
     writes = CASE WHEN excluded.run > statuses.run THEN 0 ELSE statuses.writes END \
     WHERE excluded.run > statuses.run OR (excluded.run = statuses.run AND statuses.state = 'pending' \
     AND (excluded.state <> statuses.state OR excluded.description <> statuses.description))";

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

    /// Statuses to be published, those longest due first.
    pub async fn unpublished(&self, now: Timestamp, limit: u32) -> Result<Vec<Unpublished>> {
        const SQL: &str = "SELECT * FROM statuses WHERE published_gen < desired_gen AND next_try_at <= $1 \
             ORDER BY next_try_at, run, context LIMIT $2";
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

    /// GitHub has taken this generation. A newer desired one stays to be published.
    pub async fn published(&self, item: &Unpublished, now: Timestamp) -> Result<()> {
        const SQL: &str = "UPDATE statuses SET published_gen = $1, published_state = $2, published_at = $3, \
             writes = writes + 1, tries = 0, error = NULL WHERE repo = $4 AND sha = $5 AND context = $6";
        let status = &item.status;
        let (repo, sha, context) = (status.repo.as_str(), status.sha.as_str(), status.context.as_str());
        let state = name_of(&status.state);
        on!(self, pool => { execute!(pool, SQL, item.desired_gen, state, millis(now), repo, sha, context); });
        Ok(())
    }

    /// The status waits: for its turn (no error) or after a failure. A newer desired one is not held back.
    pub async fn put_off(&self, item: &Unpublished, until: Timestamp, error: Option<&str>) -> Result<()> {
        const SQL: &str = "UPDATE statuses SET next_try_at = $1, error = COALESCE($2, error), \
             tries = tries + CASE WHEN $2 IS NULL THEN 0 ELSE 1 END \
             WHERE repo = $3 AND sha = $4 AND context = $5 AND desired_gen = $6";
        let status = &item.status;
        let (repo, sha, context) = (status.repo.as_str(), status.sha.as_str(), status.context.as_str());
        on!(self, pool => { execute!(pool, SQL, millis(until), error, repo, sha, context, item.desired_gen); });
        Ok(())
    }

    /// GitHub will never take it (commit or repository gone, refused). It is kept with the reason and not tried again.
    pub async fn give_up_status(&self, item: &Unpublished, error: &str) -> Result<()> {
        const SQL: &str = "UPDATE statuses SET published_gen = $1, error = $2 \
             WHERE repo = $3 AND sha = $4 AND context = $5 AND desired_gen = $1";
        let status = &item.status;
        let (repo, sha, context) = (status.repo.as_str(), status.sha.as_str(), status.context.as_str());
        on!(self, pool => { execute!(pool, SQL, item.desired_gen, error, repo, sha, context); });
        Ok(())
    }
}

fn unpublished(row: &impl Columns) -> Result<Unpublished> {
    let count = |name| row.int(name).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    Ok(Unpublished {
        run: row.parsed("run", "run id")?,
        desired_gen: row.int("desired_gen")?,
        tries: count("tries")?,
        published: Published {
            state: row.one_of_opt::<StatusState>("published_state", "status")?,
            at: row.time_opt("published_at")?,
            writes: count("writes")?,
        },
        status: CommitStatus {
            repo: row.parsed("repo", "repository name")?,
            sha: row.parsed("sha", "commit id")?,
            context: row.text("context")?,
            state: row.one_of("state", "status")?,
            description: row.text("description")?,
            target_url: row.text("target_url")?,
        },
    })
}
