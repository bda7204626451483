//! Clusters and what was set up on them.

use jiff::Timestamp;

use super::rows::{Columns, guard, millis, name_of};
use super::{Result, Store, execute, on, transaction};
use crate::domain::cluster::{Cluster, ClusterState, Setup, SetupState, Stage};
use crate::domain::ids::ClusterId;
use crate::domain::names::RepoName;
use crate::domain::run::Run;

/// The row that must exist before the first outside call.
macro_rules! insert_cluster {
    ($tx:expr, $cluster:expr) => {
        execute!(
            &mut *$tx,
            "INSERT INTO clusters (id, run, plan, state, expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
            $cluster.id.to_string(),
            $cluster.run.to_string(),
            $crate::store::rows::to_json(&$cluster.plan),
            name_of(&$cluster.state),
            millis($cluster.expires_at),
            millis($cluster.created_at),
        )
    };
}
pub(super) use insert_cluster;

impl Store {
    /// Requests a further cluster for an active run and lets go of the ones it had. `false`: somebody else moved the run.
    pub async fn replace_cluster(&self, run: &Run, fresh: &Cluster, now: Timestamp) -> Result<bool> {
        const TOUCH: &str = "UPDATE runs SET generation = generation + 1 \
             WHERE id = $1 AND generation = $2 AND state = 'active' AND cancel IS NULL";
        const RELEASE: &str = "UPDATE clusters SET released_at = $1, generation = generation + 1 \
             WHERE run = $2 AND released_at IS NULL";
        Ok(transaction!(self, tx => {
            let touched = execute!(&mut *tx, TOUCH, run.id.to_string(), run.generation);
            if touched == 1 {
                execute!(&mut *tx, RELEASE, millis(now), run.id.to_string());
                insert_cluster!(tx, fresh);
            }
            touched == 1
        }))
    }

    /// Lets go of clusters whose run is over and that nobody holds (any more); gives how many there were.
    pub async fn release_orphans(&self, now: Timestamp) -> Result<u64> {
        const SQL: &str = "UPDATE clusters SET released_at = $1, generation = generation + 1 WHERE released_at IS NULL \
             AND state <> 'destroyed' AND (held_until IS NULL OR held_until <= $1) \
             AND run IN (SELECT id FROM runs WHERE state = 'finished')";
        Ok(on!(self, pool => execute!(pool, SQL, millis(now))))
    }

    /// Moves a cluster on. `false`: somebody else moved it, or the way is not legal.
    pub async fn move_cluster(
        &self,
        cluster: &Cluster,
        to: ClusterState,
        message: Option<&str>,
        now: Timestamp,
    ) -> Result<bool> {
        const SQL: &str = "UPDATE clusters SET state = $1, message = $2, generation = generation + 1, \
             ready_at = CASE WHEN $1 = 'ready' THEN $3 ELSE ready_at END, \
             failed_at = CASE WHEN $1 = 'failing' THEN $3 ELSE failed_at END, \
             destroyed_at = CASE WHEN $1 = 'destroyed' THEN $3 ELSE destroyed_at END \
             WHERE id = $4 AND generation = $5 AND $6 LIKE '%,' || state || ',%'";
        let from = guard(to.predecessors());
        let (id, at) = (cluster.id.to_string(), millis(now));
        let moved = on!(self, pool => execute!(pool, SQL, name_of(&to), message, at, id, cluster.generation, from));
        Ok(moved == 1)
    }

    /// Says what a cluster waits for, without moving it. `true` when that is news.
    pub async fn explain_cluster(&self, id: ClusterId, message: &str) -> Result<bool> {
        const SQL: &str = "UPDATE clusters SET message = $1 WHERE id = $2 AND message IS DISTINCT FROM $1";
        Ok(on!(self, pool => execute!(pool, SQL, message, id.to_string())) == 1)
    }

