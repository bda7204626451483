//! One call of the API from request to answer: credentials, redirects of moved repositories, limits, time-outs.
//! A call is sent once; only a refused installation token is renewed and the call sent again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use octocrab::{OctoBody, Octocrab};
use serde::de::DeserializeOwned;

use super::Timeouts;
use super::base::Base;
use super::credentials::{Access, Credentials, Speaker};
use super::failure;
use super::gauge::Gauge;
use super::recall::Kept;
use super::traffic::{CallKind, Traffic};
use crate::domain::names::RepoName;
use crate::domain::status::Allowance;
use crate::ports::{Clock, ForgeError};

/// Bytes of an answer that are read unless the call says otherwise. A pull request's text alone may take a quarter of one.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Bytes of a refusal that are read.
const MAX_REFUSAL: usize = 64 * 1024;

/// Redirects followed for one call.
pub(super) const MAX_REDIRECTS: usize = 4;

pub(super) type Response = http::Response<BoxBody<Bytes, octocrab::Error>>;

/// GitHub's API with credentials.
pub(super) struct Api {
    /// Without credentials.
    pub(super) octocrab: Octocrab,
    pub(super) base: Base,
    credentials: Credentials,
    pub(super) timeouts: Timeouts,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) kept: Kept,
}

/// What is asked.
pub(super) struct Call {
    kind: CallKind,
    /// The thing asked for, as an error names it.
    pub(super) what: String,
    method: Method,
    path: String,
    accept: Accept,
    body: Option<String>,
    /// The mark of an answer that is known: an unchanged one need not be sent again.
    unless: Option<String>,
    max_bytes: usize,
}

/// The form an answer is asked for in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Accept {
    Json,
    /// A file's own bytes.
    Raw,
}

impl Accept {
    fn as_str(self) -> &'static str {
        match self {
            Accept::Json => "application/vnd.github+json",
            Accept::Raw => "application/vnd.github.raw+json",
        }
    }
}

impl Call {
    pub(super) fn get(kind: CallKind, what: String, path: String) -> Self {
        Self {
            kind,
            what,
            method: Method::GET,
            path,
            accept: Accept::Json,
            body: None,
            unless: None,
            max_bytes: MAX_ANSWER,
        }
    }

    /// `body` is JSON.
    pub(super) fn post(kind: CallKind, what: String, path: String, body: String) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(kind, what, path) }
    }

    pub(super) fn delete(kind: CallKind, what: String, path: String) -> Self {
        Self { method: Method::DELETE, ..Self::get(kind, what, path) }
    }

    /// `body` is JSON.
    pub(super) fn patch(kind: CallKind, what: String, path: String, body: String) -> Self {
        Self { method: Method::PATCH, ..Self::post(kind, what, path, body) }
    }

    pub(super) fn accept(self, accept: Accept) -> Self {
        Self { accept, ..self }
    }

    pub(super) fn unless(self, mark: Option<String>) -> Self {
        Self { unless: mark, ..self }
    }

    pub(super) fn at_most(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    fn request(&self, path: &str) -> Request<OctoBody> {
        let request = Request::builder().method(&self.method).uri(path).header(header::ACCEPT, self.accept.as_str());
        let request = match &self.unless {
            Some(mark) => request.header(header::IF_NONE_MATCH, mark),
            None => request,
        };
        let built = match &self.body {
            Some(json) => request.header(header::CONTENT_TYPE, "application/json").body(OctoBody::from(json.clone())),
            None => request.body(OctoBody::empty()),
        };
        built.expect("paths are made of encoded parts")
    }
}

/// A successful answer.
pub(super) struct Answer {
    what: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ForgeError> {
        let unread = |error| anyhow::Error::new(error).context(format!("{}: the answer does not read", self.what));
        serde_json::from_slice(&self.body).map_err(|error| ForgeError::Transient(unread(error)))
    }

    pub(super) fn is_json(&self) -> bool {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    }
}

impl Api {
    pub(super) fn new(
        octocrab: Octocrab,
        base: Base,
        credentials: Credentials,
        timeouts: Timeouts,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { octocrab, base, credentials, timeouts, clock, traffic: Arc::new(Traffic::new()), kept: Kept::default() }
    }

