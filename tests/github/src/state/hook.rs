//! Where webhooks go and what became of each delivery.
//! Sending them is `webhooks::send`'s business.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

#[derive(Debug)]
pub(crate) struct Hooks {
    pub(crate) all: Vec<Hook>,
    pub(crate) deliveries: Vec<Delivery>,
    /// The next deliveries that get lost on the way, which GitHub records as failed.
    pub(crate) lose: u32,
    /// Loses every other delivery or so, at random from this seed on.
    pub(crate) lose_half: Option<u64>,
    pub(crate) outbox: mpsc::UnboundedSender<Job>,
    pub(crate) in_flight: watch::Sender<usize>,
}

impl Hooks {
    pub(crate) fn new(outbox: mpsc::UnboundedSender<Job>) -> Self {
        let (in_flight, _) = watch::channel(0);
        Self { all: Vec::new(), deliveries: Vec::new(), lose: 0, lose_half: None, outbox, in_flight }
    }

    /// Whether the next delivery gets lost.
    pub(crate) fn loses_next(&mut self) -> bool {
        let ordered = self.lose > 0;
        self.lose = self.lose.saturating_sub(1);
        let Some(seed) = &mut self.lose_half else { return ordered };
        // Xorshift: the same seed loses the same deliveries.
        for shift in [13_i32, -7, 17] {
            *seed ^= if shift > 0 { *seed << shift } else { *seed >> -shift };
        }
        ordered || (*seed >> 32) & 1 == 1
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Hook> {
        self.all.iter().find(|hook| hook.id == id)
    }
}

/// A subscription to events.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) id: u64,
    pub(crate) owner: HookOwner,
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) events: Vec<String>,
    pub(crate) active: bool,
    pub(crate) created_at: Timestamp,
}

impl Hook {
    pub(crate) fn wants(&self, event: &str) -> bool {
        self.active && (event == "ping" || self.events.iter().any(|wanted| wanted == "*" || wanted == event))
    }
}

/// Whose events a hook gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HookOwner {
    Repository(String),
    /// The GitHub App: events of every repository it is installed in.
    App,
}

/// One attempt at delivering one event to one hook.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) id: u64,
    pub(crate) guid: String,
    pub(crate) hook: u64,
    pub(crate) event: String,
    pub(crate) action: Option<String>,
    pub(crate) repository: Option<u64>,
    pub(crate) installation: Option<u64>,
    pub(crate) redelivery: bool,
    pub(crate) at: Timestamp,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Bytes,
    pub(crate) outcome: Option<Answer>,
}

/// What came of one attempt at delivering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The delivery's number in GitHub's deliveries API.
    pub delivery: u64,
    /// `X-GitHub-Delivery`; a redelivery keeps it.
    pub guid: String,
    pub outcome: Outcome,
    pub duration: Duration,
}

impl Answer {
    /// The receiver's HTTP status, or 0 when it did not answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match &self.outcome {
            Outcome::Answered { status, .. } => *status,
            Outcome::Unreachable(_) | Outcome::TimedOut | Outcome::Lost => 0,
        }
    }

    /// Whether GitHub would count the delivery as successful.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status())
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Answered {
        status: u16,
        headers: Vec<(String, String)>,
        body: Bytes,
    },
    /// No connection, or one that broke; the text says which.
    Unreachable(String),
    /// No answer within GitHub's ten seconds.
    TimedOut,
    /// Dropped on purpose by the test; the receiver saw nothing.
    Lost,
}

/// One delivery handed to the sender.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) hook: u64,
    pub(crate) delivery: u64,
    pub(crate) guid: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) lost: bool,
    pub(crate) answer: oneshot::Sender<Answer>,
}
