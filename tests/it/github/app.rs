//! A GitHub App: its installation is found once, its token is asked for once and renewed in time.

use portcullis::adapters::github::{Auth, BadSettings, CallKind, Github, GithubSettings, Timeouts};
use portcullis::ports::{Forge, ForgeError, Route};
use portcullis_github::{AppCredentials, AppSpec, Fault, Match};
use secrecy::SecretString;

use super::{REPO, StandInClock, start, status, with};

fn auth(app: &AppCredentials) -> Auth {
    Auth::App { app_id: app.app_id, private_key: SecretString::from(app.private_key_pem.clone()) }
}

/// A stand-in with an App, a commit, and the adapter as that App.
async fn registered() -> (portcullis_github::Github, String, Github) {
    let stand_in = start().await;
    let head = stand_in.repo(REPO).commit("main", [("a", "b")]);
    let app = stand_in.register_app(AppSpec::default()).unwrap();
    let github = with(&stand_in, stand_in.url(), auth(&app), Timeouts::default());
    (stand_in, head, github)
}

fn asked(stand_in: &portcullis_github::Github, operation: &str) -> usize {
    stand_in.requests().iter().filter(|request| request.operation == operation).count()
}

const MINT: &str = "apps/create-installation-access-token";
const FIND: &str = "apps/get-repo-installation";

#[tokio::test]
async fn many_calls_at_once_ask_for_one_installation_and_one_token() {
    let (stand_in, head, github) = registered().await;
    let installation = stand_in.install_app("acme", &[]);
    let calls = (0..20).map(|_| async { github.set_status(&status(&head, "x")).await });
    for result in futures_util::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(stand_in.statuses(&head).len(), 20);
    assert_eq!((asked(&stand_in, FIND), asked(&stand_in, MINT)), (1, 1));
    let callers = stand_in.requests().into_iter().filter(|request| request.path.contains("/statuses/"));
    assert!(callers.map(|request| request.caller).all(|caller| caller == format!("installation {installation}")));
    assert_eq!(github.traffic().calls(CallKind::Token), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let (stand_in, head, github) = registered().await;
    stand_in.install_app("acme", &[]);
    github.set_status(&status(&head, "x")).await.unwrap();
    stand_in.skip_time(std::time::Duration::from_secs(57 * 60));
    github.set_status(&status(&head, "x")).await.unwrap();
    assert_eq!(asked(&stand_in, MINT), 1);
    stand_in.skip_time(std::time::Duration::from_secs(90));
    github.set_status(&status(&head, "x")).await.unwrap();
    assert_eq!(asked(&stand_in, MINT), 2, "still valid, but not for long");
    stand_in.expire_installation_tokens();
    github.set_status(&status(&head, "x")).await.unwrap();
    assert_eq!(asked(&stand_in, MINT), 3);
    assert!(stand_in.requests().iter().all(|request| request.status != Some(401)));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let (stand_in, head, github) = registered().await;
    stand_in.install_app("acme", &[]);
    github.set_status(&status(&head, "x")).await.unwrap();
    stand_in.fail_next(Match::post("*/statuses/*"), 1, Fault::Status(401));
    github.set_status(&status(&head, "x")).await.unwrap();
    assert_eq!(asked(&stand_in, MINT), 2);
    stand_in.fail_next(Match::post("*/statuses/*"), 9, Fault::Status(401));
    let error = github.set_status(&status(&head, "x")).await.unwrap_err();
    assert!(matches!(error, ForgeError::Forbidden(_)), "{error}");
    assert_eq!(asked(&stand_in, MINT), 3);
}

#[tokio::test]
async fn where_the_app_is_not_installed_nothing_is_found_until_it_is() {
    let (stand_in, head, github) = registered().await;
    let error = github.set_status(&status(&head, "x")).await.unwrap_err();
    assert!(matches!(&error, ForgeError::NotFound(text) if text.contains("installation on acme/infra")), "{error}");
    let installation = stand_in.install_app("acme", &[REPO]);
    github.set_status(&status(&head, "x")).await.unwrap();

    stand_in.suspend_installation(installation, true);
    stand_in.expire_installation_tokens();
    let error = github.set_status(&status(&head, "x")).await.unwrap_err();
    assert!(matches!(&error, ForgeError::Forbidden(text) if text.contains("suspended")), "{error}");
    stand_in.suspend_installation(installation, false);
    github.set_status(&status(&head, "x")).await.unwrap();
}

#[tokio::test]
async fn an_installation_that_was_replaced_is_found_again() {
    let (stand_in, head, github) = registered().await;
    stand_in.install_app("acme", &[]);
    github.set_status(&status(&head, "x")).await.unwrap();
    stand_in.expire_installation_tokens();
    stand_in.fail_next(Match::post("/app/installations/*"), 1, Fault::Status(404));
    github.set_status(&status(&head, "x")).await.unwrap();
    assert_eq!(asked(&stand_in, FIND), 2);
}

#[tokio::test]
async fn a_key_of_another_app_is_refused_and_a_broken_one_never_starts() {
    let (stand_in, head, _) = registered().await;
    let old = stand_in.register_app(AppSpec::default()).unwrap();
    drop(stand_in.register_app(AppSpec::default()).unwrap());
    stand_in.install_app("acme", &[]);
    let github = with(&stand_in, stand_in.url(), auth(&old), Timeouts::default());
    let error = github.set_status(&status(&head, "x")).await.unwrap_err();
    assert!(matches!(error, ForgeError::Forbidden(_)), "{error}");

    let broken = Auth::App { app_id: 1, private_key: SecretString::from("-----BEGIN nothing".to_owned()) };
    let api_url = stand_in.url().parse().unwrap();
    let settings = GithubSettings { api_url, auth: broken, timeouts: Timeouts::default(), route: Route::default() };
    let refused = Github::new(settings, std::sync::Arc::new(StandInClock(stand_in.clone()))).err();
    assert!(matches!(refused, Some(BadSettings::PrivateKey)));
}
