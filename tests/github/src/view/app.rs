//! The GitHub App and its installations.

use serde_json::{Value, json};

use super::View;
use crate::clock::stamp;
use crate::state::access::{App, Installation, Permissions};

impl View<'_> {
    /// An `integration`.
    pub(crate) fn app(&self, app: &App) -> Value {
        json!({
            "id": app.id, "slug": app.slug, "node_id": format!("A_{}", app.id), "client_id": format!("Iv1.{}", app.id),
            "owner": self.account(&app.owner), "name": app.slug, "description": null,
            "external_url": format!("{}/apps/{}", self.html(), app.slug),
            "html_url": format!("{}/apps/{}", self.html(), app.slug), "created_at": stamp(app.created_at),
            "updated_at": stamp(app.created_at), "permissions": permissions(&app.permissions), "events": app.events,
            "installations_count": app.installations.len(),
        })
    }

    /// An `installation`.
    pub(crate) fn installation(&self, app: &App, installation: &Installation) -> Value {
        let own = format!("{}/app/installations/{}", self.api, installation.id);
        let account = self.account(&installation.account);
        json!({
            "id": installation.id, "account": account, "target_id": account["id"], "target_type": account["type"],
            "repository_selection": if installation.repositories.is_some() { "selected" } else { "all" },
            "access_tokens_url": format!("{own}/access_tokens"),
            "repositories_url": format!("{}/installation/repositories", self.api),
            "html_url": format!(
                "{}/organizations/{}/settings/installations/{}", self.html(), installation.account, installation.id
            ),
            "app_id": app.id, "client_id": format!("Iv1.{}", app.id), "app_slug": app.slug,
            "permissions": permissions(&app.permissions), "events": app.events,
            "created_at": stamp(installation.created_at), "updated_at": stamp(installation.created_at),
            "single_file_name": null, "has_multiple_single_files": false, "single_file_paths": [],
            "suspended_by": null, "suspended_at": installation.suspended_at.map(stamp),
        })
    }
}

/// Permissions as GitHub lists them.
pub(crate) fn permissions(permissions: &Permissions) -> Value {
    permissions.iter().map(|(name, level)| (name.clone(), json!(level.as_str()))).collect()
}
