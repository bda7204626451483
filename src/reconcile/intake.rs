//! Deliveries become runs and cancel requests. The policy that decides is the base branch's, never the change's own.
//! Stopping anywhere leaves the delivery open; it is then acted upon again.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Activity, Context, Reconciler, chain};
use crate::config::{Builtins, GateFiles, parse_gate, skips_path};
use crate::domain::event::{Event, PullRequestAction, PullRequestEvent};
use crate::domain::gate::{Checkout, GATE_PATH, Gate};
use crate::domain::ids::RunId;
use crate::domain::names::{RepoName, Sha};
use crate::domain::plan::RunView;
use crate::domain::run::{CancelReason, Coverage, Run, RunState, Trigger};
use crate::domain::verdict::Verdict;
use crate::domain::wording;
use crate::ports::{ForgeError, Mergeability, Permission, PullRequest};
use crate::store::{Created, Delivery, NewRun};

/// Deliveries acted upon in one activation.
const BATCH: u32 = 50;
/// GitHub computes a test merge within seconds; after this many looks the head alone says more than no answer.
const MERGE_LOOKS: u32 = 20;

pub(super) struct Intake {
    context: Context,
    builtins: Builtins,
}

/// Why acting on a delivery did not end in a decision.
enum Trouble {
    /// Ask again after a pause; the text says why.
    Later(String, SignedDuration),
    /// Our own store failed.
    Store(crate::store::StoreError),
}

impl From<crate::store::StoreError> for Trouble {
    fn from(error: crate::store::StoreError) -> Self {
        Trouble::Store(error)
    }
}

/// Why a delivery needs nothing (more): what its row says.
type Decision = Result<Option<String>, Trouble>;

impl Intake {
    pub(super) fn new(context: Context) -> Self {
        Self { context, builtins: Builtins::embedded() }
    }

    /// `Ok(None)`: the delivery was settled together with what it caused.
    async fn act(&self, delivery: &Delivery) -> Decision {
        match Event::parse(&delivery.event, &delivery.body) {
            Ok(Event::PullRequest(event)) => self.pull_request(delivery, &event).await,
            Ok(Event::Ignored(why)) => Ok(Some(format!("ignored: {why}"))),
            Ok(Event::Ping) => Ok(Some("ignored: a ping".into())),
            Ok(
                Event::Comment(_)
                | Event::Push(_)
                | Event::MergeGroup(_)
                | Event::CheckRequested(_)
                | Event::Installation(_),
            ) => Ok(Some("ignored: nothing is done about it yet".into())),
            Err(error) => Ok(Some(format!("ignored: {error}"))),
        }
    }

    async fn pull_request(&self, delivery: &Delivery, event: &PullRequestEvent) -> Decision {
        match &event.action {
            PullRequestAction::Labeled(label) => self.consider(delivery, event, Some(label), Trigger::Label).await,
            PullRequestAction::Opened | PullRequestAction::Reopened => {
                self.consider(delivery, event, None, Trigger::Label).await
            }
            PullRequestAction::Synchronize => self.pushed(delivery, event).await,
            PullRequestAction::Unlabeled(label) => self.unlabelled(delivery, event, label).await,
            PullRequestAction::Closed => self.cancel(delivery, event, CancelReason::Closed).await,
            PullRequestAction::Edited { .. }
            | PullRequestAction::ReadyForReview
            | PullRequestAction::ConvertedToDraft => Ok(Some("ignored: nothing changes for the gate".into())),
        }
    }

    async fn cancel(&self, delivery: &Delivery, event: &PullRequestEvent, reason: CancelReason) -> Decision {
        self.context.store.cancel_runs(&event.repo, event.number, reason, &delivery.guid, self.context.now()).await?;
        Ok(None)
    }

    async fn unlabelled(&self, delivery: &Delivery, event: &PullRequestEvent, label: &str) -> Decision {
        let of_pr = |view: &RunView| view.run.repo == event.repo && view.run.pr == Some(event.number);
        let views = self.context.store.open_runs().await?;
        if views.iter().any(|view| of_pr(view) && view.run.gate.label == *label) {
            return self.cancel(delivery, event, CancelReason::Unlabelled).await;
        }
        Ok(Some("ignored: no live run was started by that label".into()))
    }

    /// A push replaces what is running. Only somebody who may write starts the new commit by pushing it.
    async fn pushed(&self, delivery: &Delivery, event: &PullRequestEvent) -> Decision {
        let permission = self.permission(event).await?;
        if permission < Permission::Write {
            return self.cancel(delivery, event, CancelReason::Superseded).await;
        }
        let decision = self.consider(delivery, event, None, Trigger::Push).await?;
        if decision.is_some() {
            // The new commit starts nothing of its own, and the old one's run is still out of date.
            return self.cancel(delivery, event, CancelReason::Superseded).await;
        }
        Ok(None)
    }

