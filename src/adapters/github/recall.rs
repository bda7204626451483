//! What GitHub remembers: deliveries, open pull requests, labels, statuses. Every list is asked for with the mark of the
//! last answer, so that an unchanged one is answered without a body and counts against no limit.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::{StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Github;
use super::answers::{Label, Tip, User, login};
use super::api::{Answer, Api, Call, within};
use super::credentials::Speaker;
use super::traffic::CallKind;
use crate::domain::missed::OpenPull;
use crate::domain::names::{RepoName, Sha};
use crate::domain::status::StatusState;
use crate::ports::ForgeError;
use crate::ports::recall::{FailedDelivery, Labelling, Mailbox, Recall, Shown};

/// Pages of one list; a longer one is cut.
const MAX_PAGES: usize = 40;
/// A page of pull requests carries their texts.
const MAX_PAGE: usize = 24 * 1024 * 1024;
const MAX_KEPT: usize = 2000;

/// Answers by who asked and what for.
#[derive(Default)]
pub(super) struct Kept(Mutex<HashMap<String, Page<dyn Any + Send + Sync>>>);

/// One page of an answer, read.
struct Page<T: ?Sized> {
    mark: String,
    items: Arc<T>,
    /// The query of the page after it.
    next: Option<String>,
}

impl Api {
    /// A page, from what is kept where GitHub says that it did not change.
    async fn page<T>(
        &self,
        speaker: Speaker<'_>,
        what: &str,
        path: &str,
    ) -> Result<(Arc<T>, Option<String>), ForgeError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let key = format!("{speaker:?} {path}");
        let kept = self.kept.get::<T>(&key);
        let call = Call::get(CallKind::CatchUp, what.to_owned(), path.to_owned()).at_most(MAX_PAGE);
        let call = call.unless(kept.as_ref().map(|page| page.mark.clone()));
        let answer = match within(self.timeouts.call, what, self.asked(speaker, &call)).await? {
            Some(answer) => answer,
            None => return kept.map(|page| (page.items, page.next)).ok_or_else(|| unasked(what)),
        };
        let (items, next) = (Arc::new(answer.json::<T>()?), answer.next());
        if let Some(mark) = answer.mark() {
            self.kept.put(key, Page { mark, items: items.clone(), next: next.clone() });
        }
        Ok((items, next))
    }

    /// `None`: nothing changed.
    async fn asked(&self, speaker: Speaker<'_>, call: &Call) -> Result<Option<Answer>, ForgeError> {
        let (response, gauge) = self.authorized(speaker, call).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let answer = self.read(call, response).await;
        if let Err(ForgeError::RateLimited { until }) = &answer {
            gauge.close(*until);
        }
        answer.map(Some)
    }

    /// All pages of a list, flattened by `items`, until there are none or `enough` of what was seen.
    async fn pages<T, I>(
        &self,
        speaker: Speaker<'_>,
        what: &str,
        path: String,
        items: impl Fn(&T) -> Vec<I> + Send,
        enough: impl Fn(&[I]) -> bool + Send,
    ) -> Result<Vec<I>, ForgeError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
        I: Send,
    {
        let (mut all, mut next) = (Vec::new(), Some(path));
        for _ in 0..MAX_PAGES {
            let Some(path) = next else { break };
            let (page, query) = self.page::<T>(speaker, what, &path).await?;
            all.extend(items(&page));
            // Only the query moves on; the path stays the one that was asked for.
            let asked = path.split('?').next().unwrap_or_default();
            next = query.filter(|_| !enough(&all)).map(|query| format!("{asked}?{query}"));
        }
        Ok(all)
    }
}

fn unasked(what: &str) -> ForgeError {
    ForgeError::Transient(anyhow::anyhow!("{what}: not changed since an answer that was never given"))
}

impl Answer {
    fn mark(&self) -> Option<String> {
        self.headers.get(header::ETAG)?.to_str().ok().map(str::to_owned)
    }

    /// The query that asks for the next page.
    fn next(&self) -> Option<String> {
        let links = self.headers.get(header::LINK)?.to_str().ok()?;
        let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
        let url = url::Url::parse(next.split_once('<')?.1.split_once('>')?.0).ok()?;
        url.query().map(str::to_owned)
    }
}

