//! Pull requests, seen from a test: each verb changes the state and sends the webhooks GitHub would send.

use super::repo::Repo;
use crate::git::files::Files;
use crate::state::comment::Subject;
use crate::state::pull::Pull as State;
use crate::webhooks::Deliveries;

/// What a pull request is opened with.
#[derive(Debug, Clone)]
pub struct PrSpec {
    pub head_branch: String,
    pub base_branch: String,
    pub author: String,
    pub title: String,
    pub body: Option<String>,
    /// What the pull request changes against the base branch.
    pub files: Files,
    pub draft: bool,
    pub labels: Vec<String>,
    /// The branch lives in the author's fork.
    pub from_fork: bool,
}

impl Default for PrSpec {
    fn default() -> Self {
        Self {
            head_branch: "feature".to_owned(),
            base_branch: "main".to_owned(),
            author: "alice".to_owned(),
            title: "Change the configuration".to_owned(),
            body: None,
            files: Files::new().file("CHANGES.md", "one change\n"),
            draft: false,
            labels: Vec::new(),
            from_fork: false,
        }
    }
}

/// A pull request.
#[derive(Debug, Clone)]
pub struct Pull {
    repo: Repo,
    number: u64,
}

/// A comment on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub id: u64,
    pub author: String,
    pub body: String,
    /// Reactions as `(login, content)`.
    pub reactions: Vec<(String, String)>,
}

impl Pull {
    pub(crate) fn new(repo: Repo, number: u64) -> Self {
        Self { repo, number }
    }

    /// The number in its repository.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The repository it asks to change.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The head commit as it is now.
    #[must_use]
    pub fn head_sha(&self) -> String {
        self.read(|pull| pull.head_sha.clone())
    }

    /// The recorded base commit: the base branch's tip at the last push, not its tip now.
    #[must_use]
    pub fn base_sha(&self) -> String {
        self.read(|pull| pull.base_sha.clone())
    }

    /// The test merge's commit; `None` in conflict.
    #[must_use]
    pub fn merge_sha(&self) -> Option<String> {
        self.read(|pull| pull.merge.sha().map(str::to_owned))
    }

    /// Names of its labels, oldest first.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.read(|pull| pull.labels.clone())
    }

    /// Neither closed nor merged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.read(|pull| pull.state.is_open())
    }

    /// Comments, oldest first.
    #[must_use]
    pub fn comments(&self) -> Vec<Comment> {
        let world = self.repo.github.shared.world();
        let repository = world.known(self.repo.full_name());
        let comments = repository.comments.values().filter(|comment| comment.issue == self.number);
        comments
            .map(|comment| Comment {
                id: comment.id,
                author: comment.author.clone(),
                body: comment.body.clone(),
                reactions: repository
                    .reactions
                    .iter()
                    .filter(|reaction| reaction.on == Subject::Comment(comment.id))
                    .map(|reaction| (reaction.by.clone(), reaction.content.clone()))
                    .collect(),
            })
            .collect()
    }

    /// Adds a label. Roles are not looked at: a webhook with this label may come from anybody.
    pub fn label(&self, name: &str, by: &str) -> Deliveries {
        self.world(|world, repo| world.label_pull(repo, self.number, name, by))
    }

    /// Takes a label away; nothing happens without it.
    pub fn unlabel(&self, name: &str, by: &str) -> Deliveries {
        self.world(|world, repo| world.unlabel_pull(repo, self.number, name, by))
    }

    /// Pushes a commit to the head branch. Gives its id and the deliveries of `push` and `synchronize`.
    pub fn push(&self, files: impl Into<Files>, by: &str) -> (String, Deliveries) {
        let files = files.into();
        self.world(|world, repo| world.push_to_pull(repo, self.number, &files, by))
    }

    /// Closes it without merging.
    pub fn close(&self, by: &str) -> Deliveries {
        self.world(|world, repo| world.close_pull(repo, self.number, by))
    }

    /// Opens it again, with whatever was pushed meanwhile; a merged one stays merged.
    pub fn reopen(&self, by: &str) -> Deliveries {
        self.world(|world, repo| world.reopen_pull(repo, self.number, by))
    }

    /// Merges with a merge commit. `None` where GitHub refuses.
    pub fn merge(&self, by: &str) -> Option<(String, Deliveries)> {
        self.world(|world, repo| world.merge_pull(repo, self.number, by))
    }

    /// Makes a draft of it.
    pub fn convert_to_draft(&self, by: &str) -> Deliveries {
        self.world(|world, repo| world.draft_pull(repo, self.number, true, by))
    }

    /// Makes it no draft any more.
    pub fn ready_for_review(&self, by: &str) -> Deliveries {
        self.world(|world, repo| world.draft_pull(repo, self.number, false, by))
    }

    /// Gives the pull request another title.
    pub fn retitle(&self, title: &str, by: &str) -> Deliveries {
        self.world(|world, repo| world.edit_pull(repo, self.number, Some(title.to_owned()), None, None, by))
    }

    /// Gives the pull request another base branch.
    pub fn change_base(&self, branch: &str, by: &str) -> Deliveries {
        self.world(|world, repo| world.edit_pull(repo, self.number, None, None, Some(branch.to_owned()), by))
    }

    /// Comments. Gives the comment's number too.
    pub fn comment(&self, by: &str, body: &str) -> (u64, Deliveries) {
        let (comment, sent) = self.world(|world, repo| world.comment_on_pull(repo, self.number, body, by));
        (comment.id, sent)
    }

    /// Changes a comment's text.
    pub fn edit_comment(&self, id: u64, by: &str, body: &str) -> Deliveries {
        self.world(|world, repo| world.edit_comment(repo, id, body, by)).1
    }

    /// Takes a comment away.
    pub fn delete_comment(&self, id: u64, by: &str) -> Deliveries {
        self.world(|world, repo| world.delete_comment(repo, id, by))
    }

    /// Asks to run one check again, as the button does.
    pub fn rerequest_check_run(&self, id: u64, by: &str) -> Deliveries {
        self.world(|world, repo| world.rerequest_check_run(repo, id, by))
    }

    /// Puts it into the merge queue. Gives the group's commit; `None` in conflict.
    pub fn enqueue(&self) -> Option<(String, Deliveries)> {
        self.world(|world, repo| world.queue_pull(repo, self.number))
    }

    /// Takes it out of the merge queue for GitHub's reasons `merged`, `invalidated` or `dequeued`.
    pub fn dequeue(&self, reason: &str) -> Deliveries {
        self.world(|world, repo| world.dequeue_pull(repo, self.number, reason))
    }

    fn world<T>(&self, change: impl FnOnce(&mut crate::state::World, &str) -> T) -> T {
        change(&mut self.repo.github.shared.world(), self.repo.full_name())
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        let world = self.repo.github.shared.world();
        read(&world.known(self.repo.full_name()).pulls[&self.number])
    }
}
