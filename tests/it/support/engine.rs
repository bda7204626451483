//! A real Docker engine for tests: an image made of busybox alone, executions to run on it, and the plain `docker` command as a
//! second opinion. Everything a test made is removed when it ends, whatever happened.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis::adapters::docker::{Docker, DockerSettings};
use portcullis::config::server::NODE_IMAGES;
use portcullis::domain::contract;
use portcullis::domain::ids::{AttemptId, ClusterId, RunId};
use portcullis::domain::invocation::Invocation;
use portcullis::domain::mask::Masker;
use portcullis::domain::progress::Progress;
use portcullis::ports::{ClusterAccess, ContainerState, Execution, Observation, Privileged, SuiteExecutor};

use secrecy::ExposeSecret;

use super::values;

/// Runs as root; declares a volume.
pub const BUSYBOX: &str = "portcullis-test/busybox:root";
/// Runs as nobody.
pub const NOBODY: &str = "portcullis-test/busybox:nobody";

/// A node image that starts and never becomes a node.
pub const NO_NODE: &str = "portcullis-test/busybox:no-node";

/// One test's corner of the engine.
pub struct Corner {
    pub home: tempfile::TempDir,
    instance: String,
}

impl Corner {
    pub fn new(test: &str) -> Self {
        busybox();
        Corner { home: tempfile::tempdir().unwrap(), instance: format!("test-{test}-{}", std::process::id()) }
    }

    /// An adapter as a process of its own would have it: it shares nothing with another one.
    pub fn docker(&self) -> Docker {
        Docker::new(self.settings())
    }

    pub fn settings(&self) -> DockerSettings {
        DockerSettings {
            instance: self.instance.clone(),
            host: None,
            node_images: NODE_IMAGES.map(str::to_owned).to_vec(),
            privileged: Privileged::Auto,
            runtime: None,
        }
    }

    /// Ids of what is left of this corner, as the command line sees it.
    pub fn left(&self) -> Vec<String> {
        let ours = format!("label=dev.portcullis.instance={}", self.instance);
        let list = |kind| run("docker", &[kind, "ls", "-q", "--filter", &ours]);
        let containers = run("docker", &["ps", "-aq", "--filter", &ours]);
        let all = [containers, list("network"), list("volume")];
        all.iter().flat_map(|ids| ids.lines()).map(str::to_owned).collect()
    }
}

impl Drop for Corner {
    fn drop(&mut self) {
        let ours = format!("label=dev.portcullis.instance={}", self.instance);
        for (list, remove) in [
            (vec!["ps", "-aq"], vec!["rm", "-fv"]),
            (vec!["network", "ls", "-q"], vec!["network", "rm"]),
            (vec!["volume", "ls", "-q"], vec!["volume", "rm", "-f"]),
        ] {
            let found = run("docker", &[&list[..], &["--filter", &ours]].concat());
            let ids: Vec<&str> = found.lines().collect();
            if !ids.is_empty() {
                run("docker", &[&remove[..], &ids].concat());
            }
        }
    }
}

/// The time, for ids that no other test process has.
#[expect(clippy::disallowed_methods, reason = "nothing under test depends on it")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A figure for whoever reads the test's output.
#[expect(clippy::print_stdout, reason = "the test harness shows it when asked to")]
pub fn figure(text: &str) {
    println!("{text}");
}

/// An execution of a shell script on the engine's default network.
pub fn script(image: &str, text: &str) -> Execution {
    let now = now();
    let env = BTreeMap::from([("PORTCULLIS_SKIP".to_owned(), "slow|odd".to_owned())]);
    Execution {
        attempt: AttemptId::new(now),
        run: RunId::new(now),
        cluster: ClusterId::new(now),
        name: "script".parse().unwrap(),
        image: image.to_owned(),
        invocation: Invocation {
            command: ["/bin/sh", "-c", text].map(str::to_owned).into(),
            env: contract::variables(env),
        },
        secrets: vec![],
        limits: values::suite().limits,
        access: ClusterAccess { kubeconfig: "the kubeconfig\n".to_owned(), network: None },
        workspace: None,
    }
}

fn masker(execution: &Execution) -> Arc<Masker> {
    Arc::new(Masker::of(execution.secrets.iter().map(|(_, value)| value.expose_secret())))
}

pub async fn start(docker: &Docker, execution: &Execution) {
    docker.ensure_started(execution).await.unwrap();
}

pub fn follow(docker: &Docker, execution: &Execution, log: &Path) {
    docker.follow(execution.attempt, log, 64 << 20, &masker(execution));
}

pub async fn collect(docker: &Docker, execution: &Execution, into: &Path) -> Vec<String> {
    docker.collect(execution.attempt, into, 64 << 20, &masker(execution)).await.unwrap()
}

pub async fn progress(docker: &Docker, execution: &Execution) -> Progress {
    docker.observe(execution.attempt).await.unwrap().progress
}

/// Waits until the container ended; gives its last observation.
pub async fn ended(docker: &Docker, attempt: AttemptId) -> Observation {
    until("the container ends", Duration::from_secs(300), async || {
        let seen = docker.observe(attempt).await.unwrap();
        (seen.state != ContainerState::Running).then_some(seen)
    })
    .await
}

/// Waits for a condition, looking ten times a second.
pub async fn until<T>(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(100));
    loop {
        look.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} until {what}");
    }
}

/// Runs a command and gives what it printed.
pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes the images from Debian's static busybox unless they are there; a new name is needed when this changes.
pub fn busybox() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let made =
            "docker image inspect portcullis-test/busybox:root portcullis-test/busybox:nobody portcullis-test/busybox:no-node >/dev/null 2>&1 && exit; set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; mkdir -p $d/bin $d/tmp $d/etc; cp /bin/busybox $d/bin/
            for a in $(/bin/busybox --list); do [ $a = busybox ] || ln -s busybox $d/bin/$a; done; chmod 1777 $d/tmp
            echo root:x:0:0::/:/bin/sh > $d/etc/passwd
            tar -C $d -c . | docker import -c 'ENV PATH=/bin' -c 'VOLUME /data' - portcullis-test/busybox:root
            tar -C $d -c . | docker import -c 'ENV PATH=/bin' -c 'USER 65534' - portcullis-test/busybox:nobody
            tar -C $d -c . | docker import -c 'ENTRYPOINT [\"/bin/sh\", \"-c\", \"sleep 3600\"]' - portcullis-test/busybox:no-node";
        run("sh", &["-c", made]);
    });
}
