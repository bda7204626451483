//! Sends deliveries in the background: in order per hook, ten seconds each, no retries, as GitHub does.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Parcel, sign};
use crate::handle::Shared;
use crate::state::hook::{Answer, Hook, Job, Outcome};

/// How long GitHub waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 64 * 1024;

type Sender = Client<HttpConnector, Full<Bytes>>;

/// Headers of a delivery, as GitHub sends them.
pub(crate) fn headers(hook: &Hook, parcel: &Parcel<'_>, target: (&str, u64)) -> Vec<(String, String)> {
    let mut headers = vec![
        ("Accept", "*/*".to_owned()),
        ("Content-Type", "application/json".to_owned()),
        ("User-Agent", "GitHub-Hookshot/5ab3c1d".to_owned()),
        ("X-GitHub-Delivery", parcel.guid.to_owned()),
        ("X-GitHub-Event", parcel.event.to_owned()),
        ("X-GitHub-Hook-ID", hook.id.to_string()),
        ("X-GitHub-Hook-Installation-Target-ID", target.1.to_string()),
        ("X-GitHub-Hook-Installation-Target-Type", target.0.to_owned()),
    ];
    if !hook.secret.is_empty() {
        headers.push(("X-Hub-Signature", sign::sha1(&hook.secret, &parcel.body)));
        headers.push(("X-Hub-Signature-256", sign::sha256(&hook.secret, &parcel.body)));
    }
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Runs until the stand-in is gone. Each hook has its own queue, so a slow receiver delays only itself.
pub(crate) async fn run(shared: Weak<Shared>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let client: Sender = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let mut queues: HashMap<u64, mpsc::UnboundedSender<Job>> = HashMap::new();
    let mut workers = JoinSet::new();
    while let Some(job) = jobs.recv().await {
        let queue = queues.entry(job.hook).or_insert_with(|| {
            let (queue, waiting) = mpsc::unbounded_channel();
            workers.spawn(work(shared.clone(), client.clone(), waiting));
            queue
        });
        queue.send(job).expect("workers outlive the queue's owner");
    }
}

async fn work(shared: Weak<Shared>, client: Sender, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let started = Instant::now();
        let outcome = match job.lost {
            true => Outcome::Lost,
            false => tokio::time::timeout(PATIENCE, post(&client, &job)).await.unwrap_or(Outcome::TimedOut),
        };
        let answer = Answer { delivery: job.delivery, guid: job.guid, outcome, duration: started.elapsed() };
        let Some(shared) = shared.upgrade() else { return };
        let mut world = shared.world();
        if let Some(delivery) = world.hooks.deliveries.iter_mut().find(|delivery| delivery.id == job.delivery) {
            delivery.outcome = Some(answer.clone());
        }
        // Nobody may be waiting for this one.
        let _ = job.answer.send(answer);
        world.hooks.in_flight.send_modify(|count| *count -= 1);
        drop(world);
        shared.tick();
    }
}

async fn post(client: &Sender, job: &Job) -> Outcome {
    let request = job
        .headers
        .iter()
        .fold(Request::post(&job.url), |request, (name, value)| request.header(name, value))
        .body(Full::new(job.body.clone()));
    let request = match request {
        Ok(request) => request,
        Err(error) => return Outcome::Unreachable(error.to_string()),
    };
    let response = match client.request(request).await {
        Ok(response) => response,
        Err(error) => return Outcome::Unreachable(reasons(&error)),
    };
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = match http_body_util::Limited::new(response.into_body(), MAX_ANSWER).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    Outcome::Answered { status, headers, body }
}

/// An error with what caused it.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}
