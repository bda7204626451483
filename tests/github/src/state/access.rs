//! Tokens, the GitHub App and its installations: what a caller was given.
//! Whether that is enough for a request is decided in `auth`.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

/// Tokens by their text.
pub(crate) type Tokens = HashMap<String, Token>;

/// Fine-grained permissions by GitHub's names, `statuses` for one.
pub(crate) type Permissions = BTreeMap<String, Level>;

/// How far a fine-grained permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Read,
    Write,
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Token {
    Personal { login: String, grant: Grant },
    Installation(InstallationToken),
}

/// How much of its owner's power a personal token carries.
#[derive(Debug, Clone)]
pub(crate) enum Grant {
    /// A classic token with the scopes `repo` and `admin:repo_hook`.
    Classic,
    /// A fine-grained token.
    Only(Permissions),
}

#[derive(Debug, Clone)]
pub(crate) struct InstallationToken {
    pub(crate) installation: u64,
    pub(crate) permissions: Permissions,
    /// Lower-case full names, or everything the installation has.
    pub(crate) repositories: Option<Vec<String>>,
    pub(crate) expires_at: Timestamp,
}

/// A GitHub App.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) slug: String,
    pub(crate) owner: String,
    pub(crate) public_key_pem: Vec<u8>,
    pub(crate) permissions: Permissions,
    pub(crate) events: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) installations: Vec<Installation>,
}

impl App {
    /// The account under which the App acts.
    pub(crate) fn bot(&self) -> String {
        format!("{}[bot]", self.slug)
    }

    pub(crate) fn installation(&self, id: u64) -> Option<&Installation> {
        self.installations.iter().find(|installation| installation.id == id)
    }

    /// The installation that covers a repository.
    pub(crate) fn installation_for(&self, full_name: &str) -> Option<&Installation> {
        self.installations.iter().find(|installation| installation.covers(full_name))
    }
}

/// An App installed in an account.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) account: String,
    /// Lower-case full names, or every repository of the account.
    pub(crate) repositories: Option<Vec<String>>,
    pub(crate) suspended_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
}

impl Installation {
    pub(crate) fn covers(&self, full_name: &str) -> bool {
        let name = full_name.to_ascii_lowercase();
        let owner = name.split_once('/').map_or("", |(owner, _)| owner);
        owner == self.account.to_ascii_lowercase()
            && self.repositories.as_ref().is_none_or(|selected| selected.contains(&name))
    }
}
