//! `portcullis suites probe` as its users call it: on a throwaway cluster, with upstream's own specs, and interrupted half-way.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::engine::{figure, run};
use crate::support::values::dated;

/// What the list takes out: one spec that passes, and one that is not there.
const GATE: &str = r"
version: 1
suites:
  conformance: {focus: ['\[sig-node\] (ConfigMap|Secrets|Lease|NodeFeature) '], procs: 2}
skips:
- {match: should patch a secret, reason: broke once, owner: '@net', expires: IN_30_DAYS}
- {match: no such spec anywhere, reason: stale, owner: '@net', expires: IN_30_DAYS}
";

fn probe(home: &TempDir) -> Child {
    std::fs::write(home.path().join("gate.yaml"), dated(GATE)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["suites", "probe", "conformance", "--gate", "gate.yaml"])
        .env("PORTCULLIS_SERVER__DATA_DIR", home.path())
        .current_dir(home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Containers that a command of this process id made.
fn left(command: u32) -> String {
    run("docker", &["ps", "-aq", "--filter", &format!("label=dev.portcullis.instance=cli-{command}")])
}

#[test]
#[ignore = "needs Docker, the node image and the conformance image"]
fn entries_whose_specs_pass_can_go() {
    let home = TempDir::new().unwrap();
    let probe = probe(&home);
    let id = probe.id();
    let ended = probe.wait_with_output().unwrap();
    let (said, failed) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
    figure(&said);
    assert!(ended.status.success(), "{said}{failed}");
    for words in ["running 1 skipped spec of conformance", "`should patch a secret` (@net): 1 spec passed: it can go"] {
        assert!(said.contains(words), "`{words}` is not in\n{said}{failed}");
    }
    assert!(said.contains("`no such spec anywhere` (@net): matches nothing: it can go"), "{said}");
    assert_eq!(left(id), "");
}

#[test]
#[ignore = "needs Docker and the node image"]
fn an_interrupted_probe_leaves_nothing() {
    let home = TempDir::new().unwrap();
    let mut probe = probe(&home);
    let id = probe.id();
    let mut lines = BufReader::new(probe.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("running 1 skipped spec")), "it begins");
    assert_ne!(left(id), "", "a cluster of its own");
    kill_process(Pid::from_raw(id.try_into().unwrap()).unwrap(), Signal::INT).unwrap();
    let rest: Vec<String> = lines.collect();
    let ended = probe.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{rest:?}");
    assert!(String::from_utf8(ended.stderr).unwrap().contains("interrupted"), "{rest:?}");
    assert_eq!(left(id), "");
}
