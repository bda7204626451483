//! Names that come from outside, parsed once at the edge so that nothing behind it needs to check again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name was refused: a fragment that reads well after the name itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}")]
pub struct BadName {
    what: &'static str,
    text: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let accepts: fn(&str) -> Option<String> = $accepts;
                let shown = || text.chars().take(80).collect();
                accepts(text).map(Self).ok_or_else(|| BadName { what: $what, text: shown() })
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// `owner/name`, compared without regard to case as GitHub does, kept in lower case.
    RepoName,
    "repository name of the form owner/name",
    |text| {
        let (owner, name) = text.split_once('/')?;
        let part = |s: &str| {
            (1..=100).contains(&s.len())
                && s != "."
                && s != ".."
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        (part(owner) && part(name)).then(|| text.to_ascii_lowercase())
    }
);

impl RepoName {
    /// The account that owns the repository.
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(owner, _)| owner)
    }

    /// The repository's name without its owner.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

name!(
    /// A full commit id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    Sha,
    "full commit id",
    |text| {
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        (hex && matches!(text.len(), 40 | 64)).then(|| text.to_ascii_lowercase())
    }
);

impl Sha {
    /// The first 12 digits, as shown to people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

name!(
    /// A suite's name: it ends up in status contexts, container names and addresses, so it is kept plain.
    SuiteName,
    "suite name (a-z, 0-9 and '-', at most 40 characters, starting with a letter or digit)",
    |text| {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (plain && (1..=40).contains(&text.len()) && !text.starts_with('-')).then(|| text.to_owned())
    }
);

name!(
    /// What the operator calls a secret: also part of a variable's name, hence without `-`, and without `__`, which parts sections there.
    SecretName,
    "secret's name (a-z, 0-9 and single '_', at most 40 characters, starting with a letter)",
    |text| {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
        (plain && starts && text.len() <= 40 && !text.contains("__")).then(|| text.to_owned())
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_compare_without_case() {
        assert_eq!("Acme/Infra".parse::<RepoName>().unwrap(), "acme/infra".parse().unwrap());
        let repo: RepoName = "acme/infra.git".parse().unwrap();
        assert_eq!((repo.owner(), repo.name()), ("acme", "infra.git"));
    }

    #[test]
    fn nonsense_is_refused_with_its_text() {
        for bad in ["", "acme", "acme/", "/infra", "a/b/c", "a b/c", "../x", "a/.."] {
            assert!(bad.parse::<RepoName>().is_err(), "{bad}");
        }
        assert!("deadbeef".parse::<Sha>().is_err());
        assert!("g".repeat(40).parse::<Sha>().is_err());
        for bad in ["", "-a", "A", "a_b", "a/b"] {
            assert!(bad.parse::<SuiteName>().is_err(), "{bad}");
        }
        for bad in ["", "_a", "1a", "A", "a-b", "a__b"] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad}");
        }
        assert!("x".repeat(41).parse::<SuiteName>().unwrap_err().to_string().contains("suite name"));
    }
}
