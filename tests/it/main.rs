//! Everything that needs more than one room of the house, in one binary. Tests that need something the machine lacks are
//! ignored by default, so that a skip is counted as one; `make test` provides everything and runs them.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]
#![expect(unreachable_pub, reason = "what tests share is public within this one binary")]

mod architecture;
mod artifacts;
mod claims;
mod cli;
mod cluster;
mod config;
mod docker;
mod flakes;
mod github;
mod pages;
mod plan;
mod probing;
mod reports;
mod reruns;
mod service;
mod setup;
mod store;
mod store_effects;
mod store_pages;
mod support;
mod webhook;
