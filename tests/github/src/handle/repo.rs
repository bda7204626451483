//! Repositories, seen from a test.

use bytes::Bytes;

use super::Github;
use super::hook::Hook;
use super::pull::{PrSpec, Pull};
use crate::git::files::Files;
use crate::state::status::{Status, StatusState};
use crate::webhooks::Deliveries;
use crate::webhooks::changes::NewPull;

/// A repository.
#[derive(Debug, Clone)]
pub struct Repo {
    pub(crate) github: Github,
    full_name: String,
}

impl Repo {
    pub(crate) fn new(github: Github, full_name: &str) -> Self {
        let full_name = github.shared.world().known(full_name).full_name();
        Self { github, full_name }
    }

    /// `owner/name`.
    #[must_use]
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// GitHub's number of the repository.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.github.shared.world().known(&self.full_name).id
    }

    /// Commits on a branch as the repository's owner and tells `push`. A branch that does not exist grows from the
    /// default branch. Gives the commit's id.
    pub fn commit(&self, branch: &str, files: impl Into<Files>) -> String {
        self.push(branch, files, &self.owner()).0
    }

    /// As [`Self::commit`], by somebody, with the deliveries it causes.
    pub fn push(&self, branch: &str, files: impl Into<Files>, by: &str) -> (String, Deliveries) {
        let mut world = self.github.shared.world();
        world.push(&self.full_name, branch, &files.into(), by, &format!("Change {branch}"))
    }

    /// The tip of a branch, or what any other ref or commit id names.
    #[must_use]
    pub fn sha(&self, name: &str) -> Option<String> {
        self.github.shared.world().known(&self.full_name).resolve(name)
    }

    /// Files of a commit, by path.
    #[must_use]
    pub fn files(&self, sha: &str) -> Vec<(String, Bytes)> {
        let world = self.github.shared.world();
        let commit = world.known(&self.full_name).commits.get(sha);
        let tree = commit.map(|commit| commit.tree.clone()).unwrap_or_default();
        tree.into_iter().map(|(path, blob)| (path, blob.bytes)).collect()
    }

    /// Hides the repository from those who have no role in it.
    pub fn make_private(&self) -> &Self {
        self.github.shared.world().known_mut(&self.full_name).private = true;
        self
    }

    /// A fork of the repository in somebody's account, with all branches.
    #[must_use]
    pub fn fork(&self, owner: &str) -> Self {
        drop(self.github.user(owner));
        let name = self.full_name.split('/').next_back().unwrap_or_default();
        let fork = self.github.repo(&format!("{owner}/{name}"));
        let mut world = self.github.shared.world();
        let parent = world.known(&self.full_name);
        let (commits, branches) = (parent.commits.clone(), parent.branches.clone());
        let copy = world.known_mut(&fork.full_name);
        if copy.parent.is_none() {
            copy.commits.extend(commits);
            copy.branches = branches;
            copy.parent = Some(self.full_name.clone());
        }
        drop(world);
        fork
    }

    /// Opens a pull request: the branch is pushed, then `opened`, then `labeled` for each label.
    ///
    /// # Panics
    /// When the base branch does not exist.
    pub fn open_pr(&self, spec: PrSpec) -> Pull {
        let head = if spec.from_fork { self.fork(&spec.author) } else { self.clone() };
        let mut world = self.github.shared.world();
        if head.full_name == self.full_name && !world.known(&self.full_name).branches.contains_key(&spec.head_branch) {
            let repository = world.known_mut(&self.full_name);
            let tip = repository.branches[&spec.base_branch].clone();
            repository.branches.insert(spec.head_branch.clone(), tip);
        }
        // Two pull requests opened in one second with one title are still two commits.
        let message = format!("{}\n\nOn {}:{}", spec.title, head.full_name, spec.head_branch);
        let (_, mut sent) = world.push(&head.full_name, &spec.head_branch, &spec.files, &spec.author, &message);
        let new = NewPull {
            title: spec.title,
            body: spec.body,
            author: spec.author.clone(),
            head_repository: head.full_name,
            head_ref: spec.head_branch,
            base_ref: spec.base_branch,
            draft: spec.draft,
        };
        let (number, opened) = world.open_pull(&self.full_name, new);
        sent = sent.and(opened);
        for label in &spec.labels {
            sent = sent.and(world.label_pull(&self.full_name, number, label, &spec.author));
        }
        drop((world, sent));
        Pull::new(self.clone(), number)
    }

    /// A pull request by its number, whoever made it.
    #[must_use]
    pub fn pr(&self, number: u64) -> Option<Pull> {
        let exists = self.github.shared.world().known(&self.full_name).pulls.contains_key(&number);
        exists.then(|| Pull::new(self.clone(), number))
    }

    /// Sends the repository's usual events to `url`. See [`Github::webhook`].
    pub fn webhook(&self, url: &str, secret: &str) -> Hook {
        self.github.webhook(&self.full_name, url, secret)
    }

    /// Posts a commit status as somebody with a token of their own.
    pub fn post_status(&self, sha: &str, context: &str, state: StatusState, description: &str, by: &str) {
        let mut world = self.github.shared.world();
        let (id, created_at) = (world.next_id(), world.clock.now());
        let status = Status {
            seq: world.next_status(),
            id,
            repository: self.full_name.clone(),
            sha: sha.to_owned(),
            context: context.to_owned(),
            state,
            description: Some(description.to_owned()),
            target_url: None,
            creator: by.to_owned(),
            created_at,
        };
        world.ensure_account(by, crate::webhooks::changes::kind_of(by));
        world.known_mut(&self.full_name).statuses.push(status.clone());
        world.send_status(&status);
    }

    /// Deletes the repository. Of its handles nothing may be asked any more.
    pub fn delete(&self) {
        self.github.shared.world().repositories.remove(&self.full_name.to_ascii_lowercase());
    }

    /// Serves these bytes as a commit's archive from now on: hostile or broken archives for tests.
    pub fn forge_archive(&self, sha: &str, bytes: impl Into<Bytes>) {
        let mut world = self.github.shared.world();
        world.known_mut(&self.full_name).archives.insert(sha.to_owned(), bytes.into());
    }

    fn owner(&self) -> String {
        self.full_name.split('/').next().unwrap_or_default().to_owned()
    }
}
