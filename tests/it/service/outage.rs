//! GitHub down in the middle of runs: errors, then a limit with `Retry-After`, then silence. Ten minutes in small.

use std::time::Duration;

use portcullis_github::{Fault, Match, Request, StatusState};

use crate::support::engine::figure;
use crate::support::gate::{Gate, LABEL, ONE_SUITE, WAITING};

const CANCELLED: &str = "cancelled: the label was taken off";

fn posts(gate: &Gate) -> Vec<Request> {
    let mut requests = gate.github.requests();
    requests.retain(|request| request.is_write() && request.path.contains("/statuses/"));
    requests
}

#[tokio::test]
async fn final_statuses_survive_errors_limits_and_silence() {
    let gate = Gate::with_policy(ONE_SUITE).await;
    let mut heads = Vec::new();
    let mut pulls = Vec::new();
    for n in 0..4 {
        let pr = gate.open_pr(&format!("change-{n}"));
        pr.label(LABEL, "alice");
        gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
        heads.push(pr.head_sha());
        pulls.push(pr);
    }
    gate.published().await;
    let before = posts(&gate).len();

    // What the runs come to falls into the outage.
    gate.github.fail_next(Match::any(), 10_000, Fault::Status(503));
    for pr in &pulls[..2] {
        pr.unlabel(LABEL, "alice");
    }
    let failed =
        |gate: &Gate, status| gate.github.requests().iter().filter(|request| request.status == Some(status)).count();
    gate.until("some tries failed", |_| (failed(&gate, 503) >= 6).then_some(())).await;
    let wait = Duration::from_secs(3);
    gate.github.heal();
    gate.github.fail_next(Match::any(), 1, Fault::SecondaryLimit { status: 429, retry_after: wait });
    gate.github.fail_next(Match::any(), 2, Fault::Hang);
    for pr in &pulls[2..] {
        pr.unlabel(LABEL, "alice");
    }
    for sha in &heads {
        gate.shows(sha, &["smoke"], StatusState::Error, CANCELLED).await;
        let last = gate.github.statuses(sha).pop().unwrap();
        assert_eq!(last.state, StatusState::Error);
    }
    gate.published().await;

    let all = gate.github.requests();
    let limited = all.iter().position(|request| request.status == Some(429)).expect("the limit was met");
    let pause = all[limited + 1..].iter().map(|next| next.at.duration_since(all[limited].at).as_secs_f64());
    // What was on its way when GitHub said so cannot be called back.
    let shortest = pause.filter(|after| *after > 0.25).fold(f64::INFINITY, f64::min);
    let taken = posts(&gate)[before..].iter().filter(|post| post.status == Some(201)).count();
    let sent = posts(&gate).len() - before;
    figure(&format!(
        "outage: {sent} status writes were sent for 4 final statuses, {taken} taken; after 429 the next request came \
         {shortest:.1} s later (Retry-After 3 s)"
    ));
    assert_eq!(taken, 4, "each final status was written once");
    assert!(sent <= 40, "{sent} writes");
    assert!(shortest >= 2.0, "something was asked {shortest} s after the limit");
}
