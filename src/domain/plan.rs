//! The heart: what one run needs next, as a pure function of stored state and time. Reconcilers ask and act;
//! each acts only on the steps that are its own.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::attempt::{Attempt, AttemptState, StopReason};
use super::cluster::{Cluster, ClusterState, Setup, SetupState, Stage};
use super::course::{self, Next};
use super::ids::AttemptId;
use super::lint::Lint;
use super::names::SuiteName;
use super::run::{CancelReason, Conclusion, Run, RunState};
use super::suite::{ClusterUse, Suite};
use super::verdict::Verdict;

/// An unfinished run with all that belongs to it.
#[derive(Debug, Clone)]
pub struct RunView {
    pub run: Run,
    /// Oldest first; only the last can be of use.
    pub clusters: Vec<Cluster>,
    pub setups: Vec<Setup>,
    /// Oldest first.
    pub attempts: Vec<Attempt>,
    /// Attempts of the run whose failed specs this one runs again, and of the one before that; oldest first.
    pub earlier: Vec<Attempt>,
    /// How its skip list fits its suites, once that is known.
    pub lint: Option<Lint>,
    pub conclusions: HashMap<SuiteName, Conclusion>,
}

/// What a run needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until something outside moves.
    Wait,
    /// `lint`: find out how the skip list fits the suites, before anything is made.
    Lint,
    /// `admit`: a place within capacity, and a cluster.
    Admit,
    /// `admit`: another cluster, because the one it had broke.
    ReplaceCluster,
    /// `prepare`: bring the cluster on towards the state of this stage.
    Prepare(Stage),
    /// `execute`: the suite's next attempt.
    CreateAttempt { suite: SuiteName, number: u32, what: Wanted },
    /// `execute`: move the attempt on.
    Execute(AttemptId),
    /// `execute`: the attempt must end.
    Stop(AttemptId, StopReason),
    /// `conclude`: the suite's verdict is known.
    Conclude(SuiteName, Conclusion),
    /// `conclude`: the run's verdict is known; suites without a conclusion get this one.
    Finish { verdict: Verdict, rest: Conclusion },
}

/// What of a suite an attempt is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Phase(u32),
    /// The specs that failed so far.
    FailedSpecs,
}

impl RunView {
    /// A view of a run to which nothing belongs yet.
    pub fn new(run: Run) -> Self {
        Self {
            run,
            clusters: vec![],
            setups: vec![],
            attempts: vec![],
            earlier: vec![],
            lint: None,
            conclusions: HashMap::new(),
        }
    }

    /// The cluster that suites may run on, now or soon.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.clusters.last().filter(|cluster| cluster.state.is_usable() && cluster.released_at.is_none())
    }

    /// A stage of the set-up on the current cluster.
    pub fn setup(&self, stage: Stage) -> Option<&Setup> {
        let cluster = self.clusters.last()?.id;
        self.setups.iter().find(|setup| setup.cluster == cluster && setup.stage == stage)
    }

    /// A suite's attempts, oldest first.
    pub fn attempts_of<'a>(&'a self, suite: &'a SuiteName) -> impl DoubleEndedIterator<Item = &'a Attempt> {
        self.attempts.iter().filter(move |attempt| attempt.suite == *suite)
    }

    /// Clusters that were given up for what happened to them, the current one included.
    fn broken_clusters(&self) -> usize {
        let current = self.cluster().map(|cluster| cluster.id);
        self.clusters.iter().filter(|cluster| self.is_broken(cluster, current == Some(cluster.id))).count()
    }

    /// It never served a suite, or the last suite on it met trouble of the infrastructure.
    fn is_broken(&self, cluster: &Cluster, is_current: bool) -> bool {
        match self.attempts.iter().rev().find(|attempt| attempt.cluster == cluster.id) {
            None => !is_current,
            Some(last) => self.run.gate.suites.get(&last.suite).is_some_and(|suite| course::broke(last, suite)),
        }
    }

    /// Whether every suite has come to its end, as some do before anything is started.
    fn is_concluded(&self) -> bool {
        self.run.gate.suites.keys().all(|suite| self.conclusions.contains_key(suite))
    }

    fn live_attempt(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.state != AttemptState::Done)
    }
}

/// What the run needs next.
pub fn next_step(view: &RunView, now: Timestamp) -> Step {
    match view.run.state {
        RunState::Finished => Step::Wait,
        RunState::Queued => match view.run.cancel {
            Some(reason) => cancelled(reason),
            None if view.is_concluded() => all_concluded(view),
            None if view.lint.is_none() && !view.run.gate.skips.is_empty() => Step::Lint,
            None => Step::Admit,
        },
        RunState::Active => match (view.run.cancel, view.live_attempt()) {
            (Some(_), Some(attempt)) => stop(attempt, StopReason::Cancelled),
            (Some(reason), None) => cancelled(reason),
            (None, Some(attempt)) => tend(view, attempt, now),
            (None, None) => advance(view, now),
        },
    }
}

/// A live attempt goes on unless its cluster is gone or its time is up.
fn tend(view: &RunView, attempt: &Attempt, now: Timestamp) -> Step {
    let on_current = view.cluster().is_some_and(|cluster| cluster.id == attempt.cluster);
    let limits = view.run.gate.suites.get(&attempt.suite).map(|suite| &suite.timeouts);
    let overdue = || {
        let limit_s = limits.map_or(0, |limits| limits.suite_s);
        attempt.started_at.is_some_and(|start| elapsed_s(start, now) > limit_s)
    };
    let unstarted = || elapsed_s(attempt.created_at, now) > limits.map_or(0, |limits| limits.start_up_s);
    let is_unwanted = view.conclusions.contains_key(&attempt.suite);
    match attempt.state {
        AttemptState::Waiting | AttemptState::Running if is_unwanted => stop(attempt, StopReason::Cancelled),
        AttemptState::Waiting | AttemptState::Running if !on_current => stop(attempt, StopReason::ClusterLost),
        AttemptState::Waiting if unstarted() => stop(attempt, StopReason::StartUp),
        AttemptState::Running if overdue() => stop(attempt, StopReason::TimedOut),
        AttemptState::Waiting | AttemptState::Running | AttemptState::Collecting => Step::Execute(attempt.id),
        AttemptState::Done => Step::Wait,
    }
}

