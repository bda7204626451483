//! Webhook secrets exchanged in the running service: both count while both are there, and the old one no longer once it is gone.

use portcullis_github::StatusState;

use crate::support::gate::{Gate, LABEL, ONE_SUITE, SECRET, WAITING};

const NEXT: &str = "another secret, known to nobody yet";

async fn pinged(gate: &Gate, secret: &str) -> u16 {
    gate.hook.change_secret(secret).ping().answered().await[0].status()
}

#[tokio::test]
async fn a_secret_is_exchanged_without_a_gap() {
    let mut gate = Gate::with_policy(ONE_SUITE).await;
    assert_eq!((pinged(&gate, SECRET).await, pinged(&gate, NEXT).await), (200, 401));
    gate.start_with(|config| config.replace(&format!("[\"{SECRET}\"]"), &format!("[\"{NEXT}\", \"{SECRET}\"]"))).await;
    assert_eq!((pinged(&gate, SECRET).await, pinged(&gate, NEXT).await), (200, 200));
    let pr = gate.open_pr("feature");
    assert_eq!(pr.label(LABEL, "alice").answered().await[0].status(), 202);
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;

    gate.start_with(|config| config.replace(&format!(", \"{SECRET}\"]"), "]")).await;
    gate.hook.change_secret(SECRET);
    assert_eq!(pr.unlabel(LABEL, "alice").answered().await[0].status(), 401);
    assert_eq!(gate.runs().await[0]["state"], "queued", "a forgery ends nothing");
    let refused = gate.github.deliveries().pop().unwrap().id;
    gate.hook.change_secret(NEXT);
    assert_eq!(gate.github.redeliver(refused).answered().await[0].status(), 202);
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Error, "cancelled").await;
}
