//! Commands in comments: each is answered with what it causes, a reaction and, where there is something to say, a reply.

use super::choice::Choice;
use super::desk::{Desk, Trouble};
use super::lanes::Item;
use super::policy::Policy;
use super::start::{Start, Subject, Suites};
use crate::domain::audit::{AuditEntry, Deed};
use crate::domain::command::{Command, Misread, Retest, Selection, read};
use crate::domain::effect::{Basis, Effect, Effects, Replaces, Seen, WaiverKind};
use crate::domain::event::CommentEvent;
use crate::domain::gate::{GATE_PATH, Gate};
use crate::domain::message::{Message, Reaction};
use crate::domain::names::SuiteName;
use crate::domain::rules::Commenters;
use crate::domain::run::{Run, Trigger};
use crate::domain::wording;
use crate::ports::{Mergeability, Permission, PullRequest};

/// What the commands of one comment come to.
pub(super) struct Answer {
    pub(super) effects: Vec<Effect>,
    pub(super) lines: Vec<String>,
    reaction: Reaction,
}

impl Answer {
    pub(super) fn refuse(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
        self.reaction = Reaction::Confused;
    }

    fn started(&mut self) {
        if self.reaction == Reaction::ThumbsUp {
            self.reaction = Reaction::Eyes;
        }
    }
}

/// Whose command it is and what it is about.
pub(super) struct Talk<'a> {
    item: &'a Item,
    pub(super) event: &'a CommentEvent,
    pub(super) pr: &'a PullRequest,
    pub(super) gate: &'a Gate,
    /// What they may do.
    may_run: bool,
    may_write: bool,
    may_override: bool,
    approved: bool,
    /// The head was there when the comment was written.
    head_was_seen: bool,
}

impl Desk {
    pub(super) async fn comment(&self, item: &Item, event: &CommentEvent) -> Result<Effects, Trouble> {
        let commands = read(&event.body);
        if commands.is_empty() {
            return Ok(Effects::ignored("a comment without a command"));
        }
        let pr = match self.open_pull(&event.repo, event.number).await? {
            Ok(pr) => pr,
            Err(effects) => return Ok(effects),
        };
        let mut answer = Answer { effects: vec![], lines: vec![], reaction: Reaction::ThumbsUp };
        match self.policy(&event.repo, &pr.base).await? {
            Policy::None => return Ok(Effects::ignored(format!("{} has no {GATE_PATH}", event.repo))),
            Policy::Broken(why) => {
                answer.reaction = Reaction::Confused;
                // Whom else the policy lets run is not known.
                if self.people.permission(&event.repo, &event.author).await? >= Permission::Write {
                    let subject = Subject { repo: &event.repo, number: event.number, pr: &pr, looks: item.looks() };
                    let refused = self.refuse(&subject, Trigger::Comment, &event.author, &why, Replaces::Nothing);
                    answer.effects.extend(refused);
                }
            }
            Policy::Gate(gate) => {
                let talk = self.talk(item, event, &pr, &gate).await?;
                let mut choice = Choice::new(self, &event.repo, &pr, &gate).await?;
                for command in commands {
                    match command {
                        Ok(command) => self.obey(&talk, &mut choice, command, &mut answer).await?,
                        Err(Misread(why)) => answer.refuse(why),
                    }
                }
            }
        }
        Ok(answered(item, event, answer))
    }