    /// A whole call as whoever may speak for the repository.
    pub(super) async fn call(&self, repo: &RepoName, call: &Call) -> Result<Answer, ForgeError> {
        self.call_as(Speaker::For(repo), call).await
    }

    /// A whole call as this speaker.
    pub(super) async fn call_as(&self, speaker: Speaker<'_>, call: &Call) -> Result<Answer, ForgeError> {
        within(self.timeouts.call, &call.what, async {
            let (response, gauge) = self.authorized(speaker, call).await?;
            let answer = self.read(call, response).await;
            if let Err(ForgeError::RateLimited { until }) = &answer {
                gauge.close(*until);
            }
            answer
        })
        .await
    }

    /// Sends the call as this speaker; the answer may be anything.
    pub(super) async fn authorized(
        &self,
        speaker: Speaker<'_>,
        call: &Call,
    ) -> Result<(Response, Arc<Gauge>), ForgeError> {
        let access = self.credentials.access(self, speaker).await?;
        let response = self.admitted(&access, call).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !access.discard().await {
            return Ok((response, access.gauge));
        }
        let renewed = self.credentials.access(self, speaker).await?;
        let response = self.admitted(&renewed, call).await?;
        Ok((response, renewed.gauge))
    }

    /// Sends the call unless GitHub wants to hear nothing from this speaker now.
    async fn admitted(&self, access: &Access, call: &Call) -> Result<Response, ForgeError> {
        access.gauge.admit(self.clock.now())?;
        let response = self.exchange(&access.octocrab, call).await?;
        access.gauge.note(response.headers());
        Ok(response)
    }

    pub(super) fn is_app(&self) -> bool {
        self.credentials.is_app()
    }

    /// What GitHub still allows whoever speaks for the repository; `None` before anything was asked.
    pub(super) fn allowance(&self, repo: &RepoName) -> Option<Allowance> {
        self.credentials.gauge(repo)?.allowance(self.clock.now())
    }

    /// Sends the call and follows it to where the API says the repository lives now.
    pub(super) async fn exchange(&self, octocrab: &Octocrab, call: &Call) -> Result<Response, ForgeError> {
        let mut path = call.path.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.traffic.sent(call.kind);
            let sent = octocrab.execute(call.request(&path)).await;
            let response = sent.map_err(|error| failure::unreachable(&call.what, &error))?;
            self.traffic.answered(response.headers());
            match self.moved(call, &path, &response) {
                Some(moved) => path = moved,
                None => return Ok(response),
            }
        }
        Err(ForgeError::Rejected(format!("{}: redirected too often", call.what)))
    }

    fn moved(&self, call: &Call, path: &str, response: &Response) -> Option<String> {
        // Other redirects turn a POST into a GET.
        let keeps_method = matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        if call.method != Method::GET && !keeps_method {
            return None;
        }
        self.base.own_path(&location(&self.base.locate(path)?, response)?)
    }

    /// The answer's body, or what its status means.
    pub(super) async fn read(&self, call: &Call, response: Response) -> Result<Answer, ForgeError> {
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            // What cannot be read of a refusal changes only its wording.
            let body = Limited::new(body, MAX_REFUSAL).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            return Err(failure::refused(&call.what, parts.status, &parts.headers, &body, self.clock.now()));
        }
        let body = Limited::new(body, call.max_bytes).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return ForgeError::Rejected(format!("{} is larger than {} bytes", call.what, call.max_bytes));
            }
            failure::unreachable(&call.what, &*error)
        })?;
        Ok(Answer { what: call.what.clone(), headers: parts.headers, body: body.to_bytes() })
    }
}

/// Where a redirect leads; `from` is what was asked.
pub(super) fn location(from: &url::Url, response: &Response) -> Option<url::Url> {
    let followed = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = response.headers().get(header::LOCATION).filter(|_| followed.contains(&response.status()))?;
    from.join(location.to_str().ok()?).ok()
}

/// Gives up after `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, ForgeError>>,
) -> Result<T, ForgeError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(failure::too_slow(what, limit)))
}
