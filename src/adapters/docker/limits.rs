//! How long anything may take and how much it may be. The client library itself waits for ever once a response has begun.

use std::time::Duration;

use crate::adapters::archive::ResultLimits;

/// The first words with the engine.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// A plain question or order.
pub(super) const CALL: Duration = Duration::from_secs(30);
/// Creating and starting: a busy disk makes both slow.
pub(super) const START: Duration = Duration::from_secs(120);
/// Removing a container that is killed on the way, with its volumes.
pub(super) const REMOVE: Duration = Duration::from_secs(120);
pub(super) const PULL: Duration = Duration::from_secs(600);
/// What whoever needs an image waits before going on without it; most refusals are known by then.
pub(super) const PULL_PATIENCE: Duration = Duration::from_secs(2);
/// Putting a workspace in.
pub(super) const UPLOAD: Duration = Duration::from_secs(300);
/// Copying results out.
pub(super) const DOWNLOAD: Duration = Duration::from_secs(600);
/// What a follower gets to read the rest of a log once its container has ended.
pub(super) const LOG_END: Duration = Duration::from_secs(120);
/// What reading a stored log again may hold up an observation.
pub(super) const LOG_LOAD: Duration = Duration::from_secs(5);
/// Between two attempts to take up a log again, or to remove a network that is still in use.
pub(super) const RETRY: Duration = Duration::from_millis(500);
/// How often a network in use is tried: the engine lets go of endpoints shortly after their containers.
pub(super) const NETWORK_TRIES: usize = 10;
/// Measuring a container's disk makes the engine walk its files: it is done in the background, and in proportion to what it costs.
pub(super) const DISK: Duration = Duration::from_secs(120);
pub(super) const VITALS_AT_LEAST: Duration = Duration::from_secs(2);
pub(super) const VITALS_AT_MOST: Duration = Duration::from_secs(60);
/// Time between two measurements as a multiple of what one took.
pub(super) const VITALS_FACTOR: u32 = 10;

/// The engine keeps this much of a container's log, twice: once the live file, once the one before.
pub(super) const SUITE_LOG_FILE: &str = "64m";
pub(super) const NODE_LOG_FILE: &str = "16m";
/// What `diagnose` returns at most, all nodes together.
pub(super) const DIAGNOSIS_BYTES: usize = 64 * 1024;
/// A line of a suite's log is cut after this.
pub(super) const LINE_BYTES: usize = 16 * 1024;
/// A kubeconfig is a few kilobytes.
pub(super) const KUBECONFIG_BYTES: usize = 1 << 20;

/// What an image gets to answer a question, and how much it may say.
pub(super) const ANSWER: Duration = Duration::from_secs(120);
pub(super) const ANSWER_BYTES: u64 = 64 << 20;

/// What is copied of a results folder.
pub(super) fn results(bytes: u64) -> ResultLimits {
    ResultLimits { bytes, entries: 20_000 }
}
