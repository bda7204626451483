//! What webhooks missed: failed deliveries, pull requests that changed unseen, statuses that somebody else overwrote.
//! It decides nothing about runs: what it finds goes into the inbox as the webhook that should have come.

mod drift;

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

pub(super) use self::drift::is_shown;
use super::{Activity, Context, Reconciler, chain};
use crate::domain::event::Event;
use crate::domain::missed::{Known, MadeUp, Missed, OpenPull, make_up, missed, out_of_reach};
use crate::domain::names::RepoName;
use crate::domain::plan::RunView;
use crate::domain::run::Run;
use crate::ports::ForgeError;
use crate::ports::recall::{FailedDelivery, Labelling, Mailbox};
use crate::store::{NewDelivery, Receipt};

/// GitHub forgets deliveries after three days.
const GITHUB_KEEPS: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Deliveries may be recorded later than they were tried, and tried for a while.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);
/// A webhook may be on its way for as long; what changed since is looked at next time.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(60);
/// A webhook that was not acted upon for longer hides nothing any more.
const STUCK: SignedDuration = SignedDuration::from_mins(10);
/// Which repositories and webhooks there are changes rarely.
const LOOK_AROUND: SignedDuration = SignedDuration::from_hours(1);
/// Webhooks read at once.
const BATCH: u32 = 200;
/// Labels of one pull request that are made up for.
const MAX_LABELS: usize = 10;

pub(super) struct CatchUp {
    context: Context,
    next: Option<Timestamp>,
    /// Looked at last, and when.
    around: Option<(Timestamp, Around)>,
    drift: drift::Drift,
    /// Repositories with live runs that were not to be found when they were looked at last.
    missing: BTreeSet<RepoName>,
}

/// What there is to look at.
struct Around {
    repos: BTreeSet<RepoName>,
    mailboxes: Vec<Mailbox>,
}

impl CatchUp {
    pub(super) fn new(context: Context) -> Self {
        Self { drift: drift::Drift::new(context.clone()), context, next: None, around: None, missing: BTreeSet::new() }
    }

