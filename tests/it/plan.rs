//! What a run needs next, over the whole life of a run, with plain values: no store, no clock, no outside.

use jiff::Timestamp;
use portcullis::domain::attempt::{AttemptState, StopReason};
use portcullis::domain::cluster::{ClusterState, Setup, SetupState, Stage};
use portcullis::domain::plan::{RunView, Step, Wanted, next_step};
use portcullis::domain::report::{Counts, Digest};
use portcullis::domain::run::{CancelReason, Conclusion, RunState};
use portcullis::domain::verdict::{Evidence, Exit, Verdict};

use crate::support::values::{at, attempt, cluster, run};

/// A view and the verbs that move it on.
struct Life(RunView);

impl Life {
    fn queued() -> Self {
        Life(RunView::new(run(7, 'a')))
    }

    fn with_cluster(state: ClusterState) -> Self {
        let mut life = Self::queued();
        life.0.run.state = RunState::Active;
        life.add_cluster(state);
        life
    }

    fn add_cluster(&mut self, state: ClusterState) {
        let mut fresh = cluster(&self.0.run);
        fresh.state = state;
        self.0.clusters.push(fresh);
    }

    /// A ready cluster on which the tested commit is set up.
    fn set_up() -> Self {
        let mut life = Self::with_cluster(ClusterState::Ready);
        life.add_setup(Stage::Head, SetupState::Done, None);
        life
    }

    fn add_setup(&mut self, stage: Stage, state: SetupState, message: Option<&str>) {
        let cluster = self.0.clusters.last().unwrap().id;
        let message = message.map(str::to_owned);
        let (started_at, finished_at) = (at(5), None);
        self.0.setups.push(Setup { cluster, stage, state, generation: 0, message, started_at, finished_at });
    }

    fn add_attempt(&mut self, suite: &str, state: AttemptState, evidence: Option<Evidence>) {
        let number = self.0.attempts.iter().filter(|a| a.suite.as_str() == suite).count() as u32 + 1;
        let mut fresh = attempt(&self.0.run, self.0.clusters.last().unwrap(), suite, number);
        (fresh.state, fresh.evidence, fresh.started_at) = (state, evidence, Some(at(10)));
        self.0.attempts.push(fresh);
    }

    fn conclude(&mut self, suite: &str, verdict: Verdict) {
        self.0.conclusions.insert(suite.parse().unwrap(), Conclusion { verdict, description: "x".into() });
    }

    fn next(&self, now: Timestamp) -> Step {
        next_step(&self.0, now)
    }

    fn finish(&self) -> (Verdict, String) {
        match self.next(at(20)) {
            Step::Finish { verdict, rest } => (verdict, rest.description),
            other => panic!("not the end: {other:?}"),
        }
    }
}

fn passed(count: u64) -> Evidence {
    let counts = Counts { total: count, passed: count, ..Counts::default() };
    Evidence { exit: Exit::Code(0), digest: Digest { counts, files: 1, ..Digest::default() }, ..Evidence::default() }
}

fn broke(exit: Exit) -> Evidence {
    Evidence { exit, ..Evidence::default() }
}

fn starts(suite: &str, number: u32) -> Step {
    Step::CreateAttempt { suite: suite.parse().unwrap(), number, what: Wanted::Phase(0) }
}

