//! Repositories, labels, refs and branches.

use serde_json::{Map, Value, json};

use super::View;
use crate::clock::stamp;
use crate::state::repository::{Label, Repository};

/// Links of a repository below its API URL.
const LINKS: [(&str, &str); 37] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
];

impl View<'_> {
    /// A `repository`, as it stands in pull requests and webhooks.
    pub(crate) fn repository(&self, repository: &Repository) -> Value {
        let full_name = repository.full_name();
        let url = self.repository_url(&full_name);
        let html = format!("{}/{full_name}", self.html());
        let open = repository.pulls.values().filter(|pull| pull.state.is_open()).count();
        let mut object: Map<String, Value> =
            LINKS.iter().map(|(key, path)| ((*key).to_owned(), json!(format!("{url}{path}")))).collect();
        let identity = json!({
            "id": repository.id, "node_id": format!("R_{}", repository.id), "name": repository.name,
            "full_name": full_name, "private": repository.private, "owner": self.account(&repository.owner),
            "html_url": html, "description": null, "fork": repository.parent.is_some(),
            "created_at": stamp(repository.created_at), "updated_at": stamp(repository.pushed_at),
            "pushed_at": stamp(repository.pushed_at),
            "git_url": format!("git://{}/{full_name}.git", self.host()),
            "ssh_url": format!("git@{}:{full_name}.git", self.host()),
            "clone_url": format!("{html}.git"), "svn_url": html,
            "visibility": if repository.private { "private" } else { "public" },
            "default_branch": repository.default_branch, "archived": repository.archived,
            "open_issues_count": open, "open_issues": open,
        });
        let usual = json!({
            "homepage": null, "size": 0, "stargazers_count": 0, "watchers_count": 0, "language": null,
            "has_issues": true, "has_projects": true, "has_downloads": true, "has_wiki": true, "has_pages": false,
            "has_discussions": false, "forks_count": 0, "mirror_url": null, "disabled": false, "license": null,
            "allow_forking": true, "is_template": false, "web_commit_signoff_required": false, "topics": [],
            "forks": 0, "watchers": 0,
        });
        for fields in [identity, usual] {
            object.extend(fields.as_object().cloned().unwrap_or_default());
        }
        Value::Object(object)
    }

    /// A `full-repository`, as `GET /repos/…` answers.
    pub(crate) fn full_repository(&self, repository: &Repository) -> Value {
        let mut object = self.repository(repository);
        object["network_count"] = json!(0);
        object["subscribers_count"] = json!(0);
        if let Some(parent) = repository.parent.as_deref().and_then(|name| self.world.repository(name)) {
            let parent = self.repository(parent);
            object["source"] = parent.clone();
            object["parent"] = parent;
        }
        object
    }

    fn host(&self) -> &str {
        self.html().trim_start_matches("http://")
    }

    pub(crate) fn label(&self, repository: &Repository, label: &Label) -> Value {
        json!({
            "id": label.id, "node_id": format!("LA_{}", label.id),
            "url": format!("{}/labels/{}", self.repository_url(&repository.full_name()), encode(&label.name)),
            "name": label.name, "description": label.description, "color": label.color, "default": false,
        })
    }

    /// The labels of a pull request, by name.
    pub(crate) fn labels(&self, repository: &Repository, names: &[String]) -> Value {
        names
            .iter()
            .filter_map(|name| repository.labels.get(&name.to_lowercase()))
            .map(|label| self.label(repository, label))
            .collect()
    }

    /// A `git-ref`.
    pub(crate) fn git_ref(&self, repository: &Repository, name: &str, sha: &str) -> Value {
        let url = self.repository_url(&repository.full_name());
        json!({
            "ref": format!("refs/{name}"), "node_id": format!("REF_{name}"), "url": format!("{url}/git/refs/{name}"),
            "object": { "sha": sha, "type": "commit", "url": format!("{url}/git/commits/{sha}") },
        })
    }

    /// A `branch-with-protection`; the stand-in protects nothing.
    pub(crate) fn branch(&self, repository: &Repository, name: &str, sha: &str) -> Value {
        let url = self.repository_url(&repository.full_name());
        let checks = json!({ "enforcement_level": "off", "contexts": [], "checks": [] });
        json!({
            "name": name, "commit": self.commit(repository, sha, true),
            "_links": {
                "self": format!("{url}/branches/{name}"),
                "html": format!("{}/{}/tree/{name}", self.html(), repository.full_name()),
            },
            "protected": false, "protection": { "enabled": false, "required_status_checks": checks },
            "protection_url": format!("{url}/branches/{name}/protection"),
        })
    }
}

/// A path segment for a URL.
pub(crate) fn encode(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
}