    /// Rows that came of it.
    async fn pass(&mut self, now: Timestamp) -> anyhow::Result<usize> {
        self.look_around(now).await?;
        let Some((_, around)) = &self.around else { return Ok(0) };
        let mut found = self.deliveries(&around.mailboxes, now).await?;
        let expected = self.expected(now).await?;
        let views = self.context.store.open_runs().await?;
        let with_runs = views.iter().map(|view| view.run.repo.clone());
        let repos: BTreeSet<RepoName> = around.repos.iter().cloned().chain(with_runs).collect();
        let were_missing = std::mem::take(&mut self.missing);
        for repo in repos.difference(&expected) {
            if self.context.ports.forge.allowance(repo).is_some_and(crate::domain::status::Allowance::is_scarce) {
                tracing::debug!(%repo, "no catching up while GitHub allows little");
                continue;
            }
            match self.repository(repo, &views, now).await {
                Ok(rows) => found += rows,
                Err(Trouble::Missing(why)) => found += self.lost(repo, &views, &were_missing, &why).await?,
                Err(Trouble::Forge(error)) => tracing::warn!(%repo, error = chain(&error), "cannot be caught up with"),
                Err(Trouble::Store(error)) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// Repositories of webhooks that wait to be acted upon: what those bring may be just what seems to be missing. Statuses, which
    /// anybody may post in any number, bring nothing.
    async fn expected(&self, now: Timestamp) -> anyhow::Result<BTreeSet<RepoName>> {
        let (mut expected, mut read_up_to, stuck) = (BTreeSet::new(), 0, ago(now, STUCK));
        loop {
            let open = self.context.store.open_deliveries(read_up_to, BATCH).await?;
            let Some(last) = open.last() else { return Ok(expected) };
            read_up_to = last.seq;
            for delivery in open.iter().filter(|one| one.received_at > stuck && one.event != "status") {
                let event = Event::parse(&delivery.event, &delivery.body).ok();
                expected.extend(event.as_ref().and_then(Event::repo).cloned());
            }
        }
    }

    async fn look_around(&mut self, now: Timestamp) -> anyhow::Result<()> {
        if self.around.as_ref().is_some_and(|(at, _)| *at > ago(now, LOOK_AROUND)) {
            return Ok(());
        }
        let (recall, settings) = (&self.context.ports.recall, &self.context.settings);
        let mut repos: BTreeSet<RepoName> = settings.watched.iter().cloned().collect();
        repos.extend(recall.repositories().await?);
        let mut mailboxes = vec![];
        if recall.is_app() {
            mailboxes.push(Mailbox::App);
        } else {
            for repo in &repos {
                match recall.mailbox(repo, &settings.webhook_url).await {
                    Ok(Some(mailbox)) => mailboxes.push(mailbox),
                    Ok(None) => tracing::info!(%repo, url = settings.webhook_url, "no webhook of it delivers to us"),
                    Err(error) => {
                        let error = chain(&error);
                        tracing::info!(%repo, error, "its webhooks cannot be seen; open pull requests are compared all the same");
                    }
                }
            }
        }
        self.around = Some((now, Around { repos, mailboxes }));
        Ok(())
    }

    /// Fetches what GitHub could not deliver, and puts it into the inbox as if it had come.
    async fn deliveries(&self, mailboxes: &[Mailbox], now: Timestamp) -> anyhow::Result<usize> {
        let store = &self.context.store;
        let kept = GITHUB_KEEPS.min(self.context.settings.keep_deliveries);
        let since = store.caught_up_to().await?.map_or(ago(now, kept), |at| ago(at, OVERLAP).max(ago(now, kept)));
        let (mut recovered, mut seen) = (0, 0);
        for mailbox in mailboxes {
            match self.mailbox(mailbox, since, now).await {
                Ok(rows) => (recovered, seen) = (recovered + rows, seen + 1),
                Err(Trouble::Store(error)) => return Err(error.into()),
                Err(Trouble::Forge(error)) => {
                    tracing::warn!(?mailbox, error = chain(&error), "failed deliveries cannot be fetched");
                }
                Err(Trouble::Missing(why)) => tracing::warn!(?mailbox, why, "failed deliveries cannot be fetched"),
            }
        }
        // Where some could not be fetched, the next look begins before them.
        if seen == mailboxes.len() {
            store.note_caught_up(now).await?;
        }
        Ok(recovered)
    }

    async fn mailbox(&self, mailbox: &Mailbox, since: Timestamp, now: Timestamp) -> Result<usize, Trouble> {
        let failed = self.context.ports.recall.failed_deliveries(mailbox, since).await?;
        let guids: Vec<String> = failed.iter().map(|delivery| delivery.guid.clone()).collect();
        let mut missing = self.context.store.never_stored(&guids).await?;
        let mut recovered = 0;
        for delivery in failed {
            if Event::is_missed(&delivery.event) && missing.remove(&delivery.guid) {
                recovered += self.recover(mailbox, &delivery, now).await?;
            }
        }
        Ok(recovered)
    }

    async fn recover(&self, mailbox: &Mailbox, delivery: &FailedDelivery, now: Timestamp) -> Result<usize, Trouble> {
        let body = match self.context.ports.recall.payload(mailbox, delivery.id).await {
            Ok(body) => body,
            Err(ForgeError::NotFound(why) | ForgeError::Rejected(why)) => {
                tracing::warn!(delivery.id = delivery.guid, why, "a missed webhook is gone");
                return Ok(0);
            }
            // Those after it wait too.
            Err(error) => return Err(error.into()),
        };
        // What stopped something then may not be so any more. The pull request itself tells, when it is looked at.
        let settled = Event::parse(&delivery.event, &body).is_ok_and(|event| event.stops()).then_some(LATE);
        let new = NewDelivery {
            guid: delivery.guid.clone(),
            event: delivery.event.clone(),
            body: body.into(),
            received_at: now,
            settled,
        };
        tracing::info!(delivery.id = new.guid, event = new.event, "a missed webhook was fetched");
        Ok(self.accept(new).await?)
    }

    async fn accept(&self, delivery: NewDelivery) -> Result<usize, crate::store::StoreError> {
        let receipts = self.context.store.accept(&[delivery]).await?;
        Ok(receipts.iter().filter(|receipt| **receipt == Receipt::Stored).count())
    }

    /// Compares one repository's pull requests and statuses with what is stored.
    async fn repository(&mut self, repo: &RepoName, views: &[RunView], now: Timestamp) -> Result<usize, Trouble> {
        let pulls = match self.context.ports.recall.open_pulls(repo).await {
            Err(ForgeError::NotFound(why)) => return Err(Trouble::Missing(why)),
            pulls => pulls?,
        };
        let mut live: HashMap<u64, Vec<&Run>> = HashMap::new();
        for view in views.iter().filter(|view| view.run.repo == *repo && view.run.cancel.is_none()) {
            live.entry(view.run.pr.unwrap_or_default()).or_default().push(&view.run);
        }
        let mut found = 0;
        for pull in &pulls {
            let runs = live.remove(&pull.number).unwrap_or_default();
            if pull.updated_at < ago(now, ON_ITS_WAY.min(self.context.settings.catch_up)) {
                found += or_passed_over(repo, self.compare(repo, pull, &runs).await)?;
            }
        }
        for run in live.into_values().filter_map(|runs| runs.last().copied()) {
            found += or_passed_over(repo, self.gone(repo, run, now).await)?;
        }
        found += self.drift.look(repo, &pulls, now).await?;
        Ok(found)
    }

    /// A repository is not to be found. Seen twice in a row, it is gone or out of reach, and so are its runs: GitHub itself may
    /// be wrong once.
    async fn lost(
        &mut self,
        repo: &RepoName,
        views: &[RunView],
        were_missing: &BTreeSet<RepoName>,
        why: &str,
    ) -> Result<usize, crate::store::StoreError> {
        tracing::warn!(%repo, why, "cannot be caught up with");
        let of_repo = |view: &&RunView| view.run.repo == *repo && view.run.cancel.is_none();
        let Some(last) = views.iter().rfind(of_repo) else { return Ok(0) };
        self.missing.insert(repo.clone());
        if !were_missing.contains(repo) {
            return Ok(0);
        }
        let made = out_of_reach(repo, &last.run.id.to_string());
        let (guid, event, received_at) = (made.guid, "installation_repositories".to_owned(), self.context.now());
        self.accept(NewDelivery { guid, event, body: made.body.into(), received_at, settled: None }).await
    }

    async fn compare(&self, repo: &RepoName, pull: &OpenPull, live: &[&Run]) -> Result<usize, Trouble> {
        let store = &self.context.store;
        let last = store.last_end(repo, pull.number, &pull.head).await?;
        let is_heard_of = store.is_heard_of(repo, &pull.head).await?;
        let Some(missed) = missed(pull, Known { live, last: last.as_ref(), is_heard_of }) else { return Ok(0) };
        let after = last.map(|last| last.at.to_string());
        match &missed {
            Missed::Labeled { after: since } => self.labelled(repo, pull, *since).await,
            Missed::Unlabeled(label) => {
                self.add(repo, make_up(repo, pull, &missed, NOBODY, Some(label), after.as_deref())).await
            }
            Missed::Closed => self.add(repo, make_up(repo, pull, &missed, NOBODY, None, after.as_deref())).await,
            Missed::Opened | Missed::Synchronize | Missed::BaseEdited | Missed::Reopened | Missed::ReadyForReview => {
                self.add(repo, make_up(repo, pull, &missed, &pull.author, None, after.as_deref())).await
            }
        }
    }

    /// Labels count as put on by whoever did it, and only where the head was there before: no approval reaches further.
    async fn labelled(&self, repo: &RepoName, pull: &OpenPull, after: Option<Timestamp>) -> Result<usize, Trouble> {
        let since = match self.context.store.head_since(repo, pull.number).await? {
            Some((head, since)) if head == pull.head => since.max(after.unwrap_or(since)),
            Some(_) | None => {
                let pushed = make_up(repo, pull, &Missed::Synchronize, &pull.author, None, None);
                return self.add(repo, pushed).await;
            }
        };
        let last = latest(self.context.ports.recall.labellings(repo, pull.number).await?);
        let mut found = 0;
        for label in pull.labels.iter().take(MAX_LABELS) {
            let Some(by) = last.get(label).filter(|by| by.at >= since) else { continue };
            let at = by.at.to_string();
            let missed = Missed::Labeled { after };
            found += self.add(repo, make_up(repo, pull, &missed, &by.actor, Some(label), Some(&at))).await?;
        }
        Ok(found)
    }

    /// A live run's pull request is not among the open ones.
    async fn gone(&self, repo: &RepoName, run: &Run, now: Timestamp) -> Result<usize, Trouble> {
        let Some(number) = run.pr else { return Ok(0) };
        match self.context.ports.forge.pull_request(repo, number).await {
            Ok(pull) if pull.is_open => return Ok(0),
            Ok(_) | Err(ForgeError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let closed = OpenPull {
            number,
            author: NOBODY.to_owned(),
            is_draft: false,
            head: run.head.clone(),
            head_ref: String::new(),
            base: run.base.clone(),
            base_ref: run.base_ref.clone(),
            labels: vec![],
            updated_at: now,
        };
        self.add(repo, make_up(repo, &closed, &Missed::Closed, NOBODY, None, Some(&run.id.to_string()))).await
    }

    async fn add(&self, repo: &RepoName, made: MadeUp) -> Result<usize, Trouble> {
        let now = self.context.now();
        let (guid, event) = (made.guid, "pull_request".to_owned());
        let new = NewDelivery { guid, event, body: made.body.into(), received_at: now, settled: None };
        let guid = new.guid.clone();
        let stored = self.accept(new).await?;
        if stored > 0 {
            tracing::info!(delivery.id = guid, %repo, "a change that no webhook told of was found");
        }
        Ok(stored)
    }
}

/// What a webhook's row says that came too late to be acted upon.
const LATE: &str = "ignored: fetched late; the pull request is compared as it is now";
/// GitHub's name for nobody in particular.
const NOBODY: &str = "ghost";

/// Why a repository was not compared.
enum Trouble {
    /// There is no such repository, or we may not see it.
    Missing(String),
    Forge(ForgeError),
    Store(crate::store::StoreError),
}

impl From<ForgeError> for Trouble {
    fn from(error: ForgeError) -> Self {
        Trouble::Forge(error)
    }
}

impl From<crate::store::StoreError> for Trouble {
    fn from(error: crate::store::StoreError) -> Self {
        Trouble::Store(error)
    }
}

/// One pull request that we may not look at, or that GitHub cannot show, hides no other.
fn or_passed_over(repo: &RepoName, looked: Result<usize, Trouble>) -> Result<usize, Trouble> {
    match looked {
        Err(Trouble::Forge(error @ (ForgeError::NotFound(_) | ForgeError::Forbidden(_) | ForgeError::Rejected(_)))) => {
            tracing::warn!(%repo, error = chain(&error), "cannot be compared");
            Ok(0)
        }
        other => other,
    }
}

fn ago(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.saturating_sub(time).unwrap_or(now)
}

fn latest(labellings: Vec<Labelling>) -> HashMap<String, Labelling> {
    labellings.into_iter().map(|labelling| (labelling.label.clone(), labelling)).collect()
}

#[async_trait]
impl Reconciler for CatchUp {
    fn name(&self) -> &'static str {
        "catch-up"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let now = self.context.now();
        if let Some(pause) = self.next.map(|next| next.duration_since(now)).filter(SignedDuration::is_positive) {
            return Ok(Activity::default().again(pause));
        }
        let period = self.context.settings.catch_up;
        self.next = now.saturating_add(period).ok();
        let changed = match self.pass(now).await {
            Ok(changed) => changed,
            // GitHub's trouble is not ours: the next pass finds the same.
            Err(error) if error.is::<ForgeError>() => {
                tracing::warn!(error = chain(error.as_ref()), "catching up waits");
                0
            }
            Err(error) => return Err(error),
        };
        Ok(Activity::changed(changed).again(period))
    }
}