#[test]
fn a_run_goes_from_the_queue_to_its_verdict() {
    assert_eq!(Life::queued().next(at(1)), Step::Admit);
    for on_its_way in [ClusterState::Requested, ClusterState::Creating] {
        assert_eq!(Life::with_cluster(on_its_way).next(at(1)), Step::Wait);
    }
    let mut life = Life::with_cluster(ClusterState::Ready);
    assert_eq!(life.next(at(1)), Step::Prepare(Stage::Head));
    life.add_setup(Stage::Head, SetupState::Done, None);
    assert_eq!(life.next(at(1)), starts("smoke", 1), "suites in the gate's order");
    life.add_attempt("smoke", AttemptState::Waiting, None);
    let id = life.0.attempts[0].id;
    for live in [AttemptState::Waiting, AttemptState::Running, AttemptState::Collecting] {
        life.0.attempts[0].state = live;
        assert_eq!(life.next(at(11)), Step::Execute(id), "{live:?}");
    }
    (life.0.attempts[0].state, life.0.attempts[0].evidence) = (AttemptState::Done, Some(passed(6)));
    let Step::Conclude(suite, conclusion) = life.next(at(12)) else { panic!("the suite is not concluded") };
    assert_eq!((suite.as_str(), conclusion.verdict), ("smoke", Verdict::Success));
    life.conclude("smoke", Verdict::Success);
    assert_eq!(life.next(at(13)), starts("custom", 1));
    life.conclude("custom", Verdict::Success);
    assert_eq!(life.finish().0, Verdict::Success);
    life.0.run.state = RunState::Finished;
    assert_eq!(life.next(at(99)), Step::Wait, "finished is the end");
}

#[test]
fn an_upgrade_sets_up_the_base_first() {
    let mut life = Life::with_cluster(ClusterState::Ready);
    life.0.run.gate.upgrade = true;
    assert_eq!(life.next(at(1)), Step::Prepare(Stage::Base));
    life.add_setup(Stage::Base, SetupState::RollingOut, None);
    assert_eq!(life.next(at(1)), Step::Prepare(Stage::Base));
    life.0.setups[0].state = SetupState::Done;
    assert_eq!(life.next(at(1)), Step::Prepare(Stage::Head));
}

#[test]
fn a_set_up_that_fails_is_the_changes_fault_only_at_its_head() {
    let why = Some("Deployment web: 0 of 1 pods ready");
    let mut life = Life::with_cluster(ClusterState::Ready);
    life.add_setup(Stage::Head, SetupState::Failed, why);
    assert_eq!(life.finish(), (Verdict::Failure, "set-up failed: Deployment web: 0 of 1 pods ready".into()));
    let mut life = Life::with_cluster(ClusterState::Ready);
    life.0.run.gate.upgrade = true;
    life.add_setup(Stage::Base, SetupState::Failed, why);
    assert_eq!(life.finish().0, Verdict::Error);
}

#[test]
fn a_gate_without_set_up_goes_straight_to_its_suites() {
    let mut life = Life::with_cluster(ClusterState::Ready);
    life.0.run.gate.setup.clear();
    assert_eq!(life.next(at(1)), starts("smoke", 1));
}

#[test]
fn a_broken_cluster_is_replaced_once_and_then_named() {
    let mut life = Life::with_cluster(ClusterState::Failing);
    assert_eq!(life.next(at(1)), Step::ReplaceCluster);
    life.add_cluster(ClusterState::Failing);
    life.0.clusters[1].message = Some("node image cannot be pulled".into());
    assert_eq!(life.finish(), (Verdict::Error, "no cluster: node image cannot be pulled".into()));
}

#[test]
fn trouble_of_the_infrastructure_earns_a_suite_a_fresh_cluster() {
    let mut life = Life::set_up();
    life.add_attempt("smoke", AttemptState::Done, Some(broke(Exit::Lost)));
    assert_eq!(life.next(at(20)), Step::ReplaceCluster);
    life.0.clusters[0].released_at = Some(at(20));
    life.add_cluster(ClusterState::Creating);
    assert_eq!(life.next(at(21)), Step::Wait);
    life.0.clusters[1].state = ClusterState::Ready;
    assert_eq!(life.next(at(22)), Step::Prepare(Stage::Head), "set up again");
    life.add_setup(Stage::Head, SetupState::Done, None);
    assert_eq!(life.next(at(23)), starts("smoke", 2));
    life.add_attempt("smoke", AttemptState::Done, Some(broke(Exit::Lost)));
    assert!(matches!(life.next(at(24)), Step::Conclude(..)), "no third cluster: {:?}", life.next(at(24)));
}

