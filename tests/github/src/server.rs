//! The HTTP side: one pipeline that every request to the API goes through.
//! log → fault → who → limit → may → valid → do → verify the answer. What is done stands in `rest`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use jiff::SignedDuration;
use serde_json::Value;

use crate::answer::{self, Finished};
use crate::auth::Caller;
use crate::call::Call;
use crate::contract::{CONTRACT, Route};
use crate::faults::Fault;
use crate::handle::Shared;
use crate::limits::Bucket;
use crate::line::Line;
use crate::log::Request;
use crate::reply::{Body, Refusal, Reply};
use crate::state::World;
use crate::{archive, pages, rest};

const MAX_BODY: usize = 32 * 1024 * 1024;
const DOCUMENTATION: &str = "https://docs.github.com/rest";
const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

/// Answers one request, or breaks its connection when a fault says so.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: axum::extract::Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return answer::bare(StatusCode::PAYLOAD_TOO_LARGE),
    };
    let asked = Asked::new(&shared, parts, body);
    shared.tick();
    let fault = shared.world().faults.take(&asked.parts.method, asked.parts.uri.path());
    let finished = match &fault {
        None | Some(Fault::LoseAnswer | Fault::Truncate(_)) => asked.carry_out(&shared),
        Some(Fault::Delay(time)) => {
            wait(*time).await;
            asked.carry_out(&shared)
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Disconnect) => {
            line.cut();
            return answer::bare(StatusCode::OK);
        }
        Some(Fault::Status(status)) => asked.refuse(&shared, refusal_of(*status)),
        Some(Fault::PrimaryLimit { status, reset_in }) => {
            let reset = shared.world().clock.now() + SignedDuration::try_from(*reset_in).unwrap_or_default();
            let empty = Bucket { limit: 5_000, used: 5_000, reset };
            let mut finished = asked.refuse(&shared, over_limit(*status, "the user"));
            finished.bucket = empty;
            finished
        }
        Some(Fault::SecondaryLimit { status, retry_after }) => {
            asked.refuse(&shared, secondary_limit(*status, retry_after.as_secs()))
        }
    };
    if matches!(fault, Some(Fault::LoseAnswer)) {
        shared.tick();
        line.cut();
        return answer::bare(StatusCode::OK);
    }
    let status = if answer::is_unchanged(&finished) { StatusCode::NOT_MODIFIED } else { finished.reply.status };
    shared.world().requests.answered(asked.number, status.as_u16());
    shared.tick();
    let keep = if let Some(Fault::Truncate(keep)) = fault { Some(keep) } else { None };
    answer::write(finished, keep)
}

#[expect(clippy::disallowed_methods, reason = "a delay that a test ordered is real time on the wire")]
async fn wait(time: std::time::Duration) {
    tokio::time::sleep(time).await;
}

fn refusal_of(status: u16) -> Refusal {
    let status = StatusCode::from_u16(status).expect("tests order statuses that exist");
    Refusal::new(status, status.canonical_reason().unwrap_or("Error"))
}

fn over_limit(status: u16, who: &str) -> Refusal {
    Refusal { message: format!("API rate limit exceeded for {who}."), ..refusal_of(status) }
}

fn secondary_limit(status: u16, seconds: u64) -> Refusal {
    let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    let refusal = Refusal { message: message.to_owned(), ..refusal_of(status) };
    refusal.with("retry-after", seconds.to_string())
}

/// A request, read and logged.
struct Asked {
    parts: Parts,
    body: Bytes,
    number: usize,
    route: Option<Route>,
    /// The API's root as the caller addressed it.
    api: String,
}

impl Asked {
    fn new(shared: &Shared, parts: Parts, body: Bytes) -> Self {
        let path = parts.uri.path();
        let (below, prefix) = match path.strip_prefix("/api/v3") {
            Some(below) if below.starts_with('/') => (below, "/api/v3"),
            Some(_) | None => (path, ""),
        };
        let route = CONTRACT.route(&parts.method, below);
        let mut world = shared.world();
        let caller = world.identify(&parts.headers).map(|caller| caller.name()).unwrap_or_default();
        let request = Request {
            at: world.clock.now(),
            method: parts.method.clone(),
            path: path.to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: body.clone(),
            status: None,
            caller,
            operation: route.as_ref().map_or("", |route| route.operation.id.as_str()),
        };
        let number = world.requests.add(request);
        let api = format!("{}{prefix}", world.url);
        drop(world);
        Self { parts, body, number, route, api }
    }

    fn documentation(&self) -> &str {
        self.route.as_ref().map_or(DOCUMENTATION, |route| &route.operation.documentation)
    }

    fn finish(&self, reply: Reply, bucket: Bucket) -> Finished {
        Finished {
            reply,
            bucket,
            if_none_match: text(&self.parts.headers, header::IF_NONE_MATCH),
            is_read: self.is_read(),
        }
    }

    fn is_read(&self) -> bool {
        self.parts.method == Method::GET || self.parts.method == Method::HEAD
    }

