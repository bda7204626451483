//! What catch-up compares GitHub with, and how far it has come.

use std::collections::HashSet;

use jiff::Timestamp;

use super::rows::{Columns, parse};
use super::{Result, Store, execute, on};
use crate::domain::missed::Ended;
use crate::domain::names::{RepoName, Sha};

impl Store {
    /// Those of these deliveries that were never stored.
    pub async fn never_stored(&self, guids: &[String]) -> Result<HashSet<String>> {
        const SQL: &str = "SELECT 1 FROM deliveries WHERE guid = $1";
        let mut missing = HashSet::new();
        for guid in guids {
            let is_known = on!(self, pool => sqlx::query(SQL).bind(guid).fetch_optional(pool).await?.is_some());
            if !is_known {
                missing.insert(guid.clone());
            }
        }
        Ok(missing)
    }

    /// How the last run of every suite of a pull request's head ended; `None` where there was none.
    pub async fn last_end(&self, repo: &RepoName, pr: u64, head: &Sha) -> Result<Option<Ended>> {
        const SQL: &str = "SELECT cancel, base_ref, COALESCE(finished_at, created_at) AS at FROM runs \
             WHERE repo = $1 AND head = $2 AND pr = $3 AND scope = '' ORDER BY id DESC LIMIT 1";
        let pr = i64::try_from(pr).unwrap_or(i64::MAX);
        on!(self, pool => {
            let row = sqlx::query(SQL).bind(repo.as_str()).bind(head.as_str()).bind(pr).fetch_optional(pool).await?;
            let ended = row.map(|row| {
                let cancel = row.one_of_opt("cancel", "reason to cancel")?;
                Ok(Ended { cancel, base_ref: row.text("base_ref")?, at: row.time("at")? })
            });
            ended.transpose()
        })
    }

    /// Whether a commit carries any status of ours, published or not.
    pub async fn is_heard_of(&self, repo: &RepoName, sha: &Sha) -> Result<bool> {
        const SQL: &str = "SELECT 1 FROM statuses WHERE repo = $1 AND sha = $2 LIMIT 1";
        on!(self, pool => {
            let row = sqlx::query(SQL).bind(repo.as_str()).bind(sha.as_str()).fetch_optional(pool).await?;
            Ok(row.is_some())
        })
    }

    /// A pull request's head as webhooks told it, and since when.
    pub async fn head_since(&self, repo: &RepoName, pr: u64) -> Result<Option<(Sha, Timestamp)>> {
        const SQL: &str = "SELECT head, head_since FROM pulls WHERE repo = $1 AND number = $2";
        let pr = i64::try_from(pr).unwrap_or(i64::MAX);
        on!(self, pool => {
            let row = sqlx::query(SQL).bind(repo.as_str()).bind(pr).fetch_optional(pool).await?;
            row.map(|row| Ok((row.parsed("head", "commit id")?, row.time("head_since")?))).transpose()
        })
    }

    /// Until when failed deliveries were looked for.
    pub async fn caught_up_to(&self) -> Result<Option<Timestamp>> {
        const SQL: &str = "SELECT value FROM meta WHERE key = 'caught_up_to'";
        on!(self, pool => {
            let row = sqlx::query(SQL).fetch_optional(pool).await?;
            row.map(|row| parse(&row.text("value")?, "time")).transpose()
        })
    }

    /// Failed deliveries from before `at` were all looked at.
    pub async fn note_caught_up(&self, at: Timestamp) -> Result<()> {
        const SQL: &str = "INSERT INTO meta (key, value) VALUES ('caught_up_to', $1) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        on!(self, pool => { execute!(pool, SQL, at.to_string()); });
        Ok(())
    }
}
