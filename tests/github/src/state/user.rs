//! Accounts, their roles in repositories, and teams.
//! Who may do what with which token is decided in `auth`.

use std::collections::BTreeSet;

use jiff::Timestamp;

/// An account: a person, an organization or a bot.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) kind: Kind,
    pub(crate) since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Person,
    Organization,
    Bot,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Person => "User",
            Self::Organization => "Organization",
            Self::Bot => "Bot",
        }
    }
}

/// A role in a repository, weakest first. GitHub's five, and none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// No role. Whoever has none still reads what is public.
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Permission {
    /// The role's own name, GitHub's `role_name`.
    pub(crate) fn role_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The older `permission` field, which knows neither triage nor maintain.
    pub(crate) fn legacy_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}

/// A team of an organization.
#[derive(Debug, Clone, Default)]
pub(crate) struct Team {
    pub(crate) members: BTreeSet<String>,
}
