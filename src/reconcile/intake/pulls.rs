//! What happens to a pull request: labels, pushes, drafts, another base, its end. Starts only what somebody who may has let in.

use super::desk::{Desk, Trouble};
use super::lanes::Item;
use super::policy::Policy;
use super::start::{Start, Subject, Suites};
use crate::domain::audit::{AuditEntry, Deed};
use crate::domain::effect::{Basis, Effect, Effects, Over, Replaces, Seen, Whose};
use crate::domain::event::{PullRequestAction, PullRequestEvent};
use crate::domain::gate::{GATE_PATH, Gate};
use crate::domain::message::Message;
use crate::domain::names::RepoName;
use crate::domain::run::{CancelReason, Coverage, Run, Trigger};
use crate::domain::wording;
use crate::ports::{ForgeError, PullRequest};

/// A pull request and the gate of its base, as they are now.
struct Look {
    pr: PullRequest,
    gate: Box<Gate>,
}

/// A look, or effects that need none.
enum Looked {
    At(Look),
    Decided(Effects),
    /// The event is about a head that is none any more.
    Outdated(Effects),
}

/// A change that replaces what runs.
struct Change<'a> {
    trigger: Trigger,
    why: &'a str,
    /// Trust in one of them lets it in.
    trusted: &'a [&'a String],
    pusher: Option<&'a String>,
    replaces: Replaces,
    /// Over which statuses it is said what the commit waits for, where it waits.
    over: Over,
    /// What ends where nothing replaces it, and why.
    ends: (Whose, CancelReason),
}

/// A start that an event asks for.
struct Ask<'a> {
    event: &'a PullRequestEvent,
    trigger: Trigger,
    why: &'a str,
    replaces: Replaces,
    /// Whose trust lets the commit in.
    by: String,
    basis: Basis,
}

impl Desk {
    pub(super) async fn pull_request(&self, item: &Item, event: &PullRequestEvent) -> Result<Effects, Trouble> {
        let mut effects = match &event.action {
            PullRequestAction::Labeled(label) => self.labelled(item, event, label).await?,
            PullRequestAction::Opened => self.opened(item, event, "opened with the label").await?,
            PullRequestAction::Reopened => self.opened(item, event, "reopened with the label").await?,
            PullRequestAction::Synchronize => self.synchronized(item, event).await?,
            PullRequestAction::Unlabeled(label) => self.unlabelled(event, label).await?,
            PullRequestAction::Closed => closed(event),
            PullRequestAction::ConvertedToDraft => {
                Effects::of("runs were cancelled", vec![cancel(event, CancelReason::Drafted)])
            }
            PullRequestAction::ReadyForReview => self.ready(item, event).await?,
            PullRequestAction::Edited { base_changed: true } => self.rebased(item, event).await?,
            PullRequestAction::Edited { base_changed: false } => Effects::ignored("nothing changes for the gate"),
        };
        effects.list.push(Effect::See(seen(item, event, &effects)));
        Ok(effects)
    }

    async fn labelled(&self, item: &Item, event: &PullRequestEvent, label: &str) -> Result<Effects, Trouble> {
        let look = match self.look(item, event, Trigger::Label).await? {
            Looked::At(look) => look,
            Looked::Decided(effects) | Looked::Outdated(effects) => return Ok(effects),
        };
        let gate = &look.gate;
        if label != gate.label {
            return Ok(Effects::ignored(format!("it does not bring the label {}", gate.label)));
        }
        if !look.pr.labels.contains(&gate.label) {
            return Ok(Effects::ignored(format!("the label {} was taken off again", gate.label)));
        }
        if !self.people.may_run(&event.repo, &gate.rules, &event.sender).await? {
            let text = wording::label_from_a_writer(&gate.label);
            let mut effects = vec![self.say(Over::Pending, self.waiting(event, &look, &text))];
            effects.extend(unlabel(item, event, gate, &format!("{} may not start runs", event.sender)));
            return Ok(Effects::of(format!("{} may not start runs", event.sender), effects));
        }
        let (why, by, basis) = ("the label was put on", event.sender.clone(), Basis::Commit);
        let ask = Ask { event, trigger: Trigger::Label, why, replaces: Replaces::Others, by, basis };
        self.let_in(item, &look, &ask).await
    }

