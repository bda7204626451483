//! Where a run's time went, seen from outside: by GitHub's log of requests, Docker's of containers and the service's of clusters.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use portcullis_github::Github;
use serde_json::Value;

use crate::containers::Life;

/// Seconds since the label unless said otherwise.
pub(crate) struct Figures {
    /// GitHub got the first status.
    first_status: f64,
    /// GitHub got the last status.
    last_status: f64,
    /// A cluster was being made, in all.
    cluster: f64,
    /// A cluster was being brought to the base's or the pull request's state, in all.
    setup: f64,
    /// A suite's container ran, in all.
    suites: f64,
    /// None of these: what the gate adds.
    gate: f64,
    /// Requests that changed something at GitHub.
    writes: usize,
    attempts: usize,
    /// The most memory the service ever had, in MiB.
    service_mib: u64,
}

type Span = (Timestamp, Timestamp);

impl Figures {
    pub(crate) fn of(
        github: &Github,
        labelled: Timestamp,
        run: &Value,
        lives: &[Life],
        service_mib: u64,
    ) -> Result<Self> {
        let requests = github.requests();
        let mut told = requests.iter().filter(|request| request.operation == "repos/create-commit-status");
        let first = told.next().context("GitHub was told of no status")?.at;
        let last = told.next_back().map_or(first, |request| request.at);
        let clusters = spans(run, "clusters", "created_at", "ready_at")?;
        let setups = spans(run, "setups", "started_at", "finished_at")?;
        let suites: Vec<Span> = lives.iter().filter_map(|life| Some((life.started, life.ended?))).collect();
        let busy = covered([&clusters[..], &setups, &suites].concat());
        Ok(Self {
            first_status: seconds(first.duration_since(labelled)),
            last_status: seconds(last.duration_since(labelled)),
            cluster: covered(clusters),
            setup: covered(setups),
            suites: covered(suites),
            gate: seconds(last.duration_since(labelled)) - busy,
            writes: requests.iter().filter(|request| request.is_write()).count(),
            attempts: lives.len(),
            service_mib,
        })
    }

    /// A line of flat JSON for whoever compares.
    pub(crate) fn save(&self, file: &Path) -> Result<()> {
        let Self { first_status, last_status, cluster, setup, suites, gate, writes, attempts, service_mib } = self;
        let line = format!(
            "{{\"first_status\":{first_status:.3},\"last_status\":{last_status:.1},\"cluster\":{cluster:.1},\
             \"setup\":{setup:.1},\"suites\":{suites:.1},\"gate\":{gate:.2},\"writes\":{writes},\"attempts\":{attempts},\
             \"service_mib\":{service_mib}}}\n"
        );
        Ok(std::fs::write(file, line)?)
    }

    pub(crate) fn show(&self) {
        println!("\n{:.1} s from the label to the last status:", self.last_status);
        println!("  {:6.1} s  a cluster was being made", self.cluster);
        println!("  {:6.1} s  it was being set up and upgraded", self.setup);
        println!("  {:6.1} s  suites ran, in {} containers", self.suites, self.attempts);
        println!("  {:6.1} s  everything else", self.gate);
        println!(
            "The first status came {:.2} s after the label; {} requests changed something at GitHub.",
            self.first_status, self.writes
        );
    }
}

/// From when to when each of the run's `things` took; what never ended took no time.
fn spans(run: &Value, things: &str, start: &str, end: &str) -> Result<Vec<Span>> {
    let things = run[things].as_array().with_context(|| format!("the API shows no {things}"))?;
    let ended = things.iter().filter(|thing| !thing[end].is_null());
    ended.map(|thing| Ok((moment(&thing[start])?, moment(&thing[end])?))).collect()
}

fn moment(value: &Value) -> Result<Timestamp> {
    Ok(value.as_str().context("a time is a string")?.parse()?)
}

/// Seconds in at least one of the spans.
fn covered(mut spans: Vec<Span>) -> f64 {
    spans.sort_unstable();
    let mut total = SignedDuration::ZERO;
    let mut until = Timestamp::MIN;
    for (start, end) in spans {
        total += end.duration_since(start.max(until)).max(SignedDuration::ZERO);
        until = until.max(end);
    }
    seconds(total)
}

fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64()
}
