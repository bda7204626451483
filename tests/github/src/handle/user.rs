//! Accounts, seen from a test.

use std::collections::BTreeMap;

use super::Github;
use crate::state::access::{Grant, Level, Token};
use crate::state::user::Permission;

/// An account.
#[derive(Debug, Clone)]
pub struct User {
    github: Github,
    login: String,
}

impl User {
    pub(crate) fn new(github: Github, login: &str) -> Self {
        Self { github, login: login.to_owned() }
    }

    /// The account's name.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }

    /// Gives the account a role in a repository; [`Permission::None`] takes it away.
    pub fn permission(&self, full_name: &str, role: Permission) -> &Self {
        let repo = self.github.repo(full_name);
        let mut world = self.github.shared.world();
        world.known_mut(repo.full_name()).collaborators.insert(self.login.to_ascii_lowercase(), role);
        self
    }

    /// A new classic token with the scopes `repo` and `admin:repo_hook`.
    #[must_use]
    pub fn token(&self) -> String {
        self.new_token("ghp_", Grant::Classic)
    }

    /// A new fine-grained token with these permissions, by GitHub's names: `("statuses", Level::Write)`.
    #[must_use]
    pub fn token_with(&self, permissions: &[(&str, Level)]) -> String {
        let permissions: BTreeMap<String, Level> =
            permissions.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect();
        self.new_token("github_pat_", Grant::Only(permissions))
    }

    fn new_token(&self, prefix: &str, grant: Grant) -> String {
        let secret = format!("{prefix}{}", uuid::Uuid::now_v7().simple());
        let token = Token::Personal { login: self.login.clone(), grant };
        self.github.shared.world().tokens.insert(secret.clone(), token);
        secret
    }
}

impl Github {
    /// Makes a token worthless, personal or of an installation.
    pub fn revoke(&self, token: &str) {
        self.shared.world().tokens.remove(token);
    }
}