    async fn opened(&self, item: &Item, event: &PullRequestEvent, why: &str) -> Result<Effects, Trouble> {
        let look = match self.look(item, event, Trigger::Label).await? {
            Looked::At(look) => look,
            Looked::Decided(effects) | Looked::Outdated(effects) => return Ok(effects),
        };
        // A label that came after this event speaks through an event of its own, by whoever added it.
        if !event.labels.contains(&look.gate.label) || !look.pr.labels.contains(&look.gate.label) {
            return self.announce(event, &look, Over::Silence).await;
        }
        if let Some(by) = self.trusted(event, &look.gate, &[&event.sender]).await? {
            // Who opens it with the label on asks for what it is then.
            let opener = (event.action == PullRequestAction::Opened).then_some(&event.sender);
            let basis = self.basis(event, &look.gate, opener).await?;
            let ask = Ask { event, trigger: Trigger::Label, why, replaces: Replaces::Others, by, basis };
            return self.let_in(item, &look, &ask).await;
        }
        Ok(self.shut_out(item, event, &look, Over::Pending))
    }

    /// A push replaces what is running. It starts the new commit only by trust in whoever pushed or wrote it.
    async fn synchronized(&self, item: &Item, event: &PullRequestEvent) -> Result<Effects, Trouble> {
        let (repo, number) = (&event.repo, event.number);
        let change = Change {
            trigger: Trigger::Push,
            why: "a new commit was pushed",
            trusted: &[&event.sender, &event.author],
            pusher: event.pusher.as_ref(),
            replaces: Replaces::Others,
            over: Over::Pending,
            ends: (Whose::PullBut(repo.clone(), number, event.head.clone()), CancelReason::Superseded),
        };
        self.changed(item, event, &change).await
    }

    /// What was tested was tested for another branch, by another policy: nothing that is green for it stays green.
    async fn rebased(&self, item: &Item, event: &PullRequestEvent) -> Result<Effects, Trouble> {
        let change = Change {
            trigger: Trigger::Base,
            why: "it goes into another branch",
            trusted: &[&event.sender],
            pusher: None,
            replaces: Replaces::Everything,
            over: Over::Anything,
            ends: (Whose::Pull(event.repo.clone(), event.number), CancelReason::Rebased),
        };
        self.changed(item, event, &change).await
    }

    /// Ends what runs, and starts what the pull request is now where somebody who may lets it in. News of a head that is none any
    /// more ends nothing: what runs now may be younger.
    async fn changed(&self, item: &Item, event: &PullRequestEvent, change: &Change<'_>) -> Result<Effects, Trouble> {
        let mut effects = match self.look(item, event, change.trigger).await? {
            Looked::Outdated(effects) => return Ok(effects),
            Looked::Decided(effects) => effects,
            Looked::At(look) if !look.pr.labels.contains(&look.gate.label) => {
                self.announce(event, &look, change.over).await?
            }
            Looked::At(look) if self.is_untested_draft(event, &look.pr).await? => {
                self.drafted(event, &look, change.over)
            }
            Looked::At(look) => match self.trusted(event, &look.gate, change.trusted).await? {
                Some(by) => {
                    let basis = self.basis(event, &look.gate, change.pusher).await?;
                    let (trigger, why, replaces) = (change.trigger, change.why, change.replaces);
                    self.let_in(item, &look, &Ask { event, trigger, why, replaces, by, basis }).await?
                }
                None => self.shut_out(item, event, &look, change.over),
            },
        };
        if !effects.list.iter().any(|effect| matches!(effect, Effect::Create(_))) {
            let (whose, reason) = change.ends.clone();
            effects.list.push(Effect::Cancel { whose, reason, by: event.sender.clone() });
        }
        Ok(effects)
    }

    async fn unlabelled(&self, event: &PullRequestEvent, label: &str) -> Result<Effects, Trouble> {
        let (repo, pr) = (&event.repo, event.number);
        let last = self.context.store.runs_of_pull(repo, pr, 1).await?;
        let live = self.live(repo, pr).await?;
        let is_ours = last.iter().chain(live.iter().map(|view| &view.run)).any(|run| run.gate.label == label);
        if !is_ours {
            return Ok(Effects::ignored("no run was started by that label"));
        }
        if self.is_on_again(event, label).await? {
            return Ok(Effects::ignored(format!("the label {label} was put on again since")));
        }
        let (by, why) = (event.sender.clone(), "the label was taken off".to_owned());
        let withdraw = Effect::Withdraw { repo: repo.clone(), pr, sha: event.head.clone(), by, why };
        Ok(Effects::of("runs were cancelled", vec![cancel(event, CancelReason::Unlabelled), withdraw]))
    }

    /// Whether this tells of a label taken off before the one that counts was put on. Webhooks may come in any order, and
    /// GitHub's clock tells seconds: what cannot be told apart is looked at.
    async fn is_on_again(&self, event: &PullRequestEvent, label: &str) -> Result<bool, Trouble> {
        let seen = self.context.store.seen(&event.repo, event.number).await?;
        let Some(labelled_at) = seen.and_then(|seen| seen.labelled_at) else { return Ok(false) };
        if event.at.is_none_or(|at| at > labelled_at) {
            return Ok(false);
        }
        match self.context.ports.forge.pull_request(&event.repo, event.number).await {
            Ok(pr) => Ok(pr.labels.iter().any(|on| on == label)),
            Err(ForgeError::NotFound(_)) => Ok(false),
            Err(error) => Err(self.later(&error)),
        }
    }

