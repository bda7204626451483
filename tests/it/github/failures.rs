//! Every way in which GitHub says no, as what the caller does next.

use std::time::Duration;

use portcullis::ports::{Forge, ForgeError};
use portcullis_github::{Fault, Level, Match};

use super::{REPO, repo, short, start, status, token, with, with_token};

fn kind(error: &ForgeError) -> &'static str {
    match error {
        ForgeError::NotFound(_) => "not found",
        ForgeError::Forbidden(_) => "forbidden",
        ForgeError::RateLimited { .. } => "limited",
        ForgeError::Rejected(_) => "rejected",
        ForgeError::Transient(_) => "transient",
    }
}

#[tokio::test]
async fn statuses_are_named_by_what_to_do() {
    let stand_in = start().await;
    drop(stand_in.repo(REPO));
    let github = with_token(&stand_in);
    let expected = [
        (401, "forbidden"),
        (403, "forbidden"),
        (404, "not found"),
        (410, "not found"),
        (422, "rejected"),
        (500, "transient"),
    ];
    for (code, what) in
        expected.into_iter().chain([(409, "rejected"), (429, "limited"), (502, "transient"), (503, "transient")])
    {
        stand_in.fail_next(Match::any(), 1, Fault::Status(code));
        let error = github.pull_request(&repo(), 1).await.unwrap_err();
        assert_eq!(kind(&error), what, "{code}: {error}");
        stand_in.skip_time(Duration::from_secs(61));
    }
}

#[tokio::test]
async fn limits_say_until_when_by_githubs_word() {
    let stand_in = start().await;
    let head = stand_in.repo(REPO).commit("main", [("a", "b")]);
    let github = with_token(&stand_in);
    let wait = async |fault: Fault| {
        stand_in.fail_next(Match::any(), 1, fault);
        let (until, asked) = match github.set_status(&status(&head, "x")).await {
            Err(ForgeError::RateLimited { until }) => (until, stand_in.requests().len()),
            other => panic!("{other:?}"),
        };
        let again = github.pull_request(&repo(), 1).await.unwrap_err();
        assert_eq!((kind(&again), stand_in.requests().len()), ("limited", asked), "it is not asked before then");
        let wait = until.as_second() - stand_in.now().as_second();
        stand_in.skip_time(Duration::from_secs(601));
        wait
    };
    for status in [403, 429] {
        let primary = wait(Fault::PrimaryLimit { status, reset_in: Duration::from_secs(600) }).await;
        assert!((598..=601).contains(&primary), "{primary}");
        let secondary = wait(Fault::SecondaryLimit { status, retry_after: Duration::from_secs(30) }).await;
        assert!((29..=30).contains(&secondary), "{secondary}");
    }
    assert!(stand_in.statuses(&head).is_empty());
    stand_in.limit_requests(1);
    drop(github.set_status(&status(&head, "x")).await);
    let error = github.set_status(&status(&head, "x")).await.unwrap_err();
    assert_eq!(kind(&error), "limited", "{error}");
    assert_eq!(github.traffic().rate_limit().unwrap().remaining, 0);
}

#[tokio::test]
async fn silence_and_broken_lines_are_transient_and_nothing_is_sent_twice() {
    let stand_in = start().await;
    let head = stand_in.repo(REPO).commit("main", [("a", "b")]);
    let github = with(&stand_in, stand_in.url(), token(&stand_in.token("acme")), short());
    for (fault, posted) in [(Fault::Hang, 0), (Fault::Disconnect, 0), (Fault::LoseAnswer, 1), (Fault::Truncate(20), 2)]
    {
        let before = stand_in.writes();
        stand_in.fail_next(Match::post("*"), 1, fault.clone());
        let error = github.set_status(&status(&head, "x")).await.unwrap_err();
        assert_eq!(kind(&error), "transient", "{fault:?}: {error}");
        assert_eq!(stand_in.writes(), before + 1, "{fault:?}");
        assert_eq!(stand_in.statuses(&head).len(), posted, "{fault:?}");
    }
    github.set_status(&status(&head, "x")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_transient() {
    let stand_in = start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let github = with(&stand_in, &address, token("ghp_secret"), short());
    let error = github.pull_request(&repo(), 1).await.unwrap_err();
    assert_eq!(kind(&error), "transient");
    let chain = format!("{error:?}");
    assert!(chain.contains("refused") && !chain.contains("ghp_secret"), "{chain}");
}

#[tokio::test]
async fn credentials_decide_between_forbidden_and_not_found() {
    let stand_in = start().await;
    let head = stand_in.repo(REPO).commit("main", [("a", "b")]);
    let ask = async |secret: &str| {
        let github = with(&stand_in, stand_in.url(), token(secret), short());
        kind(&github.set_status(&status(&head, "x")).await.unwrap_err())
    };
    assert_eq!(ask("ghp_nobody_knows").await, "forbidden");
    let weak = stand_in.user("acme").token_with(&[("contents", Level::Read)]);
    assert_eq!(ask(&weak).await, "forbidden");
    let github = with_token(&stand_in);
    let missing = github.pull_request(&"acme/elsewhere".parse().unwrap(), 1).await.unwrap_err();
    assert_eq!(kind(&missing), "not found");
    assert!(missing.to_string().contains("acme/elsewhere"), "{missing}");
}
