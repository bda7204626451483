//! What is known of a commit's suites when somebody asks for some of them: green, failed, running, and how often it was asked before.

use jiff::{SignedDuration, Timestamp};

use super::desk::{Desk, Trouble};
use crate::domain::command::{nearest, shown};
use crate::domain::gate::Gate;
use crate::domain::names::{RepoName, Sha, SuiteName};
use crate::domain::plan::RunView;
use crate::domain::run::{Run, Trigger};
use crate::domain::status::StatusState;
use crate::domain::verdict::Verdict;
use crate::domain::wording;
use crate::ports::PullRequest;
use crate::store::Said;

/// Runs of one commit that are looked through.
const LOOKED_THROUGH: u32 = 200;
/// Specs that are named when they fail again and again.
const NAMED: u32 = 5;

/// The suites of a commit as they stand.
pub(super) struct Choice<'a> {
    pub(super) gate: &'a Gate,
    pub(super) live: Vec<RunView>,
    /// Suites of live runs that are still to be concluded.
    running: Vec<SuiteName>,
    said: Vec<Said>,
    runs: Vec<Run>,
    prefix: String,
    now: Timestamp,
    repo: RepoName,
    head: Sha,
    number: u64,
    base_ref: String,
}

impl<'a> Choice<'a> {
    pub(super) async fn new(desk: &Desk, repo: &RepoName, pr: &PullRequest, gate: &'a Gate) -> Result<Self, Trouble> {
        let (store, head) = (&desk.context.store, &pr.head);
        let live = desk.live(repo, pr.number).await?;
        let of_head = live.iter().filter(|view| view.run.head == *head);
        let running = of_head.flat_map(open_suites).collect();
        Ok(Self {
            gate,
            running,
            said: store.said(repo, head).await?,
            runs: store.runs_of_commit(repo, head, LOOKED_THROUGH).await?,
            live,
            prefix: desk.context.settings.links.context(""),
            now: desk.context.now(),
            repo: repo.clone(),
            head: head.clone(),
            number: pr.number,
            base_ref: pr.base_ref.clone(),
        })
    }

    /// From now on these count as running.
    pub(super) fn started(&mut self, suites: &[SuiteName]) {
        self.running.extend(suites.iter().cloned());
    }

    /// From now on these count as ended; all of them without any name.
    pub(super) fn ended(&mut self, suites: &[SuiteName]) {
        self.running.retain(|running| !suites.is_empty() && !suites.contains(running));
    }

    pub(super) fn is_live(&self, suite: &SuiteName) -> bool {
        self.running.contains(suite)
    }

    pub(super) fn all(&self) -> Vec<SuiteName> {
        self.gate.suites.keys().filter(|suite| !self.is_live(suite)).cloned().collect()
    }

    /// Neither green nor running.
    pub(super) fn open(&self) -> Vec<SuiteName> {
        self.all().into_iter().filter(|suite| self.state(suite) != Some(StatusState::Success)).collect()
    }

    /// Failed, errored or cancelled, and not running again.
    pub(super) fn failed(&self) -> Vec<SuiteName> {
        let bad = |suite: &SuiteName| matches!(self.state(suite), Some(StatusState::Failure | StatusState::Error));
        self.all().into_iter().filter(bad).collect()
    }

    /// The suite of a status context, if it is one of ours.
    pub(super) fn of_context(&self, context: &str) -> Option<SuiteName> {
        let suite: SuiteName = context.strip_prefix(&self.prefix)?.parse().ok()?;
        self.gate.suites.contains_key(&suite).then_some(suite)
    }

    /// What the suite's status says, if it says anything.
    pub(super) fn said(&self, suite: &SuiteName) -> Option<&Said> {
        let context = format!("{}{suite}", self.prefix);
        self.said.iter().find(|said| said.context == context)
    }

    fn state(&self, suite: &SuiteName) -> Option<StatusState> {
        self.said(suite).map(|said| said.state)
    }

    /// The suites of these names, or what to tell about the first that is none.
    pub(super) fn named(&self, names: &[String]) -> Result<Vec<SuiteName>, String> {
        let find = |name: &String| {
            let found = self.gate.suites.keys().find(|suite| suite.as_str() == name);
            found.cloned().ok_or_else(|| self.unknown(name))
        };
        names.iter().map(find).collect()
    }

    fn unknown(&self, name: &str) -> String {
        let known = self.gate.suites.keys().map(SuiteName::as_str);
        let near = nearest(name, known.clone(), name.chars().count() / 3);
        let hint = near.map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
        let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
        format!("there is no suite `{}`.{hint} The suites are {}.", shown(name), known.join(", "))
    }

    /// Why a comment may not have these run now, if it may not: asked too often, or too soon.
    pub(super) async fn refusal(&self, desk: &Desk, suites: &[SuiteName]) -> Result<Option<String>, Trouble> {
        let rules = &self.gate.rules;
        let pause = SignedDuration::from_secs(i64::try_from(rules.cool_down_s).unwrap_or(i64::MAX));
        for suite in suites {
            let asked = |run: &&Run| {
                matches!(run.trigger, Trigger::Comment | Trigger::Recheck) && run.gate.suites.contains_key(suite)
            };
            let before: Vec<&Run> = self.runs.iter().filter(asked).collect();
            if before.len() >= rules.reruns as usize {
                let failing = desk.context.store.always_failing(&self.repo, &self.head, suite, NAMED).await?;
                return Ok(Some(wording::budget_spent(suite, before.len(), &failing)));
            }
            let last = before.iter().map(|run| run.created_at).max();
            let next = last.and_then(|last| last.saturating_add(pause).ok()).filter(|next| *next > self.now);
            if let Some(next) = next {
                return Ok(Some(wording::too_soon(suite, next.duration_since(self.now))));
            }
        }
        Ok(None)
    }

    /// The suites by the earlier run whose failed specs tell what to run: one of this pull request, under a policy that treats the
    /// suite as today's does. `None` where nothing but a whole run tells anything.
    pub(super) async fn by_earlier_run(
        &self,
        desk: &Desk,
        suites: &[SuiteName],
    ) -> Result<Vec<(Option<Run>, Vec<SuiteName>)>, Trouble> {
        let mut groups: Vec<(Option<Run>, Vec<SuiteName>)> = vec![];
        for suite in suites {
            let mut earlier = None;
            if let Some(said) = self.said(suite) {
                let view = desk.context.store.run_view(said.run).await?;
                earlier = view.filter(|view| self.tells(view, suite)).map(|view| view.run);
            }
            let id = earlier.as_ref().map(|run| run.id);
            match groups.iter_mut().find(|(known, _)| known.as_ref().map(|run| run.id) == id) {
                Some((_, group)) => group.push(suite.clone()),
                None => groups.push((earlier, vec![suite.clone()])),
            }
        }
        Ok(groups)
    }

    /// Whether the failed specs of a run tell what of a suite is to be run again.
    fn tells(&self, view: &RunView, suite: &SuiteName) -> bool {
        let run = &view.run;
        let failed = view.conclusions.get(suite).is_some_and(|found| found.verdict == Verdict::Failure);
        let is_of_it = run.pr == Some(self.number) && run.base_ref == self.base_ref;
        failed && is_of_it && run.gate.treats_alike(self.gate, suite)
    }
}

/// Suites that a run has yet to conclude.
pub(super) fn open_suites(view: &RunView) -> Vec<SuiteName> {
    view.run.gate.suites.keys().filter(|suite| !view.conclusions.contains_key(*suite)).cloned().collect()
}
