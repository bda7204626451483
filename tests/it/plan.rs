//! What a run needs next, over the whole life of a run, with plain values: no store, no clock, no outside.

use jiff::Timestamp;
use portcullis::domain::attempt::{AttemptState, Part, Spec, StopReason};
use portcullis::domain::cluster::{ClusterState, Setup, SetupState, Stage};
use portcullis::domain::lint::Lint;
use portcullis::domain::plan::{RunView, Step, Wanted, next_step};
use portcullis::domain::progress::Progress;
use portcullis::domain::report::{Counts, Digest, NamedFailure};
use portcullis::domain::run::{CancelReason, Conclusion, RunState};
use portcullis::domain::skip::{Action, MatchBy, SkipEntry};
use portcullis::domain::suite::{ClusterUse, Phase, Suite};
use portcullis::domain::verdict::{Evidence, Exit, Verdict};
use portcullis::domain::wording::{self, Links};

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

impl Life {
    fn add_part(&mut self, suite: &str, part: Part, evidence: Evidence) {
        self.add_attempt(suite, AttemptState::Done, Some(evidence));
        self.0.attempts.last_mut().unwrap().part = part;
    }

    fn suite(&mut self, at: usize) -> &mut Suite {
        &mut self.0.run.gate.suites[at]
    }
}

fn failed(passed: u64, names: &[&str]) -> Evidence {
    let bad = names.len() as u64;
    let counts = Counts { total: passed + bad, passed, failed: bad, ..Counts::default() };
    let named = |name: &&str| NamedFailure { name: (*name).into(), ..NamedFailure::default() };
    let failures = names.iter().map(named).collect();
    let digest = Digest { counts, failures, files: 1, ..Digest::default() };
    Evidence { exit: Exit::Code(1), digest, ..Evidence::default() }
}

fn specs(names: &[&str]) -> Part {
    Part::Specs(names.iter().map(|name| Spec { class: String::new(), name: (*name).into() }).collect())
}

fn wants(suite: &str, number: u32, what: Wanted) -> Step {
    Step::CreateAttempt { suite: suite.parse().unwrap(), number, what }
}

#[test]
fn a_few_failed_specs_are_run_again_once() {
    let mut life = Life::set_up();
    life.suite(0).rerun.rounds = 1;
    life.add_attempt("smoke", AttemptState::Done, Some(failed(99, &["a"])));
    assert_eq!(life.next(at(20)), wants("smoke", 2, Wanted::FailedSpecs));
    life.add_part("smoke", specs(&["a"]), passed(1));
    let Step::Conclude(_, conclusion) = life.next(at(30)) else { panic!("not concluded") };
    assert_eq!((conclusion.verdict, conclusion.description.as_str()), (Verdict::Success, "99 passed, 1 flaky"));
    life.0.attempts[1].evidence = Some(failed(0, &["a"]));
    let Step::Conclude(_, conclusion) = life.next(at(30)) else { panic!("no second round: {:?}", life.next(at(30))) };
    assert_eq!(conclusion.verdict, Verdict::Failure);
}

#[test]
fn many_failed_specs_and_suites_that_broke_off_are_not_run_again() {
    for evidence in [failed(94, &["a", "b", "c", "d", "e", "f"]), broke(Exit::Stopped(StopReason::TimedOut))] {
        let mut life = Life::set_up();
        life.suite(0).rerun.rounds = 3;
        life.add_attempt("smoke", AttemptState::Done, Some(evidence));
        assert!(matches!(life.next(at(20)), Step::Conclude(..)), "{:?}", life.next(at(20)));
    }
}

#[test]
fn a_cluster_lost_while_specs_run_again_is_replaced_for_them() {
    let mut life = Life::set_up();
    life.suite(0).rerun.rounds = 1;
    life.add_attempt("smoke", AttemptState::Done, Some(failed(99, &["a"])));
    life.add_part("smoke", specs(&["a"]), broke(Exit::Stopped(StopReason::ClusterLost)));
    assert_eq!(life.next(at(20)), Step::ReplaceCluster);
    life.0.clusters[0].released_at = Some(at(20));
    life.add_cluster(ClusterState::Ready);
    life.add_setup(Stage::Head, SetupState::Done, None);
    assert_eq!(life.next(at(23)), wants("smoke", 3, Wanted::FailedSpecs));
}

fn phase(name: &str) -> Phase {
    Phase { name: name.into(), focus: vec![], skip: vec![], label_filter: String::new(), procs: None, min_specs: 1 }
}

#[test]
fn a_status_says_which_part_of_its_suite_runs() {
    let says = |life: &mut Life| {
        let links = Links { context_prefix: "portcullis".into(), public_url: "http://gate".into() };
        life.0.attempts.last_mut().unwrap().state = AttemptState::Running;
        life.0.attempts.last_mut().unwrap().progress = Progress { completed: 6, total: 29, ..Progress::default() };
        wording::pending(&life.0, &links)[0].description.clone()
    };
    let mut life = Life::set_up();
    life.add_attempt("smoke", AttemptState::Running, None);
    assert_eq!(says(&mut life), "6/29 specs");
    life.0.attempts[0].state = AttemptState::Done;
    life.add_attempt("smoke", AttemptState::Running, None);
    assert_eq!(says(&mut life), "attempt 2: 6/29 specs", "the whole again");
    life.suite(0).phases = vec![phase("parallel"), phase("serial")];
    life.0.attempts[1].part = Part::Phase(1);
    assert_eq!(says(&mut life), "serial: 6/29 specs");
    life.0.attempts[1].part = Part::Specs(vec![Spec { class: "c".into(), name: "n".into() }]);
    assert_eq!(says(&mut life), "1 spec again: 6/29 specs");
}

