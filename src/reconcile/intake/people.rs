//! Who may what: permissions and teams as the forge tells them, remembered for half a minute.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::super::chain;
use super::desk::{Trouble, later};
use crate::domain::names::RepoName;
use crate::domain::rules::{Rules, Team};
use crate::ports::{ForgeError, Permission, Ports};

/// Somebody who loses a permission keeps it here no longer than this.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(30);
/// What is remembered at most.
const MOST: usize = 10_000;

pub(super) struct People {
    ports: Ports,
    permissions: Memory<(RepoName, String), Permission>,
    members: Memory<(Team, String), bool>,
}

impl People {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports, permissions: Memory::default(), members: Memory::default() }
    }

    pub(super) async fn permission(&self, repo: &RepoName, login: &str) -> Result<Permission, Trouble> {
        let (key, now) = ((repo.clone(), login.to_ascii_lowercase()), self.ports.clock.now());
        if let Some(known) = self.permissions.get(&key, now) {
            return Ok(known);
        }
        let found = self.ports.forge.permission(repo, login).await.map_err(|error| later(&error, now))?;
        self.permissions.keep(key, found, now);
        Ok(found)
    }

    /// Writers, and members of the teams that the gate lets run.
    pub(super) async fn may_run(&self, repo: &RepoName, rules: &Rules, login: &str) -> Result<bool, Trouble> {
        Ok(self.permission(repo, login).await? >= Permission::Write
            || self.in_any(repo, &rules.run_teams, login).await?)
    }

    /// Administrators, and members of the teams that the gate lets override.
    pub(super) async fn may_override(&self, repo: &RepoName, rules: &Rules, login: &str) -> Result<bool, Trouble> {
        Ok(self.permission(repo, login).await? >= Permission::Admin
            || self.in_any(repo, &rules.override_teams, login).await?)
    }

    async fn in_any(&self, repo: &RepoName, teams: &[Team], login: &str) -> Result<bool, Trouble> {
        for team in teams {
            if self.is_member(repo, team, login).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_member(&self, repo: &RepoName, team: &Team, login: &str) -> Result<bool, Trouble> {
        let (key, now) = ((team.clone(), login.to_ascii_lowercase()), self.ports.clock.now());
        if let Some(known) = self.members.get(&key, now) {
            return Ok(known);
        }
        let found = match self.ports.forge.is_member(repo, team, login).await {
            Ok(found) => found,
            // We may not look into the team. Whoever needs it to be allowed is not.
            Err(error @ ForgeError::Forbidden(_)) => {
                tracing::warn!(%repo, team = String::from(team.clone()), error = chain(&error), "a team cannot be read");
                false
            }
            Err(error) => return Err(later(&error, now)),
        };
        self.members.keep(key, found, now);
        Ok(found)
    }
}

/// Answers with the time they were given.
struct Memory<K, V>(Mutex<HashMap<K, (V, Timestamp)>>);

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Copy> Memory<K, V> {
    fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(_, at)| now.duration_since(*at) < REMEMBERED).map(|(value, _)| *value)
    }

    fn keep(&self, key: K, value: V, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, (value, now));
    }
}
