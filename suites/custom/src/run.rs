//! Runs specs: serial ones first, then the parallel ones a few at a time; retries what failed; stops on a
//! signal. Knows neither what specs check nor how results are written.

use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::{Cluster, Fixture};
use crate::progress::Progress;
use crate::select::{Choice, Selection};
use crate::spec::{NotPassed, Order, Spec};

/// Parallel specs at a time: their pods start one after another on a small node anyway.
const AT_A_TIME: usize = 4;

pub(crate) struct Runner<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) selection: &'a Selection,
    /// Tries per spec in all, the first one included.
    pub(crate) flake_attempts: NonZeroU32,
    /// The signal that asks to stop, once there is one.
    pub(crate) interrupt: watch::Receiver<Option<&'static str>>,
    pub(crate) progress: &'a Progress,
}

/// Things with their specs' places in the suite: parallel specs end in any order, the report keeps the suite's.
type Placed<T> = Vec<(usize, T)>;

/// One spec of this execution with all its tries, oldest first; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) tries: Vec<Try>,
}

/// One go at a spec.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) started: Timestamp,
    pub(crate) took: Duration,
    pub(crate) end: End,
}

/// How one try ended; the texts' first lines are for people in a hurry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Passed,
    Failed(String),
    Errored(String),
    Skipped(String),
    Interrupted(String),
}

/// What the tries of one spec come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// Failed at first and passed on a later try.
    Flaky,
    Failed,
    Errored,
    Skipped,
}

impl Record {
    /// A spec that was not started.
    pub(crate) fn untried(name: &str, end: End) -> Self {
        let tries = vec![Try { started: Timestamp::now(), took: Duration::ZERO, end }];
        Self { name: name.to_owned(), tries }
    }

    /// The last try decides, but an interrupted or skipped retry does not wash off the failure before it.
    pub(crate) fn outcome(&self) -> Outcome {
        let failed = |tried: &Try| matches!(tried.end, End::Failed(_));
        match self.tries.last().map(|last| &last.end) {
            Some(End::Passed) if self.tries.len() == 1 => Outcome::Passed,
            Some(End::Passed) => Outcome::Flaky,
            Some(End::Skipped(_)) if self.tries.len() == 1 => Outcome::Skipped,
            _ if self.tries.iter().any(failed) => Outcome::Failed,
            _ => Outcome::Errored,
        }
    }
}

impl From<NotPassed> for End {
    fn from(not_passed: NotPassed) -> Self {
        match not_passed {
            NotPassed::Failed(text) => Self::Failed(text),
            NotPassed::Errored(text) => Self::Errored(text),
            NotPassed::Skipped(reason) => Self::Skipped(reason),
        }
    }
}

impl Runner<'_> {
    /// Runs what the selection leaves of `specs`. The records come in the order of `specs`, one for each that
    /// is in focus, whatever happened.
    pub(crate) async fn run(&self, specs: &[Spec]) -> Vec<Record> {
        let start = Instant::now();
        let (chosen, mut records) = self.choose(specs);
        let (serial, parallel): (Vec<_>, Vec<_>) =
            chosen.into_iter().partition(|(_, spec)| spec.order == Order::Serial);
        for (place, spec) in serial {
            records.push((place, self.run_spec(spec).await));
        }
        let running = parallel.into_iter().map(async |(place, spec)| (place, self.run_spec(spec).await));
        records.extend(stream::iter(running).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await);
        self.conclude(records, start)
    }

    /// Runs nothing: every spec that would have run ends as `why` says.
    pub(crate) fn give_up(&self, specs: &[Spec], why: &NotPassed) -> Vec<Record> {
        let start = Instant::now();
        let (chosen, mut records) = self.choose(specs);
        for (place, spec) in chosen {
            let record = Record::untried(spec.name, End::from(why.clone()));
            self.progress.ended(&record);
            records.push((place, record));
        }
        self.conclude(records, start)
    }

    /// What is to run, and the records of what is to be skipped, each with its place in the suite.
    fn choose<'s>(&self, specs: &'s [Spec]) -> (Placed<&'s Spec>, Placed<Record>) {
        let (mut chosen, mut skipped) = (Vec::new(), Vec::new());
        for (place, spec) in specs.iter().enumerate() {
            match self.selection.choose(spec.name) {
                Choice::Run => chosen.push((place, spec)),
                Choice::OutOfFocus => {}
                Choice::Skip(pattern) => {
                    let end = End::Skipped(format!("matches the skip pattern `{pattern}`"));
                    skipped.push((place, Record::untried(spec.name, end)));
                }
            }
        }
        self.progress.plan(chosen.len(), skipped.len());
        skipped.iter().for_each(|(_, record)| self.progress.ended(record));
        (chosen, skipped)
    }

    fn conclude(&self, mut records: Placed<Record>, start: Instant) -> Vec<Record> {
        records.sort_by_key(|(place, _)| *place);
        let records: Vec<_> = records.into_iter().map(|(_, record)| record).collect();
        self.progress.done(&records, start.elapsed());
        records
    }

    async fn run_spec(&self, spec: &Spec) -> Record {
        let mut record = Record { name: spec.name.to_owned(), tries: Vec::new() };
        for number in 1..=self.flake_attempts.get() {
            if let Some(signal) = *self.interrupt.borrow() {
                let end = End::Interrupted(format!("not started: {signal} came before"));
                record.tries.extend(Record::untried(spec.name, end).tries);
                break;
            }
            self.progress.started(spec.name);
            let tried = self.try_once(spec).await;
            let again = matches!(tried.end, End::Failed(_) | End::Errored(_)) && number < self.flake_attempts.get();
            if again {
                self.progress.retry(spec.name, number, self.flake_attempts.get(), &tried);
            }
            record.tries.push(tried);
            if !again {
                break;
            }
        }
        self.progress.ended(&record);
        record
    }

    async fn try_once(&self, spec: &Spec) -> Try {
        let (started, clock) = (Timestamp::now(), Instant::now());
        let fixture = Fixture::new(self.cluster.clone(), spec.name);
        // A panic is one spec's end, not the report's.
        let body = AssertUnwindSafe((spec.body)(fixture.clone())).catch_unwind();
        let end = tokio::select! {
            biased;
            signal = self.interrupted() => End::Interrupted(format!("interrupted by {signal}")),
            ended = tokio::time::timeout(spec.limit, body) => match ended {
                Ok(Ok(Ok(()))) => End::Passed,
                Ok(Ok(Err(not_passed))) => End::from(not_passed),
                Ok(Err(_)) => End::Errored("the spec panicked, its message is on standard error".into()),
                Err(_) => End::Errored(format!("the spec did not end within {}s", spec.limit.as_secs())),
            },
        };
        let took = clock.elapsed();
        fixture.tidy().await;
        Try { started, took, end }
    }

    async fn interrupted(&self) -> &'static str {
        let mut interrupt = self.interrupt.clone();
        let signal = interrupt.wait_for(Option::is_some).await.map(|signal| *signal);
        match signal {
            Ok(Some(signal)) => signal,
            // Nobody is left who could interrupt.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
