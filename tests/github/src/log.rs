//! What was asked of the API, in order, for tests that count and compare.

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;

/// One request to the API as it arrived and what it got.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it arrived, by the stand-in's clock.
    pub at: Timestamp,
    pub method: Method,
    /// Path without the query, `/api/v3` included where the client used it.
    pub path: String,
    pub query: String,
    pub body: Bytes,
    /// The answer's status; `None` while it is being answered or when it was cut off.
    pub status: Option<u16>,
    /// What the token stands for: a login, `app`, `installation 5`, or nothing.
    pub caller: String,
    /// GitHub's name of the operation, `repos/create-commit-status` for one; empty when the path is none of GitHub's.
    pub operation: &'static str,
}

impl Request {
    /// Whether the request asked for a change.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.method != Method::GET && self.method != Method::HEAD
    }
}

#[derive(Debug, Default)]
pub(crate) struct Requests(Vec<Request>);

impl Requests {
    /// Adds a request and gives the number under which it can be completed.
    pub(crate) fn add(&mut self, request: Request) -> usize {
        self.0.push(request);
        self.0.len() - 1
    }

    /// Notes what a request was answered.
    pub(crate) fn answered(&mut self, number: usize, status: u16) {
        self.0[number].status = Some(status);
    }

    pub(crate) fn all(&self) -> &[Request] {
        &self.0
    }
}
