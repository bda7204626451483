//! Accounts: `simple-user`, the full user of `GET /user`, and organizations in webhook payloads.

use serde_json::{Map, Value, json};

use super::View;
use crate::clock::stamp;
use crate::state::user::{Kind, User};

/// Links of an account below its API URL.
const LINKS: [(&str, &str); 9] = [
    ("followers_url", "/followers"),
    ("following_url", "/following{/other_user}"),
    ("gists_url", "/gists{/gist_id}"),
    ("starred_url", "/starred{/owner}{/repo}"),
    ("subscriptions_url", "/subscriptions"),
    ("organizations_url", "/orgs"),
    ("repos_url", "/repos"),
    ("events_url", "/events{/privacy}"),
    ("received_events_url", "/received_events"),
];

impl View<'_> {
    /// A `simple-user`. Accounts nobody made are ghosts, as on GitHub.
    pub(crate) fn account(&self, login: &str) -> Value {
        match self.world.user(login) {
            Some(user) => Value::Object(self.simple_user(user)),
            None => Value::Object(self.simple_user(&User {
                id: 10_137,
                login: login.to_owned(),
                kind: Kind::Person,
                since: jiff::Timestamp::UNIX_EPOCH,
            })),
        }
    }

    fn simple_user(&self, user: &User) -> Map<String, Value> {
        let url = format!("{}/users/{}", self.api, user.login.replace('[', "%5B").replace(']', "%5D"));
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("login", json!(user.login));
        put("id", json!(user.id));
        put("node_id", json!(format!("U_{}", user.id)));
        put("avatar_url", json!(format!("{}/avatars/u/{}?v=4", self.html(), user.id)));
        put("gravatar_id", json!(""));
        for (key, path) in LINKS {
            put(key, json!(format!("{url}{path}")));
        }
        put("url", json!(url));
        put("html_url", json!(format!("{}/{}", self.html(), user.login.trim_end_matches("[bot]"))));
        put("type", json!(user.kind.as_str()));
        put("user_view_type", json!("public"));
        put("site_admin", json!(false));
        object
    }

    /// The account behind a token, as `GET /user` shows it.
    pub(crate) fn full_user(&self, user: &User) -> Value {
        let mut object = self.simple_user(user);
        let more = json!({
            "name": user.login, "company": null, "blog": "", "location": null, "email": null, "hireable": null,
            "bio": null, "twitter_username": null, "public_repos": 0, "public_gists": 0, "followers": 0,
            "following": 0, "created_at": stamp(user.since), "updated_at": stamp(user.since), "private_gists": 0,
            "total_private_repos": 0, "owned_private_repos": 0, "disk_usage": 0, "collaborators": 0,
            "two_factor_authentication": true, "user_view_type": "private",
        });
        object.extend(more.as_object().cloned().unwrap_or_default());
        Value::Object(object)
    }

    /// A collaborator with the role it has, as the permission endpoint shows it.
    pub(crate) fn collaborator(&self, user: &User, role: crate::state::user::Permission) -> Value {
        use crate::state::user::Permission;
        let mut object = self.simple_user(user);
        object.insert("role_name".to_owned(), json!(role.role_name()));
        object.insert(
            "permissions".to_owned(),
            json!({
                "pull": role >= Permission::Read, "triage": role >= Permission::Triage,
                "push": role >= Permission::Write, "maintain": role >= Permission::Maintain,
                "admin": role >= Permission::Admin,
            }),
        );
        Value::Object(object)
    }

    /// The `organization` of a webhook payload.
    pub(crate) fn organization(&self, user: &User) -> Value {
        let url = format!("{}/orgs/{}", self.api, user.login);
        json!({
            "login": user.login, "id": user.id, "node_id": format!("O_{}", user.id), "url": url,
            "repos_url": format!("{url}/repos"), "events_url": format!("{url}/events"),
            "hooks_url": format!("{url}/hooks"), "issues_url": format!("{url}/issues"),
            "members_url": format!("{url}/members{{/member}}"),
            "public_members_url": format!("{url}/public_members{{/member}}"),
            "avatar_url": format!("{}/avatars/u/{}?v=4", self.html(), user.id), "description": "",
        })
    }
}
