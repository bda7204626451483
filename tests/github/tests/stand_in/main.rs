//! The stand-in itself under test, over plain HTTP and through octocrab. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "in a test a broken expectation is the message")]

mod apps;
mod checks;
mod contents;
mod contract;
mod faults;
mod manifests;
mod pulls;
mod statuses;
mod support;
mod webhooks;
