//! The audit log: who did what to which commit, and why. Rows are only added.

use jiff::Timestamp;

use super::rows::Columns;
use super::{Result, Store, on};
use crate::domain::audit::{AuditEntry, Deed};
use crate::domain::ids::RunId;
use crate::domain::names::{RepoName, Sha};
use crate::domain::run::Run;

/// Adds one entry, within an open transaction.
macro_rules! note {
    ($tx:expr, $entry:expr) => {{
        const SQL: &str = "INSERT INTO audit (at, repo, pr, sha, run, action, suite, actor, reason) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let entry: &$crate::domain::audit::AuditEntry = &$entry;
        execute!(
            &mut *$tx,
            SQL,
            millis(entry.at),
            entry.repo.as_str(),
            entry.pr.map(|pr| i64::try_from(pr).unwrap_or(i64::MAX)),
            entry.sha.as_ref().map($crate::domain::names::Sha::as_str),
            entry.run.map(|run| run.to_string()),
            name_of(&entry.deed),
            entry.suite.as_ref().map($crate::domain::names::SuiteName::as_str),
            entry.actor.as_str(),
            entry.reason.as_str(),
        );
    }};
}
pub(super) use note;

/// An entry about a run.
pub(super) fn entry(run: &Run, deed: Deed, actor: &str, reason: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        repo: run.repo.clone(),
        pr: run.pr,
        sha: Some(run.head.clone()),
        run: Some(run.id),
        deed,
        suite: None,
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    }
}

/// An entry about a commit of a pull request.
pub(super) fn about(
    repo: &RepoName,
    pr: u64,
    sha: &Sha,
    deed: Deed,
    actor: &str,
    reason: &str,
    at: Timestamp,
) -> AuditEntry {
    AuditEntry {
        at,
        repo: repo.clone(),
        pr: Some(pr),
        sha: Some(sha.clone()),
        run: None,
        deed,
        suite: None,
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub repo: Option<RepoName>,
    pub pr: Option<u64>,
    /// Only older ones than this.
    pub before: Option<i64>,
}

impl Store {
    /// What was done to a run's commit: to the run itself, and to the commit without a run. Oldest first.
    pub async fn audit_of(&self, run: &Run, limit: u32) -> Result<Vec<AuditEntry>> {
        const SQL: &str = "SELECT * FROM audit WHERE repo = $1 AND sha = $2 AND (run IS NULL OR run = $3) \
             ORDER BY seq LIMIT $4";
        on!(self, pool => {
            let query = sqlx::query(SQL).bind(run.repo.as_str()).bind(run.head.as_str()).bind(run.id.to_string());
            let rows = query.bind(i64::from(limit)).fetch_all(pool).await?;
            rows.iter().map(audit).collect()
        })
    }

    /// The log, newest first, each entry with its number.
    pub async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<(i64, AuditEntry)>> {
        const SQL: &str = "SELECT * FROM audit WHERE ($1 IS NULL OR repo = $1) AND ($2 IS NULL OR pr = $2) \
             AND ($3 IS NULL OR seq < $3) ORDER BY seq DESC LIMIT $4";
        let pr = filter.pr.map(|pr| i64::try_from(pr).unwrap_or(i64::MAX));
        let repo = filter.repo.as_ref().map(|repo| repo.as_str().to_owned());
        on!(self, pool => {
            let query = sqlx::query(SQL).bind(repo).bind(pr).bind(filter.before).bind(i64::from(limit));
            let rows = query.fetch_all(pool).await?;
            rows.iter().map(|row| Ok((row.int("seq")?, audit(row)?))).collect()
        })
    }
}

fn audit(row: &impl Columns) -> Result<AuditEntry> {
    Ok(AuditEntry {
        at: row.time("at")?,
        repo: row.parsed("repo", "repository name")?,
        pr: row.int_opt("pr")?.and_then(|pr| u64::try_from(pr).ok()),
        sha: row.parsed_opt("sha", "commit id")?,
        run: row.parsed_opt::<RunId>("run", "run id")?,
        deed: row.one_of("action", "deed")?,
        suite: row.parsed_opt("suite", "suite name")?,
        actor: row.text("actor")?,
        reason: row.text("reason")?,
    })
}
