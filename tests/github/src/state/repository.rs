//! One repository: commits, branches, collaborators and everything that hangs on it.
//! Keeps refs and test merges consistent; sends nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use jiff::Timestamp;

use super::check::{CheckRun, CheckSuite};
use super::comment::{Comment, Reaction};
use super::pull::Pull;
use super::status::Status;
use super::user::Permission;
use crate::git::files::Files;
use crate::git::history::Commits;
use crate::git::{Commit, Tree};

#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) archived: bool,
    pub(crate) default_branch: String,
    /// The repository this one was forked from.
    pub(crate) parent: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) pushed_at: Timestamp,
    pub(crate) commits: Commits,
    pub(crate) branches: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) collaborators: BTreeMap<String, Permission>,
    pub(crate) labels: IndexMap<String, Label>,
    pub(crate) pulls: BTreeMap<u64, Pull>,
    /// Reads that still answer `mergeable: null`, per pull request.
    pub(crate) merge_reads: BTreeMap<u64, u32>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) reactions: Vec<Reaction>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) check_suites: BTreeMap<u64, CheckSuite>,
    pub(crate) check_runs: BTreeMap<u64, CheckRun>,
    /// Who put which label on or took it off.
    pub(crate) labellings: Vec<Labelling>,
    /// Archives to serve in place of the real ones, by commit: hostile input for tests.
    pub(crate) archives: HashMap<String, Bytes>,
}

/// Somebody put a label on a pull request or took it off.
#[derive(Debug, Clone)]
pub(crate) struct Labelling {
    pub(crate) id: u64,
    pub(crate) pull: u64,
    /// `labeled` or `unlabeled`.
    pub(crate) event: &'static str,
    pub(crate) label: String,
    pub(crate) by: String,
    pub(crate) at: Timestamp,
}

/// A label the repository has; pull requests refer to it by name.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) description: Option<String>,
}

impl Repository {
    pub(crate) fn new(id: u64, owner: &str, name: &str, now: Timestamp) -> Self {
        let mut repository = Self {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private: false,
            archived: false,
            default_branch: "main".to_owned(),
            parent: None,
            created_at: now,
            pushed_at: now,
            commits: Commits::new(),
            branches: BTreeMap::new(),
            tags: BTreeMap::new(),
            collaborators: BTreeMap::new(),
            labels: IndexMap::new(),
            pulls: BTreeMap::new(),
            merge_reads: BTreeMap::new(),
            comments: BTreeMap::new(),
            reactions: Vec::new(),
            statuses: Vec::new(),
            check_suites: BTreeMap::new(),
            check_runs: BTreeMap::new(),
            labellings: Vec::new(),
            archives: HashMap::new(),
        };
        let first = Commit::new(Tree::new(), Vec::new(), "Initial commit", owner, now);
        let sha = repository.keep(first);
        repository.branches.insert("main".to_owned(), sha);
        repository
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Stores a commit and gives its id back.
    pub(crate) fn keep(&mut self, commit: Commit) -> String {
        let sha = commit.sha.clone();
        self.commits.insert(sha.clone(), Arc::new(commit));
        sha
    }

    /// Commits on top of a branch; a branch that does not exist grows from the default branch.
    pub(crate) fn commit(
        &mut self,
        branch: &str,
        files: &Files,
        author: &str,
        message: &str,
        now: Timestamp,
    ) -> String {
        let parent = self.branches.get(branch).unwrap_or_else(|| &self.branches[&self.default_branch]).clone();
        let tree = files.applied_to(&self.commits[&parent].tree);
        let sha = self.keep(Commit::new(tree, vec![parent], message, author, now));
        self.branches.insert(branch.to_owned(), sha.clone());
        self.pushed_at = now;
        sha
    }

    /// What a ref, a branch, a tag or a (shortened) commit id names.
    pub(crate) fn resolve(&self, name: &str) -> Option<String> {
        if let Some(branch) = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("heads/")) {
            return self.branches.get(branch).cloned();
        }
        if let Some(tag) = name.strip_prefix("refs/tags/").or_else(|| name.strip_prefix("tags/")) {
            return self.tags.get(tag).cloned();
        }
        if let Some(pull) = name.strip_prefix("refs/pull/").or_else(|| name.strip_prefix("pull/")) {
            return self.resolve_pull(pull);
        }
        if name == "HEAD" {
            return self.branches.get(&self.default_branch).cloned();
        }
        let named = self.branches.get(name).or_else(|| self.tags.get(name)).cloned();
        named.or_else(|| self.resolve_id(name))
    }

    fn resolve_pull(&self, name: &str) -> Option<String> {
        let (number, side) = name.split_once('/')?;
        let pull = self.pulls.get(&number.parse().ok()?)?;
        match side {
            "head" => Some(pull.head_sha.clone()),
            "merge" => pull.merge.sha().map(str::to_owned),
            _ => None,
        }
    }

    fn resolve_id(&self, id: &str) -> Option<String> {
        if self.commits.contains_key(id) {
            return Some(id.to_owned());
        }
        let is_short_id = id.len() >= 7 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut found = self.commits.keys().filter(|sha| is_short_id && sha.starts_with(id));
        match (found.next(), found.next()) {
            (Some(only), None) => Some(only.clone()),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    /// The role of an account. Owners administer; everybody reads what is public.
    pub(crate) fn permission_of(&self, login: &str) -> Permission {
        if login.eq_ignore_ascii_case(&self.owner) {
            return Permission::Admin;
        }
        let granted = self.collaborators.get(&login.to_ascii_lowercase()).copied().unwrap_or(Permission::None);
        let floor = if self.private { Permission::None } else { Permission::Read };
        granted.max(floor)
    }
}

/// Leave to fetch one commit's archive, for a short time.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveTicket {
    pub(crate) repository: String,
    pub(crate) sha: String,
    pub(crate) expires_at: Timestamp,
}
