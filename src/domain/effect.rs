//! What acting on one delivery comes to, as plain values: decided whole, then applied in one transaction or not at all.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::AuditEntry;
use super::ids::{ClusterId, RunId};
use super::message::Message;
use super::names::{RepoName, Sha, SuiteName};
use super::run::{CancelReason, Conclusion, Run};
use super::status::CommitStatus;

/// Everything that one delivery causes, in order.
#[derive(Debug, Default)]
pub struct Effects {
    pub list: Vec<Effect>,
    /// What the delivery's row says of it; a run that is created says so itself.
    pub outcome: String,
}

impl Effects {
    /// Nothing, and why.
    pub fn ignored(why: impl std::fmt::Display) -> Self {
        Self { list: vec![], outcome: format!("ignored: {why}") }
    }

    /// These, in a word.
    pub fn of(outcome: impl Into<String>, list: Vec<Effect>) -> Self {
        Self { list, outcome: outcome.into() }
    }
}

/// One change.
#[derive(Debug)]
pub enum Effect {
    Create(Box<NewRun>),
    Cancel {
        whose: Whose,
        reason: CancelReason,
        by: String,
    },
    /// A suite of an unfinished run gets its conclusion from outside; its attempt, if any lives, is stopped.
    Conclude {
        run: RunId,
        suite: SuiteName,
        conclusion: Conclusion,
    },
    /// Statuses that no run speaks. `voice` orders them among those that runs speak.
    Say {
        voice: RunId,
        over: Over,
        statuses: Vec<CommitStatus>,
    },
    Approve {
        repo: RepoName,
        pr: u64,
        sha: Sha,
        by: String,
        basis: Basis,
        why: String,
    },
    Withdraw {
        repo: RepoName,
        pr: u64,
        sha: Sha,
        by: String,
        why: String,
    },
    Waive(Waiver),
    /// The suite is run on the commit after all.
    Unwaive {
        repo: RepoName,
        sha: Sha,
        suite: SuiteName,
    },
    /// The run's cluster is kept this long once the run is over.
    HoldRun {
        run: RunId,
        seconds: u64,
    },
    /// A cluster whose run is over is kept until then.
    HoldCluster {
        cluster: ClusterId,
        until: Timestamp,
    },
    /// Whatever is held for the pull request is let go of.
    Release {
        repo: RepoName,
        pr: u64,
    },
    /// The forge shows something else under one of our contexts: it is told once more.
    Repair {
        repo: RepoName,
        sha: Sha,
        context: String,
    },
    /// The same time and again: the context is left to whoever does it.
    Leave {
        repo: RepoName,
        sha: Sha,
        context: String,
    },
    See(Seen),
    /// Once per key, ever.
    Send {
        key: String,
        repo: RepoName,
        pr: u64,
        message: Message,
    },
    Note(AuditEntry),
}

/// A run to be created with the statuses that announce it.
#[derive(Debug)]
pub struct NewRun {
    pub run: Run,
    /// Suites that are concluded before anything is started: not needed, waived, carried over.
    pub concluded: Vec<(SuiteName, Conclusion)>,
    pub statuses: Vec<CommitStatus>,
    pub replaces: Replaces,
    /// Why, for the audit.
    pub why: String,
}

/// What a new run puts an end to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaces {
    Nothing,
    /// Every other live run of the pull request; a live run of the same commit and suites stands instead of this one.
    Others,
    /// Every live run of the pull request.
    Everything,
}

/// Whose live runs are cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    Pull(RepoName, u64),
    /// The pull request's, but for those of this commit.
    PullBut(RepoName, u64, Sha),
    /// Of a commit that belongs to no pull request: a merge group.
    Commit(RepoName, Sha),
    Repo(RepoName),
    /// Every repository of an account.
    Account(String),
}

/// What a status may be said over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Only where the context has never said anything on the commit.
    Silence,
    /// Also where it is pending and no live run speaks.
    Pending,
    Anything,
}

/// On what a commit is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Somebody who may start runs has asked for this very commit, or pushed it.
    Commit,
    /// Somebody who may start runs stands behind the pull request; who pushed this commit is another question.
    Pull,
}

/// A suite declared unneeded on one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    pub repo: RepoName,
    pub sha: Sha,
    pub suite: SuiteName,
    pub kind: WaiverKind,
    pub actor: String,
    pub reason: String,
}

/// On what grounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaiverKind {
    /// The suite is optional.
    Skip,
    /// Somebody who may has overridden a required one.
    Override,
}

impl Waiver {
    /// What the suite's status says.
    pub fn text(&self) -> String {
        let how = match self.kind {
            WaiverKind::Skip => "skipped",
            WaiverKind::Override => "overridden",
        };
        format!("{how} by {}: {}", self.actor, self.reason)
    }
}

/// What a webhook showed of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub repo: RepoName,
    pub number: u64,
    pub head: Sha,
    /// By the forge's clock; counts from the first sight of this head.
    pub at: Timestamp,
    /// Who pushed it, where the webhook tells.
    pub pusher: Option<String>,
    /// Whether it is tested although it is a draft; `None` leaves that as it is.
    pub draft_labelled: Option<bool>,
    /// When the label that starts runs was put on last, by the forge's clock; `None` leaves that as it is.
    pub labelled_at: Option<Timestamp>,
}
