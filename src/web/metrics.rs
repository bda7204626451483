//! `/metrics`: Prometheus text. What this process did is counted as it happens; how things stand is read from the store.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::State;
use super::webhook::Outcome;
use crate::store::Census;

/// A scrape soon after another one gets the same counts.
const KEEP: Duration = Duration::from_secs(5);
/// Seconds; the targets are 50 ms and GitHub's patience of ten seconds.
const LATENCY: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// The counters and gauges of this process.
pub(super) struct Metrics {
    registry: Registry,
    deliveries: Family<ByOutcome, Counter>,
    latency: Histogram,
    stands: Stands,
    read: Mutex<Option<Instant>>,
}

/// How things stand in the store.
#[derive(Default)]
struct Stands {
    runs: Family<RunLabels, Gauge>,
    clusters: Family<StateLabel, Gauge>,
    attempts: Family<StateLabel, Gauge>,
    deliveries_waiting: Gauge,
    statuses_waiting: Gauge,
    statuses_failing: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: OutcomeLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the labels' values")]
enum OutcomeLabel {
    stored,
    duplicate,
    ping,
    malformed,
    unsigned,
    too_large,
    too_slow,
    broken,
    unavailable,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    state: String,
    verdict: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: String,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("portcullis");
        let (deliveries, latency, stands) = (Family::default(), Histogram::new(LATENCY), Stands::default());
        registry.register("deliveries", "Webhook deliveries by what became of them", Family::clone(&deliveries));
        registry.register("webhook_seconds", "Time from a webhook's head to its answer", latency.clone());
        stands.register(&mut registry);
        registry.register("build", "Version of this process", build());
        Self { registry, deliveries, latency, stands, read: Mutex::new(None) }
    }

    /// Counts a webhook.
    pub(super) fn delivery(&self, outcome: Outcome, took: Duration) {
        self.deliveries.get_or_create(&ByOutcome { outcome: outcome.into() }).inc();
        self.latency.observe(took.as_secs_f64());
    }

    fn is_fresh(&self) -> bool {
        let read = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        read.is_some_and(|at| at.elapsed() < KEEP)
    }

    fn take(&self, census: &Census) {
        self.stands.take(census);
        *self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now());
    }
}

impl Stands {
    fn register(&self, registry: &mut Registry) {
        registry.register("runs", "Runs by state and verdict", Family::clone(&self.runs));
        registry.register("clusters", "Clusters that may own something, by state", Family::clone(&self.clusters));
        registry.register("attempts", "Attempts that are not done, by state", Family::clone(&self.attempts));
        let gauges = [
            ("deliveries_waiting", "Stored deliveries that wait to be acted upon", &self.deliveries_waiting),
            ("statuses_waiting", "Commit statuses that the forge does not show yet", &self.statuses_waiting),
            ("statuses_failing", "Commit statuses that the forge did not take when told last", &self.statuses_failing),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn take(&self, census: &Census) {
        let rows = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.runs.clear();
        for (state, verdict, count) in &census.runs {
            let labels = RunLabels { state: state.clone(), verdict: verdict.clone().unwrap_or_default() };
            self.runs.get_or_create(&labels).set(rows(*count));
        }
        for (family, counts) in [(&self.clusters, &census.clusters), (&self.attempts, &census.attempts)] {
            family.clear();
            for (state, count) in counts {
                family.get_or_create(&StateLabel { state: state.clone() }).set(rows(*count));
            }
        }
        self.deliveries_waiting.set(rows(census.deliveries_waiting));
        self.statuses_waiting.set(rows(census.statuses_waiting));
        self.statuses_failing.set(rows(census.statuses_failing));
    }
}

fn build() -> Family<Vec<(&'static str, &'static str)>, Gauge> {
    let family = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
    family.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
    family
}

impl From<Outcome> for OutcomeLabel {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Stored => OutcomeLabel::stored,
            Outcome::Duplicate => OutcomeLabel::duplicate,
            Outcome::Ping => OutcomeLabel::ping,
            Outcome::Malformed(_) => OutcomeLabel::malformed,
            Outcome::Unsigned => OutcomeLabel::unsigned,
            Outcome::TooLarge => OutcomeLabel::too_large,
            Outcome::TooSlow => OutcomeLabel::too_slow,
            Outcome::Broken => OutcomeLabel::broken,
            Outcome::Unavailable(_) => OutcomeLabel::unavailable,
        }
    }
}

/// Shows the last counts when the store does not answer: the process's own figures are wanted most just then.
pub(super) async fn show(Extract(room): State) -> Response {
    if !room.metrics.is_fresh() {
        match room.web.store.census().await {
            Ok(census) => room.metrics.take(&census),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "metrics show old counts"),
        }
    }
    let mut text = String::new();
    if encode(&mut text, &room.metrics.registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], process() + &text).into_response()
}

/// What the kernel knows of this process, under the names every Prometheus dashboard expects.
fn process() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut text = String::new();
    let status = read("/proc/self/status");
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    if let Some(kilobytes) = resident {
        let bytes = kilobytes * 1024;
        text += &format!("# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {bytes}\n");
    }
    let stat = read("/proc/self/stat");
    // After the name, which may hold blanks: state is field 3, user and system time are 14 and 15, in hundredths.
    let ticks: Vec<f64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect())
        .unwrap_or_default();
    if let [user, system] = ticks[..] {
        let seconds = (user + system) / 100.0;
        text += &format!("# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total {seconds}\n");
    }
    text
}
