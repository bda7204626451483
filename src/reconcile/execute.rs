//! Attempts move here, and only here: created, started, watched, stopped, collected.
//! A container is asked for while its attempt is `waiting`; asking again finds it by its label, so none starts twice.

mod collect;
mod reading;
mod start;
mod submission;
mod summary;
mod watch;

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use self::watch::Sent;
use super::hands::{self, Hands};
use super::{Activity, Context, Reconciler, chain, diagnose, failed};
use crate::domain::attempt::{Attempt, AttemptState, Part, Spec};
use crate::domain::course;
use crate::domain::ids::AttemptId;
use crate::domain::names::SuiteName;
use crate::domain::plan::{RunView, Step, Wanted, next_step};
use crate::domain::progress::Progress;
use crate::domain::suite::Suite;
use crate::domain::verdict::{Evidence, Exit};
use crate::ports::Stop;
use crate::store::Shown;

/// Containers that are looked at side by side.
const PARALLEL: usize = 8;

/// What of an attempt takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Start,
    Collect,
}

impl Work {
    /// The long work that an attempt needs now, if it needs any.
    fn of(attempt: &Attempt) -> Option<Work> {
        match (attempt.state, attempt.stop) {
            (AttemptState::Waiting, None) => Some(Work::Start),
            (AttemptState::Collecting, _) => Some(Work::Collect),
            (AttemptState::Waiting, Some(_)) | (AttemptState::Running | AttemptState::Done, _) => None,
        }
    }
}

pub(super) struct Execute {
    context: Context,
    /// What takes long: each in a task of its own, so that nothing here waits for it.
    hands: Hands<AttemptId>,
    /// Signals sent by this process; a second interrupt would cut a clean-up short.
    sent: Sent,
    /// Hanging attempts whose cluster this process has looked at.
    diagnosed: HashSet<AttemptId>,
    /// Since when this process has collected what an attempt left.
    collecting: HashMap<AttemptId, Timestamp>,
}

impl Execute {
    pub(super) fn new(context: Context) -> Self {
        let hands = Hands::new(context.waker.clone());
        Self { hands, context, sent: Sent::new(), diagnosed: HashSet::new(), collecting: HashMap::new() }
    }

    /// Hands long work over and gives back what is done here and now.
    async fn hand_over(&mut self, wanted: Vec<(RunView, Step)>) -> anyhow::Result<Vec<(RunView, Step)>> {
        let now = self.context.now();
        let before = std::mem::take(&mut self.collecting);
        let mut short = Vec::new();
        for (view, step) in wanted {
            let work = match &step {
                Step::Execute(id) => Work::of(find(&view, *id)?).map(|work| (*id, work)),
                _ => None,
            };
            let Some((id, work)) = work else {
                if let Step::Execute(id) = &step
                    && self.looks_into(&view, *id)?
                {
                    continue;
                }
                // Told to end: a start that is under way is cut off, as by a crash, and then undone.
                if let Step::Execute(id) = &step {
                    self.hands.let_go(*id).await;
                }
                short.push((view, step));
                continue;
            };
            let context = self.context.clone();
            let since = before.get(&id).copied().unwrap_or(now);
            if work == Work::Collect {
                self.collecting.insert(id, since);
            }
            self.hands.take(id, now, async move {
                let attempt = find(&view, id)?;
                match work {
                    Work::Start => start::start(&context, &view, attempt).await,
                    Work::Collect => collect::collect(&context, &view, attempt, since).await,
                }
            });
        }
        Ok(short)
    }

    /// Before a hang is interrupted, what its cluster looks like is kept: cleaning up takes it away. True while that goes on.
    fn looks_into(&mut self, view: &RunView, id: AttemptId) -> anyhow::Result<bool> {
        let attempt = find(view, id)?;
        let now = self.context.now();
        let (AttemptState::Running, Some(reason), Some(since)) = (attempt.state, attempt.stop, attempt.stop_at) else {
            return Ok(false);
        };
        let in_time = now.duration_since(since).unsigned_abs() < diagnose::PATIENCE;
        if !reason.is_hang() || !in_time {
            return Ok(false);
        }
        if self.diagnosed.insert(id) {
            let (context, view, attempt) = (self.context.clone(), view.clone(), attempt.clone());
            self.hands.take(id, now, async move {
                let why = format!("{} attempt {} hangs: {reason:?}", attempt.suite, attempt.number);
                let into = context.artifacts.diagnostics(attempt.run, attempt.id);
                diagnose::gather(&context, &view, attempt.cluster, &why, into).await;
                Ok(Activity::default())
            });
        }
        Ok(self.hands.holds(id))
    }
}

