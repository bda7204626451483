//! The operations the stand-in serves, each with what it asks of its caller.
//! An operation of GitHub's that is not listed answers 501: the stand-in does not guess.

mod apps;
pub(crate) mod beyond;
mod checks;
mod comments;
mod commits;
mod contents;
mod hooks;
mod labels;
mod meta;
mod pulls;
mod refs;
mod repositories;
mod statuses;

use crate::auth::{Caller, Needs};
use crate::call::Call;
use crate::reply::{Refusal, Reply};
use crate::state::World;
use crate::state::access::Level;
use crate::state::repository::Repository;
use crate::state::user::Permission;

/// Carries out one operation on the state.
pub(crate) type Handler = fn(&mut World, &Call) -> Result<Reply, Refusal>;

/// An operation with its requirements.
pub(crate) struct Endpoint {
    pub(crate) needs: Needs,
    pub(crate) handler: Handler,
}

/// The endpoint for GitHub's `operationId`, if the stand-in has it.
pub(crate) fn endpoint(operation: &str) -> Option<Endpoint> {
    repository_endpoint(operation).or_else(|| pull_endpoint(operation)).or_else(|| other_endpoint(operation))
}

fn repository_endpoint(operation: &str) -> Option<Endpoint> {
    Some(match operation {
        "repos/get" => reads("metadata", repositories::get),
        "repos/get-collaborator-permission-level" => {
            needs("metadata", Level::Read, Permission::Write, repositories::permission)
        }
        "repos/check-collaborator" => needs("metadata", Level::Read, Permission::Write, repositories::is_collaborator),
        "repos/get-content" => reads("contents", contents::get),
        "repos/download-tarball-archive" => reads("contents", contents::tarball),
        "repos/get-commit" => reads("contents", commits::get),
        "repos/list-pull-requests-associated-with-commit" => reads("pull_requests", commits::pulls),
        "repos/get-branch" => reads("contents", refs::branch),
        "repos/get-branch-rules" => reads("metadata", refs::rules),
        "git/get-ref" => reads("contents", refs::get),
        "git/get-commit" => reads("contents", commits::git),
        "git/get-tree" => reads("contents", commits::tree),
        "repos/create-commit-status" => writes("statuses", Permission::Write, statuses::create),
        "repos/list-commit-statuses-for-ref" => reads("statuses", statuses::list),
        "repos/get-combined-status-for-ref" => reads("statuses", statuses::combined),
        "repos/list-webhooks" => needs("repository_hooks", Level::Read, Permission::Admin, hooks::list),
        "repos/create-webhook" => writes("repository_hooks", Permission::Admin, hooks::create),
        "repos/get-webhook" => needs("repository_hooks", Level::Read, Permission::Admin, hooks::get),
        "repos/delete-webhook" => writes("repository_hooks", Permission::Admin, hooks::delete),
        "repos/ping-webhook" => needs("repository_hooks", Level::Read, Permission::Admin, hooks::ping),
        "repos/list-webhook-deliveries" => {
            needs("repository_hooks", Level::Read, Permission::Admin, hooks::list_deliveries)
        }
        "repos/get-webhook-delivery" => needs("repository_hooks", Level::Read, Permission::Admin, hooks::get_delivery),
        "repos/redeliver-webhook-delivery" => writes("repository_hooks", Permission::Admin, hooks::redeliver),
        _ => return None,
    })
}

fn pull_endpoint(operation: &str) -> Option<Endpoint> {
    Some(match operation {
        "pulls/get" => reads("pull_requests", pulls::get),
        "pulls/list" => reads("pull_requests", pulls::list),
        "pulls/list-files" => reads("pull_requests", pulls::files),
        "pulls/list-commits" => reads("pull_requests", pulls::commits),
        "pulls/check-if-merged" => reads("pull_requests", pulls::is_merged),
        "pulls/update" => writes("pull_requests", Permission::Write, pulls::update),
        "issues/get" => reads("issues", pulls::issue),
        "issues/list-labels-on-issue" => reads("issues", labels::list),
        "issues/add-labels" => writes("issues", Permission::Triage, labels::add),
        "issues/set-labels" => writes("issues", Permission::Triage, labels::set),
        "issues/remove-label" => writes("issues", Permission::Triage, labels::remove),
        "issues/remove-all-labels" => writes("issues", Permission::Triage, labels::remove_all),
        "issues/list-comments" => reads("issues", comments::list),
        "issues/list-comments-for-repo" => reads("issues", comments::list_all),
        "issues/get-comment" => reads("issues", comments::get),
        "issues/create-comment" => writes("issues", Permission::Read, comments::create),
        "issues/update-comment" => writes("issues", Permission::Read, comments::update),
        "issues/delete-comment" => writes("issues", Permission::Read, comments::delete),
        "reactions/list-for-issue" => reads("issues", comments::issue_reactions),
        "reactions/create-for-issue" => writes("issues", Permission::Read, comments::react_to_issue),
        "reactions/delete-for-issue" => writes("issues", Permission::Read, comments::unreact),
        "reactions/list-for-issue-comment" => reads("issues", comments::comment_reactions),
        "reactions/create-for-issue-comment" => writes("issues", Permission::Read, comments::react_to_comment),
        "reactions/delete-for-issue-comment" => writes("issues", Permission::Read, comments::unreact),
        _ => return None,
    })
}