#[test]
fn failed_tests_earn_nothing() {
    let mut life = Life::set_up();
    let mut failed = passed(5);
    (failed.exit, failed.digest.counts.failed, failed.digest.counts.total) = (Exit::Code(1), 1, 6);
    life.add_attempt("smoke", AttemptState::Done, Some(failed));
    let Step::Conclude(_, conclusion) = life.next(at(20)) else { panic!("not concluded") };
    assert_eq!(conclusion.verdict, Verdict::Failure);
}

#[test]
fn a_live_attempt_ends_when_its_time_or_its_cluster_is_gone() {
    let mut life = Life::set_up();
    life.add_attempt("smoke", AttemptState::Running, None);
    let id = life.0.attempts[0].id;
    assert_eq!(life.next(at(610)), Step::Execute(id));
    assert_eq!(life.next(at(611)), Step::Stop(id, StopReason::TimedOut));
    life.0.attempts[0].stop = Some(StopReason::TimedOut);
    assert_eq!(life.next(at(612)), Step::Execute(id), "told once, then moved on to its end");
    life.0.attempts[0].stop = None;
    life.0.clusters[0].state = ClusterState::Failing;
    assert_eq!(life.next(at(20)), Step::Stop(id, StopReason::ClusterLost));
}

#[test]
fn a_cancelled_run_stops_what_lives_and_then_ends() {
    let mut life = Life::queued();
    life.0.run.cancel = Some(CancelReason::Closed);
    assert_eq!(life.finish(), (Verdict::Error, "cancelled: the pull request was closed".into()));
    let mut life = Life::set_up();
    life.0.run.cancel = Some(CancelReason::Superseded);
    life.add_attempt("smoke", AttemptState::Running, None);
    let id = life.0.attempts[0].id;
    assert_eq!(life.next(at(20)), Step::Stop(id, StopReason::Cancelled));
    life.0.attempts[0].stop = Some(StopReason::Cancelled);
    assert_eq!(life.next(at(20)), Step::Execute(id));
    (life.0.attempts[0].stop, life.0.attempts[0].state) = (None, AttemptState::Collecting);
    assert_eq!(life.next(at(20)), Step::Execute(id), "what has ended by itself is collected, not stopped");
    life.0.attempts[0].state = AttemptState::Done;
    assert_eq!(life.finish().0, Verdict::Error);
}

#[test]
fn only_required_suites_decide() {
    let mut life = Life::set_up();
    life.0.run.gate.suites[0].required = false;
    life.conclude("smoke", Verdict::Failure);
    life.conclude("custom", Verdict::Success);
    assert_eq!(life.finish().0, Verdict::Success);
    life.0.run.gate.suites[0].required = true;
    assert_eq!(life.finish().0, Verdict::Failure);
    life.conclude("custom", Verdict::Error);
    assert_eq!(life.finish().0, Verdict::Error, "the worst decides");
}

#[test]
fn what_is_known_before_anything_starts_needs_no_cluster() {
    let mut life = Life::queued();
    life.conclude("smoke", Verdict::Success);
    assert_eq!(life.next(at(0)), Step::Admit);
    life.conclude("custom", Verdict::Success);
    assert_eq!(life.finish().0, Verdict::Success);
}

#[test]
fn a_suite_that_is_concluded_from_outside_stops_and_the_others_go_on() {
    let mut life = Life::set_up();
    life.add_attempt("smoke", AttemptState::Running, None);
    life.conclude("smoke", Verdict::Error);
    let id = life.0.attempts[0].id;
    assert_eq!(life.next(at(11)), Step::Stop(id, StopReason::Cancelled));
    life.0.attempts[0].stop = Some(StopReason::Cancelled);
    assert_eq!(life.next(at(11)), Step::Execute(id));
    life.0.attempts[0].state = AttemptState::Done;
    life.0.attempts[0].evidence = Some(broke(Exit::Stopped(StopReason::Cancelled)));
    assert_eq!(life.next(at(12)), starts("custom", 1));
}
