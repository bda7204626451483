//! GitHub's objects as JSON, made from the state: the same for REST answers and webhook payloads.
//! Reads only. Every object is complete by GitHub's description, which the server verifies.

mod account;
mod app;
mod check;
mod comment;
mod commit;
mod hook;
mod pull;
mod repository;
mod status;

pub(crate) use app::permissions;
pub(crate) use pull::{changes as pull_changes, commits as pull_commits};

use crate::state::World;

/// The world as seen through one API root.
#[derive(Clone, Copy)]
pub(crate) struct View<'w> {
    pub(crate) world: &'w World,
    /// `http://127.0.0.1:PORT`, with `/api/v3` for clients that came that way.
    pub(crate) api: &'w str,
}

impl<'w> View<'w> {
    /// For webhooks: the root without a prefix.
    pub(crate) fn plain(world: &'w World) -> Self {
        Self { world, api: &world.url }
    }

    /// Where pages would be.
    pub(crate) fn html(&self) -> &'w str {
        &self.world.url
    }

    fn repository_url(&self, full_name: &str) -> String {
        format!("{}/repos/{full_name}", self.api)
    }
}
