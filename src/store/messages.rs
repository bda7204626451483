//! Replies, reactions and labels taken off, on their way to the forge.

use jiff::Timestamp;

use super::rows::{Columns, millis};
use super::{Result, Store, execute, on};
use crate::domain::message::Message;
use crate::domain::names::RepoName;

/// A message that was not sent, as far as we know.
#[derive(Debug, Clone)]
pub struct Unsent {
    pub seq: i64,
    pub key: String,
    pub repo: RepoName,
    pub pr: u64,
    pub message: Message,
    pub created_at: Timestamp,
    /// Sending was begun before: it may be there.
    pub begun: bool,
    pub tries: u32,
}

impl Store {
    /// Messages that are due, oldest first.
    pub async fn unsent(&self, now: Timestamp, limit: u32) -> Result<Vec<Unsent>> {
        const SQL: &str = "SELECT * FROM messages WHERE sent_at IS NULL AND next_try_at <= $1 ORDER BY seq LIMIT $2";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(millis(now)).bind(i64::from(limit)).fetch_all(pool).await?;
            rows.iter().map(unsent).collect()
        })
    }

    /// When the next put-off message is due; `None` where nothing waits.
    pub async fn next_message_at(&self) -> Result<Option<Timestamp>> {
        const SQL: &str = "SELECT MIN(next_try_at) AS at FROM messages WHERE sent_at IS NULL";
        on!(self, pool => sqlx::query(SQL).fetch_one(pool).await?.time_opt("at"))
    }

    /// From here on the message may be there already.
    pub async fn begin_message(&self, seq: i64, now: Timestamp) -> Result<()> {
        const SQL: &str = "UPDATE messages SET begun_at = $1 WHERE seq = $2";
        on!(self, pool => { execute!(pool, SQL, millis(now), seq); });
        Ok(())
    }

    /// The message is there, or (with an error) never will be.
    pub async fn sent(&self, seq: i64, error: Option<&str>, now: Timestamp) -> Result<()> {
        const SQL: &str = "UPDATE messages SET sent_at = $1, error = $2 WHERE seq = $3";
        on!(self, pool => { execute!(pool, SQL, millis(now), error, seq); });
        Ok(())
    }

    /// The message waits after a failure.
    pub async fn put_off_message(&self, seq: i64, error: &str, until: Timestamp) -> Result<()> {
        const SQL: &str = "UPDATE messages SET tries = tries + 1, next_try_at = $1, error = $2 WHERE seq = $3";
        on!(self, pool => { execute!(pool, SQL, millis(until), error, seq); });
        Ok(())
    }
}

fn unsent(row: &impl Columns) -> Result<Unsent> {
    Ok(Unsent {
        seq: row.int("seq")?,
        key: row.text("key")?,
        repo: row.parsed("repo", "repository name")?,
        pr: u64::try_from(row.int("pr")?).unwrap_or_default(),
        message: row.json("message", "message")?,
        created_at: row.time("created_at")?,
        begun: row.int_opt("begun_at")?.is_some(),
        tries: u32::try_from(row.int("tries")?).unwrap_or(u32::MAX),
    })
}