impl Kept {
    fn get<T: Send + Sync + 'static>(&self, key: &str) -> Option<Page<T>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let page = kept.get(key)?;
        let items = Arc::clone(&page.items).downcast::<T>().ok()?;
        Some(Page { mark: page.mark.clone(), items, next: page.next.clone() })
    }

    fn put<T: Send + Sync + 'static>(&self, key: String, page: Page<T>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, Page { mark: page.mark, items: page.items, next: page.next });
    }
}

#[derive(Deserialize)]
struct Repositories {
    repositories: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    full_name: RepoName,
    #[serde(default)]
    archived: bool,
}

#[derive(Deserialize)]
struct Installed {
    id: u64,
    suspended_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    user: Option<User>,
    #[serde(default)]
    draft: bool,
    head: Branch,
    base: Branch,
    #[serde(default)]
    labels: Vec<Label>,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(flatten)]
    tip: Tip,
    #[serde(rename = "ref")]
    name: String,
}

#[derive(Deserialize)]
struct IssueEvent {
    event: String,
    actor: Option<User>,
    created_at: Timestamp,
    label: Option<Label>,
}

#[derive(Deserialize)]
struct Hook {
    id: u64,
    config: HookConfig,
}

#[derive(Deserialize)]
struct HookConfig {
    #[serde(default)]
    url: String,
}

#[derive(Deserialize)]
struct Delivered {
    id: u64,
    guid: String,
    event: String,
    delivered_at: Timestamp,
    /// 0 where nobody answered.
    status_code: u16,
}

#[derive(Deserialize)]
struct Recorded {
    request: RecordedRequest,
}

#[derive(Deserialize)]
struct RecordedRequest {
    payload: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Combined {
    statuses: Vec<ShownStatus>,
}

#[derive(Deserialize)]
struct ShownStatus {
    context: String,
    state: StatusState,
    description: Option<String>,
}

/// Every page was wanted.
fn never<I>(_: &[I]) -> bool {
    false
}

fn root(mailbox: &Mailbox) -> (Speaker<'_>, String) {
    match mailbox {
        Mailbox::App => (Speaker::App, "/app/hook/deliveries".to_owned()),
        Mailbox::Repository(repo, hook) => (Speaker::For(repo), format!("/repos/{repo}/hooks/{hook}/deliveries")),
    }
}

#[async_trait]
impl Recall for Github {
    fn is_app(&self) -> bool {
        self.api.is_app()
    }

