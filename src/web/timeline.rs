//! A run's phases as bars on one common scale. Pure: from stored times to numbers a picture is drawn with.

use jiff::Timestamp;

use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::cluster::{Cluster, ClusterState, Setup, Stage};
use crate::domain::course;
use crate::domain::plan::RunView;
use crate::domain::text::human_duration;

/// Units across the whole picture.
pub(super) const WIDTH: f64 = 1000.0;
/// Units below which a bar cannot be seen.
const MIN_WIDTH: f64 = 3.0;

/// Something that took time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) label: String,
    pub(super) kind: Kind,
    pub(super) start: Timestamp,
    /// `None` while it lasts.
    pub(super) end: Option<Timestamp>,
}

/// What kind of work a phase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Queue,
    Cluster,
    Setup,
    Suite,
    TearDown,
}

/// A phase as drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) class: &'static str,
    pub(super) x: f64,
    pub(super) width: f64,
    pub(super) took: String,
    pub(super) live: bool,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Kind::Queue => "queue",
            Kind::Cluster => "cluster",
            Kind::Setup => "setup",
            Kind::Suite => "suite",
            Kind::TearDown => "teardown",
        }
    }
}

/// Everything a run spent time on, in the order in which it began.
pub(super) fn phases(view: &RunView) -> Vec<Phase> {
    let run = &view.run;
    let queue = Phase {
        label: "queued".into(),
        kind: Kind::Queue,
        start: run.created_at,
        end: run.admitted_at.or(run.finished_at),
    };
    let mut phases = vec![queue];
    for cluster in &view.clusters {
        phases.push(creation(cluster));
        phases.extend(tear_down(cluster));
    }
    phases.extend(view.setups.iter().map(|setup| set_up(view, setup)));
    phases.extend(view.attempts.iter().filter_map(|one| attempt(view, one)));
    phases.sort_by_key(|phase| phase.start);
    phases
}

fn creation(cluster: &Cluster) -> Phase {
    let given_up = || match cluster.state {
        ClusterState::Requested | ClusterState::Creating => None,
        ClusterState::Ready | ClusterState::Failing | ClusterState::Destroying | ClusterState::Destroyed => {
            Some(cluster.released_at.or(cluster.destroyed_at).unwrap_or(cluster.created_at))
        }
    };
    let end = cluster.ready_at.or_else(given_up);
    Phase { label: "cluster".into(), kind: Kind::Cluster, start: cluster.created_at, end }
}

fn tear_down(cluster: &Cluster) -> Option<Phase> {
    let start = cluster.released_at?;
    Some(Phase { label: "tear-down".into(), kind: Kind::TearDown, start, end: cluster.destroyed_at })
}

fn set_up(view: &RunView, setup: &Setup) -> Phase {
    let label = match setup.stage {
        Stage::Base => "set-up of the base",
        Stage::Head if view.run.gate.upgrade => "upgrade to the change",
        Stage::Head => "set-up",
    };
    let abandoned = || view.run.finished_at;
    let end = setup.finished_at.or_else(abandoned);
    Phase { label: label.into(), kind: Kind::Setup, start: setup.started_at, end }
}

fn attempt(view: &RunView, attempt: &Attempt) -> Option<Phase> {
    let start = attempt.started_at?;
    let label = course::label(view, attempt).map_or_else(String::new, |label| format!(", {label}"));
    let end = match attempt.state {
        AttemptState::Waiting | AttemptState::Running | AttemptState::Collecting => None,
        AttemptState::Done => attempt.finished_at,
    };
    Some(Phase { label: format!("{}{label}", attempt.suite), kind: Kind::Suite, start, end })
}

/// Bars for the phases, on a scale from the first start to the last end or, while something lasts, to now.
pub(super) fn bars(phases: &[Phase], now: Timestamp) -> Vec<Bar> {
    let Some(first) = phases.iter().map(|phase| phase.start).min() else { return vec![] };
    let last = phases.iter().map(|phase| phase.end.unwrap_or(now)).max().unwrap_or(now);
    let span = millis(first, last).max(1.0);
    let bar = |phase: &Phase| {
        let end = phase.end.unwrap_or(now);
        let x = millis(first, phase.start) / span * WIDTH;
        let width = (millis(phase.start, end) / span * WIDTH).max(MIN_WIDTH);
        let x = x.min(WIDTH - MIN_WIDTH);
        Bar {
            label: phase.label.clone(),
            class: phase.kind.class(),
            x,
            width: width.min(WIDTH - x),
            took: took(phase.start, end),
            live: phase.end.is_none(),
        }
    };
    phases.iter().map(bar).collect()
}

/// The time between two moments in words; nothing where the clock went backwards.
pub(super) fn took(start: Timestamp, end: Timestamp) -> String {
    human_duration(std::time::Duration::try_from(end.duration_since(start)).unwrap_or_default())
}

fn millis(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0) * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn phase(start: i64, end: Option<i64>) -> Phase {
        Phase { label: "x".into(), kind: Kind::Suite, start: at(start), end: end.map(at) }
    }

    #[test]
    fn bars_share_one_scale_that_ends_now_while_something_lasts() {
        let bars = bars(&[phase(100, Some(150)), phase(150, None)], at(200));
        assert_eq!((bars[0].x, bars[0].width, bars[0].live), (0.0, 500.0, false));
        assert_eq!((bars[1].x, bars[1].width, bars[1].live), (500.0, 500.0, true));
        assert_eq!(bars[0].took, "50s");
    }

    #[test]
    fn a_moment_can_be_seen_and_stays_inside() {
        let bars = bars(&[phase(0, Some(0)), phase(0, Some(10_000)), phase(10_000, Some(10_000))], at(20_000));
        assert_eq!((bars[0].x, bars[0].width), (0.0, MIN_WIDTH));
        assert!(bars[2].x + bars[2].width <= WIDTH && bars[2].width >= MIN_WIDTH);
    }

    #[test]
    fn a_clock_that_went_backwards_does_no_harm() {
        let bars = bars(&[phase(100, Some(50))], at(40));
        assert_eq!(bars[0].took, "0.0s");
        assert!(bars[0].x.is_finite() && bars[0].width.is_finite());
    }
}
