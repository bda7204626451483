//! What webhook senders are promised: every status, nothing stored unverified, nothing acknowledged that is not stored.

use std::time::{Duration, Instant};

use portcullis::store::Store;
use portcullis::web::Limits;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http::{Hook, SECRET, Service};

#[tokio::test]
async fn a_signed_delivery_is_stored_before_it_is_acknowledged() {
    let service = Service::start().await;
    let hook = Hook::new("72d3162e-cc78-11e3-81ab-4c9367dc0958");
    let answer = service.deliver(&hook).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, "stored"));
    let open = service.store.open_deliveries(0, 10).await.unwrap();
    assert_eq!((open[0].guid.as_str(), open[0].event.as_str()), (hook.guid.as_str(), "pull_request"));
    assert_eq!(open[0].body, hook.body, "byte for byte");
    assert_eq!(service.wakes(), 1);
    service.stop().await;
}

#[tokio::test]
async fn the_same_guid_again_is_a_duplicate() {
    let service = Service::start().await;
    assert_eq!(service.deliver(&Hook::new("a")).await.status, 202);
    assert_eq!(service.deliver(&Hook::new("a")).await.status, 200);
    assert_eq!(service.waiting().await, ["a"]);
}

#[tokio::test]
async fn a_ping_is_answered_and_an_unknown_event_is_kept_without_waking_anybody() {
    let service = Service::start().await;
    let ping = Hook { event: "ping".into(), ..Hook::new("a") };
    assert_eq!(service.deliver(&ping).await.status, 200);
    let unknown = Hook { event: "no_such_event".into(), ..Hook::new("b") };
    assert_eq!(service.deliver(&unknown).await.status, 202);
    assert_eq!(service.deliver(&unknown).await.status, 200, "it was kept");
    assert!(service.waiting().await.is_empty(), "nothing is to be done about it");
    assert_eq!(service.wakes(), 0);
}

#[tokio::test]
async fn any_of_the_configured_secrets_may_have_signed() {
    let service = Service::start().await;
    let former = Hook { secret: "the former secret".into(), ..Hook::new("a") };
    assert_eq!(service.deliver(&former).await.status, 202);
    let foreign = Hook { secret: "somebody else's".into(), ..Hook::new("b") };
    assert_eq!(service.deliver(&foreign).await.status, 401);
    assert_eq!(service.waiting().await, ["a"]);
}

#[tokio::test]
async fn githubs_documented_signature_is_accepted_for_its_body_alone() {
    let service = Service::start().await;
    let documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let hook = Hook { secret: "unused".into(), ..Hook::new("a") }.header("X-Hub-Signature-256", documented);
    let answer = service.deliver(&hook.clone().body("Hello, World!")).await;
    assert_eq!(answer.status, 400, "signed by {SECRET}, and no JSON: {}", answer.body);
    assert_eq!(service.deliver(&hook.body("Hello, World.")).await.status, 401);
}

#[tokio::test]
async fn without_a_valid_signature_nothing_is_stored() {
    let service = Service::start().await;
    let good = Hook::new("a");
    let zeros = format!("sha256={}", "0".repeat(64));
    let unprefixed = good.signature().replace("sha256=", "");
    let sha1 = good.signature().replace("sha256=", "sha1=");
    for signature in ["", "sha256=", "sha256=abcd", &zeros, &unprefixed, &sha1] {
        let answer = service.deliver(&good.clone().header("X-Hub-Signature-256", signature)).await;
        assert_eq!(answer.status, 401, "{signature:?}");
    }
    assert_eq!(service.deliver(&good.clone().header("X-Hub-Signature-256", "").body("{")).await.status, 401);
    assert!(service.waiting().await.is_empty());
    assert_eq!(service.wakes(), 0);
}

#[tokio::test]
async fn what_is_signed_and_malformed_is_refused_with_its_reason() {
    let service = Service::start().await;
    let good = || Hook::new("a");
    let long = "x".repeat(65);
    for (hook, reason) in [
        (good().header("X-GitHub-Delivery", ""), "X-GitHub-Delivery"),
        (good().header("X-GitHub-Delivery", &long), "X-GitHub-Delivery"),
        (good().header("X-GitHub-Delivery", "a b;--"), "X-GitHub-Delivery"),
        (good().header("X-GitHub-Event", ""), "X-GitHub-Event"),
        (good().header("X-GitHub-Event", "pull/request"), "X-GitHub-Event"),
        (good().header("Content-Type", "application/x-www-form-urlencoded"), "application/json"),
        (good().header("Content-Type", ""), "application/json"),
        (good().body("{\"action\":\"labeled\""), "JSON"),
        (good().body("[]"), "JSON"),
        (good().body(""), "JSON"),
        (good().body(b"{\"a\":\"\xff\"}".to_vec()), "JSON"),
        (good().body("{} trailing"), "JSON"),
    ] {
        let answer = service.deliver(&hook).await;
        assert_eq!(answer.status, 400, "{}", hook.head());
        assert!(answer.body.contains(reason), "{} for {}", answer.body, hook.head());
    }
    assert!(service.waiting().await.is_empty());
    assert_eq!(service.deliver(&good().header("Content-Type", "application/json; charset=utf-8")).await.status, 202);
}

