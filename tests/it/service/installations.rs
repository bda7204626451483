//! Several installations of one App, and repositories that go away while they are tested: each has its own token and allowance, and
//! what becomes of one is nothing to the others.

use std::time::Duration;

use jiff::SignedDuration;
use portcullis::store::NewDelivery;
use portcullis_github::{Fault, Github, Match, Permission, PrSpec, Pull, RawDelivery, Request, StatusState};
use serde_json::json;

use crate::support::engine::now;
use crate::support::gate::{Gate, LABEL, ONE_SUITE, WAITING};

const NEIGHBOUR: &str = "globex/shop";
const OUT_OF_REACH: &str = "cancelled: the repository is out";

/// Two repositories of two accounts that wait for Docker, and the installation of the second.
async fn two() -> (Gate, Pull, Pull, u64) {
    let gate = Gate::as_app(ONE_SUITE).await;
    let shop = gate.neighbour(NEIGHBOUR, ONE_SUITE);
    let installation = gate.github.install_app("globex", &[]);
    let (ours, theirs) = (gate.open_pr("feature"), shop.open_pr(PrSpec::default()));
    for pr in [&ours, &theirs] {
        drop(pr.label(LABEL, "alice"));
        gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    }
    gate.published().await;
    (gate, ours, theirs, installation)
}

async fn told(gate: &Gate, action: &str, account: &str) {
    let body = json!({ "action": action, "installation": { "id": 5, "account": { "login": account } } });
    drop(gate.hook.deliver_raw(RawDelivery::new("installation", body.to_string())));
    gate.handled().await;
}

/// How the newest run of a pull request stands.
async fn state(gate: &Gate, pr: &Pull) -> String {
    let head = pr.head_sha();
    let run = gate.runs().await.into_iter().find(|run| run["head"] == json!(head)).unwrap();
    run["state"].as_str().unwrap().to_owned()
}

fn to(gate: &Gate, repo: &str) -> Vec<Request> {
    let begin = format!("/repos/{repo}/");
    gate.github.requests().into_iter().filter(|request| request.path.starts_with(&begin)).collect()
}

/// Waits until the service looked so many times more for what webhooks missed.
async fn looks(gate: &Gate, more: usize) {
    let looked = |requests: Vec<Request>| requests.iter().filter(|one| one.path == "/app/hook/deliveries").count();
    let before = looked(gate.github.requests());
    gate.until("it looks again", |github| (looked(github.requests()) >= before + more).then_some(())).await;
}

#[tokio::test]
async fn each_installation_has_its_own_token_and_its_own_allowance() {
    let (gate, ours, theirs, installation) = two().await;
    let theirs_alone = format!("installation {installation}");
    let speaks = |repo: &str| -> std::collections::BTreeSet<String> {
        to(&gate, repo).into_iter().map(|request| request.caller).filter(|caller| caller != "app").collect()
    };
    assert_eq!(speaks(NEIGHBOUR), [theirs_alone.clone()].into());
    assert!(speaks("acme/infra").len() == 1 && !speaks("acme/infra").contains(&theirs_alone));

    let wait = Duration::from_secs(6);
    let limit = Fault::SecondaryLimit { status: 429, retry_after: wait };
    gate.github.fail_next(Match::path("/repos/acme/infra/*"), 1, limit);
    gate.until("the limit is met", |_| to(&gate, "acme/infra").into_iter().find(|one| one.status == Some(429))).await;
    let met = to(&gate, "acme/infra").into_iter().rfind(|one| one.status == Some(429)).unwrap().at;
    let asked = to(&gate, "acme/infra").len();
    for pr in [&ours, &theirs] {
        drop(pr.unlabel(LABEL, "alice"));
    }
    for pr in [&theirs, &ours] {
        gate.shows(&pr.head_sha(), &["smoke"], StatusState::Error, "cancelled").await;
    }
    let told =
        |pr: &Pull| gate.github.statuses(&pr.head_sha()).pop().unwrap().created_at.duration_since(met).as_secs_f64();
    assert!(told(&theirs) < 5.0, "the neighbour waited {} s", told(&theirs));
    let after =
        to(&gate, "acme/infra").split_off(asked).into_iter().map(|one| one.at.duration_since(met).as_secs_f64());
    let next = after.fold(f64::INFINITY, f64::min);
    assert!((5.0..60.0).contains(&next), "something was asked {next} s after the limit");
}