    async fn talk<'a>(
        &self,
        item: &'a Item,
        event: &'a CommentEvent,
        pr: &'a PullRequest,
        gate: &'a Gate,
    ) -> Result<Talk<'a>, Trouble> {
        let (repo, login, store) = (&event.repo, &event.author, &self.context.store);
        let may_write = self.people.permission(repo, login).await? >= Permission::Write
            || self.people.may_run(repo, &gate.rules, login).await?;
        let approved = store.is_approved(repo, event.number, &pr.head).await?;
        let is_author = pr.author.eq_ignore_ascii_case(login);
        let open_to_them = match gate.rules.commenters {
            Commenters::Writers => false,
            Commenters::Author => is_author,
            Commenters::Anyone => true,
        };
        let seen = store.seen(repo, event.number).await?;
        Ok(Talk {
            item,
            event,
            pr,
            gate,
            may_run: may_write || (approved && open_to_them),
            may_write,
            may_override: self.people.may_override(repo, &gate.rules, login).await?,
            approved,
            head_was_seen: seen.is_some_and(|seen| was_seen(&seen, event, pr)),
        })
    }

    async fn obey(
        &self,
        talk: &Talk<'_>,
        choice: &mut Choice<'_>,
        command: Command,
        answer: &mut Answer,
    ) -> Result<(), Trouble> {
        if let Some(refusal) = refusal(talk, &command) {
            answer.refuse(refusal);
            return Ok(());
        }
        match command {
            Command::Test(selection) => self.test(talk, choice, selection, answer).await?,
            Command::List => answer.lines.push(list(choice)),
            Command::Retest(how) => self.retest(talk, choice, how, answer).await?,
            Command::Cancel(names) => self.cancel(talk, choice, &names, answer),
            Command::OkToTest(sha) => self.ok_to_test(talk, choice, sha, answer).await?,
            Command::Skip { suite, reason } => self.waive(talk, choice, WaiverKind::Skip, &suite, &reason, answer),
            Command::Override { suite, reason } => {
                self.waive(talk, choice, WaiverKind::Override, &suite, &reason, answer);
            }
            Command::Hold(time) => self.hold(talk, choice, time.as_secs(), answer).await?,
            Command::Release => self.release(talk, choice, answer).await?,
        }
        Ok(())
    }

    async fn test(
        &self,
        talk: &Talk<'_>,
        choice: &mut Choice<'_>,
        selection: Selection,
        answer: &mut Answer,
    ) -> Result<(), Trouble> {
        let (suites, named) = match selection {
            Selection::Open => (choice.open(), false),
            Selection::All => (choice.all(), false),
            Selection::Named(names) => match choice.named(&names) {
                Err(why) => {
                    answer.refuse(why);
                    return Ok(());
                }
                Ok(suites) => {
                    let (live, idle): (Vec<_>, Vec<_>) = suites.into_iter().partition(|suite| choice.is_live(suite));
                    answer.lines.extend((!live.is_empty()).then(|| wording::already_running(&live)));
                    (idle, true)
                }
            },
        };
        if suites.is_empty() {
            answer.lines.extend((!named).then(|| "Every suite is green or running.".to_owned()));
            return Ok(());
        }
        let how = if named { Suites::Exactly(&suites) } else { Suites::NeededOf(&suites) };
        self.run(talk, choice, &suites, how, None, answer).await
    }

    async fn retest(
        &self,
        talk: &Talk<'_>,
        choice: &mut Choice<'_>,
        how: Retest,
        answer: &mut Answer,
    ) -> Result<(), Trouble> {
        let failed = choice.failed();
        if failed.is_empty() {
            answer.lines.push("Nothing of this commit has failed; `/test` runs what is not green yet.".into());
            return Ok(());
        }
        let groups = match how {
            Retest::Suites => vec![(None, failed)],
            Retest::Specs => choice.by_earlier_run(self, &failed).await?,
        };
        for (earlier, suites) in groups {
            self.run(talk, choice, &suites, Suites::Exactly(&suites), earlier.as_ref(), answer).await?;
        }
        Ok(())
    }

    /// Starts these suites unless they were asked for too often or too soon.
    async fn run(
        &self,
        talk: &Talk<'_>,
        choice: &mut Choice<'_>,
        suites: &[SuiteName],
        how: Suites<'_>,
        earlier: Option<&Run>,
        answer: &mut Answer,
    ) -> Result<(), Trouble> {
        if let Some(why) = choice.refusal(self, suites).await? {
            answer.refuse(why);
            return Ok(());
        }
        let why = talk.event.body.lines().map(str::trim).find(|line| line.starts_with('/')).unwrap_or("a command");
        let basis = basis(talk);
        let start = Start {
            gate: talk.gate,
            trigger: Trigger::Comment,
            actor: &talk.event.author,
            basis,
            why: format!("a comment: {}", crate::domain::command::shown(why)),
            suites: how,
            retry_of: earlier.map(|run| run.id),
            replaces: Replaces::Nothing,
        };
        // Failed specs are run again on the very commit they failed on: what two bases showed adds up to nothing.
        let again = earlier.map(|run| PullRequest {
            base: run.base.clone(),
            mergeability: Mergeability::Merges(run.tested.clone()),
            ..talk.pr.clone()
        });
        let subject = Subject { pr: again.as_ref().unwrap_or(talk.pr), ..subject(talk) };
        answer.effects.extend((basis == Basis::Commit).then(|| approve(talk)));
        answer.effects.extend(self.start(&subject, start).await?);
        answer.started();
        choice.started(suites);
        Ok(())
    }

    async fn ok_to_test(
        &self,
        talk: &Talk<'_>,
        choice: &mut Choice<'_>,
        sha: Option<String>,
        answer: &mut Answer,
    ) -> Result<(), Trouble> {
        if sha.is_some_and(|sha| !talk.pr.head.as_str().starts_with(&sha)) {
            answer.refuse(format!("the head is `{}` now: `/ok-to-test {0}` approves that.", talk.pr.head));
            return Ok(());
        }
        answer.effects.push(approve(talk));
        let suites = choice.open();
        if suites.is_empty() {
            return Ok(());
        }
        let start = Start {
            gate: talk.gate,
            trigger: Trigger::Comment,
            actor: &talk.event.author,
            basis: Basis::Commit,
            why: format!("/ok-to-test of {}", talk.pr.head.short()),
            suites: Suites::NeededOf(&suites),
            retry_of: None,
            replaces: Replaces::Nothing,
        };
        answer.effects.extend(self.start(&subject(talk), start).await?);
        answer.started();
        choice.started(&suites);
        Ok(())
    }
}

