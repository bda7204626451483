//! The primary rate limit: so many requests per hour and caller.
//! Counts; refusing is the server's business.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

const PER_HOUR: u64 = 5_000;
const ANONYMOUS_PER_HOUR: u64 = 60;

#[derive(Debug, Default)]
pub(crate) struct Limits {
    buckets: HashMap<String, Bucket>,
    /// Set by tests; GitHub's own figures otherwise.
    pub(crate) per_hour: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pub(crate) limit: u64,
    pub(crate) used: u64,
    pub(crate) reset: Timestamp,
}

impl Bucket {
    pub(crate) fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.used >= self.limit
    }
}

impl Limits {
    /// The caller's bucket in the current hour.
    pub(crate) fn bucket(&mut self, caller: &str, now: Timestamp) -> &mut Bucket {
        let limit = self.per_hour.unwrap_or(if caller.is_empty() { ANONYMOUS_PER_HOUR } else { PER_HOUR });
        let fresh = Bucket { limit, used: 0, reset: now + SignedDuration::from_hours(1) };
        let bucket = self.buckets.entry(caller.to_owned()).or_insert(fresh);
        if bucket.reset <= now {
            *bucket = fresh;
        }
        bucket.limit = limit;
        bucket
    }
}