#[tokio::test]
async fn only_post_is_answered() {
    let service = Service::start().await;
    let answer = service.get("/webhooks/github").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn a_body_of_twenty_five_mebibytes_is_taken_and_a_larger_one_is_not() {
    let service = Service::start().await;
    let sized = |bytes: usize| format!("{{\"pad\":\"{}\"}}", "x".repeat(bytes - 10));
    let largest = Hook::new("a").body(sized(25 << 20));
    assert_eq!(service.deliver(&largest).await.status, 202);
    let larger = Hook::new("b").body(sized(26 << 20));
    assert_eq!(service.deliver(&larger).await.status, 413);
    let unannounced = Hook { chunked: true, ..larger };
    assert_eq!(service.deliver(&unannounced).await.status, 413);
    assert_eq!(service.deliver(&Hook { chunked: true, ..Hook::new("c") }).await.status, 202);
    assert_eq!(service.waiting().await, ["a", "c"]);
}

#[tokio::test]
async fn an_announced_oversize_is_refused_before_it_arrives() {
    let service = Service::start().await;
    let head = Hook::new("a").header("Content-Length", "30000000").head();
    assert_eq!(service.send(head.as_bytes()).await.status, 413);
}

#[tokio::test]
async fn slow_senders_are_cut_off() {
    let (body_time, head_time) = (Duration::from_millis(300), Duration::from_millis(300));
    let service = Service::with(Limits { body_time, head_time, ..Limits::default() }).await;
    let bytes = Hook::new("a").bytes();
    let began = Instant::now();
    assert_eq!(service.send(&bytes[..bytes.len() - 1]).await.status, 408, "the body's last byte never comes");
    let mut stream = service.connect().await;
    stream.write_all(&bytes[..40]).await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "an unfinished head is not worth an answer");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(service.waiting().await.is_empty());
}

#[tokio::test]
async fn bodies_that_never_end_do_not_delay_a_good_delivery() {
    let service = Service::start().await;
    let unfinished = Hook::new("never").header("Content-Length", "1000000").bytes();
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut stream = service.connect().await;
        stream.write_all(&unfinished).await.unwrap();
        held.push(stream);
    }
    let began = Instant::now();
    assert_eq!(service.deliver(&Hook::new("a")).await.status, 202);
    assert!(began.elapsed() < Duration::from_secs(2), "took {:?}", began.elapsed());
    drop(held);
}

#[tokio::test]
async fn large_bodies_wait_for_memory_and_are_refused_when_there_is_none() {
    let limits = Limits { body_memory: 1 << 20, body_time: Duration::from_millis(500), ..Limits::default() };
    let service = Service::with(limits).await;
    let large = Hook::new("large").body(format!("{{\"pad\":\"{}\"}}", "x".repeat(2 << 20)));
    assert_eq!(service.deliver(&large).await.status, 503);
    assert_eq!(service.deliver(&Hook::new("small")).await.status, 202);
    assert_eq!(service.waiting().await, ["small"]);
}

#[tokio::test]
async fn a_store_that_is_gone_means_503_and_no_acknowledgement() {
    let service = Service::start().await;
    service.store.close().await;
    assert_eq!(service.deliver(&Hook::new("a")).await.status, 503);
    assert_eq!(service.wakes(), 0);
    let ready = service.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("the store is not available"), "{}", ready.body);
    assert_eq!(service.get("/healthz").await.status, 200);
}

/// A disk of one mebibyte that goes away with the test.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = TempDir::new().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(mounted.success(), "mounting needs root");
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
#[ignore = "needs root to mount a small disk"]
async fn a_full_disk_means_503_and_everything_acknowledged_is_kept() {
    let disk = SmallDisk::mount();
    let url = format!("sqlite:{}", disk.0.path().join("p.db").display());
    let service = Service::on(Store::open(&url).await.unwrap(), Limits::default(), TempDir::new().unwrap()).await;
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for number in 0..60 {
        let guid = format!("d{number}");
        let hook = Hook::new(&guid).body(format!("{{\"pad\":\"{}\"}}", "x".repeat(40_000)));
        match service.deliver(&hook).await.status {
            202 => acknowledged.push(guid),
            503 => refused += 1,
            other => panic!("status {other}"),
        }
    }
    assert!(!acknowledged.is_empty() && refused > 0, "{} taken, {refused} refused", acknowledged.len());
    assert_eq!(service.waiting().await, acknowledged);
    service.stop().await;
    let reopened = Store::open(&url).await.unwrap();
    let kept = reopened.open_deliveries(0, 100).await.unwrap();
    assert_eq!(kept.into_iter().map(|delivery| delivery.guid).collect::<Vec<_>>(), acknowledged);
    reopened.close().await;
}

#[tokio::test]
async fn a_crowd_is_stored_whole_and_counted() {
    let service = Service::start().await;
    let hooks: Vec<Hook> = (0..100).map(|number| Hook::new(&format!("d{number}"))).collect();
    let answers = futures_util::future::join_all(hooks.iter().map(|hook| service.deliver(hook))).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    assert_eq!(service.waiting().await.len(), 100);
    let bad = Hook::new("bad").header("X-Hub-Signature-256", "sha256=00");
    service.deliver(&bad).await;
    let metrics = service.get("/metrics").await;
    for line in [
        "portcullis_deliveries_total{outcome=\"stored\"} 100",
        "portcullis_deliveries_total{outcome=\"unsigned\"} 1",
        "portcullis_deliveries_waiting 100",
        "portcullis_webhook_seconds_count 101",
    ] {
        assert!(metrics.body.lines().any(|known| known == line), "{line} in\n{}", metrics.body);
    }
    let documented = include_str!("../../docs/operations.md");
    for family in metrics.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_whitespace().next()) {
        assert!(documented.contains(&format!("`{family}")), "docs/operations.md does not tell of {family}");
    }
    service.stop().await;
}

#[tokio::test]
async fn readiness_names_what_is_wrong_and_nothing_more() {
    let service = Service::start().await;
    let answer = service.get("/readyz").await;
    assert_eq!(answer.status, 503);
    let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let expected = serde_json::json!({"ready": false, "store": "ok", "clusters": "Docker is not reachable"});
    assert_eq!(said, expected);
}