    async fn ready(&self, item: &Item, event: &PullRequestEvent) -> Result<Effects, Trouble> {
        let look = match self.look(item, event, Trigger::Label).await? {
            Looked::At(look) => look,
            Looked::Decided(effects) | Looked::Outdated(effects) => return Ok(effects),
        };
        if !look.pr.labels.contains(&look.gate.label) {
            return self.announce(event, &look, Over::Silence).await;
        }
        let tested = self.context.store.runs_of_commit(&event.repo, &look.pr.head, 20).await?;
        let stands = |run: &Run| {
            let is_of_it = run.pr == Some(event.number) && run.coverage == Coverage::Whole;
            is_of_it && run.cancel.is_none() && run.base == look.pr.base
        };
        if tested.iter().any(stands) {
            return Ok(Effects::ignored("the commit was tested as a draft"));
        }
        let Some(by) = self.trusted(event, &look.gate, &[&event.sender]).await? else {
            return Ok(self.shut_out(item, event, &look, Over::Pending));
        };
        let (why, basis) = ("it is ready for review", Basis::Pull);
        let ask = Ask { event, trigger: Trigger::Label, why, replaces: Replaces::Others, by, basis };
        self.let_in(item, &look, &ask).await
    }

    /// The pull request and its gate, unless the event is out of date or there is no gate to speak of.
    async fn look(&self, item: &Item, event: &PullRequestEvent, trigger: Trigger) -> Result<Looked, Trouble> {
        let pr = match self.open_pull(&event.repo, event.number).await? {
            Ok(pr) => pr,
            Err(effects) => return Ok(Looked::Decided(effects)),
        };
        if pr.head != event.head {
            return Ok(Looked::Outdated(Effects::ignored("a newer commit was pushed since")));
        }
        Ok(match self.policy(&event.repo, &pr.base).await? {
            Policy::None => Looked::Decided(Effects::ignored(format!("{} has no {GATE_PATH}", event.repo))),
            Policy::Gate(gate) => Looked::At(Look { pr, gate }),
            Policy::Broken(why) => {
                let subject = Subject { repo: &event.repo, number: event.number, pr: &pr, looks: item.looks() };
                let refused = self.refuse(&subject, trigger, &event.sender, &why, Replaces::Others);
                Looked::Decided(Effects::of("", refused))
            }
        })
    }

    /// The first of these people who may start runs; anybody where this very commit was let in before.
    async fn trusted(
        &self,
        event: &PullRequestEvent,
        gate: &Gate,
        people: &[&String],
    ) -> Result<Option<String>, Trouble> {
        if self.context.store.is_approved(&event.repo, event.number, &event.head).await? {
            return Ok(Some(event.sender.clone()));
        }
        for login in people {
            if self.people.may_run(&event.repo, &gate.rules, login).await? {
                return Ok(Some((*login).clone()));
            }
        }
        Ok(None)
    }

    /// What the commit is let in on by somebody, if anybody, who brought this very commit.
    async fn basis(&self, event: &PullRequestEvent, gate: &Gate, by: Option<&String>) -> Result<Basis, Trouble> {
        let Some(by) = by else { return Ok(Basis::Pull) };
        let may = self.people.may_run(&event.repo, &gate.rules, by).await?;
        Ok(if may { Basis::Commit } else { Basis::Pull })
    }

    /// Drafts run only when they got the label as drafts.
    async fn is_untested_draft(&self, event: &PullRequestEvent, pr: &PullRequest) -> Result<bool, Trouble> {
        let seen = self.context.store.seen(&event.repo, event.number).await?;
        Ok(pr.is_draft && seen.and_then(|seen| seen.draft_labelled) != Some(true))
    }

    /// The commit is approved and run.
    async fn let_in(&self, item: &Item, look: &Look, ask: &Ask<'_>) -> Result<Effects, Trouble> {
        let event = ask.event;
        let subject = Subject { repo: &event.repo, number: event.number, pr: &look.pr, looks: item.looks() };
        let mut effects = vec![Effect::Approve {
            repo: event.repo.clone(),
            pr: event.number,
            sha: look.pr.head.clone(),
            by: ask.by.clone(),
            basis: ask.basis,
            why: ask.why.to_owned(),
        }];
        let start = Start {
            gate: &look.gate,
            trigger: ask.trigger,
            actor: &event.sender,
            basis: ask.basis,
            why: ask.why.to_owned(),
            suites: Suites::Needed,
            retry_of: None,
            replaces: ask.replaces,
        };
        effects.extend(self.start(&subject, start).await?);
        Ok(Effects::of("", effects))
    }