    async fn permission(&self, event: &PullRequestEvent) -> Result<Permission, Trouble> {
        let found = self.context.ports.forge.permission(&event.repo, &event.sender).await;
        found.map_err(|error| later(&error, self.context.now()))
    }

    /// Starts a run if the policy says so. `added`: the label that this very event added.
    async fn consider(
        &self,
        delivery: &Delivery,
        event: &PullRequestEvent,
        added: Option<&String>,
        trigger: Trigger,
    ) -> Decision {
        let forge = &self.context.ports.forge;
        let (pr, permission) = tokio::join!(forge.pull_request(&event.repo, event.number), self.permission(event));
        let pr = match pr {
            Ok(pr) => pr,
            Err(ForgeError::NotFound(what)) => return Ok(Some(format!("ignored: {what} is gone"))),
            Err(error) => return Err(later(&error, self.context.now())),
        };
        if !pr.is_open {
            return Ok(Some("ignored: the pull request is closed".into()));
        }
        if pr.head != event.head {
            return Ok(Some("ignored: a newer commit was pushed since".into()));
        }
        let gate = match self.gate(&event.repo, &pr.base).await? {
            Policy::None => return Ok(Some(format!("ignored: {} has no {GATE_PATH}", event.repo))),
            Policy::Broken(why) => return self.refuse(delivery, event, &pr, trigger, &why).await,
            Policy::Gate(gate) => *gate,
        };
        // A label that came after this event speaks through an event of its own, by whoever added it.
        let brought = added.map_or_else(|| event.labels.contains(&gate.label), |label| *label == gate.label);
        if !brought {
            return Ok(Some(format!("ignored: it does not bring the label {}", gate.label)));
        }
        if !pr.labels.contains(&gate.label) {
            return Ok(Some(format!("ignored: the label {} was taken off again", gate.label)));
        }
        if permission? < Permission::Write {
            return Ok(Some(format!("ignored: {} may not start runs", event.sender)));
        }
        let tested = match (gate.checkout, &pr.mergeability) {
            (Checkout::Head, _) => pr.head.clone(),
            (Checkout::Merge, Mergeability::Merges(sha)) => sha.clone(),
            (Checkout::Merge, Mergeability::Conflicts) => {
                return self.conflict(delivery, event, &pr, trigger, gate).await;
            }
            (Checkout::Merge, Mergeability::Unknown) if delivery.tries >= MERGE_LOOKS => pr.head.clone(),
            (Checkout::Merge, Mergeability::Unknown) => {
                let why = "GitHub has not computed the test merge yet".to_owned();
                return Err(Trouble::Later(why, SignedDuration::from_millis(1500)));
            }
        };
        let run = self.new_run(event, &pr, trigger, gate, tested);
        let mut statuses = wording::pending(&RunView::new(run.clone()), &self.context.settings.links);
        statuses.extend(self.policy_mended(&run).await?);
        self.create(delivery, &run, &statuses).await
    }

