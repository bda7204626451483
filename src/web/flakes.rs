//! Specs that fail or flake now and then: the page, and the same as JSON. Reads; what the numbers mean is `domain::flake`'s.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State as Extract};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::errors::Trouble;
use super::views::{Tone, When};
use super::{Room, State};
use crate::domain::flake::{Advice, Day, Health, Rate, SpecHistory, Tally, Trend, day_of};
use crate::domain::text::counted;
use crate::store::FlakeFilter;

/// Specs looked at, those that failed last first; of them the worst are shown.
const CANDIDATES: u32 = 500;
const SHOWN: usize = 100;
/// Days that a page covers unless it is told otherwise, and at most.
const DAYS: i64 = 30;
const MOST_DAYS: i64 = 90;
/// The picture of a spec's days: one column each, this wide with its gap, this high.
const COLUMN: i64 = 6;
const HEIGHT: f64 = 24.0;
/// A day with trouble is seen however small its share.
const LEAST: f64 = 3.0;

pub(super) fn routes() -> Router<Arc<Room>> {
    Router::new().route("/flakes", get(page)).route("/api/v1/flakes", get(list))
}

/// What the list can be narrowed to; empty fields of the form count as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Narrow {
    repo: String,
    suite: String,
    days: String,
}

impl Narrow {
    fn parse(&self) -> Result<(FlakeFilter, i64), Trouble> {
        let filter = FlakeFilter { repo: super::pages::parsed(&self.repo)?, suite: super::pages::parsed(&self.suite)? };
        let days: Option<i64> = super::pages::parsed(&self.days)?;
        Ok((filter, days.unwrap_or(DAYS).clamp(1, MOST_DAYS)))
    }

    fn is_empty(&self) -> bool {
        self.repo.is_empty() && self.suite.is_empty()
    }
}

/// The worst specs, the worst first.
async fn worst(room: &Room, filter: &FlakeFilter, today: i64, days: i64) -> Result<Vec<SpecHistory>, Trouble> {
    // Health and trend look at four weeks, whatever the page covers.
    let since = today - days.max(DAYS) + 1;
    let mut found = room.web.store.flakes(filter, since, CANDIDATES).await?;
    found.retain(|history| trouble(&history.tally(today - days + 1, today)) > 0.0);
    let rank = |history: &SpecHistory| match history.health(today) {
        Health::Broken => 0,
        Health::Flaky => 1,
        Health::Healthy => 2,
    };
    let share = |history: &SpecHistory| trouble(&history.tally(today - days + 1, today));
    found.sort_by(|a, b| rank(a).cmp(&rank(b)).then(share(b).total_cmp(&share(a))));
    found.truncate(SHOWN);
    Ok(found)
}

fn trouble(tally: &Tally) -> f64 {
    let bad = Tally { passed: 0, flips: 0, ..*tally };
    crate::domain::flake::wilson(bad.total(), tally.total()).share
}

#[derive(Template)]
#[template(path = "flakes.html")]
struct FlakesPage<'a> {
    lines: Vec<Line>,
    narrow: &'a Narrow,
    days: i64,
    width: i64,
}

/// A spec as the page shows it.
struct Line {
    name: String,
    class: String,
    repo: String,
    suite: String,
    tone: Tone,
    word: &'static str,
    flaky: String,
    failed: String,
    seen: String,
    flips: u64,
    trend: &'static str,
    columns: Vec<Column>,
    last: When,
    notes: Vec<String>,
}

/// A rectangle of a spec's picture.
struct Column {
    class: &'static str,
    x: i64,
    y: f64,
    height: f64,
}

impl Line {
    fn new(history: &SpecHistory, today: i64, days: i64, now: Timestamp) -> Self {
        let tally = history.tally(today - days + 1, today);
        let (tone, word) = match history.health(today) {
            Health::Broken => (Tone::Failure, "broken"),
            Health::Flaky => (Tone::Error, "flaky"),
            Health::Healthy => (Tone::Success, "healthy"),
        };
        Self {
            name: history.name.clone(),
            class: history.class.clone(),
            repo: history.repo.to_string(),
            suite: history.suite.to_string(),
            tone,
            word,
            flaky: share(tally.flaky, tally.flake_rate()),
            failed: share(tally.failed, tally.failure_rate()),
            seen: counted(tally.total(), "run"),
            flips: tally.flips,
            trend: match history.trend(today) {
                Trend::Rising => "↗ more often",
                Trend::Steady => "→ steady",
                Trend::Falling => "↘ less often",
            },
            columns: history.days.iter().flat_map(|day| columns(day, today - days + 1)).collect(),
            last: When::new(history.bad_at.unwrap_or(history.seen_at), now),
            notes: notes(history, today),
        }
    }
}