    /// When clusters of a repository broke since a moment, oldest first.
    pub async fn broken_since(&self, repo: &RepoName, since: Timestamp) -> Result<Vec<Timestamp>> {
        const SQL: &str = "SELECT clusters.failed_at FROM clusters JOIN runs ON runs.id = clusters.run \
             WHERE runs.repo = $1 AND clusters.failed_at > $2 ORDER BY clusters.failed_at";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(repo.as_str()).bind(millis(since)).fetch_all(pool).await?;
            rows.iter().map(|row| row.time("failed_at")).collect()
        })
    }

    /// Clusters that may still own something, oldest first.
    pub async fn open_clusters(&self) -> Result<Vec<Cluster>> {
        on!(self, pool => {
            let rows = sqlx::query("SELECT * FROM clusters WHERE state <> 'destroyed' ORDER BY id").fetch_all(pool).await?;
            rows.iter().map(cluster).collect()
        })
    }

    /// Begins a stage of the set-up; beginning it again changes nothing.
    pub async fn begin_setup(&self, cluster: ClusterId, stage: Stage, now: Timestamp) -> Result<bool> {
        const SQL: &str = "INSERT INTO setups (cluster, stage, state, started_at) VALUES ($1, $2, 'applying', $3) \
             ON CONFLICT DO NOTHING";
        Ok(on!(self, pool => execute!(pool, SQL, cluster.to_string(), name_of(&stage), millis(now))) == 1)
    }

    /// Moves a set-up on. `false`: somebody else moved it, or the way is not legal.
    pub async fn move_setup(
        &self,
        setup: &Setup,
        to: SetupState,
        message: Option<&str>,
        now: Timestamp,
    ) -> Result<bool> {
        const SQL: &str = "UPDATE setups SET state = $1, message = $2, generation = generation + 1, \
             finished_at = CASE WHEN $1 IN ('done', 'failed') THEN $3 ELSE finished_at END \
             WHERE cluster = $4 AND stage = $5 AND generation = $6 AND $7 LIKE '%,' || state || ',%'";
        let from = guard(to.predecessors());
        let (cluster, stage) = (setup.cluster.to_string(), name_of(&setup.stage));
        let moved = on!(self, pool => {
            execute!(pool, SQL, name_of(&to), message, millis(now), cluster, stage, setup.generation, from)
        });
        Ok(moved == 1)
    }

    /// Says what a set-up waits for, without moving it. `true` when that is news.
    pub async fn explain_setup(&self, setup: &Setup, message: &str) -> Result<bool> {
        const SQL: &str =
            "UPDATE setups SET message = $1 WHERE cluster = $2 AND stage = $3 AND message IS DISTINCT FROM $1";
        let (cluster, stage) = (setup.cluster.to_string(), name_of(&setup.stage));
        Ok(on!(self, pool => execute!(pool, SQL, message, cluster, stage)) == 1)
    }
}

pub(super) fn cluster(row: &impl Columns) -> Result<Cluster> {
    Ok(Cluster {
        id: row.parsed("id", "cluster id")?,
        run: row.parsed("run", "run id")?,
        plan: row.json("plan", "cluster plan")?,
        state: row.one_of("state", "cluster state")?,
        generation: row.int("generation")?,
        message: row.text_opt("message")?,
        released_at: row.time_opt("released_at")?,
        held_until: row.time_opt("held_until")?,
        expires_at: row.time("expires_at")?,
        created_at: row.time("created_at")?,
        ready_at: row.time_opt("ready_at")?,
        destroyed_at: row.time_opt("destroyed_at")?,
    })
}

pub(super) fn setup(row: &impl Columns) -> Result<Setup> {
    Ok(Setup {
        cluster: row.parsed("cluster", "cluster id")?,
        stage: row.one_of("stage", "stage")?,
        state: row.one_of("state", "set-up state")?,
        generation: row.int("generation")?,
        message: row.text_opt("message")?,
        started_at: row.time("started_at")?,
        finished_at: row.time_opt("finished_at")?,
    })
}
