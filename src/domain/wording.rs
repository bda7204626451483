//! Text for people: what a commit status says, and the links it carries. No other place writes it.

mod replies;

pub use replies::{
    already_running, broken_policy, budget_spent, head_moved, holds, is_required, only_admins, only_writers, reply,
    suite_line, suite_table, too_soon, will_hold,
};

use super::attempt::{Attempt, AttemptState};
use super::cluster::{ClusterState, SetupState, Stage};
use super::course;
use super::effect::Waiver;
use super::names::{RepoName, Sha, SuiteName};
use super::plan::RunView;
use super::run::{Conclusion, Run, RunState};
use super::status::{CommitStatus, MAX_DESCRIPTION, Report, StatusState};
use super::text::cut;
use super::verdict::Verdict;

/// What links and contexts are made of.
#[derive(Debug, Clone)]
pub struct Links {
    /// Prefix of every status context.
    pub context_prefix: String,
    /// Where people reach this service, without a slash at the end.
    pub public_url: String,
}

impl Links {
    /// The context of a suite's status.
    pub fn context(&self, suite: &str) -> String {
        format!("{}/{suite}", self.context_prefix)
    }

    /// A pull request's runs.
    pub fn pull(&self, repo: &RepoName, pr: u64) -> String {
        format!("{}/runs?repo={repo}&pr={pr}", self.public_url)
    }

    /// Whether an address is one that our own statuses link to.
    pub fn is_ours(&self, url: &str) -> bool {
        url.strip_prefix(&self.public_url).is_some_and(|rest| rest.starts_with("/runs"))
    }

    /// A run's page.
    pub fn run(&self, run: super::ids::RunId) -> String {
        format!("{}/runs/{run}", self.public_url)
    }
}

/// The context that speaks of the gate policy itself, when it is broken.
pub const POLICY_CONTEXT: &str = "gate";

/// What the suites that are not concluded wait for or do.
pub fn pending(view: &RunView, links: &Links) -> Vec<CommitStatus> {
    let open = view.run.gate.suites.keys().filter(|suite| !view.conclusions.contains_key(*suite));
    open.map(|suite| status(&view.run, suite.as_str(), StatusState::Pending, &doing(view, suite), links)).collect()
}

/// What a concluded suite says.
pub fn concluded(run: &Run, suite: &SuiteName, conclusion: &Conclusion, links: &Links) -> CommitStatus {
    status(run, suite.as_str(), state(conclusion.verdict), &conclusion.description, links)
}

/// One and the same for every suite of a run.
pub fn all(run: &Run, verdict: Verdict, description: &str, links: &Links) -> Vec<CommitStatus> {
    let suites = run.gate.suites.keys();
    suites.map(|suite| status(run, suite.as_str(), state(verdict), description, links)).collect()
}

/// The status of the gate policy itself.
pub fn policy(run: &Run, verdict: Verdict, description: &str, links: &Links) -> CommitStatus {
    status(run, POLICY_CONTEXT, state(verdict), description, links)
}

/// What a suite says that no changed file needs.
pub const NOT_NEEDED: &str = "not needed, no matching files";

/// The change conflicts with its base.
pub fn in_conflict(base: &str) -> String {
    format!("cannot be merged into {base}: resolve the conflicts first")
}

/// GitHub has been asked for the merge of the change and its base again and again.
pub fn unmerged(base: &str) -> String {
    format!("GitHub did not make the test merge into {}: say /retest, or push", cut(base, 60))
}

/// A suite has secrets, and somebody who may not start runs had a hand in the change. `did` says what hand.
pub fn secrets_withheld(login: &str, did: &str) -> String {
    cut(&format!("not run: it needs secrets, and {login}, who {did}, may not start runs here"), MAX_DESCRIPTION)
}

/// A suite has secrets, and nobody who may start runs stands up for this commit.
pub fn secrets_unapproved(sha: &Sha) -> String {
    let (sha, who) = (sha.short(), "nobody who may start runs has pushed or approved");
    cut(&format!("not run: it needs secrets, and {who} {sha}: /ok-to-test {sha} does"), MAX_DESCRIPTION)
}

/// The label is missing.
pub fn label_wanted(label: &str) -> String {
    format!("waiting for the {label} label")
}

