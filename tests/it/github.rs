//! The GitHub adapter against the stand-in, and webhook parsing against GitHub's own examples.
//! What the stand-in cannot show, headers and hostile servers, is shown by a server of our own in `wire`.

mod app;
mod archive;
mod events;
mod failures;
mod methods;
mod permissions;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis::adapters::github::{Auth, Github, GithubSettings, Timeouts};
use portcullis::domain::names::{RepoName, Sha};
use portcullis::domain::status::{CommitStatus, Report, StatusState};
use portcullis::ports::{Clock, Route};
use portcullis_github as stand_in;
use secrecy::SecretString;

const REPO: &str = "acme/infra";

/// The stand-in's own time, so that tokens and limits end for both at once.
struct StandInClock(stand_in::Github);

impl Clock for StandInClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

async fn start() -> stand_in::Github {
    stand_in::Github::start().await.unwrap()
}

/// Time-outs that a test can wait for.
fn short() -> Timeouts {
    let millis = Duration::from_millis;
    Timeouts { connect: millis(500), call: millis(700), archive: millis(1500), idle: millis(400) }
}

/// The adapter with a token of the repository's owner.
fn with_token(stand_in: &stand_in::Github) -> Github {
    with(stand_in, stand_in.url(), Auth::Token(stand_in.token("acme").into()), Timeouts::default())
}

fn with(stand_in: &stand_in::Github, url: &str, auth: Auth, timeouts: Timeouts) -> Github {
    let settings = GithubSettings { api_url: url.parse().unwrap(), auth, timeouts, route: Route::default() };
    Github::new(settings, Arc::new(StandInClock(stand_in.clone()))).unwrap()
}

fn token(text: &str) -> Auth {
    Auth::Token(SecretString::from(text.to_owned()))
}

fn repo() -> RepoName {
    REPO.parse().unwrap()
}

fn sha(text: &str) -> Sha {
    text.parse().unwrap()
}

fn status(on: &str, description: &str) -> CommitStatus {
    CommitStatus {
        repo: repo(),
        sha: sha(on),
        context: "portcullis/smoke".to_owned(),
        state: StatusState::Pending,
        description: description.to_owned(),
        target_url: "http://127.0.0.1:8080/runs/1".to_owned(),
        report: Report::Statuses,
    }
}