    fn refuse(&self, shared: &Shared, refusal: Refusal) -> Finished {
        let mut world = shared.world();
        let caller = world.identify(&self.parts.headers).map(|caller| caller.name()).unwrap_or_default();
        let now = world.clock.now();
        let bucket = *world.limits.bucket(&caller, now);
        self.finish(refusal.into_reply(self.documentation()), bucket)
    }

    /// The request's way through the pipeline.
    fn carry_out(&self, shared: &Shared) -> Finished {
        let mut world = shared.world();
        if let Some(ticket) = self.parts.uri.path().strip_prefix("/_codeload/") {
            let reply = archive::serve(&world, ticket, self.parts.uri.query().unwrap_or_default());
            let now = world.clock.now();
            let bucket = *world.limits.bucket("", now);
            return self.finish(reply.unwrap_or_else(|refusal| refusal.into_reply(DOCUMENTATION)), bucket);
        }
        let (path, query) = (self.parts.uri.path(), self.parts.uri.query().unwrap_or_default());
        if let Some(page) = pages::serve(&mut world, &self.parts.method, path, query, &self.body) {
            let now = world.clock.now();
            let bucket = *world.limits.bucket("", now);
            return self.finish(page, bucket);
        }
        let caller = match self.admitted(&world) {
            Ok(caller) => caller,
            Err(refusal) => {
                drop(world);
                return self.refuse(shared, refusal);
            }
        };
        let name = caller.name();
        let now = world.clock.now();
        let counted = self.route.as_ref().is_none_or(|route| route.operation.id != "rate-limit/get");
        let bucket = world.limits.bucket(&name, now);
        if counted && bucket.is_exhausted() {
            let bucket = *bucket;
            return self.finish(over_limit(403, &name).into_reply(self.documentation()), bucket);
        }
        bucket.used += u64::from(counted);
        let reply = self.dispatch(&mut world, caller);
        let reply = reply.unwrap_or_else(|refusal| refusal.into_reply(self.documentation()));
        let bucket = *world.limits.bucket(&name, now);
        drop(world);
        let mut finished = self.finish(self.verified(shared, reply), bucket);
        if answer::is_unchanged(&finished) && counted {
            // An answer that nothing changed is free.
            let mut world = shared.world();
            world.limits.bucket(&name, now).used -= 1;
            finished.bucket.used -= 1;
        }
        finished
    }

    /// What GitHub asks of any request before it looks at the path.
    fn admitted(&self, world: &World) -> Result<Caller, Refusal> {
        if text(&self.parts.headers, header::USER_AGENT).is_empty() {
            return Err(Refusal::forbidden(
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            ));
        }
        let version = self.parts.headers.get("x-github-api-version").and_then(|version| version.to_str().ok());
        if version.is_some_and(|version| !VERSIONS.contains(&version)) {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "The API version is not supported."));
        }
        world.identify(&self.parts.headers)
    }

    fn dispatch(&self, world: &mut World, caller: Caller) -> Result<Reply, Refusal> {
        let Some(route) = &self.route else {
            let path = self.parts.uri.path();
            let below = path.strip_prefix("/api/v3").unwrap_or(path);
            return rest::beyond::serve(world, &caller, &self.parts.method, below, &self.api);
        };
        let Some(endpoint) = rest::endpoint(&route.operation.id) else {
            let message = format!("the stand-in does not serve {}", route.operation.id);
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, message));
        };
        let call = self.call(route, caller)?;
        world.authorize(&call.caller, endpoint.needs, call.repository().as_deref())?;
        let body = (!self.body.is_empty()).then_some(&call.body);
        let violations = route.operation.violations(&call.parameters, &call.query, body);
        if !violations.is_empty() {
            return Err(Refusal::of(route.operation, &violations));
        }
        (endpoint.handler)(world, &call)
    }

    fn call(&self, route: &Route, caller: Caller) -> Result<Call, Refusal> {
        let body = if self.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&self.body)
                .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "Problems parsing JSON"))?
        };
        let query = url::form_urlencoded::parse(self.parts.uri.query().unwrap_or_default().as_bytes());
        let root = self.api.trim_end_matches("/api/v3");
        Ok(Call {
            parameters: route.parameters.clone(),
            query: query.into_owned().collect::<BTreeMap<_, _>>(),
            body,
            accept: text(&self.parts.headers, header::ACCEPT),
            caller,
            api: self.api.clone(),
            url: format!("{root}{}", self.parts.uri.path()),
        })
    }

    /// A stand-in that breaks GitHub's description would prove nothing: it says so instead of answering.
    fn verified(&self, shared: &Shared, reply: Reply) -> Reply {
        let Some(route) = self.route.as_ref().filter(|_| shared.verifies_answers) else { return reply };
        let body = match &reply.body {
            Body::Json(body) => Some(body),
            Body::Empty => None,
            Body::Raw { .. } => return reply,
        };
        let violations = route.operation.answer_violations(reply.status.as_u16(), body);
        if violations.is_empty() {
            return reply;
        }
        let message = format!("the stand-in broke GitHub's description: {}", violations.join("; "));
        tracing::error!(operation = route.operation.id, "{message}");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_reply(DOCUMENTATION)
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
