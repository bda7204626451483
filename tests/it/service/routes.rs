//! GitHub Enterprise Server behind a proxy, with a certificate of the company's own authority: the whole service over TLS.

use portcullis_github::StatusState;

use crate::support::gate::{Gate, LABEL, ONE_SUITE, WAITING};
use crate::support::tls::{Front, Proxy};

/// Points the service at the front, as told by `more`.
async fn behind(gate: &mut Gate, front: &Front, more: &str) {
    gate.write("company.pem", front.authority.as_bytes());
    let (github, api) = (gate.github.url().to_owned(), front.api());
    let section = format!("[github]\n{more}");
    gate.start_with(|config| {
        config
            .replace(&format!("api_url = \"{github}\""), &format!("api_url = \"{api}\""))
            .replace("[github]\n", &section)
    })
    .await;
}

#[tokio::test]
async fn an_enterprise_server_is_reached_through_a_proxy_and_by_its_own_authority() {
    let mut gate = Gate::with_policy(ONE_SUITE).await;
    let front = Front::start(gate.github.url()).await;
    let proxy = Proxy::start("gate:swordfish", front.address).await;
    let way = format!("ca_file = \"company.pem\"\nproxy = \"{}\"\n", proxy.url());
    behind(&mut gate, &front, &way).await;
    let asked = gate.github.requests().len();
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    let requests = gate.github.requests().split_off(asked);
    assert!(requests.iter().all(|request| request.path.starts_with("/api/v3/")), "{requests:#?}");
    let tunnels = proxy.tunnels();
    assert!(!tunnels.is_empty() && tunnels.iter().all(|to| to == "git.company.example:443"), "{tunnels:?}");
    assert_eq!(proxy.refused(), 0);
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_and_a_proxy_that_refuses_are_named() {
    let mut gate = Gate::with_policy(ONE_SUITE).await;
    let front = Front::start(gate.github.url()).await;
    let proxy = Proxy::start("gate:swordfish", front.address).await;
    for (way, word) in [
        (format!("proxy = \"{}\"\n", proxy.url()), "certificate"),
        (format!("ca_file = \"company.pem\"\nproxy = \"{}\"\n", proxy.url().replace("swordfish", "guess")), "authoriz"),
    ] {
        behind(&mut gate, &front, &way).await;
        let asked = gate.github.requests().len();
        let pr = gate.open_pr(word);
        assert_eq!(pr.label(LABEL, "alice").answered().await[0].status(), 202);
        gate.eventually(&format!("the log speaks of `{word}`"), async || gate.log().contains(word)).await;
        assert_eq!(gate.github.requests().len(), asked, "nothing got through");
        assert!(!gate.log().contains("swordfish"), "no password is logged");
        let (github, api) = (gate.github.url().to_owned(), front.api());
        gate.start_with(|config| config.replace(&way, "").replace(&api, &github)).await;
        gate.shows(&pr.head_sha(), &["smoke"], StatusState::Pending, WAITING).await;
    }
}