#[test]
fn phases_follow_each_other_and_only_the_broken_one_is_repeated() {
    let mut life = Life::set_up();
    life.suite(0).phases = vec![phase("parallel"), phase("serial")];
    life.add_attempt("smoke", AttemptState::Done, Some(passed(5)));
    assert_eq!(life.next(at(20)), wants("smoke", 2, Wanted::Phase(1)));
    life.add_part("smoke", Part::Phase(1), broke(Exit::Lost));
    assert_eq!(life.next(at(21)), Step::ReplaceCluster);
    life.0.clusters[0].released_at = Some(at(21));
    life.add_cluster(ClusterState::Ready);
    life.add_setup(Stage::Head, SetupState::Done, None);
    assert_eq!(life.next(at(22)), wants("smoke", 3, Wanted::Phase(1)));
    life.add_part("smoke", Part::Phase(1), passed(2));
    let Step::Conclude(_, conclusion) = life.next(at(30)) else { panic!("not concluded") };
    assert_eq!(conclusion.description, "7 passed");
    life.0.attempts[2].evidence = Some(passed(0));
    let Step::Conclude(_, conclusion) = life.next(at(30)) else { panic!("not concluded") };
    assert_eq!((conclusion.verdict, conclusion.description.as_str()), (Verdict::Error, "serial: no spec ran"));
}

#[test]
fn a_suite_with_a_cluster_of_its_own_shares_none() {
    let mut life = Life::set_up();
    life.suite(0).cluster = ClusterUse::Own;
    assert_eq!(life.next(at(1)), wants("custom", 1, Wanted::Phase(0)), "those that share go first");
    life.add_attempt("custom", AttemptState::Done, Some(passed(5)));
    life.conclude("custom", Verdict::Success);
    assert_eq!(life.next(at(2)), Step::ReplaceCluster);
    life.0.clusters[0].released_at = Some(at(2));
    life.add_cluster(ClusterState::Ready);
    life.add_setup(Stage::Head, SetupState::Done, None);
    assert_eq!(life.next(at(3)), wants("smoke", 1, Wanted::Phase(0)));
    life.0.clusters[1].state = ClusterState::Failing;
    assert_eq!(life.next(at(4)), Step::ReplaceCluster, "the first cluster did its work: only the second broke");
}

#[test]
fn a_run_that_repeats_failed_specs_merges_with_the_one_before() {
    let mut life = Life::set_up();
    let earlier = Life::set_up().0.run.id;
    life.0.run.retry_of = Some(earlier);
    life.0.run.gate.suites.truncate(1);
    let mut before = attempt(&life.0.run, &life.0.clusters[0], "smoke", 1);
    (before.state, before.evidence) = (AttemptState::Done, Some(failed(50, &["a", "b", "c", "d", "e", "f"])));
    life.0.earlier = vec![before];
    assert_eq!(life.next(at(1)), wants("smoke", 1, Wanted::FailedSpecs), "however many they are");
    life.add_part("smoke", specs(&["a", "b", "c", "d", "e", "f"]), passed(6));
    let Step::Conclude(_, conclusion) = life.next(at(2)) else { panic!("not concluded") };
    assert_eq!((conclusion.verdict, conclusion.description.as_str()), (Verdict::Success, "50 passed, 6 flaky"));
    life.0.attempts.clear();
    life.0.earlier[0].evidence = Some(broke(Exit::Lost));
    assert_eq!(life.next(at(3)), wants("smoke", 1, Wanted::Phase(0)), "nothing to go by: the whole suite");
}

#[test]
fn an_expired_skip_is_named_when_its_spec_fails() {
    let mut life = Life::set_up();
    life.0.run.gate.skips = vec![SkipEntry {
        pattern: "broken".into(),
        by: MatchBy::Pattern,
        action: Action::Skip,
        reason: "r".into(),
        owner: "@net".into(),
        issue: None,
        expires: "2026-01-01".parse().unwrap(),
        suites: vec![],
        kubernetes: None,
        providers: vec![],
    }];
    life.add_attempt("smoke", AttemptState::Done, Some(failed(5, &["a broken spec"])));
    let Step::Conclude(_, conclusion) = life.next(at(20)) else { panic!("not concluded") };
    assert!(
        conclusion.description.starts_with("skip expired 2026-01-01 · 1 of 6 failed"),
        "{}",
        conclusion.description
    );
    life.0.run.state = RunState::Queued;
    assert_eq!(life.next(at(20)), Step::Lint, "a skip list is looked at before a cluster is asked for");
    life.0.lint = Some(Lint::default());
    assert_eq!(life.next(at(20)), Step::Admit);
}
