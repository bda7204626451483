//! A GitHub App of one's own: the manifest it is made from, with no more than the calls and events of this product need,
//! and the one call that turns GitHub's code into the App's credentials. Keeps nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::api::{Api, Call, within};
use super::base::{Base, segment};
use super::credentials::Credentials;
use super::traffic::CallKind;
use super::{Auth, BadSettings, Timeouts, transport};
use crate::domain::event::Event;
use crate::ports::{Clock, ForgeError, Route};

/// How far a permission of an App reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Read,
    Write,
}

/// A permission by GitHub's name.
type Need = (&'static str, Level);

/// What a kind of call needs where an App is installed.
fn asked(kind: CallKind) -> &'static [Need] {
    match kind {
        CallKind::PullRequest => &[("pull_requests", Level::Read)],
        CallKind::Branch | CallKind::File | CallKind::Archive => &[("contents", Level::Read)],
        CallKind::Change => &[("contents", Level::Read), ("pull_requests", Level::Read)],
        CallKind::Permission => &[("metadata", Level::Read)],
        CallKind::Team => &[("members", Level::Read)],
        // GitHub goes by what is commented upon, and that is always a pull request.
        CallKind::Conversation | CallKind::Summary => &[("pull_requests", Level::Write)],
        CallKind::Status => &[("statuses", Level::Write)],
        CallKind::Check => &[("checks", Level::Write)],
        CallKind::CatchUp => &[
            ("metadata", Level::Read),
            ("pull_requests", Level::Read),
            ("issues", Level::Read),
            ("statuses", Level::Read),
        ],
        // As the App itself.
        CallKind::Installation | CallKind::Token => &[],
    }
}

/// What GitHub wants of an App that subscribes to an event; `None` where every App gets it unasked and none may subscribe.
/// Source: GitHub's "Webhook events and payloads", under each event.
fn heard(event: &str) -> Option<Need> {
    Some(match event {
        "check_run" | "check_suite" => ("checks", Level::Read),
        "issue_comment" => ("issues", Level::Read),
        "merge_group" => ("merge_queues", Level::Read),
        "pull_request" => ("pull_requests", Level::Read),
        "push" => ("contents", Level::Read),
        "status" => ("statuses", Level::Read),
        _ => return None,
    })
}

/// Events that an App has to subscribe to.
pub fn events() -> Vec<&'static str> {
    Event::USED.into_iter().filter(|event| heard(event).is_some()).collect()
}

/// Permissions that an App needs for every call and every event, each as far as it is needed.
pub fn permissions() -> BTreeMap<&'static str, Level> {
    let asked = CallKind::ALL.into_iter().flat_map(asked).copied();
    let mut all = BTreeMap::new();
    for (name, level) in asked.chain(Event::USED.into_iter().filter_map(heard)) {
        let held = all.entry(name).or_insert(level);
        *held = level.max(*held);
    }
    all
}

/// An App that is to be made.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// Unique on GitHub, at most 34 characters.
    pub name: String,
    /// Where the service will be reached.
    pub public_url: Url,
    /// Where GitHub sends the browser with its code.
    pub redirect_url: String,
}

impl NewApp {
    /// The manifest as GitHub reads it. Source: GitHub's "Registering a GitHub App from a manifest".
    pub fn manifest(&self) -> Value {
        let service = self.public_url.as_str().trim_end_matches('/');
        json!({
            "name": self.name,
            "url": service,
            "description": "Tests labelled pull requests on throwaway Kubernetes clusters.",
            "hook_attributes": { "url": format!("{service}/webhooks/github"), "active": true },
            "redirect_url": self.redirect_url,
            "public": false,
            "default_permissions": permissions(),
            "default_events": events(),
        })
    }
}

/// What GitHub gives for its code, once.
#[derive(Debug, Clone, Deserialize)]
pub struct RegisteredApp {
    pub id: u64,
    pub slug: String,
    /// The App's public page.
    pub html_url: Url,
    /// PEM.
    #[serde(rename = "pem")]
    pub private_key: SecretString,
    /// What GitHub signs webhooks with; absent where it made none.
    pub webhook_secret: Option<SecretString>,
}

