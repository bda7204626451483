//! The runner against specs that need no cluster: retries, order, skips, panics, time-outs, interruption.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::select::Pattern;
use crate::spec::SpecResult;

/// A suite under test: what ran, in order, and how to ask it to stop.
struct Stage {
    cluster: Cluster,
    log: Rc<RefCell<Vec<String>>>,
    stop: watch::Sender<Option<&'static str>>,
    selection: Selection,
}

impl Stage {
    fn new() -> Self {
        Self {
            cluster: Cluster::unreachable(),
            log: Rc::default(),
            stop: watch::channel(None).0,
            selection: Selection::default(),
        }
    }

    /// A spec that ends as `ends` say, one try after the other, the last one over and over.
    fn spec(&self, name: &'static str, order: Order, ends: &[SpecResult]) -> Spec {
        let (log, ends, tried) = (self.log.clone(), ends.to_vec(), Rc::new(RefCell::new(0)));
        let body = move |_| {
            let number = tried.replace_with(|number| *number + 1);
            let end = ends[number.min(ends.len() - 1)].clone();
            let log = log.clone();
            async move {
                log.borrow_mut().push(format!("{name} starts"));
                tokio::task::yield_now().await;
                log.borrow_mut().push(format!("{name} ends"));
                end
            }
            .boxed_local()
        };
        Spec { name, order, limit: Duration::from_secs(60), body: Box::new(body) }
    }

    async fn run(&self, specs: &[Spec], flake_attempts: u32) -> Vec<Record> {
        self.runner(flake_attempts, &Progress::silent()).run(specs).await
    }

    fn runner<'a>(&'a self, flake_attempts: u32, progress: &'a Progress) -> Runner<'a> {
        Runner {
            cluster: &self.cluster,
            selection: &self.selection,
            flake_attempts: NonZeroU32::new(flake_attempts).unwrap(),
            interrupt: self.stop.subscribe(),
            progress,
        }
    }
}

fn failed(text: &str) -> SpecResult {
    Err(NotPassed::failed(text))
}

fn ends(record: &Record) -> Vec<End> {
    record.tries.iter().map(|tried| tried.end.clone()).collect()
}

#[tokio::test]
async fn a_spec_that_fails_once_is_flaky_with_two_attempts_and_failed_with_one() {
    let stage = Stage::new();
    let spec = || [stage.spec("a", Order::Parallel, &[failed("first request"), Ok(())])];
    let records = stage.run(&spec(), 2).await;
    assert_eq!(records[0].outcome(), Outcome::Flaky);
    assert_eq!(ends(&records[0]), [End::Failed("first request".into()), End::Passed]);
    assert_eq!(stage.run(&spec(), 1).await[0].outcome(), Outcome::Failed);
}