    async fn gate(&self, repo: &RepoName, base: &Sha) -> Result<Policy, Trouble> {
        let Some(text) = self.text(repo, base, GATE_PATH).await? else { return Ok(Policy::None) };
        let text = match text {
            Ok(text) => text,
            Err(why) => return Ok(Policy::Broken(why)),
        };
        let skips = match skips_path(&text) {
            None => None,
            Some(path) => match self.text(repo, base, &path).await? {
                Some(Ok(skips)) => Some((path, skips)),
                Some(Err(why)) => return Ok(Policy::Broken(why)),
                None => return Ok(Policy::Broken(format!("{GATE_PATH}: skips: there is no file {path}"))),
            },
        };
        let files = GateFiles { gate: &text, skips: skips.as_ref().map(|(path, text)| (path.as_str(), text.as_str())) };
        let today = self.context.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        Ok(match parse_gate(files, &self.builtins, today) {
            Ok(gate) => Policy::Gate(Box::new(gate)),
            Err(errors) => Policy::Broken(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        })
    }

    /// A file of the base commit: absent, text, or why it cannot be read.
    async fn text(&self, repo: &RepoName, sha: &Sha, path: &str) -> Result<Option<Result<String, String>>, Trouble> {
        match self.context.ports.forge.file(repo, sha, path).await {
            Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| format!("{path}: not UTF-8 text")))),
            Err(ForgeError::Rejected(why)) => Ok(Some(Err(format!("{path}: {why}")))),
            Err(ForgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(later(&error, self.context.now())),
        }
    }

    /// A broken policy cannot name suites, so it speaks through a context of its own.
    async fn refuse(
        &self,
        delivery: &Delivery,
        event: &PullRequestEvent,
        pr: &PullRequest,
        trigger: Trigger,
        why: &str,
    ) -> Decision {
        let run = self.ended_run(event, pr, trigger, Gate::empty(), why);
        let status = wording::policy(&run, Verdict::Error, why, &self.context.settings.links);
        self.create(delivery, &run, &[status]).await
    }

    async fn conflict(
        &self,
        delivery: &Delivery,
        event: &PullRequestEvent,
        pr: &PullRequest,
        trigger: Trigger,
        gate: Gate,
    ) -> Decision {
        let why = format!("cannot be merged into {}: resolve the conflicts first", pr.base_ref);
        let run = self.ended_run(event, pr, trigger, gate, &why);
        let statuses = wording::all(&run, Verdict::Error, &why, &self.context.settings.links);
        self.create(delivery, &run, &statuses).await
    }

    /// Once a policy that was broken on this commit reads well, its context says so.
    async fn policy_mended(&self, run: &Run) -> Result<Option<crate::domain::status::CommitStatus>, Trouble> {
        let links = &self.context.settings.links;
        let broken =
            self.context.store.has_status(&run.repo, &run.head, &links.context(wording::POLICY_CONTEXT)).await?;
        Ok(broken.then(|| wording::policy(run, Verdict::Success, "the gate policy is valid", links)))
    }

    async fn create(
        &self,
        delivery: &Delivery,
        run: &Run,
        statuses: &[crate::domain::status::CommitStatus],
    ) -> Decision {
        let new = NewRun { run, statuses, delivery: Some(&delivery.guid), supersede: true };
        match self.context.store.create_run(new, self.context.now()).await? {
            Created::Run(id) => {
                let (repo, head) = (&run.repo, run.head.short());
                tracing::info!(delivery.id = delivery.guid, run.id = %id, %repo, pr = run.pr, head.sha = head, "run created");
            }
            Created::Existing => tracing::info!(delivery.id = delivery.guid, "a run for it is alive"),
        }
        Ok(None)
    }

    fn new_run(&self, event: &PullRequestEvent, pr: &PullRequest, trigger: Trigger, gate: Gate, tested: Sha) -> Run {
        let now = self.context.now();
        Run {
            id: RunId::new(now),
            repo: event.repo.clone(),
            pr: Some(event.number),
            head: pr.head.clone(),
            base: pr.base.clone(),
            base_ref: pr.base_ref.clone(),
            tested,
            coverage: Coverage::Whole,
            retry_of: None,
            trigger,
            actor: event.sender.clone(),
            state: RunState::Queued,
            generation: 0,
            gate,
            cancel: None,
            hold_s: None,
            verdict: None,
            message: None,
            created_at: now,
            admitted_at: None,
            finished_at: None,
        }
    }

    /// A run that ended before anything was started.
    fn ended_run(&self, event: &PullRequestEvent, pr: &PullRequest, trigger: Trigger, gate: Gate, why: &str) -> Run {
        let run = self.new_run(event, pr, trigger, gate, pr.head.clone());
        Run {
            state: RunState::Finished,
            verdict: Some(Verdict::Error),
            message: Some(why.to_owned()),
            finished_at: Some(run.created_at),
            ..run
        }
    }
}

/// What the base branch says.
enum Policy {
    None,
    Broken(String),
    Gate(Box<Gate>),
}

fn later(error: &ForgeError, now: Timestamp) -> Trouble {
    let pause = match error {
        ForgeError::RateLimited { until } => until.duration_since(now).max(SignedDuration::from_secs(1)),
        ForgeError::Forbidden(_) => SignedDuration::from_secs(60),
        ForgeError::NotFound(_) | ForgeError::Rejected(_) | ForgeError::Transient(_) => SignedDuration::from_secs(2),
    };
    Trouble::Later(chain(error), pause)
}

/// Tries grow rarer: twice the pause after each, up to two minutes.
fn put_off(pause: SignedDuration, tries: u32, now: Timestamp) -> Timestamp {
    let factor = 1 << tries.saturating_sub(3).min(6);
    let pause = pause.saturating_mul(factor).min(SignedDuration::from_mins(2).max(pause));
    now.saturating_add(pause).unwrap_or(now)
}

#[async_trait]
impl Reconciler for Intake {
    fn name(&self) -> &'static str {
        "intake"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let store = &self.context.store;
        let mut changed = 0;
        for delivery in store.open_deliveries(self.context.now(), BATCH).await? {
            let now = self.context.now();
            match self.act(&delivery).await {
                Ok(None) => {}
                Ok(Some(outcome)) => store.settle_delivery(&delivery.guid, &outcome, now).await?,
                Err(Trouble::Store(error)) => return Err(error.into()),
                Err(Trouble::Later(why, pause)) => {
                    tracing::warn!(delivery.id = delivery.guid, why, "delivery waits");
                    let until = put_off(pause, delivery.tries, now);
                    store.postpone_delivery(&delivery.guid, &why, until).await?;
                    continue;
                }
            }
            changed += 1;
        }
        let activity = Activity::changed(changed);
        Ok(match store.next_delivery_at().await? {
            Some(next) => activity.again(next.duration_since(self.context.now()).max(SignedDuration::from_millis(20))),
            None => activity,
        })
    }
}
