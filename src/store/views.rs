//! What reconcilers look at: every unfinished run with all that belongs to it, read in one go.

use std::collections::HashMap;

use super::attempts::attempt;
use super::clusters::{cluster, setup};
use super::rows::Columns;
use super::runs::run;
use super::{Result, Store, snapshot};
use crate::domain::attempt::Attempt;
use crate::domain::cluster::{Cluster, Setup};
use crate::domain::ids::{ClusterId, RunId};
use crate::domain::lint::Lint;
use crate::domain::names::SuiteName;
use crate::domain::plan::RunView;
use crate::domain::run::{Conclusion, Run};

/// Reads the rows of one table that belong to the runs that `$runs` selects.
macro_rules! read {
    ($tx:expr, $sql:expr, $argument:expr, $make:expr) => {{
        let query = sqlx::query($sql);
        let query = match $argument {
            Some(id) => query.bind::<String>(id),
            None => query,
        };
        let rows = query.fetch_all(&mut *$tx).await?;
        rows.iter().map($make).collect::<Result<Vec<_>>>()?
    }};
}

/// The reads of a view, with the runs chosen by the given sub-select.
macro_rules! read_views {
    ($tx:expr, $runs:literal, $argument:expr) => {{
        let argument: Option<String> = $argument;
        let runs: Vec<Run> =
            read!($tx, concat!("SELECT * FROM runs WHERE id IN (", $runs, ") ORDER BY id"), argument.clone(), run);
        let clusters: Vec<Cluster> = read!(
            $tx,
            concat!("SELECT * FROM clusters WHERE run IN (", $runs, ") ORDER BY id"),
            argument.clone(),
            cluster
        );
        let setups: Vec<Setup> = read!(
            $tx,
            concat!(
                "SELECT * FROM setups WHERE cluster IN (SELECT id FROM clusters WHERE run IN (",
                $runs,
                ")) ORDER BY started_at"
            ),
            argument.clone(),
            setup
        );
        let attempts: Vec<Attempt> = read!(
            $tx,
            concat!("SELECT * FROM attempts WHERE run IN (", $runs, ") ORDER BY id"),
            argument.clone(),
            attempt
        );
        let conclusions: Vec<(RunId, SuiteName, Conclusion)> =
            read!($tx, concat!("SELECT * FROM conclusions WHERE run IN (", $runs, ")"), argument.clone(), conclusion);
        // Repeating a repetition is rare; nobody repeats for ever.
        let earlier: Vec<(RunId, Attempt)> = read!(
            $tx,
            concat!(
                "WITH RECURSIVE chain (wanted_by, run, depth) AS (SELECT id, retry_of, 1 FROM runs WHERE id IN (",
                $runs,
                ") AND retry_of IS NOT NULL UNION ALL SELECT chain.wanted_by, runs.retry_of, depth + 1 FROM chain ",
                "JOIN runs ON runs.id = chain.run WHERE runs.retry_of IS NOT NULL AND depth < 10) ",
                "SELECT chain.wanted_by, attempts.* FROM chain JOIN attempts ON attempts.run = chain.run ",
                "WHERE attempts.state = 'done' ORDER BY chain.depth DESC, attempts.id"
            ),
            argument.clone(),
            |row| Ok((row.parsed("wanted_by", "run id")?, attempt(row)?))
        );
        let lints: Vec<(RunId, Lint)> =
            read!($tx, concat!("SELECT * FROM lints WHERE run IN (", $runs, ")"), argument.clone(), |row| Ok((
                row.parsed("run", "run id")?,
                row.json("report", "lint of a skip list")?
            )));
        let mut views = assemble(runs, clusters, setups, attempts, conclusions);
        for view in &mut views {
            let wanted = earlier.iter().filter(|(run, _)| *run == view.run.id);
            view.earlier = wanted.map(|(_, attempt)| attempt.clone()).collect();
            view.lint = lints.iter().find(|(run, _)| *run == view.run.id).map(|(_, lint)| lint.clone());
        }
        views
    }};
}

impl Store {
    /// Every unfinished run, oldest first.
    pub async fn open_runs(&self) -> Result<Vec<RunView>> {
        Ok(snapshot!(self, tx => { read_views!(tx, "SELECT id FROM runs WHERE state <> 'finished'", None) }))
    }

    /// One run with all that belongs to it, whatever its state.
    pub async fn run_view(&self, id: RunId) -> Result<Option<RunView>> {
        let id = id.to_string();
        let views = snapshot!(self, tx => { read_views!(tx, "SELECT id FROM runs WHERE id = $1", Some(id)) });
        Ok(views.into_iter().next())
    }
}

fn conclusion(row: &impl Columns) -> Result<(RunId, SuiteName, Conclusion)> {
    let conclusion = Conclusion { verdict: row.one_of("verdict", "verdict")?, description: row.text("description")? };
    Ok((row.parsed("run", "run id")?, row.parsed("suite", "suite name")?, conclusion))
}

fn assemble(
    runs: Vec<Run>,
    clusters: Vec<Cluster>,
    setups: Vec<Setup>,
    attempts: Vec<Attempt>,
    conclusions: Vec<(RunId, SuiteName, Conclusion)>,
) -> Vec<RunView> {
    let owner: HashMap<ClusterId, RunId> = clusters.iter().map(|cluster| (cluster.id, cluster.run)).collect();
    let mut views: Vec<RunView> = runs.into_iter().map(RunView::new).collect();
    let index: HashMap<RunId, usize> = views.iter().enumerate().map(|(at, view)| (view.run.id, at)).collect();
    for cluster in clusters {
        index.get(&cluster.run).into_iter().for_each(|at| views[*at].clusters.push(cluster.clone()));
    }
    for setup in setups {
        let at = owner.get(&setup.cluster).and_then(|run| index.get(run));
        at.into_iter().for_each(|at| views[*at].setups.push(setup.clone()));
    }
    for attempt in attempts {
        index.get(&attempt.run).into_iter().for_each(|at| views[*at].attempts.push(attempt.clone()));
    }
    for (run, suite, conclusion) in conclusions {
        if let Some(at) = index.get(&run) {
            views[*at].conclusions.insert(suite, conclusion);
        }
    }
    views
}
