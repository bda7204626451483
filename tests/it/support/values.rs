//! Plain values to start from; a test changes what it is about.

use jiff::{SignedDuration, Timestamp};
use portcullis::domain::attempt::{Attempt, AttemptState, Part};
use portcullis::domain::cluster::{Cluster, ClusterPlan, ClusterState};
use portcullis::domain::effect::{Effect, Effects, NewRun, Replaces};
use portcullis::domain::gate::{Checkout, Gate, SetupStep};
use portcullis::domain::ids::{AttemptId, ClusterId, RunId};
use portcullis::domain::missed::{Missed, OpenPull, make_up};
use portcullis::domain::progress::Progress;
use portcullis::domain::rules::Rules;
use portcullis::domain::run::{Coverage, Run, RunState, Trigger};
use portcullis::domain::status::{CommitStatus, Report, StatusState};
use portcullis::domain::suite::{Limits, Suite, Timeouts};
use portcullis::store::{Created, Store};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// A gate's text with the day in a month where it says `IN_30_DAYS`: skips may not be longer than 90 days, by the clock on the wall.
pub fn dated(gate: &str) -> String {
    let day = jiff::Zoned::now().date().checked_add(jiff::ToSpan::days(30)).unwrap();
    gate.replace("IN_30_DAYS", &day.to_string())
}

pub fn suite() -> Suite {
    Suite {
        limits: Limits { memory_bytes: 1 << 28, cpu_millis: 1000, pids: 100, disk_bytes: 1 << 28, log_bytes: 1 << 20 },
        timeouts: Timeouts { suite_s: 600, no_output_s: 300, start_up_s: 300, stop_grace_s: 10 },
        ..Suite::plain("example/suite:1")
    }
}

/// A gate with these suites and a set-up of one step.
pub fn gate(suites: &[&str]) -> Gate {
    Gate {
        label: "ready-to-test".into(),
        rules: Rules::default(),
        checkout: Checkout::Merge,
        cluster: ClusterPlan { image: None, nodes: 1, server_args: vec![], ready_timeout_s: 300 },
        setup: vec![SetupStep { name: "platform".into(), apply: vec!["deploy".into()] }],
        setup_timeout_s: 600,
        upgrade: false,
        suites: suites.iter().map(|name| (name.parse().unwrap(), suite())).collect(),
        skips: vec![],
        cluster_retries: 1,
        report: Report::Statuses,
        comment: false,
    }
}

pub fn run(pr: u64, head: char) -> Run {
    Run {
        id: RunId::new(at(0)),
        repo: "acme/infra".parse().unwrap(),
        pr: Some(pr),
        head: head.to_string().repeat(40).parse().unwrap(),
        base: "b".repeat(40).parse().unwrap(),
        base_ref: "main".into(),
        coverage: Coverage::Whole,
        retry_of: None,
        hold_s: None,
        tested: "c".repeat(40).parse().unwrap(),
        trigger: Trigger::Label,
        actor: "alice".into(),
        state: RunState::Queued,
        generation: 0,
        gate: gate(&["smoke", "custom"]),
        cancel: None,
        verdict: None,
        message: None,
        created_at: at(0),
        admitted_at: None,
        finished_at: None,
    }
}

/// Creates a run as its delivery would; `false` where one of the same commit and suites is alive.
pub async fn create(store: &Store, run: &Run, statuses: &[CommitStatus], replaces: Replaces) -> bool {
    let new = NewRun {
        run: run.clone(),
        concluded: vec![],
        statuses: statuses.to_vec(),
        replaces,
        why: "a test wants it".into(),
    };
    let effects = Effects::of("", vec![Effect::Create(Box::new(new))]);
    store.apply(&effects, None, at(0)).await.unwrap() == [Created::Run(run.id)]
}

pub fn cluster(run: &Run) -> Cluster {
    Cluster {
        id: ClusterId::new(at(1)),
        run: run.id,
        plan: run.gate.cluster.clone(),
        state: ClusterState::Requested,
        generation: 0,
        message: None,
        released_at: None,
        held_until: None,
        expires_at: at(1).saturating_add(SignedDuration::from_hours(6)).unwrap(),
        created_at: at(1),
        ready_at: None,
        destroyed_at: None,
    }
}

pub fn attempt(run: &Run, cluster: &Cluster, suite: &str, number: u32) -> Attempt {
    Attempt {
        id: AttemptId::new(at(2)),
        run: run.id,
        cluster: cluster.id,
        suite: suite.parse().unwrap(),
        number,
        part: Part::Phase(0),
        skips: vec![],
        state: AttemptState::Waiting,
        generation: 0,
        progress: Progress::default(),
        stop: None,
        stop_at: None,
        evidence: None,
        created_at: at(2),
        started_at: None,
        finished_at: None,
    }
}

/// The body of a webhook that tells of a label put on.
pub fn labelled(repo: &str, number: u64) -> Vec<u8> {
    let pull = OpenPull {
        number,
        author: "alice".into(),
        is_draft: false,
        head: format!("{number:040x}").parse().unwrap(),
        head_ref: "feature".into(),
        base: "b".repeat(40).parse().unwrap(),
        base_ref: "main".into(),
        labels: vec!["ready-to-test".into()],
        updated_at: at(0),
    };
    let missed = Missed::Labeled { after: None };
    make_up(&repo.parse().unwrap(), &pull, &missed, "alice", Some("ready-to-test"), None).body
}

pub fn status(run: &Run, suite: &str, state: StatusState, description: &str) -> CommitStatus {
    CommitStatus {
        repo: run.repo.clone(),
        sha: run.head.clone(),
        context: format!("portcullis/{suite}"),
        state,
        description: description.into(),
        target_url: format!("http://127.0.0.1:8080/runs/{}", run.id),
        report: Report::Statuses,
    }
}