    async fn repositories(&self) -> Result<Vec<RepoName>, ForgeError> {
        if !self.is_app() {
            return Ok(vec![]);
        }
        let (what, path) = ("the App's installations", "/app/installations?per_page=100".to_owned());
        let installed = |page: &Vec<Installed>| {
            page.iter().filter(|one| one.suspended_at.is_none()).map(|one| one.id).collect::<Vec<_>>()
        };
        let (mut all, mut out_of_reach, mut seen) = (Vec::new(), None, false);
        for id in self.api.pages(Speaker::App, what, path, installed, never).await? {
            let (what, path) = ("an installation's repositories", "/installation/repositories?per_page=100".to_owned());
            let names = |page: &Repositories| {
                let live = page.repositories.iter().filter(|repository| !repository.archived);
                live.map(|repository| repository.full_name.clone()).collect::<Vec<_>>()
            };
            match self.api.pages(Speaker::Installation(id), what, path, names, never).await {
                Ok(found) => {
                    all.extend(found);
                    seen = true;
                }
                // One account's rules, such as a list of addresses that it lets in, are nothing to the others.
                Err(error @ (ForgeError::Forbidden(_) | ForgeError::NotFound(_) | ForgeError::Rejected(_))) => {
                    tracing::warn!(installation = id, %error, "an installation of the App is out of reach");
                    out_of_reach = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        out_of_reach.filter(|_| !seen).map_or(Ok(all), Err)
    }

    async fn open_pulls(&self, repo: &RepoName) -> Result<Vec<OpenPull>, ForgeError> {
        let what = format!("the open pull requests of {repo}");
        let path = format!("/repos/{repo}/pulls?state=open&sort=updated&direction=desc&per_page=50");
        let pulls = |page: &Vec<Pull>| page.iter().map(OpenPull::from).collect::<Vec<_>>();
        self.api.pages(Speaker::For(repo), &what, path, pulls, never).await
    }

    async fn labellings(&self, repo: &RepoName, number: u64) -> Result<Vec<Labelling>, ForgeError> {
        let what = format!("the events of #{number} of {repo}");
        let path = format!("/repos/{repo}/issues/{number}/events?per_page=100");
        let labelled = |page: &Vec<IssueEvent>| page.iter().filter_map(IssueEvent::labelling).collect::<Vec<_>>();
        self.api.pages(Speaker::For(repo), &what, path, labelled, never).await
    }

    async fn mailbox(&self, repo: &RepoName, url: &str) -> Result<Option<Mailbox>, ForgeError> {
        let (what, path) = (format!("the webhooks of {repo}"), format!("/repos/{repo}/hooks?per_page=100"));
        let ours = |page: &Vec<Hook>| {
            page.iter().filter(|hook| hook.config.url == url).map(|hook| hook.id).collect::<Vec<_>>()
        };
        let found = self.api.pages(Speaker::For(repo), &what, path, ours, never).await?;
        Ok(found.first().map(|id| Mailbox::Repository(repo.clone(), *id)))
    }

    async fn failed_deliveries(&self, mailbox: &Mailbox, since: Timestamp) -> Result<Vec<FailedDelivery>, ForgeError> {
        let (speaker, root) = root(mailbox);
        let deliveries = |page: &Vec<Delivered>| {
            let failed = page.iter().filter(|one| !(200..300).contains(&one.status_code));
            failed.map(FailedDelivery::from).collect::<Vec<_>>()
        };
        let old = |seen: &[FailedDelivery]| seen.last().is_some_and(|last| last.delivered_at < since);
        let path = format!("{root}?per_page=100&status=failure");
        let mut found = self.api.pages(speaker, "webhook deliveries", path, deliveries, old).await?;
        found.retain(|delivery| delivery.delivered_at >= since);
        found.reverse();
        Ok(found)
    }

    async fn payload(&self, mailbox: &Mailbox, delivery: u64) -> Result<Vec<u8>, ForgeError> {
        let (speaker, root) = root(mailbox);
        let call = Call::get(CallKind::CatchUp, format!("delivery {delivery}"), format!("{root}/{delivery}"));
        let recorded: Recorded = self.api.call_as(speaker, &call.at_most(MAX_PAGE)).await?.json()?;
        let payload = recorded.request.payload.ok_or_else(|| {
            ForgeError::Rejected(format!("delivery {delivery}: GitHub does not keep its payload any more"))
        })?;
        Ok(payload.to_string().into_bytes())
    }

    async fn shown(&self, repo: &RepoName, sha: &Sha) -> Result<Vec<Shown>, ForgeError> {
        let what = format!("the statuses of {repo} at {}", sha.short());
        let path = format!("/repos/{repo}/commits/{sha}/status?per_page=100");
        let shown = |page: &Combined| page.statuses.iter().map(Shown::from).collect::<Vec<_>>();
        self.api.pages(Speaker::For(repo), &what, path, shown, never).await
    }
}

impl From<&Pull> for OpenPull {
    fn from(pull: &Pull) -> Self {
        Self {
            number: pull.number,
            author: login(pull.user.as_ref()),
            is_draft: pull.draft,
            head: pull.head.tip.sha.clone(),
            head_ref: pull.head.name.clone(),
            base: pull.base.tip.sha.clone(),
            base_ref: pull.base.name.clone(),
            labels: pull.labels.iter().map(|label| label.name.clone()).collect(),
            updated_at: pull.updated_at,
        }
    }
}

impl IssueEvent {
    fn labelling(&self) -> Option<Labelling> {
        let label = self.label.as_ref().filter(|_| self.event == "labeled")?.name.clone();
        Some(Labelling { label, actor: login(self.actor.as_ref()), at: self.created_at })
    }
}

impl From<&Delivered> for FailedDelivery {
    fn from(one: &Delivered) -> Self {
        Self { id: one.id, guid: one.guid.clone(), event: one.event.clone(), delivered_at: one.delivered_at }
    }
}

impl From<&ShownStatus> for Shown {
    fn from(status: &ShownStatus) -> Self {
        let description = status.description.clone().unwrap_or_default();
        Self { context: status.context.clone(), state: status.state, description }
    }
}
