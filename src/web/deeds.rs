//! The audit log as a run's page shows it.

use jiff::Timestamp;

use super::views::When;
use crate::domain::audit::AuditEntry;

/// An entry of the audit log.
pub(super) struct Done {
    pub(super) when: When,
    pub(super) actor: String,
    pub(super) deed: String,
    pub(super) reason: String,
}

impl Done {
    pub(super) fn new(entry: &AuditEntry, now: Timestamp) -> Self {
        let about = entry.suite.as_ref().map(|suite| format!(" {suite}")).unwrap_or_default();
        Self {
            when: When::new(entry.at, now),
            actor: entry.actor.clone(),
            deed: format!("{}{about}", entry.deed.text()),
            reason: entry.reason.clone(),
        }
    }
}
