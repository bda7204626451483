//! How much GitHub still allows one account or installation, and until when it wants to hear nothing from it.
//! A call that would be refused anyway is not sent: GitHub bars those who go on asking.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use jiff::Timestamp;

use super::traffic::number;
use crate::domain::status::Allowance;
use crate::ports::ForgeError;

/// The last word of GitHub's limits to one who asks.
#[derive(Debug, Default)]
pub(super) struct Gauge(Mutex<Reading>);

#[derive(Debug, Default)]
struct Reading {
    allowance: Option<Allowance>,
    closed_until: Option<Timestamp>,
}

impl Gauge {
    /// Whether anything may be asked now.
    pub(super) fn admit(&self, now: Timestamp) -> Result<(), ForgeError> {
        match self.reading().closed_until {
            Some(until) if until > now => Err(ForgeError::RateLimited { until }),
            Some(_) | None => Ok(()),
        }
    }

    /// What an answer says of the limit that most calls count against; there are others, for search and the like.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let is_core = headers.get("x-ratelimit-resource").is_none_or(|resource| resource == "core");
        let told = (
            number(headers, "x-ratelimit-remaining"),
            number(headers, "x-ratelimit-limit"),
            number(headers, "x-ratelimit-reset").and_then(|reset| Timestamp::from_second(reset.try_into().ok()?).ok()),
        );
        if let (true, (Some(remaining), Some(limit), Some(reset))) = (is_core, told) {
            self.reading().allowance = Some(Allowance { remaining, limit, reset });
        }
    }

    /// Nothing may be asked before then.
    pub(super) fn close(&self, until: Timestamp) {
        let mut reading = self.reading();
        reading.closed_until = reading.closed_until.max(Some(until));
    }

    /// `None` until an answer has told, and once its hour is over.
    pub(super) fn allowance(&self, now: Timestamp) -> Option<Allowance> {
        self.reading().allowance.filter(|allowance| allowance.reset > now)
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
