//! Counts what is asked of GitHub and remembers how much it still allows. Nothing decides by it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use http::HeaderMap;
use jiff::Timestamp;

const UNKNOWN: u64 = u64::MAX;

/// What a request to GitHub was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    PullRequest,
    Branch,
    Permission,
    File,
    Archive,
    /// Changed files and trees.
    Change,
    Team,
    /// Comments, reactions, labels.
    Conversation,
    Status,
    Check,
    /// The comment that sums a run up.
    Summary,
    /// What is compared with what is stored.
    CatchUp,
    /// Finding the App's installation on a repository.
    Installation,
    /// A new installation token.
    Token,
}

impl CallKind {
    pub const ALL: [Self; 14] = [
        Self::PullRequest,
        Self::Branch,
        Self::Permission,
        Self::File,
        Self::Archive,
        Self::Change,
        Self::Team,
        Self::Conversation,
        Self::Status,
        Self::Check,
        Self::Summary,
        Self::CatchUp,
        Self::Installation,
        Self::Token,
    ];

    /// As a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PullRequest => "pull_request",
            Self::Branch => "branch",
            Self::Permission => "permission",
            Self::File => "file",
            Self::Archive => "archive",
            Self::Change => "change",
            Self::Team => "team",
            Self::Conversation => "conversation",
            Self::Status => "status",
            Self::Check => "check",
            Self::Summary => "summary",
            Self::CatchUp => "catch_up",
            Self::Installation => "installation",
            Self::Token => "token",
        }
    }
}

/// What GitHub said last about its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests left until the reset.
    pub remaining: u64,
    pub reset: Timestamp,
}

/// Requests sent since the start, redirects and repetitions each counted as one.
#[derive(Debug)]
pub struct Traffic {
    calls: [AtomicU64; CallKind::ALL.len()],
    remaining: AtomicU64,
    reset: AtomicI64,
}

impl Traffic {
    pub(super) fn new() -> Self {
        Self { calls: Default::default(), remaining: AtomicU64::new(UNKNOWN), reset: AtomicI64::new(0) }
    }

    /// How many requests of this kind were sent.
    pub fn calls(&self, kind: CallKind) -> u64 {
        self.calls[kind as usize].load(Ordering::Relaxed)
    }

    /// `None` until an answer has told.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        let remaining = self.remaining.load(Ordering::Relaxed);
        let reset = Timestamp::from_second(self.reset.load(Ordering::Relaxed)).ok()?;
        (remaining != UNKNOWN).then_some(RateLimit { remaining, reset })
    }

    pub(super) fn sent(&self, kind: CallKind) {
        self.calls[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, headers: &HeaderMap) {
        if let (Some(remaining), Some(reset)) =
            (number(headers, "x-ratelimit-remaining"), number(headers, "x-ratelimit-reset"))
        {
            self.reset.store(reset.try_into().unwrap_or(i64::MAX), Ordering::Relaxed);
            self.remaining.store(remaining, Ordering::Relaxed);
        }
    }
}

/// A header that holds a whole number.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
