//! The one comment on a pull request: which run it tells of, and what GitHub was told.

use jiff::Timestamp;

use super::rows::{Columns, millis};
use super::{Result, Store, execute, on};
use crate::domain::ids::RunId;
use crate::domain::names::{RepoName, Sha};
use crate::domain::status::CommitStatus;

/// A newer run takes the comment over.
pub(super) const WANT: &str = "INSERT INTO summaries (repo, pr, run, mark) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (repo, pr) DO UPDATE SET run = excluded.run, desired_gen = summaries.desired_gen + 1 \
     WHERE excluded.run > summaries.run";
/// Something changed about a run that a comment tells of.
pub(super) const TOUCH: &str = "UPDATE summaries SET desired_gen = desired_gen + 1 WHERE run = $1";

/// A comment that is not as it should be.
#[derive(Debug, Clone)]
pub struct Summary {
    pub repo: RepoName,
    pub pr: u64,
    pub run: RunId,
    /// Hidden in the comment's text.
    pub mark: String,
    /// GitHub's number.
    pub comment: Option<u64>,
    /// Posting was begun: it may exist although its number is not known.
    pub is_begun: bool,
    pub tries: u32,
    desired_gen: i64,
}

impl Store {
    /// Comments to be written, those longest due first.
    pub async fn due_summaries(&self, now: Timestamp, limit: u32) -> Result<Vec<Summary>> {
        const SQL: &str = "SELECT * FROM summaries WHERE published_gen < desired_gen AND next_try_at <= $1 \
             ORDER BY next_try_at, run LIMIT $2";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(millis(now)).bind(i64::from(limit)).fetch_all(pool).await?;
            rows.iter().map(summary).collect()
        })
    }

    /// When the next comment that waits is due.
    pub async fn next_summary_at(&self) -> Result<Option<Timestamp>> {
        const SQL: &str = "SELECT MIN(next_try_at) AS at FROM summaries WHERE published_gen < desired_gen";
        on!(self, pool => sqlx::query(SQL).fetch_one(pool).await?.time_opt("at"))
    }

    /// Every context of a commit as it should read.
    pub async fn contexts(&self, repo: &RepoName, sha: &Sha) -> Result<Vec<CommitStatus>> {
        const SQL: &str = "SELECT * FROM statuses WHERE repo = $1 AND sha = $2 ORDER BY context";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(repo.as_str()).bind(sha.as_str()).fetch_all(pool).await?;
            rows.iter().map(super::statuses::status).collect()
        })
    }

    /// The comment is about to be posted.
    pub async fn begin_summary(&self, summary: &Summary) -> Result<()> {
        const SQL: &str = "UPDATE summaries SET begun = 1 WHERE repo = $1 AND pr = $2";
        let (repo, pr) = key(summary);
        on!(self, pool => { execute!(pool, SQL, repo, pr); });
        Ok(())
    }

    /// GitHub has it, under this number. The next change waits until then.
    pub async fn summarized(&self, summary: &Summary, comment: u64, next: Timestamp) -> Result<()> {
        const SQL: &str = "UPDATE summaries SET comment = $1, published_gen = $2, next_try_at = $3, tries = 0, \
             error = NULL WHERE repo = $4 AND pr = $5";
        let ((repo, pr), comment) = (key(summary), i64::try_from(comment).unwrap_or(i64::MAX));
        on!(self, pool => { execute!(pool, SQL, comment, summary.desired_gen, millis(next), repo, pr); });
        Ok(())
    }

    /// It was not taken; it is tried again then.
    pub async fn put_off_summary(&self, summary: &Summary, until: Timestamp, error: &str) -> Result<()> {
        const SQL: &str =
            "UPDATE summaries SET next_try_at = $1, error = $2, tries = tries + 1 WHERE repo = $3 AND pr = $4";
        let (repo, pr) = key(summary);
        on!(self, pool => { execute!(pool, SQL, millis(until), error, repo, pr); });
        Ok(())
    }

    /// It is never taken; only a change is tried again.
    pub async fn give_up_summary(&self, summary: &Summary, error: &str) -> Result<()> {
        const SQL: &str = "UPDATE summaries SET published_gen = $1, error = $2 WHERE repo = $3 AND pr = $4";
        let (repo, pr) = key(summary);
        on!(self, pool => { execute!(pool, SQL, summary.desired_gen, error, repo, pr); });
        Ok(())
    }

    /// Somebody removed the comment: the next change writes a new one.
    pub async fn forget_comment(&self, summary: &Summary) -> Result<()> {
        const SQL: &str =
            "UPDATE summaries SET comment = NULL, begun = 0, published_gen = $1 WHERE repo = $2 AND pr = $3";
        let (repo, pr) = key(summary);
        on!(self, pool => { execute!(pool, SQL, summary.desired_gen, repo, pr); });
        Ok(())
    }
}

fn key(summary: &Summary) -> (&str, i64) {
    (summary.repo.as_str(), i64::try_from(summary.pr).unwrap_or(i64::MAX))
}

/// What marks the comment of a pull request: nobody can know it before the comment is there.
pub(super) fn mark(run: RunId, now: Timestamp) -> String {
    format!("<!-- portcullis {run} {} -->", RunId::new(now))
}

fn summary(row: &impl Columns) -> Result<Summary> {
    Ok(Summary {
        repo: row.parsed("repo", "repository name")?,
        pr: u64::try_from(row.int("pr")?).unwrap_or_default(),
        run: row.parsed("run", "run id")?,
        mark: row.text("mark")?,
        comment: row.int_opt("comment")?.and_then(|id| u64::try_from(id).ok()),
        is_begun: row.int("begun")? != 0,
        tries: u32::try_from(row.int("tries")?).unwrap_or(u32::MAX),
        desired_gen: row.int("desired_gen")?,
    })
}