#[tokio::test]
async fn an_installation_that_is_revoked_hurts_no_other() {
    let (gate, ours, theirs, installation) = two().await;
    gate.github.uninstall_app(installation);
    told(&gate, "deleted", "globex").await;
    gate.eventually("the run has ended", async || state(&gate, &theirs).await == "finished").await;
    gate.published().await;
    assert_eq!(state(&gate, &ours).await, "queued");
    let writes = |gate: &Gate| to(gate, NEIGHBOUR).iter().filter(|request| request.is_write()).count();
    let before = writes(&gate);
    drop(ours.unlabel(LABEL, "alice"));
    gate.shows(&ours.head_sha(), &["smoke"], StatusState::Error, "cancelled").await;
    looks(&gate, 3).await;
    assert_eq!(writes(&gate), before, "nothing is tried for ever");
    assert_eq!(gate.shown(&theirs.head_sha())["portcullis/smoke"].0, StatusState::Pending, "nobody could tell it more");
}

#[tokio::test]
async fn a_revocation_that_nobody_told_of_is_found() {
    let (gate, ours, theirs, installation) = two().await;
    gate.github.uninstall_app(installation);
    gate.eventually("the run has ended", async || state(&gate, &theirs).await == "finished").await;
    assert_eq!(state(&gate, &ours).await, "queued");
}

#[tokio::test]
async fn an_installation_that_does_not_let_us_in_hides_no_other() {
    let (mut gate, _, _, theirs) = two().await;
    let named = |request: &Request| request.caller.strip_prefix("installation ").map(str::to_owned);
    let ours = to(&gate, "acme/infra").iter().find_map(named).unwrap();
    assert_ne!(ours, theirs.to_string());
    gate.kill().await;
    let tokens = format!("/app/installations/{ours}/access_tokens");
    gate.github.fail_next(Match::post(&tokens), 10_000, Fault::Status(403));
    gate.github.drop_deliveries(1000);
    let pr = gate.github.repo(NEIGHBOUR).open_pr(PrSpec { head_branch: "second".into(), ..PrSpec::default() });
    drop(pr.label(LABEL, "alice"));
    gate.start_again().await;
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
}