    /// Nobody has let this commit in: the label that was meant for another one goes.
    fn shut_out(&self, item: &Item, event: &PullRequestEvent, look: &Look, over: Over) -> Effects {
        let text = wording::label_on(&look.gate.label, &look.pr.head);
        let mut effects = vec![self.say(over, self.waiting(event, look, &text))];
        let why = format!("nobody who may has let {} in", look.pr.head.short());
        effects.extend(unlabel(item, event, &look.gate, &why));
        Effects::of("the label was taken off: the commit waits for it anew", effects)
    }

    fn drafted(&self, event: &PullRequestEvent, look: &Look, over: Over) -> Effects {
        let text = wording::label_on_a_draft(&look.gate.label);
        Effects::of("a draft waits", vec![self.say(over, self.waiting(event, look, &text))])
    }

    /// Every context is there from the first moment, so that nobody takes silence for an answer. Where the gate wants silence, what
    /// was said before is taken back all the same.
    async fn announce(&self, event: &PullRequestEvent, look: &Look, over: Over) -> Result<Effects, Trouble> {
        let was_said =
            async || Ok::<_, Trouble>(!self.context.store.said(&event.repo, &look.pr.head).await?.is_empty());
        let text = wording::label_wanted(&look.gate.label);
        match look.gate.rules.announce || (over == Over::Anything && was_said().await?) {
            true => Ok(Effects::of("announced", vec![self.say(over, self.waiting(event, look, &text))])),
            false => Ok(Effects::ignored(format!("it does not bring the label {}", look.gate.label))),
        }
    }

    fn waiting(&self, event: &PullRequestEvent, look: &Look, text: &str) -> Vec<crate::domain::status::CommitStatus> {
        let suites = look.gate.suites.keys();
        let links = &self.context.settings.links;
        wording::waiting(&event.repo, event.number, &look.pr.head, suites, text, look.gate.report, links)
    }
}

fn closed(event: &PullRequestEvent) -> Effects {
    let release = Effect::Release { repo: event.repo.clone(), pr: event.number };
    Effects::of("runs were cancelled", vec![cancel(event, CancelReason::Closed), release])
}

fn cancel(event: &PullRequestEvent, reason: CancelReason) -> Effect {
    let whose = Whose::Pull(RepoName::clone(&event.repo), event.number);
    Effect::Cancel { whose, reason, by: event.sender.clone() }
}

fn unlabel(item: &Item, event: &PullRequestEvent, gate: &Gate, why: &str) -> [Effect; 2] {
    let send = Effect::Send {
        key: format!("{}:unlabel", item.guid),
        repo: event.repo.clone(),
        pr: event.number,
        message: Message::Unlabel {
            label: gate.label.clone(),
            by: event.sender.clone(),
            since: event.at.unwrap_or(item.received_at),
        },
    };
    let note = AuditEntry {
        at: item.received_at,
        repo: event.repo.clone(),
        pr: Some(event.number),
        sha: Some(event.head.clone()),
        run: None,
        deed: Deed::LabelRemoved,
        suite: None,
        actor: "portcullis".to_owned(),
        reason: why.to_owned(),
    };
    [send, Effect::Note(note)]
}

/// What the event shows of the pull request, for whoever speaks later.
fn seen(item: &Item, event: &PullRequestEvent, effects: &Effects) -> Seen {
    let starts = effects.list.iter().any(|effect| matches!(effect, Effect::Create(_)));
    let labelled = starts && matches!(event.action, PullRequestAction::Labeled(_));
    let draft_labelled = match &event.action {
        PullRequestAction::Labeled(_) | PullRequestAction::Opened | PullRequestAction::Reopened if starts => {
            Some(event.draft)
        }
        PullRequestAction::ConvertedToDraft | PullRequestAction::Unlabeled(_) => Some(false),
        PullRequestAction::Labeled(_)
        | PullRequestAction::Opened
        | PullRequestAction::Reopened
        | PullRequestAction::Synchronize
        | PullRequestAction::Edited { .. }
        | PullRequestAction::ReadyForReview
        | PullRequestAction::Closed => None,
    };
    Seen {
        repo: event.repo.clone(),
        number: event.number,
        head: event.head.clone(),
        at: event.at.unwrap_or(item.received_at),
        pusher: event.pusher.clone(),
        draft_labelled,
        labelled_at: labelled.then_some(event.at).flatten(),
    }
}
