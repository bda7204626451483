//! A stateful stand-in for GitHub on loopback: it speaks the published REST API, refuses what GitHub refuses, and
//! signs and delivers webhooks made from GitHub's real payloads. For tests and the demo; the product never links it.

mod answer;
mod archive;
mod auth;
mod call;
mod clock;
mod contract;
mod faults;
mod git;
mod handle;
mod limits;
mod line;
mod log;
mod pages;
mod reply;
mod rest;
mod server;
mod state;
mod view;
mod webhooks;

pub use faults::{Fault, Match};
pub use git::files::Files;
pub use handle::app::{AppCredentials, AppSpec};
pub use handle::hook::{Delivery, Hook, RawDelivery};
pub use handle::pull::{Comment, PrSpec, Pull};
pub use handle::repo::Repo;
pub use handle::user::User;
pub use handle::{Builder, Check, Github};
pub use log::Request;
pub use state::access::Level;
pub use state::hook::{Answer, Outcome};
pub use state::status::{Status, StatusState};
pub use state::user::Permission;
pub use webhooks::Deliveries;
pub use webhooks::sign::{sha1 as signature_sha1, sha256 as signature_sha256};
