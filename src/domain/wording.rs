//! Text for people: what a commit status says, and the links it carries. No other place writes it.

use super::attempt::{Attempt, AttemptState};
use super::cluster::{ClusterState, SetupState, Stage};
use super::names::{RepoName, Sha, SuiteName};
use super::plan::RunView;
use super::run::{Conclusion, Run, RunState};
use super::status::{CommitStatus, MAX_DESCRIPTION, StatusState};
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
        Some(attempt) if attempt.suite == *suite => running(attempt),
        Some(attempt) => format!("waiting for {}", attempt.suite),
        None => preparing(view),
    }
}

fn running(attempt: &Attempt) -> String {
    let again = if attempt.number > 1 { format!("attempt {}: ", attempt.number) } else { String::new() };
    let progress = attempt.progress;
    let failed = if progress.failed > 0 { format!(", {} failed", progress.failed) } else { String::new() };
    let what = match (attempt.state, progress.total) {
        _ if attempt.stop.is_some() => "stopping".to_owned(),
        (AttemptState::Waiting, _) => "starting".to_owned(),
        (AttemptState::Collecting | AttemptState::Done, _) => "reading the reports".to_owned(),
        (AttemptState::Running, 0) => "running".to_owned(),
        (AttemptState::Running, total) => format!("{}/{total} specs{failed}", progress.completed),
    };
    again + &what
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
