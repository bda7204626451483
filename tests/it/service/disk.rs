//! A full disk: deliveries are refused, what was acknowledged is still there, and all goes on once there is room.

use std::path::Path;

use tempfile::TempDir;

use crate::support::databases::sqlite_in;
use crate::support::engine::run;
use crate::support::gate::{Gate, POLICY, TWO_SUITES};
use crate::support::http::Hook;

/// A file system of its own, of a size that is soon full.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let disk = Self(TempDir::new().unwrap());
        disk.mount("size=6m");
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn grow(&self) {
        self.mount("remount,size=64m");
    }

    fn mount(&self, options: &str) {
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", &self.path().display().to_string()]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["--lazy", &self.path().display().to_string()]);
    }
}

/// About 20 KB, signed, of a kind that is acted upon.
fn hook(number: usize) -> Hook {
    let padding = "x".repeat(20_000);
    let body = format!(r#"{{"action":"labeled","number":{number},"padding":"{padding}"}}"#);
    Hook::new(&format!("delivery-{number}")).body(body)
}

#[tokio::test]
#[ignore = "needs root, to mount a file system of a few MiB"]
async fn a_full_disk_refuses_deliveries_and_loses_none_that_it_acknowledged() {
    let disk = SmallDisk::new();
    let mut gate = Gate::on(sqlite_in(disk.path()).await, &[(POLICY, TWO_SUITES)]).await;
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for number in 0..1000 {
        match gate.deliver(&hook(number)).await.status {
            202 => acknowledged.push(number),
            503 => refused += 1,
            other => panic!("{other}\n{}", gate.log()),
        }
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "6 MiB hold {} deliveries of 20 KB?", acknowledged.len());
    assert!(acknowledged.len() >= 20, "only {} fitted into 6 MiB", acknowledged.len());
    assert_eq!(gate.get("/readyz").await.status, 503, "a service that cannot store is not ready");
    gate.kill().await;
    disk.grow();
    gate.start_again().await;
    for number in &acknowledged {
        assert_eq!(gate.deliver(&hook(*number)).await.status, 200, "delivery {number} was acknowledged and is lost");
    }
    assert_eq!(gate.deliver(&hook(1001)).await.status, 202);
}