/// The label was meant for another commit.
pub fn label_on(label: &str, sha: &Sha) -> String {
    format!("waiting for {label} on {}", sha.short())
}

/// A draft waits for the label of its own.
pub fn label_on_a_draft(label: &str) -> String {
    format!("waiting: a draft is tested when it gets the {label} label as a draft")
}

/// Somebody put the label on who may not.
pub fn label_from_a_writer(label: &str) -> String {
    format!("waiting for the {label} label from somebody who may write here")
}

/// What every suite of a pull request without a run waits for.
pub fn waiting<'a>(
    repo: &RepoName,
    pr: u64,
    sha: &Sha,
    suites: impl Iterator<Item = &'a SuiteName>,
    text: &str,
    report: Report,
    links: &Links,
) -> Vec<CommitStatus> {
    let one = |suite: &SuiteName| CommitStatus {
        repo: repo.clone(),
        sha: sha.clone(),
        context: links.context(suite.as_str()),
        state: StatusState::Pending,
        description: cut(text, MAX_DESCRIPTION),
        target_url: links.pull(repo, pr),
        report,
    };
    suites.map(one).collect()
}

/// What a suite says that somebody has waived.
pub fn waived(waiver: &Waiver, pr: u64, report: Report, links: &Links) -> CommitStatus {
    CommitStatus {
        repo: waiver.repo.clone(),
        sha: waiver.sha.clone(),
        context: links.context(waiver.suite.as_str()),
        state: StatusState::Success,
        description: cut(&waiver.text(), MAX_DESCRIPTION),
        target_url: links.pull(&waiver.repo, pr),
        report,
    }
}

fn status(run: &Run, suite: &str, state: StatusState, description: &str, links: &Links) -> CommitStatus {
    let (repo, sha): (RepoName, Sha) = (run.repo.clone(), run.head.clone());
    CommitStatus {
        repo,
        sha,
        context: links.context(suite),
        state,
        description: cut(description, MAX_DESCRIPTION),
        target_url: links.run(run.id),
        report: run.gate.report,
    }
}

fn state(verdict: Verdict) -> StatusState {
    match verdict {
        Verdict::Success => StatusState::Success,
        Verdict::Failure => StatusState::Failure,
        Verdict::Error => StatusState::Error,
    }
}

fn doing(view: &RunView, suite: &SuiteName) -> String {
    if view.run.state == RunState::Queued {
        return view.run.message.clone().unwrap_or_else(|| "queued".into());
    }
    let live = view.attempts.iter().find(|attempt| attempt.state != AttemptState::Done);
    match live {
        Some(attempt) if attempt.suite == *suite => running(view, attempt),
        Some(attempt) => format!("waiting for {}", attempt.suite),
        None => preparing(view),
    }
}

fn running(view: &RunView, attempt: &Attempt) -> String {
    let label = course::label(view, attempt).map_or_else(String::new, |label| label + ": ");
    let progress = attempt.progress;
    let failed = if progress.failed > 0 { format!(", {} failed", progress.failed) } else { String::new() };
    let what = match (attempt.state, progress.total) {
        _ if attempt.stop.is_some() => "stopping".to_owned(),
        (AttemptState::Waiting, _) => "starting".to_owned(),
        (AttemptState::Collecting | AttemptState::Done, _) => "reading the reports".to_owned(),
        (AttemptState::Running, 0) => "running".to_owned(),
        (AttemptState::Running, total) => format!("{}/{total} specs{failed}", progress.completed),
    };
    label + &what
}

/// Without what exactly is being waited for: it changes by the second, and every change would cost a write per suite.
/// The run's page shows it.
fn preparing(view: &RunView) -> String {
    let Some(cluster) = view.cluster() else { return "waiting for a cluster".into() };
    if cluster.state != ClusterState::Ready {
        return "creating a cluster".into();
    }
    let under_way = |stage: &&Stage| view.setup(**stage).is_none_or(|setup| setup.state != SetupState::Done);
    match view.run.gate.stages().iter().find(under_way) {
        Some(Stage::Base) => "setting up the base".into(),
        Some(Stage::Head) if view.run.gate.upgrade => "upgrading to the change".into(),
        Some(Stage::Head) => "setting up".into(),
        None => "starting".into(),
    }
}
