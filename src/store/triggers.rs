//! What deciding about a delivery needs to know: approvals, waivers, what was said of a commit, what ran on it.

use super::clusters::cluster;
use super::rows::Columns;
use super::runs::run;
use super::{Result, Store, on};
use crate::domain::cluster::Cluster;
use crate::domain::effect::{Basis, Seen, Waiver};
use crate::domain::ids::RunId;
use crate::domain::names::{RepoName, Sha, SuiteName};
use crate::domain::run::Run;
use crate::domain::status::StatusState;

/// What a context says of a commit, as far as we want it to.
#[derive(Debug, Clone)]
pub struct Said {
    pub context: String,
    pub state: StatusState,
    pub description: String,
    /// The run that said so, or the voice of a decision without one.
    pub run: RunId,
}

/// A pull request's number as a column holds it.
fn number(pr: u64) -> i64 {
    i64::try_from(pr).unwrap_or(i64::MAX)
}

impl Store {
    /// What webhooks showed of a pull request last.
    pub async fn seen(&self, repo: &RepoName, pr: u64) -> Result<Option<Seen>> {
        const SQL: &str = "SELECT * FROM pulls WHERE repo = $1 AND number = $2";
        on!(self, pool => {
            let row = sqlx::query(SQL).bind(repo.as_str()).bind(number(pr)).fetch_optional(pool).await?;
            row.map(|row| Ok(Seen {
                repo: repo.clone(),
                number: pr,
                head: row.parsed("head", "commit id")?,
                at: row.time("head_since")?,
                pusher: row.text_opt("pusher")?,
                draft_labelled: Some(row.int("draft_labelled")? == 1),
                labelled_at: row.time_opt("labelled_at")?,
            })).transpose()
        })
    }

    /// On what somebody who may has let this commit in; `None` where nobody has.
    pub async fn approval(&self, repo: &RepoName, pr: u64, sha: &Sha) -> Result<Option<Basis>> {
        const SQL: &str = "SELECT basis FROM approvals WHERE repo = $1 AND pr = $2 AND sha = $3";
        on!(self, pool => {
            let query = sqlx::query(SQL).bind(repo.as_str()).bind(number(pr)).bind(sha.as_str());
            query.fetch_optional(pool).await?.map(|row| row.one_of("basis", "basis of an approval")).transpose()
        })
    }

    /// Whether somebody who may has let this commit in.
    pub async fn is_approved(&self, repo: &RepoName, pr: u64, sha: &Sha) -> Result<bool> {
        Ok(self.approval(repo, pr, sha).await?.is_some())
    }

    /// What was declared unneeded on a commit.
    pub async fn waivers(&self, repo: &RepoName, sha: &Sha) -> Result<Vec<Waiver>> {
        const SQL: &str = "SELECT * FROM waivers WHERE repo = $1 AND sha = $2";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(repo.as_str()).bind(sha.as_str()).fetch_all(pool).await?;
            rows.iter().map(waiver).collect()
        })
    }

    /// What every context says of a commit.
    pub async fn said(&self, repo: &RepoName, sha: &Sha) -> Result<Vec<Said>> {
        const SQL: &str = "SELECT * FROM statuses WHERE repo = $1 AND sha = $2";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(repo.as_str()).bind(sha.as_str()).fetch_all(pool).await?;
            rows.iter().map(said).collect()
        })
    }

    /// Runs of a commit, newest first.
    pub async fn runs_of_commit(&self, repo: &RepoName, head: &Sha, limit: u32) -> Result<Vec<Run>> {
        const SQL: &str = "SELECT * FROM runs WHERE repo = $1 AND head = $2 ORDER BY id DESC LIMIT $3";
        on!(self, pool => {
            let query = sqlx::query(SQL).bind(repo.as_str()).bind(head.as_str()).bind(i64::from(limit));
            query.fetch_all(pool).await?.iter().map(run).collect()
        })
    }

    /// Runs of a pull request, newest first.
    pub async fn runs_of_pull(&self, repo: &RepoName, pr: u64, limit: u32) -> Result<Vec<Run>> {
        const SQL: &str = "SELECT * FROM runs WHERE repo = $1 AND pr = $2 ORDER BY id DESC LIMIT $3";
        on!(self, pool => {
            let query = sqlx::query(SQL).bind(repo.as_str()).bind(number(pr)).bind(i64::from(limit));
            query.fetch_all(pool).await?.iter().map(run).collect()
        })
    }

    /// Whether anything was ever run for pull requests into a branch.
    pub async fn is_base(&self, repo: &RepoName, branch: &str) -> Result<bool> {
        const SQL: &str = "SELECT 1 FROM runs WHERE repo = $1 AND base_ref = $2 AND pr IS NOT NULL LIMIT 1";
        on!(self, pool => {
            let row = sqlx::query(SQL).bind(repo.as_str()).bind(branch).fetch_optional(pool).await?;
            Ok(row.is_some())
        })
    }

    /// Clusters that are kept for a pull request although their runs are over.
    pub async fn held_clusters(&self, repo: &RepoName, pr: u64) -> Result<Vec<Cluster>> {
        const SQL: &str = "SELECT * FROM clusters WHERE held_until IS NOT NULL AND released_at IS NULL \
             AND state <> 'destroyed' AND run IN (SELECT id FROM runs WHERE repo = $1 AND pr = $2) ORDER BY id";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(repo.as_str()).bind(number(pr)).fetch_all(pool).await?;
            rows.iter().map(cluster).collect()
        })
    }

    /// Specs that failed in every attempt of a suite on a commit, by name.
    pub async fn always_failing(
        &self,
        repo: &RepoName,
        head: &Sha,
        suite: &SuiteName,
        limit: u32,
    ) -> Result<Vec<String>> {
        const SQL: &str = "WITH tries AS (SELECT a.id FROM attempts a JOIN runs r ON r.id = a.run \
                 WHERE r.repo = $1 AND r.head = $2 AND a.suite = $3 AND a.state = 'done') \
             SELECT c.name FROM cases c WHERE c.attempt IN (SELECT id FROM tries) \
             AND c.outcome IN ('failed', 'errored') GROUP BY c.name \
             HAVING COUNT(DISTINCT c.attempt) = (SELECT COUNT(*) FROM tries) ORDER BY c.name LIMIT $4";
        on!(self, pool => {
            let query = sqlx::query(SQL).bind(repo.as_str()).bind(head.as_str()).bind(suite.as_str());
            let rows = query.bind(i64::from(limit)).fetch_all(pool).await?;
            rows.iter().map(|row| row.text("name")).collect()
        })
    }
}

fn waiver(row: &impl Columns) -> Result<Waiver> {
    Ok(Waiver {
        repo: row.parsed("repo", "repository name")?,
        sha: row.parsed("sha", "commit id")?,
        suite: row.parsed("suite", "suite name")?,
        kind: row.one_of("kind", "kind of waiver")?,
        actor: row.text("actor")?,
        reason: row.text("reason")?,
    })
}

fn said(row: &impl Columns) -> Result<Said> {
    Ok(Said {
        context: row.text("context")?,
        state: row.one_of("state", "status")?,
        description: row.text("description")?,
        run: row.parsed("run", "run id")?,
    })
}
