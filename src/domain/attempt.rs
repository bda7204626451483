//! One execution of a suite on one cluster. Attempts are never overwritten: a retry is a new attempt.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{AttemptId, ClusterId, RunId};
use super::names::SuiteName;
use super::progress::Progress;
use super::verdict::Evidence;

/// An attempt as stored. Moved only by `execute`.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: AttemptId,
    pub run: RunId,
    pub cluster: ClusterId,
    pub suite: SuiteName,
    /// Counts from 1 within the suite and run.
    pub number: u32,
    pub part: Part,
    /// Entries of the run's skip list that hold for it, by their place; noted before its container is asked for.
    pub skips: Vec<u32>,
    pub state: AttemptState,
    pub generation: i64,
    pub progress: Progress,
    /// Why the container is being stopped before its own end.
    pub stop: Option<StopReason>,
    /// When the stop was first asked for; the kill follows after the suite's grace.
    pub stop_at: Option<Timestamp>,
    /// What the attempt showed, once done.
    pub evidence: Option<Evidence>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// What of its suite an attempt runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// One of the suite's phases by its number; a suite without phases has only number 0.
    Phase(u32),
    /// These specs again, which failed before.
    Specs(Vec<Spec>),
}

/// A spec as reports name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Spec {
    /// JUnit's `classname`; may be empty.
    pub class: String,
    pub name: String,
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// The row exists; no container was asked for.
    Waiting,
    /// The container was asked to start: it may exist, run, or have ended.
    Running,
    /// The container ended; logs and reports are being copied out.
    Collecting,
    /// Evidence is fixed and the container is gone or about to be removed.
    Done,
}

impl AttemptState {
    /// The states from which this one may be reached.
    pub fn predecessors(self) -> &'static [AttemptState] {
        match self {
            AttemptState::Waiting => &[],
            AttemptState::Running => &[AttemptState::Waiting],
            AttemptState::Collecting => &[AttemptState::Running],
            AttemptState::Done => &[AttemptState::Waiting, AttemptState::Running, AttemptState::Collecting],
        }
    }
}

/// Why a running attempt is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The run was cancelled.
    Cancelled,
    /// It ran longer than the suite's time-out.
    TimedOut,
    /// It did not start, or printed nothing at all, in the time the suite allows.
    StartUp,
    /// It printed nothing for longer than the suite allows.
    Stalled,
    /// The kernel killed one of its processes for want of memory, and the rest went silent.
    OutOfMemory,
    /// It wrote more to its disk than the suite's limit.
    DiskFull,
    /// Its cluster was lost underneath it.
    ClusterLost,
}

impl StopReason {
    /// Whether the suite may hang, so that where it hangs is worth knowing before it goes.
    pub fn is_hang(self) -> bool {
        match self {
            StopReason::TimedOut | StopReason::Stalled | StopReason::OutOfMemory => true,
            StopReason::Cancelled | StopReason::StartUp | StopReason::DiskFull | StopReason::ClusterLost => false,
        }
    }
}