#[tokio::test]
async fn a_suspended_installation_is_left_alone_until_it_is_let_in_again() {
    let (gate, ours, theirs, installation) = two().await;
    gate.github.suspend_installation(installation, true);
    told(&gate, "suspend", "globex").await;
    gate.eventually("the run has ended", async || state(&gate, &theirs).await == "finished").await;
    assert_eq!(state(&gate, &ours).await, "queued");
    let tries = |gate: &Gate| to(gate, NEIGHBOUR).iter().filter(|request| request.is_write()).count();
    let before = tries(&gate);
    looks(&gate, 3).await;
    assert!(tries(&gate) <= before + 1, "{} tries", tries(&gate) - before);

    gate.github.suspend_installation(installation, false);
    told(&gate, "unsuspend", "globex").await;
    gate.eventually("what was labelled is run again by itself", async || state(&gate, &theirs).await == "queued").await;
    gate.shows(&theirs.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    assert_eq!(gate.runs().await.len(), 3);
}

/// What cannot be found of a repository is no repository that cannot be found, and once is not twice.
#[tokio::test]
async fn only_a_repository_that_is_not_found_twice_in_a_row_is_out_of_reach() {
    let gate = Gate::watching(ONE_SUITE, Permission::Admin).await;
    let pr = gate.open_pr("feature");
    drop(pr.label(LABEL, "alice"));
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    gate.published().await;
    let (pulls, status) =
        ("/repos/acme/infra/pulls".to_owned(), format!("/repos/acme/infra/commits/{}/status", pr.head_sha()));
    let failed = |path: &str, code: u16| {
        gate.github.requests().iter().filter(|one| one.path == path && one.status == Some(code)).count()
    };
    gate.github.fail_next(Match::get(&status), 1000, Fault::Status(404));
    gate.until("it looks a few times", |_| (failed(&status, 404) >= 4).then_some(())).await;
    assert_eq!(state(&gate, &pr).await, "queued", "a commit that is not found");
    gate.github.heal();

    for fault in [404, 403, 404] {
        gate.github.fail_next(Match::get(&pulls), 1, Fault::Status(fault));
    }
    gate.until("it fails three times", |_| (failed(&pulls, 404) == 2 && failed(&pulls, 403) == 1).then_some(())).await;
    let asked = |github: &Github| github.requests().iter().filter(|one| one.path == pulls).count();
    let before = asked(&gate.github);
    gate.until("it looks again", |github| (asked(github) >= before + 2).then_some(())).await;
    gate.handled().await;
    assert_eq!(state(&gate, &pr).await, "queued", "not found, not let in, not found");
}

#[tokio::test]
async fn a_deleted_repository_takes_its_runs_along_and_nothing_else() {
    let gate = Gate::watching(ONE_SUITE, Permission::Admin).await;
    let shop = gate.neighbour(NEIGHBOUR, ONE_SUITE);
    drop(shop.webhook(&gate.webhook_url(), crate::support::gate::SECRET));
    let (ours, theirs) = (gate.open_pr("feature"), shop.open_pr(PrSpec::default()));
    let head = theirs.head_sha();
    for pr in [&ours, &theirs] {
        drop(pr.label(LABEL, "alice"));
        gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    }
    gate.published().await;
    shop.delete();
    gate.eventually("its run has ended", async || {
        gate.runs().await.iter().any(|run| run["head"] == json!(head) && run["state"] == "finished")
    })
    .await;
    gate.published().await;
    assert_eq!(state(&gate, &ours).await, "queued");
    let run = gate.runs().await.into_iter().find(|run| run["head"] == json!(head)).unwrap();
    let page = gate.get(&format!("/runs/{}", run["id"].as_str().unwrap())).await.body;
    assert!(page.contains(OUT_OF_REACH.trim_start_matches("cancelled: ")), "{page}");
    let posts = to(&gate, NEIGHBOUR).iter().filter(|request| request.is_write() && request.status == Some(404)).count();
    assert!((1..=3).contains(&posts), "{posts} tries");
}

#[tokio::test]
async fn a_commit_that_is_gone_is_told_nothing_for_ever() {
    let gate = Gate::with_policy(ONE_SUITE).await;
    let pr = gate.open_pr("feature");
    drop(pr.label(LABEL, "alice"));
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    let gone = Match::post(&format!("/repos/acme/infra/statuses/{}", pr.head_sha()));
    gate.github.fail_next(gone, 1000, Fault::Status(422));
    let before = to(&gate, "acme/infra").len();
    drop(pr.unlabel(LABEL, "alice"));
    gate.eventually("the run has ended", async || state(&gate, &pr).await == "finished").await;
    gate.published().await;
    let tries = to(&gate, "acme/infra").split_off(before).iter().filter(|request| request.status == Some(422)).count();
    assert_eq!(tries, 1);
}

/// Webhooks of one pull request from more than a day ago that were tried so many times, and GitHub does not let us in now.
async fn old_ones(tries: &[u32], refusal: u16) -> (Gate, Pull) {
    let mut gate = Gate::with_policy(ONE_SUITE).await;
    let pr = gate.open_pr("feature");
    gate.settled().await;
    gate.kill().await;
    drop(pr.label(LABEL, "alice"));
    gate.github.deliveries_settled().await;
    let labelled = gate.github.deliveries().into_iter().rfind(|one| one.action.as_deref() == Some("labeled")).unwrap();
    let a_day_ago = now().saturating_sub(SignedDuration::from_hours(25)).unwrap();
    for (n, tries) in tries.iter().enumerate() {
        let old = NewDelivery {
            guid: format!("an-old-one-{n}"),
            event: "pull_request".into(),
            body: labelled.payload.clone(),
            received_at: a_day_ago,
            settled: None,
        };
        gate.store().accept(std::slice::from_ref(&old)).await.unwrap();
        for _ in 0..*tries {
            gate.store().postpone_delivery(&old.guid, "not now", a_day_ago).await.unwrap();
        }
    }
    gate.github.fail_next(Match::get("/repos/acme/infra/*"), 1000, Fault::Status(refusal));
    gate.start_again().await;
    (gate, pr)
}

#[tokio::test]
async fn a_webhook_that_cannot_be_acted_upon_for_a_day_is_given_up() {
    let (gate, pr) = old_ones(&[101, 0, 0], 403).await;
    gate.handled().await;
    let given_up = gate.log().matches("delivery is given up").count();
    assert_eq!(given_up, 3, "those behind it waited as long: {}", pr.number());
}

#[tokio::test]
async fn a_webhook_that_waited_while_the_service_was_down_is_not_given_up_at_its_first_failure() {
    let (gate, pr) = old_ones(&[0], 502).await;
    gate.eventually("it was tried", async || gate.log().contains("delivery waits")).await;
    gate.github.heal();
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
}
