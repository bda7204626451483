//! An App with the permissions that its manifest asks for: every kind of call is within them, and none of them is too much.

use jiff::Timestamp;
use portcullis::adapters::github::{Auth, CallKind, Github, Timeouts};
use portcullis::domain::ids::RunId;
use portcullis::domain::message::Reaction;
use portcullis::domain::notice::{Check, CheckState};
use portcullis::domain::rules::Team;
use portcullis::ports::notices::Notices;
use portcullis::ports::recall::{Mailbox, Recall};
use portcullis::ports::{Conversation, Forge, ForgeError};
use portcullis_github::{AppSpec, Level, PrSpec, Pull};
use secrecy::SecretString;

use super::{REPO, repo, sha, start, status, with};
use crate::support::gate::needed;

/// The adapter as an App with these permissions, and a pull request for it.
async fn app(permissions: Vec<(String, Level)>) -> (portcullis_github::Github, Github, Pull) {
    let stand_in = start().await;
    let pr = stand_in.repo(REPO).open_pr(PrSpec::default());
    stand_in.repo(REPO).make_private();
    let spec = AppSpec { permissions, ..AppSpec::default() };
    let app = stand_in.register_app(spec).unwrap();
    stand_in.install_app("acme", &[REPO]);
    stand_in.app_webhook("http://127.0.0.1:9/", "s");
    let auth = Auth::App { app_id: app.app_id, private_key: SecretString::from(app.private_key_pem) };
    let github = with(&stand_in, stand_in.url(), auth, Timeouts::default());
    (stand_in, github, pr)
}

fn check(head: &str) -> Check {
    Check {
        repo: repo(),
        sha: sha(head),
        name: "portcullis/smoke".into(),
        run: RunId::new(Timestamp::UNIX_EPOCH),
        details_url: "http://127.0.0.1:8080/runs/1".into(),
        state: CheckState::Running,
        title: "queued".into(),
        summary: "queued".into(),
    }
}

/// One call of each sort that the product makes; which of them GitHub did not allow.
async fn refused(github: &Github, pr: &Pull) -> Vec<&'static str> {
    let (repo, number, head) = (repo(), pr.number(), sha(&pr.head_sha()));
    let team = Team { org: "acme".into(), slug: "platform".into() };
    let comment = pr.comment("alice", "/test").0;
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let mut refused = vec![];
    let mut note = |what, result: Result<(), ForgeError>| match result {
        Ok(()) => {}
        Err(ForgeError::Forbidden(_) | ForgeError::NotFound(_) | ForgeError::Rejected(_)) => refused.push(what),
        Err(other) => panic!("{what}: {other}"),
    };
    drop(pr.label("ready-to-test", "alice"));
    note("pull request", github.pull_request(&repo, number).await.map(drop));
    note("permission", github.permission(&repo, "alice").await.map(drop));
    note("file", github.file(&repo, &head, "README.md").await.map(drop));
    note("archive", github.archive(&repo, &head, &archive, 1 << 20).await);
    note("tip", github.tip(&repo, "main").await.map(drop));
    note("changed files", github.changed_files(&repo, number).await.map(drop));
    note("commit", github.commit(&repo, &head).await.map(drop));
    note("team", github.is_member(&repo, &team, "alice").await.map(drop));
    note("status", github.set_status(&status(head.as_str(), "queued")).await);
    note("comment", github.comment(&repo, number, "hello").await);
    note("reaction", github.react(&repo, comment, Reaction::Eyes).await);
    note("label", github.unlabel(&repo, number, "ready-to-test").await);
    note("check", github.put_check(&check(head.as_str()), None, &[]).await.map(drop));
    note("find check", github.find_check(&repo, &head, "portcullis/smoke").await.map(drop));
    note("summary", github.put_comment(&repo, number, None, "summary").await.map(drop));
    note("repositories", github.repositories().await.map(drop));
    note("open pulls", github.open_pulls(&repo).await.map(drop));
    note("labellings", github.labellings(&repo, number).await.map(drop));
    note("deliveries", github.failed_deliveries(&Mailbox::App, Timestamp::UNIX_EPOCH).await.map(drop));
    note("shown", github.shown(&repo, &head).await.map(drop));
    refused
}

#[tokio::test]
async fn every_kind_of_call_is_within_what_the_manifest_asks_for() {
    let (_stand_in, github, pr) = app(needed()).await;
    assert_eq!(refused(&github, &pr).await, Vec::<&str>::new());
    let never: Vec<_> =
        CallKind::ALL.into_iter().filter(|kind| github.traffic().calls(*kind) == 0).map(CallKind::as_str).collect();
    assert_eq!(never, Vec::<&str>::new(), "kinds of calls that were not tried");
}

#[tokio::test]
async fn no_permission_is_too_much() {
    let mut unmissed = vec![];
    for (at, (name, level)) in needed().into_iter().enumerate() {
        let mut less = needed();
        match level {
            Level::Write => less[at].1 = Level::Read,
            Level::Read => drop(less.remove(at)),
        }
        let (_stand_in, github, pr) = app(less).await;
        let refused = refused(&github, &pr).await;
        if refused.is_empty() {
            unmissed.push(name);
        }
    }
    // What GitHub wants of an App that is to hear of comments and merge groups.
    assert_eq!(unmissed, ["issues", "merge_queues"]);
}
