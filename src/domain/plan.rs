//! The heart: what one run needs next, as a pure function of stored state and time. Reconcilers ask and act;
//! each acts only on the steps that are its own.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::attempt::{Attempt, AttemptState, StopReason};
use super::cluster::{Cluster, ClusterState, Setup, SetupState, Stage};
use super::ids::AttemptId;
use super::names::SuiteName;
use super::run::{CancelReason, Conclusion, Run, RunState};
use super::suite::Suite;
use super::verdict::{Verdict, judge};

/// An unfinished run with all that belongs to it.
#[derive(Debug, Clone)]
pub struct RunView {
    pub run: Run,
    /// Oldest first; only the last can be of use.
    pub clusters: Vec<Cluster>,
    pub setups: Vec<Setup>,
    /// Oldest first.
    pub attempts: Vec<Attempt>,
    pub conclusions: HashMap<SuiteName, Conclusion>,
}

/// What a run needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until something outside moves.
    Wait,
    /// `admit`: a place within capacity, and a cluster.
    Admit,
    /// `admit`: another cluster, because the one it had broke.
    ReplaceCluster,
    /// `prepare`: bring the cluster on towards the state of this stage.
    Prepare(Stage),
    /// `execute`: the suite's next attempt.
    CreateAttempt { suite: SuiteName, number: u32 },
    /// `execute`: move the attempt on.
    Execute(AttemptId),
    /// `execute`: the attempt must end.
    Stop(AttemptId, StopReason),
    /// `conclude`: the suite's verdict is known.
    Conclude(SuiteName, Conclusion),
    /// `conclude`: the run's verdict is known; suites without a conclusion get this one.
    Finish { verdict: Verdict, rest: Conclusion },
}

impl RunView {
    /// A view of a run to which nothing belongs yet.
    pub fn new(run: Run) -> Self {
        Self { run, clusters: vec![], setups: vec![], attempts: vec![], conclusions: HashMap::new() }
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
            None => Step::Admit,
        },
        RunState::Active => match (view.run.cancel, view.live_attempt()) {
            (Some(_), Some(attempt)) => stop(attempt, StopReason::Cancelled),
            (Some(reason), None) => cancelled(reason),
            (None, Some(attempt)) => tend(view, attempt, now),
            (None, None) => advance(view),
        },
    }
}

/// A live attempt goes on unless its cluster is gone or its time is up.
fn tend(view: &RunView, attempt: &Attempt, now: Timestamp) -> Step {
    let on_current = view.cluster().is_some_and(|cluster| cluster.id == attempt.cluster);
    let overdue = || {
        let limit_s = view.run.gate.suites.get(&attempt.suite).map_or(0, |suite| suite.timeouts.suite_s);
        attempt.started_at.is_some_and(|start| elapsed_s(start, now) > limit_s)
    };
    match attempt.state {
        AttemptState::Waiting | AttemptState::Running if !on_current => stop(attempt, StopReason::ClusterLost),
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
fn advance(view: &RunView) -> Step {
    let mut open = view.run.gate.suites.iter().filter(|(name, _)| !view.conclusions.contains_key(*name));
    let Some((name, suite)) = open.next() else { return all_concluded(view) };
    match outcome(view, name, suite) {
        Outcome::Known(conclusion) => Step::Conclude(name.clone(), conclusion),
        Outcome::NeedsFreshCluster => Step::ReplaceCluster,
        Outcome::NeedsAttempt(number) => match ready_cluster(view) {
            Ok(()) => Step::CreateAttempt { suite: name.clone(), number },
            Err(step) => step,
        },
    }
}

enum Outcome {
    Known(Conclusion),
    NeedsAttempt(u32),
    NeedsFreshCluster,
}

/// What a suite came to, from its attempts. Infrastructure trouble earns it a fresh cluster while any are left.
fn outcome(view: &RunView, name: &SuiteName, suite: &Suite) -> Outcome {
    let Some(last) = view.attempts_of(name).next_back() else { return Outcome::NeedsAttempt(1) };
    let Some(evidence) = &last.evidence else { return Outcome::NeedsAttempt(last.number) };
    let judgement = judge(evidence, &suite.policy());
    if judgement.reason.is_infrastructure() && retries_left(view) {
        let replaced = view.cluster().is_some_and(|cluster| cluster.id != last.cluster);
        return if replaced { Outcome::NeedsAttempt(last.number + 1) } else { Outcome::NeedsFreshCluster };
    }
    Outcome::Known(Conclusion { verdict: judgement.verdict, description: judgement.description })
}

/// Whether another cluster may be asked for, or the last one asked for has yet to show what it is worth.
fn retries_left(view: &RunView) -> bool {
    let allowed = 1 + view.run.gate.cluster_retries as usize;
    let last_is_fresh =
        view.cluster().is_some_and(|last| view.attempts.iter().all(|attempt| attempt.cluster != last.id));
    view.clusters.len() < allowed || (view.clusters.len() == allowed && last_is_fresh)
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
    if view.clusters.len() <= view.run.gate.cluster_retries as usize {
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
