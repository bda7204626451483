//! Who did what to which commit, and why. Entries are only ever added.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::RunId;
use super::names::{RepoName, Sha, SuiteName};

/// One deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub repo: RepoName,
    pub pr: Option<u64>,
    pub sha: Option<Sha>,
    /// The run it is about, where it is about one.
    pub run: Option<RunId>,
    pub deed: Deed,
    pub suite: Option<SuiteName>,
    /// As the forge names them.
    pub actor: String,
    pub reason: String,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    Started,
    Cancelled,
    /// An optional suite went green without a run.
    Skipped,
    /// A required suite went green against its verdict.
    Overrode,
    Held,
    Released,
    /// A commit was let in.
    Approved,
    /// An approval was taken back.
    Withdrew,
    LabelRemoved,
}

impl Deed {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Deed::Started => "started",
            Deed::Cancelled => "cancelled",
            Deed::Skipped => "skipped",
            Deed::Overrode => "overrode",
            Deed::Held => "held the cluster",
            Deed::Released => "released the cluster",
            Deed::Approved => "approved the commit",
            Deed::Withdrew => "took the approval back",
            Deed::LabelRemoved => "took the label off",
        }
    }
}