/// Why they may not, if they may not.
fn refusal(talk: &Talk<'_>, command: &Command) -> Option<String> {
    let starts = matches!(command, Command::Test(_) | Command::Retest(_));
    let allowed = match command {
        Command::Test(_) | Command::List | Command::Retest(_) | Command::Cancel(_) => talk.may_run,
        Command::OkToTest(_) | Command::Skip { .. } | Command::Hold(_) | Command::Release => talk.may_write,
        Command::Override { .. } => talk.may_override,
    };
    if !allowed {
        return Some(match command {
            Command::Override { .. } => wording::only_admins(!talk.gate.rules.override_teams.is_empty()),
            _ => wording::only_writers(talk.approved, talk.gate.rules.commenters),
        });
    }
    let unseen = match command {
        // The beginning of an id is soon found for two commits; the whole of it is one commit's.
        Command::OkToTest(sha) => sha.as_deref() != Some(talk.pr.head.as_str()) && !talk.head_was_seen,
        _ => starts && !talk.approved && !talk.head_was_seen,
    };
    unseen.then(|| wording::head_moved(&talk.pr.head))
}

/// Whether the head was the head when the comment was written: nobody approves what they cannot have seen.
fn was_seen(seen: &Seen, event: &CommentEvent, pr: &PullRequest) -> bool {
    seen.head == pr.head && event.at.is_none_or(|at| at >= seen.at)
}

/// A command asks for the commit that whoever wrote it can have seen, if he may let it in.
fn basis(talk: &Talk<'_>) -> Basis {
    if talk.may_write && talk.head_was_seen { Basis::Commit } else { Basis::Pull }
}

/// Whoever may start a commit, lets it in.
fn approve(talk: &Talk<'_>) -> Effect {
    Effect::Approve {
        repo: talk.event.repo.clone(),
        pr: talk.event.number,
        sha: talk.pr.head.clone(),
        by: talk.event.author.clone(),
        basis: Basis::Commit,
        why: "a comment".to_owned(),
    }
}

fn subject<'a>(talk: &Talk<'a>) -> Subject<'a> {
    Subject { repo: &talk.event.repo, number: talk.event.number, pr: talk.pr, looks: talk.item.looks() }
}

pub(super) fn deed(talk: &Talk<'_>, deed: Deed, reason: &str) -> AuditEntry {
    AuditEntry {
        at: talk.item.received_at,
        repo: talk.event.repo.clone(),
        pr: Some(talk.event.number),
        sha: Some(talk.pr.head.clone()),
        run: None,
        deed,
        suite: None,
        actor: talk.event.author.clone(),
        reason: reason.to_owned(),
    }
}

fn list(choice: &Choice<'_>) -> String {
    let line = |name: &SuiteName| {
        let said = choice.said(name).map(|said| (said.state, said.description.clone()));
        let required = choice.gate.suites.get(name).is_some_and(|suite| suite.required);
        wording::suite_line(name, required, said)
    };
    wording::suite_table(choice.gate.suites.keys().map(line))
}

/// The reaction and the reply, stored with all the rest and sent afterwards.
fn answered(item: &Item, event: &CommentEvent, answer: Answer) -> Effects {
    let Answer { mut effects, lines, reaction } = answer;
    let send = |what: &str, message: Message| Effect::Send {
        key: format!("{}:{what}", item.guid),
        repo: event.repo.clone(),
        pr: event.number,
        message,
    };
    effects.push(send("react", Message::React(event.comment, reaction)));
    if !lines.is_empty() {
        effects.push(send("reply", Message::Reply(wording::reply(&event.author, &lines))));
    }
    Effects::of("answered", effects)
}