fn other_endpoint(operation: &str) -> Option<Endpoint> {
    Some(match operation {
        "checks/create" => checks(Level::Write, checks::create),
        "checks/update" => checks(Level::Write, checks::update),
        "checks/get" => checks(Level::Read, checks::get),
        "checks/list-annotations" => checks(Level::Read, checks::annotations),
        "checks/list-for-ref" => checks(Level::Read, checks::list_for_ref),
        "checks/list-for-suite" => checks(Level::Read, checks::list_for_suite),
        "checks/get-suite" => checks(Level::Read, checks::get_suite),
        "checks/list-suites-for-ref" => checks(Level::Read, checks::suites_for_ref),
        "checks/rerequest-run" => writes("checks", Permission::Write, checks::rerequest_run),
        "checks/rerequest-suite" => writes("checks", Permission::Write, checks::rerequest_suite),
        "apps/get-authenticated" => app(apps::get),
        "apps/list-installations" => app(apps::list_installations),
        "apps/get-installation" => app(apps::get_installation),
        "apps/get-repo-installation" => app(apps::for_repository),
        "apps/create-installation-access-token" => app(apps::create_token),
        "apps/revoke-installation-access-token" => Endpoint { needs: Needs::Token, handler: apps::revoke_token },
        "apps/list-repos-accessible-to-installation" => Endpoint { needs: Needs::Token, handler: apps::repositories },
        "apps/get-webhook-config-for-app" => app(hooks::app_config),
        "apps/list-webhook-deliveries" => app(hooks::list_deliveries),
        "apps/get-webhook-delivery" => app(hooks::get_delivery),
        "apps/redeliver-webhook-delivery" => app(hooks::redeliver),
        "teams/get-membership-for-user-in-org" => Endpoint { needs: Needs::Token, handler: meta::team_membership },
        "users/get-authenticated" => Endpoint { needs: Needs::Token, handler: meta::user },
        "rate-limit/get" => Endpoint { needs: Needs::Nothing, handler: meta::rate_limit },
        "meta/get" => Endpoint { needs: Needs::Nothing, handler: meta::meta },
        "meta/get-zen" => Endpoint { needs: Needs::Nothing, handler: meta::zen },
        _ => return None,
    })
}

fn needs(permission: &'static str, level: Level, role: Permission, handler: Handler) -> Endpoint {
    Endpoint { needs: Needs::Repository { permission, level, role }, handler }
}

fn reads(permission: &'static str, handler: Handler) -> Endpoint {
    needs(permission, Level::Read, Permission::Read, handler)
}

fn writes(permission: &'static str, role: Permission, handler: Handler) -> Endpoint {
    needs(permission, Level::Write, role, handler)
}

fn checks(level: Level, handler: Handler) -> Endpoint {
    Endpoint { needs: Needs::RepositoryApp { permission: "checks", level }, handler }
}

fn app(handler: Handler) -> Endpoint {
    Endpoint { needs: Needs::App, handler }
}

impl World {
    /// The repository the path names; authorization has made sure that it exists.
    fn of<'w>(&'w self, call: &Call) -> Result<&'w Repository, Refusal> {
        self.repository(&call.full_name()).ok_or_else(Refusal::not_found)
    }

    fn of_mut<'w>(&'w mut self, call: &Call) -> Result<&'w mut Repository, Refusal> {
        self.repository_mut(&call.full_name()).ok_or_else(Refusal::not_found)
    }

    /// The account a caller acts as.
    fn login_of(&self, caller: &Caller) -> String {
        match caller {
            Caller::Person { login, .. } => login.clone(),
            Caller::App | Caller::Installation(_) => self.app.as_ref().map(|app| app.bot()).unwrap_or_default(),
            Caller::Anonymous => "ghost".to_owned(),
        }
    }
}

/// Answers with a view of the world after a change.
macro_rules! view {
    ($world:expr, $call:expr) => {
        $crate::view::View { world: $world, api: &$call.api }
    };
}
use view;