#[tokio::test]
async fn attempts_are_spent_on_failures_and_errors_only() {
    let stage = Stage::new();
    let error = Err(NotPassed::Errored("connection refused".into()));
    let skip = Err(NotPassed::Skipped("no such folder".into()));
    let specs = [
        stage.spec("passes", Order::Parallel, &[Ok(())]),
        stage.spec("fails", Order::Parallel, &[failed("no")]),
        stage.spec("errs", Order::Parallel, &[error]),
        stage.spec("skips", Order::Parallel, &[skip]),
    ];
    let records = stage.run(&specs, 3).await;
    let seen: Vec<_> = records.iter().map(|record| (record.tries.len(), record.outcome())).collect();
    let expected = [(1, Outcome::Passed), (3, Outcome::Failed), (3, Outcome::Errored), (1, Outcome::Skipped)];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn serial_specs_run_alone_and_before_the_parallel_ones() {
    let stage = Stage::new();
    let specs = [
        stage.spec("p1", Order::Parallel, &[Ok(())]),
        stage.spec("s1", Order::Serial, &[Ok(())]),
        stage.spec("p2", Order::Parallel, &[Ok(())]),
        stage.spec("s2", Order::Serial, &[Ok(())]),
    ];
    let names: Vec<_> = stage.run(&specs, 1).await.into_iter().map(|record| record.name).collect();
    assert_eq!(names, ["p1", "s1", "p2", "s2"], "records keep the order of the suite");
    let log = stage.log.borrow();
    assert_eq!(log[..4], ["s1 starts", "s1 ends", "s2 starts", "s2 ends"]);
    assert_eq!(log[4..6], ["p1 starts", "p2 starts"], "parallel specs overlap");
}

#[tokio::test]
async fn skipped_specs_are_recorded_and_unfocused_ones_are_not() {
    let mut stage = Stage::new();
    let pattern = |text: &str| vec![Pattern::parse(text.into()).unwrap()];
    stage.selection = Selection { focus: pattern("one|two"), skip: pattern("two") };
    let specs = ["one", "two", "three"].map(|name| stage.spec(name, Order::Parallel, &[Ok(())]));
    let records = stage.run(&specs, 1).await;
    let seen: Vec<_> = records.iter().map(|record| (record.name.as_str(), record.outcome())).collect();
    assert_eq!(seen, [("one", Outcome::Passed), ("two", Outcome::Skipped)]);
    assert_eq!(stage.log.borrow().len(), 2, "a skipped spec is not started");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_an_error_of_every_spec() {
    let mut stage = Stage::new();
    stage.selection.skip = vec![Pattern::parse("two".into()).unwrap()];
    let specs = ["one", "two"].map(|name| stage.spec(name, Order::Parallel, &[Ok(())]));
    let why = NotPassed::Errored("connection refused".into());
    let records = stage.runner(2, &Progress::silent()).give_up(&specs, &why);
    let outcomes: Vec<_> = records.iter().map(Record::outcome).collect();
    assert_eq!(outcomes, [Outcome::Errored, Outcome::Skipped]);
    assert_eq!(ends(&records[0]), [End::Errored("connection refused".into())]);
    assert!(stage.log.borrow().is_empty(), "nothing was started");
}

#[tokio::test]
async fn a_panic_and_an_endless_spec_end_as_errors_of_their_own() {
    let stage = Stage::new();
    let mut panics = stage.spec("panics", Order::Parallel, &[Ok(())]);
    panics.body = Box::new(|_| async { panic!("on purpose") }.boxed_local());
    let mut hangs = stage.spec("hangs", Order::Parallel, &[Ok(())]);
    hangs.body = Box::new(|_| std::future::pending().boxed_local());
    hangs.limit = Duration::from_millis(1);
    let specs = [panics, hangs, stage.spec("fine", Order::Parallel, &[Ok(())])];
    let outcomes: Vec<_> = stage.run(&specs, 1).await.iter().map(Record::outcome).collect();
    assert_eq!(outcomes, [Outcome::Errored, Outcome::Errored, Outcome::Passed]);
}

#[tokio::test]
async fn an_interrupted_suite_has_no_passed_spec_that_did_not_pass() {
    let stage = Stage::new();
    let mut stops = stage.spec("stops", Order::Serial, &[Ok(())]);
    let stop = stage.stop.clone();
    stops.body = Box::new(move |_| {
        stop.send_replace(Some("SIGTERM"));
        std::future::pending().boxed_local()
    });
    let specs =
        [stage.spec("before", Order::Serial, &[Ok(())]), stops, stage.spec("after", Order::Parallel, &[Ok(())])];
    let records = stage.run(&specs, 2).await;
    let outcomes: Vec<_> = records.iter().map(Record::outcome).collect();
    assert_eq!(outcomes, [Outcome::Passed, Outcome::Errored, Outcome::Errored]);
    assert_eq!(ends(&records[1]), [End::Interrupted("interrupted by SIGTERM".into())]);
    assert_eq!(ends(&records[2]), [End::Interrupted("not started: SIGTERM came before".into())]);
}

#[test]
fn a_failure_stays_a_failure_when_its_retry_is_cut_short() {
    let tries = |ends: Vec<End>| Record {
        name: "spec".into(),
        tries: ends.into_iter().flat_map(|end| Record::untried("spec", end).tries).collect(),
    };
    let failed = || End::Failed("500".into());
    assert_eq!(tries(vec![failed(), End::Interrupted("SIGTERM".into())]).outcome(), Outcome::Failed);
    assert_eq!(tries(vec![failed(), End::Skipped("gone".into())]).outcome(), Outcome::Failed);
    assert_eq!(tries(vec![End::Errored("lost".into()), End::Passed]).outcome(), Outcome::Flaky);
}