/// Notes the reason once; after that the attempt is moved on until it has ended. What has ended by itself is only collected.
fn stop(attempt: &Attempt, reason: StopReason) -> Step {
    match (attempt.stop, attempt.state) {
        (None, AttemptState::Waiting | AttemptState::Running) => Step::Stop(attempt.id, reason),
        (Some(_), _) | (None, AttemptState::Collecting | AttemptState::Done) => Step::Execute(attempt.id),
    }
}

/// No attempt is live: conclude what can be concluded, else make the cluster ready for the next attempt.
fn advance(view: &RunView, now: Timestamp) -> Step {
    let mut open: Vec<_> =
        view.run.gate.suites.iter().filter(|(name, _)| !view.conclusions.contains_key(*name)).collect();
    // Those that share a cluster go first, so that it is made once.
    open.sort_by_key(|(_, suite)| suite.cluster == ClusterUse::Own);
    let Some((name, suite)) = open.first() else { return all_concluded(view) };
    let own: Vec<&Attempt> = view.attempts_of(name).collect();
    match course::next(view, name, suite, now) {
        Next::Known(conclusion) => Step::Conclude((*name).clone(), conclusion),
        Next::Again { .. } | Next::Attempt(_) if !is_fit(view, name, suite) => Step::ReplaceCluster,
        Next::Again { last, conclusion, what } => {
            let replaced = view.cluster().is_some_and(|cluster| cluster.id != last);
            match (replaced, view.broken_clusters() <= view.run.gate.cluster_retries as usize) {
                (_, false) => Step::Conclude((*name).clone(), conclusion),
                (true, true) => create(view, name, own.len(), what),
                (false, true) => Step::ReplaceCluster,
            }
        }
        Next::Attempt(what) => create(view, name, own.len(), what),
    }
}

fn create(view: &RunView, name: &SuiteName, attempts: usize, what: Wanted) -> Step {
    let number = u32::try_from(attempts).unwrap_or(u32::MAX).saturating_add(1);
    match ready_cluster(view) {
        Ok(()) => Step::CreateAttempt { suite: name.clone(), number, what },
        Err(step) => step,
    }
}

/// Whether the current cluster is one that the suite may run on. None at all is another question.
fn is_fit(view: &RunView, name: &SuiteName, suite: &Suite) -> bool {
    let Some(cluster) = view.cluster() else { return true };
    let mut others = view.attempts.iter().filter(|attempt| attempt.cluster == cluster.id && attempt.suite != *name);
    match suite.cluster {
        ClusterUse::Own => others.next().is_none(),
        ClusterUse::Shared => others.all(|attempt| {
            view.run.gate.suites.get(&attempt.suite).is_none_or(|other| other.cluster == ClusterUse::Shared)
        }),
    }
}

/// `Ok` when the cluster is as the tested commit describes it, else the step that brings it nearer.
fn ready_cluster(view: &RunView) -> Result<(), Step> {
    let Some(cluster) = view.cluster() else { return Err(without_cluster(view)) };
    if cluster.state != ClusterState::Ready {
        return Err(Step::Wait);
    }
    for stage in view.run.gate.stages() {
        match view.setup(*stage).map(|setup| (setup.state, setup.message.as_deref())) {
            Some((SetupState::Done, _)) => {}
            Some((SetupState::Failed, message)) => return Err(setup_failed(*stage, message)),
            Some((SetupState::Applying | SetupState::RollingOut, _)) | None => return Err(Step::Prepare(*stage)),
        }
    }
    Ok(())
}

fn without_cluster(view: &RunView) -> Step {
    if view.broken_clusters() <= view.run.gate.cluster_retries as usize {
        return Step::ReplaceCluster;
    }
    let cause = view.clusters.last().and_then(|cluster| cluster.message.as_deref()).unwrap_or("it was lost");
    finish(Verdict::Error, format!("no cluster: {cause}"))
}

/// A head that cannot be set up is the change's own failure; a base that cannot is not.
fn setup_failed(stage: Stage, message: Option<&str>) -> Step {
    let message = message.unwrap_or("no reason was given");
    match stage {
        Stage::Base => finish(Verdict::Error, format!("set-up of the base failed: {message}")),
        Stage::Head => finish(Verdict::Failure, format!("set-up failed: {message}")),
    }
}

/// The worst verdict of the required suites; optional ones do not count.
fn all_concluded(view: &RunView) -> Step {
    let required =
        view.conclusions.iter().filter(|(name, _)| view.run.gate.suites.get(*name).is_none_or(|s| s.required));
    let verdict = required.map(|(_, conclusion)| conclusion.verdict).max().unwrap_or(Verdict::Success);
    finish(verdict, "every suite is concluded".into())
}

fn cancelled(reason: CancelReason) -> Step {
    finish(Verdict::Error, reason.text().into())
}

fn finish(verdict: Verdict, description: String) -> Step {
    Step::Finish { verdict, rest: Conclusion { verdict, description } }
}

fn elapsed_s(start: Timestamp, now: Timestamp) -> u64 {
    let elapsed: SignedDuration = now.duration_since(start);
    u64::try_from(elapsed.as_secs()).unwrap_or(0)
}