/// Asks GitHub for the credentials of an App that was just made.
pub struct Registrar {
    api: Api,
}

impl Registrar {
    /// Connects nothing yet. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// The settings cannot work, whatever GitHub says.
    pub fn new(api_url: Url, route: &Route, clock: Arc<dyn Clock>) -> Result<Self, BadSettings> {
        let (base, timeouts) = (Base::new(&api_url).ok_or(BadSettings::Address(api_url))?, Timeouts::default());
        let octocrab = transport::octocrab(base.clone(), timeouts.connect, route)?;
        // Nobody speaks yet: the code itself is the credential.
        let credentials = Credentials::new(Auth::Token(SecretString::default()))?;
        Ok(Self { api: Api::new(octocrab, base, credentials, timeouts, clock) })
    }

    /// Exchanges the code, which works once and within an hour.
    ///
    /// # Errors
    /// GitHub does not know the code (any more), or does not answer.
    pub async fn convert(&self, code: &str) -> Result<RegisteredApp, ForgeError> {
        let what = "the new App's credentials".to_owned();
        let path = format!("/app-manifests/{}/conversions", segment(code));
        let call = Call::post(CallKind::Token, what, path, "{}".to_owned());
        within(self.api.timeouts.call, &call.what, async {
            let response = self.api.exchange(&self.api.octocrab, &call).await?;
            self.api.read(&call, response).await?.json()
        })
        .await
    }
}

/// Where things of GitHub's are, by where people look at it.
pub mod addresses {
    use url::Url;

    use super::segment;

    /// GitHub's own.
    pub const GITHUB: &str = "https://github.com";

    /// The API beside the pages at `github`, such as `https://github.com` or a GitHub Enterprise Server's.
    pub fn api(github: &Url) -> Url {
        let host = github.host_str().unwrap_or_default();
        let mut api = github.clone();
        if host == "github.com" || host.ends_with(".ghe.com") {
            let renamed = api.set_host(Some(&format!("api.{host}")));
            renamed.expect("a host stays one with a name before it");
            return api;
        }
        api.set_path(&format!("{}/api/v3", github.path().trim_end_matches('/')));
        api
    }

    /// Where settings of Apps are: the organization's, or those of whoever looks.
    pub fn apps(github: &Url, organization: Option<&str>) -> String {
        let root = github.as_str().trim_end_matches('/');
        match organization {
            Some(name) => format!("{root}/organizations/{}/settings/apps", segment(name)),
            None => format!("{root}/settings/apps"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_subscribed_to_or_comes_unasked() {
        let unasked: Vec<_> = Event::USED.into_iter().filter(|event| heard(event).is_none()).collect();
        assert_eq!(unasked, ["installation", "installation_repositories"]);
        assert!(events().iter().all(|event| Event::has_use(event)));
    }

    #[test]
    fn permissions_reach_as_far_as_the_most_that_needs_them() {
        let all = permissions();
        assert_eq!(all["pull_requests"], Level::Write, "reading is not enough for comments");
        assert_eq!(all["issues"], Level::Read, "only to hear of comments");
        assert_eq!(
            all.keys().copied().collect::<Vec<_>>(),
            ["checks", "contents", "issues", "members", "merge_queues", "metadata", "pull_requests", "statuses"]
        );
    }

    #[test]
    fn the_api_is_found_from_where_people_look() {
        let api = |github: &str| addresses::api(&github.parse().unwrap()).to_string();
        assert_eq!(api("https://github.com"), "https://api.github.com/");
        assert_eq!(api("https://acme.ghe.com/"), "https://api.acme.ghe.com/");
        assert_eq!(api("https://git.acme.example:8443"), "https://git.acme.example:8443/api/v3");
        let github = "https://github.com".parse().unwrap();
        assert_eq!(addresses::apps(&github, None), "https://github.com/settings/apps");
        assert_eq!(addresses::apps(&github, Some("a/b")), "https://github.com/organizations/a%2Fb/settings/apps");
    }
}
