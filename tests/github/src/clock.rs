//! The stand-in's time: the machine's clock plus whatever a test has skipped.
//! Nothing else in this crate may ask for the time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A clock that can be moved forward so that tokens expire and limits reset without waiting.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    skipped: SignedDuration,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place of the stand-in that reads the time")]
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now() + self.skipped
    }

    pub(crate) fn skip(&mut self, by: Duration) {
        self.skipped += SignedDuration::try_from(by).expect("tests skip less than an age");
    }
}

/// A moment as GitHub writes it: UTC, whole seconds.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