#[async_trait]
impl Reconciler for Execute {
    fn name(&self) -> &'static str {
        "execute"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        let mut activity = self.hands.reap(now).await;
        let mine = |step: &Step| matches!(step, Step::CreateAttempt { .. } | Step::Execute(_) | Step::Stop(..));
        let views = self.context.store.open_runs().await?.into_iter();
        let wanted: Vec<(RunView, Step)> = views
            .map(|view| (next_step(&view, now), view))
            .filter(|(step, _)| mine(step))
            .map(|(s, v)| (v, s))
            .collect();
        let short = self.hand_over(wanted).await?;
        let (context, sent) = (&self.context, &self.sent);
        let steps: Vec<_> = stream::iter(short)
            .map(|(view, step)| async move { (view.run.id, act(context, &view, &step, sent).await) })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        for (run, outcome) in steps {
            match outcome {
                Ok(Outcome { activity: one, sent }) => {
                    activity = activity.add(one);
                    self.sent.extend(sent.map(|(attempt, how, at)| (attempt, (how, at))));
                }
                Err(error) => {
                    tracing::warn!(run.id = %run, error = chain(error.as_ref()), "attempt step failed; it is tried again");
                    activity = activity.again(hands::AGAIN);
                }
            }
        }
        Ok(activity)
    }
}

struct Outcome {
    activity: Activity,
    /// A signal that was sent just now.
    sent: Option<(AttemptId, Stop, Timestamp)>,
}

impl From<Activity> for Outcome {
    fn from(activity: Activity) -> Self {
        Self { activity, sent: None }
    }
}

async fn act(context: &Context, view: &RunView, step: &Step, sent: &Sent) -> anyhow::Result<Outcome> {
    match step {
        Step::CreateAttempt { suite, number, what } => {
            create(context, view, suite, *number, *what).await.map(Outcome::from)
        }
        Step::Stop(id, reason) => {
            let attempt = find(view, *id)?;
            let noted = context.store.stop_attempt(attempt, *reason, context.now()).await?;
            tracing::info!(run.id = %view.run.id, suite = %attempt.suite, attempt.n = attempt.number, ?reason, "stopping");
            Ok(Activity::changed(usize::from(noted)).into())
        }
        Step::Execute(id) => {
            let attempt = find(view, *id)?;
            match (attempt.state, attempt.stop) {
                (AttemptState::Waiting, Some(reason)) => {
                    context.ports.executor.remove(attempt.id).await?;
                    Ok(finish(context, attempt, without_report(Exit::Stopped(reason))).await?.into())
                }
                (AttemptState::Running, _) => watch::watch(context, view, attempt, sent).await,
                // Long work, or none.
                (AttemptState::Waiting, None) | (AttemptState::Collecting | AttemptState::Done, _) => {
                    Ok(Activity::default().into())
                }
            }
        }
        _ => Ok(Activity::default().into()),
    }
}

fn find(view: &RunView, id: AttemptId) -> anyhow::Result<&Attempt> {
    view.attempts.iter().find(|attempt| attempt.id == id).context("a step names an attempt of its own run")
}

fn suite_of<'a>(view: &'a RunView, attempt: &Attempt) -> anyhow::Result<&'a Suite> {
    view.run.gate.suites.get(&attempt.suite).context("an attempt's suite is one of its run's")
}

async fn create(
    context: &Context,
    view: &RunView,
    suite: &SuiteName,
    number: u32,
    what: Wanted,
) -> anyhow::Result<Activity> {
    let part = match what {
        Wanted::Phase(number) => Part::Phase(number),
        Wanted::FailedSpecs => Part::Specs(failed_specs(context, view, suite).await?),
    };
    let now = context.now();
    let cluster = view.cluster().context("an attempt is wanted on a ready cluster only")?;
    let attempt = Attempt {
        id: AttemptId::new(now),
        run: view.run.id,
        cluster: cluster.id,
        suite: suite.clone(),
        number,
        part,
        skips: vec![],
        state: AttemptState::Waiting,
        generation: 0,
        progress: Progress::default(),
        stop: None,
        stop_at: None,
        evidence: None,
        created_at: now,
        started_at: None,
        finished_at: None,
    };
    let created = context.store.create_attempt(&attempt).await?;
    Ok(Activity::changed(usize::from(created)))
}

/// The specs that failed so far.
async fn failed_specs(context: &Context, view: &RunView, name: &SuiteName) -> anyhow::Result<Vec<Spec>> {
    let failed = failed::specs(&context.store, view, name).await?;
    if !failed.is_empty() {
        return Ok(failed.into_iter().map(|failed| failed.spec).collect());
    }
    // Its rows are gone; what was kept with the attempt names the first twenty.
    let suite = view.run.gate.suites.get(name).context("an attempt's suite is one of its run's")?;
    let standing = course::standing(view, name, suite).context("specs failed, so every phase has run")?;
    let named = standing.evidence.digest.failures.into_iter();
    Ok(named.map(|failure| Spec { class: String::new(), name: failure.name }).collect())
}

fn without_report(exit: Exit) -> Evidence {
    Evidence { exit, ..Evidence::default() }
}

async fn finish(context: &Context, attempt: &Attempt, evidence: Evidence) -> anyhow::Result<Activity> {
    let moved = context.store.finish_attempt(attempt, &evidence, Shown::default(), context.now()).await?;
    Ok(Activity::changed(usize::from(moved)))
}

async fn move_to(context: &Context, attempt: &Attempt, to: AttemptState) -> anyhow::Result<Activity> {
    let moved = context.store.move_attempt(attempt, to, context.now()).await?;
    if moved {
        let (run, suite, n) = (attempt.run, &attempt.suite, attempt.number);
        tracing::info!(run.id = %run, %suite, attempt.n = n, state.from = ?attempt.state, state.to = ?to, "attempt");
    }
    Ok(Activity::changed(usize::from(moved)))
}