/// `3 (12 %, 4 to 30 %)`; only the number where there is too little to say more.
fn share(count: u64, rate: Option<Rate>) -> String {
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    match rate {
        Some(rate) if count > 0 => {
            format!("{count} ({} %, {} to {} %)", percent(rate.share), percent(rate.low), percent(rate.high))
        }
        Some(_) | None => count.to_string(),
    }
}

fn notes(history: &SpecHistory, today: i64) -> Vec<String> {
    let mut notes = Vec::new();
    if history.base_failing > 0 {
        notes.push(format!("fails on the branch itself: its last {} there", counted(history.base_failing, "run")));
    }
    if !history.failed_in.is_empty() {
        let pulls: Vec<_> = history.failed_in.iter().map(|failed| format!("#{}", failed.pr)).collect();
        notes.push(format!("failed in {}", pulls.join(", ")));
    }
    match history.advice(today) {
        Some(Advice::Quarantine) => notes.push("worth a quarantine until it is mended".to_owned()),
        Some(Advice::Lift) => {
            notes.push(format!("{} clean passes in a row: a quarantine or skip can be lifted", history.clean));
        }
        None => {}
    }
    notes
}

/// A day as a column: what failed at the bottom, what flaked above it; a quiet mark where all passed.
fn columns(day: &Day, first: i64) -> Vec<Column> {
    let (x, tally) = ((day.day - first) * COLUMN, &day.tally);
    if x < 0 {
        return vec![];
    }
    if tally.failed + tally.flaky == 0 {
        return vec![Column { class: "quiet", x, y: HEIGHT - 1.5, height: 1.5 }];
    }
    let part = |count| crate::domain::flake::wilson(count, tally.total()).share * HEIGHT;
    let high = |count| if count == 0 { 0.0 } else { part(count).max(LEAST) };
    let failed = high(tally.failed);
    let flaky = high(tally.flaky).min(HEIGHT - failed);
    let column = |class, y, height| Column { class, x, y, height };
    let both = [column("failed", HEIGHT - failed, failed), column("flaky", HEIGHT - failed - flaky, flaky)];
    both.into_iter().filter(|column| column.height > 0.0).collect()
}

async fn page(Extract(room): State, Query(narrow): Query<Narrow>) -> Result<Response, Trouble> {
    let (filter, days) = narrow.parse()?;
    let now = room.web.clock.now();
    let today = day_of(now);
    let found = worst(&room, &filter, today, days).await?;
    let lines = found.iter().map(|history| Line::new(history, today, days, now)).collect();
    Ok(Html(FlakesPage { lines, narrow: &narrow, days, width: days * COLUMN }.render()?).into_response())
}

/// Specs that failed or flaked, the worst first.
#[derive(Debug, Serialize)]
struct Flakes {
    /// Days that the numbers cover.
    days: i64,
    specs: Vec<SpecDetail>,
}

#[derive(Debug, Serialize)]
struct SpecDetail {
    /// `owner/name`, in lower case.
    repo: String,
    suite: String,
    /// JUnit's class; may be empty.
    class: String,
    name: String,
    /// `healthy`, `flaky` or `broken`.
    health: Health,
    /// Passages over some code, by how they came out; `flips` counts changes from one to the next.
    observations: Tally,
    /// With Wilson's 95 % interval; `null` with fewer than ten observations.
    flake_rate: Option<Rate>,
    failure_rate: Option<Rate>,
    /// `rising`, `steady` or `falling`: two weeks against the two before.
    trend: Trend,
    /// `quarantine`, `lift` or `null`.
    advice: Option<Advice>,
    /// Passes at the first try in a row.
    clean: u64,
    /// Failures in a row in runs on a branch.
    failing_on_base: u64,
    /// Pull requests that it failed in, newest first.
    failed_in: Vec<u64>,
    last_bad_at: Option<Timestamp>,
}

async fn list(Extract(room): State, Query(narrow): Query<Narrow>) -> Result<Json<Flakes>, Trouble> {
    let (filter, days) = narrow.parse()?;
    let today = day_of(room.web.clock.now());
    let found = worst(&room, &filter, today, days).await?;
    Ok(Json(Flakes { days, specs: found.iter().map(|history| detail(history, today, days)).collect() }))
}

fn detail(history: &SpecHistory, today: i64, days: i64) -> SpecDetail {
    let tally = history.tally(today - days + 1, today);
    SpecDetail {
        repo: history.repo.to_string(),
        suite: history.suite.to_string(),
        class: history.class.clone(),
        name: history.name.clone(),
        health: history.health(today),
        observations: tally,
        flake_rate: tally.flake_rate(),
        failure_rate: tally.failure_rate(),
        trend: history.trend(today),
        advice: history.advice(today),
        clean: history.clean,
        failing_on_base: history.base_failing,
        failed_in: history.failed_in.iter().map(|failed| failed.pr).collect(),
        last_bad_at: history.bad_at,
    }
}
