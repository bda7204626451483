//! Suites on a real Docker engine: what a container is given and denied, logs that survive us, limits that hold, nothing left.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::adapters::docker::{Docker, DockerSettings};
use portcullis::domain::progress::Progress;
use portcullis::ports::{ContainerState, ExecutorError, Privileged, ProviderError, Question, Stop, SuiteExecutor};

use crate::support::engine::{BUSYBOX, Corner, NOBODY, ended, figure, now, run, script, until};

const MIB: u64 = 1 << 20;

/// A gzipped tar as GitHub makes it, of (path, content) and one link.
fn repository(path: &Path, files: &[(&str, &str)], link: (&str, &str)) {
    let mut tar =
        tar::Builder::new(flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::fast()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, format!("acme-infra-1234/{name}"), content.as_bytes()).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, format!("acme-infra-1234/{}", link.0), link.1).unwrap();
    tar.into_inner().unwrap().finish().unwrap().flush().unwrap();
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_question_whose_asker_was_killed_is_taken_away_when_its_time_is_over() {
    let corner = Corner::new("question");
    let (docker, asked_at) = (corner.docker(), now());
    let invocation = script(NOBODY, "while :; do sleep 1; done").invocation;
    let question = Question { image: NOBODY.into(), invocation, asked_at };
    let posed = until("it is posed", Duration::from_secs(60), async || (corner.left().len() == 1).then_some(()));
    tokio::select! {
        answer = docker.ask(&question, corner.home.path()) => panic!("{answer:?}"),
        () = posed => {}
    }
    docker.forget_questions(asked_at.saturating_add(Question::LIFE).unwrap()).await.unwrap();
    assert_eq!(corner.left().len(), 1, "its answer may still come");
    let later = asked_at.saturating_add(Question::LIFE + jiff::SignedDuration::from_secs(1)).unwrap();
    docker.forget_questions(later).await.unwrap();
    assert!(corner.left().is_empty());
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_suite_finds_the_contract_and_has_no_privileges() {
    let corner = Corner::new("contract");
    let docker = corner.docker();
    let archive = corner.home.path().join("repository.tar.gz");
    repository(
        &archive,
        &[("deploy/a.yaml", "kind: A\n"), ("run.sh", "echo from the workspace\n")],
        ("link", "run.sh"),
    );
    let mut execution = script(
        NOBODY,
        "set -e; cat $KUBECONFIG; sh /workspace/link; echo \"skip $PORTCULLIS_SKIP\"; echo changed > /workspace/deploy/a.yaml
         grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs)' /proc/self/status; mkdir -p $RESULTS_DIR/sub; echo '<a/>' > $RESULTS_DIR/sub/junit.xml
         touch $HOME/x; exit 3",
    );
    execution.workspace = Some(archive);
    docker.ensure_started(&execution).await.unwrap();
    docker.ensure_started(&execution).await.unwrap();
    assert_eq!(docker.list().await.unwrap(), [execution.attempt]);
    assert_eq!(corner.left().len(), 1, "one container, however often it is asked for");

    let log = corner.home.path().join("log");
    docker.follow(execution.attempt, &log, MIB, &Arc::default());
    docker.follow(execution.attempt, &log, MIB, &Arc::default());
    assert_eq!(ended(&docker, execution.attempt).await.state, ContainerState::Exited { code: 3, oom_killed: false });
    let into = corner.home.path().join("results");
    assert!(docker.collect(execution.attempt, &into, MIB, &Arc::default()).await.unwrap().is_empty());
    assert_eq!(fs::read_to_string(into.join("sub/junit.xml")).unwrap(), "<a/>\n");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let zeros = "0000000000000000";
    let expected = [
        "the kubeconfig".to_owned(),
        "from the workspace".to_owned(),
        "skip slow|odd".to_owned(),
        "Uid:\t65534\t65534\t65534\t65534".to_owned(),
        format!("CapEff:\t{zeros}"),
        format!("CapBnd:\t{zeros}"),
        "NoNewPrivs:\t1".to_owned(),
    ];
    assert_eq!(lines, expected);

    docker.ensure_started(&execution).await.unwrap();
    assert_eq!(ended(&docker, execution.attempt).await.state, ContainerState::Exited { code: 3, oom_killed: false });
    docker.remove(execution.attempt).await.unwrap();
    docker.remove(execution.attempt).await.unwrap();
    assert_eq!(docker.observe(execution.attempt).await.unwrap().state, ContainerState::Lost);
    let problems = docker.collect(execution.attempt, &into, MIB, &Arc::default()).await.unwrap();
    assert_eq!(problems, ["the container is gone, and its results with it"]);
    assert!(corner.left().is_empty());
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_log_is_continued_by_the_next_process() {
    let corner = Corner::new("resume");
    let log = corner.home.path().join("log");
    let numbers = "echo 'Will run 60 specs'; i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo \"ok $i\"; echo \"err $i\" >&2; usleep 50000; done";
    let execution = script(BUSYBOX, numbers);
    let stored = || fs::read_to_string(&log).unwrap_or_default();
    for lines in [5, 40, 80] {
        let docker = corner.docker();
        docker.ensure_started(&execution).await.unwrap();
        docker.follow(execution.attempt, &log, MIB, &Arc::default());
        until("lines are stored", Duration::from_secs(60), async || (stored().lines().count() >= lines).then_some(()))
            .await;
        drop(docker);
        // A crash in the middle of a line.
        fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"2026-01-01T00:0").unwrap();
    }
    let docker = corner.docker();
    docker.follow(execution.attempt, &log, MIB, &Arc::default());
    ended(&docker, execution.attempt).await;
    docker.collect(execution.attempt, &corner.home.path().join("results"), MIB, &Arc::default()).await.unwrap();
    let text = stored();
    let of = |word: &str| -> Vec<String> {
        let texts = text.lines().filter_map(|line| line.split_once(' ')?.1.strip_prefix(word));
        texts.map(|number| number.trim().to_owned()).collect()
    };
    let numbers: Vec<String> = (1..=60).map(|n: u32| n.to_string()).collect();
    assert_eq!((of("ok "), of("err ")), (numbers.clone(), numbers));
    assert_eq!(text.lines().count(), 121);
    let progress = docker.observe(execution.attempt).await.unwrap().progress;
    assert_eq!(progress, Progress { total: 60, completed: 60, failed: 0 });
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn an_interrupt_reaches_every_process_and_a_kill_needs_no_consent() {
    let corner = Corner::new("stop");
    let docker = corner.docker();
    let waits = "while :; do usleep 50000; done";
    let polite = script(
        BUSYBOX,
        &format!(
            "(trap 'echo child > /results/child; exit' INT; echo ready; {waits}) | (trap 'exit 7' INT; read x; echo $x; cat)"
        ),
    );
    let stubborn = script(BUSYBOX, &format!("trap '' INT; echo ready; {waits}"));
    for execution in [&polite, &stubborn] {
        docker.ensure_started(execution).await.unwrap();
        let log = corner.home.path().join(execution.attempt.to_string());
        docker.follow(execution.attempt, &log, MIB, &Arc::default());
        let ready = async || fs::read_to_string(&log).unwrap_or_default().contains("ready").then_some(());
        until("the script is ready", Duration::from_secs(60), ready).await;
        docker.stop(execution.attempt, Stop::Interrupt).await.unwrap();
    }
    let end = ended(&docker, polite.attempt).await.state;
    assert!(matches!(end, ContainerState::Exited { oom_killed: false, .. }), "{end:?}");
    let into = corner.home.path().join("results");
    docker.collect(polite.attempt, &into, MIB, &Arc::default()).await.unwrap();
    assert_eq!(fs::read_to_string(into.join("child")).unwrap(), "child\n");
    assert_eq!(docker.observe(stubborn.attempt).await.unwrap().state, ContainerState::Running);
    docker.stop(stubborn.attempt, Stop::Kill).await.unwrap();
    assert_eq!(ended(&docker, stubborn.attempt).await.state, ContainerState::Exited { code: 137, oom_killed: false });
    docker.stop(stubborn.attempt, Stop::Kill).await.unwrap();
    docker.remove(stubborn.attempt).await.unwrap();
    docker.stop(stubborn.attempt, Stop::Interrupt).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_gigabyte_of_log_costs_what_is_allowed() {
    let corner = Corner::new("log");
    let docker = corner.docker();
    let x = "x".repeat(4000);
    let execution =
        script(BUSYBOX, &format!("yes {x} | head -c 1073741824; echo; echo the end; head -c 100000 /dev/zero"));
    let start = Instant::now();
    docker.ensure_started(&execution).await.unwrap();
    let log = corner.home.path().join("log");
    docker.follow(execution.attempt, &log, MIB, &Arc::default());
    let container =
        run("docker", &["ps", "-aq", "--filter", &format!("label=dev.portcullis.attempt={}", execution.attempt)]);
    assert_eq!(ended(&docker, execution.attempt).await.state, ContainerState::Exited { code: 0, oom_killed: false });
    let problems =
        docker.collect(execution.attempt, &corner.home.path().join("results"), MIB, &Arc::default()).await.unwrap();
    figure(&format!("1 GiB of log took {:.1?}", start.elapsed()));
    assert!(problems.is_empty(), "{problems:?}");
    let stored = fs::read_to_string(&log).unwrap();
    assert!(stored.len() as u64 <= MIB + 200, "{} bytes", stored.len());
    assert!(stored.lines().last().unwrap().contains("what follows was not kept"));
    let file = run("docker", &["inspect", "-f", "{{.LogPath}}", container.trim()]);
    let folder = Path::new(file.trim()).parent().unwrap().to_owned();
    let kept: u64 =
        fs::read_dir(folder).map_or(0, |files| files.map(|file| file.unwrap().metadata().unwrap().len()).sum());
    assert!(kept < 160 * MIB, "the engine keeps {kept} bytes");
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_gigabyte_of_report_costs_what_is_allowed() {
    let corner = Corner::new("report");
    let docker = corner.docker();
    let mut execution = script(
        BUSYBOX,
        "dd if=/dev/zero of=/results/huge bs=1M count=1024 2>/dev/null; echo '<testsuite/>' > /results/junit.xml; ln -s /etc/passwd /results/link",
    );
    execution.limits.disk_bytes = 4096 * MIB;
    docker.ensure_started(&execution).await.unwrap();
    ended(&docker, execution.attempt).await;
    let into = corner.home.path().join("results");
    let problems = docker.collect(execution.attempt, &into, 300 * MIB, &Arc::default()).await.unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|text| text.contains("`huge` of 1073741824 bytes left out")), "{problems:?}");
    assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
    assert!(into.join("junit.xml").exists());

    let mut limited = script(
        BUSYBOX,
        "dd if=/dev/zero of=/results/huge bs=1M count=1024; echo rc $?; dd if=/dev/zero of=/data/v bs=1M count=400; sleep 60",
    );
    limited.limits.disk_bytes = 32 * MIB;
    limited.limits.memory_bytes = 64 * MIB;
    docker.ensure_started(&limited).await.unwrap();
    docker.follow(limited.attempt, &corner.home.path().join("log"), MIB, &Arc::default());
    let written = until("the disk is measured", Duration::from_secs(60), async || {
        docker.observe(limited.attempt).await.unwrap().disk_bytes.filter(|bytes| *bytes > 16 * MIB)
    })
    .await;
    assert!(written <= 40 * MIB, "{written} bytes on disk");
    let label = format!("label=dev.portcullis.attempt={}", limited.attempt);
    let container = run("docker", &["ps", "-aq", "--filter", &label]);
    assert_eq!(run("docker", &["inspect", "-f", "{{len .Mounts}}", container.trim()]).trim(), "0", "no volume on disk");
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_suite_beyond_its_memory_is_killed_and_said_so() {
    let corner = Corner::new("memory");
    let docker = corner.docker();
    let mut execution = script(BUSYBOX, "exec tail /dev/zero");
    execution.limits.memory_bytes = 32 * MIB;
    docker.ensure_started(&execution).await.unwrap();
    assert_eq!(ended(&docker, execution.attempt).await.state, ContainerState::Exited { code: 137, oom_killed: true });
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn what_cannot_be_run_is_refused_in_words_that_help() {
    let corner = Corner::new("refused");
    let docker = corner.docker();
    let refused = |answer: Result<(), ExecutorError>| match answer.unwrap_err() {
        ExecutorError::Refused(text) => text,
        other => panic!("{other:?}"),
    };
    let unpullable = script("127.0.0.1:9/nobody/nothing:1", "true");
    let text = refused(docker.ensure_started(&unpullable).await);
    assert!(text.starts_with("image 127.0.0.1:9/nobody/nothing:1 cannot be pulled: "), "{text}");
    let misspelt = script("Not An Image", "true");
    assert!(refused(docker.ensure_started(&misspelt).await).contains("Not An Image"));
    assert!(corner.left().is_empty());

    let mut hostile = script(BUSYBOX, "true");
    let archive = corner.home.path().join("hostile.tar.gz");
    repository(&archive, &[("a", "a")], ("out", "../../etc/passwd"));
    hostile.workspace = Some(archive);
    let text = refused(docker.ensure_started(&hostile).await);
    assert!(text.contains("`out` links to `../../etc/passwd`, out of the tree"), "{text}");
    let mut no_program = script(BUSYBOX, "");
    no_program.invocation.command = vec!["/no/such/program".into()];
    let started = docker.ensure_started(&no_program).await;
    // Behind an init a missing program is the container's own failure, not the engine's.
    if started.is_ok() {
        assert_eq!(
            ended(&docker, no_program.attempt).await.state,
            ContainerState::Exited { code: 127, oom_killed: false }
        );
    }
    for attempt in [hostile.attempt, no_program.attempt] {
        docker.remove(attempt).await.unwrap();
    }
    assert!(corner.left().is_empty());
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_long_pull_holds_nobody_up_and_its_end_is_told() {
    let corner = Corner::new("pull");
    let docker = corner.docker();
    // A registry that takes connections and never says a word.
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("127.0.0.1:{}/nobody/slow:1", registry.local_addr().unwrap().port());
    let execution = script(&image, "true");
    let start = Instant::now();
    let error = docker.ensure_started(&execution).await.unwrap_err();
    assert!(matches!(&error, ExecutorError::Failed { what, .. } if what.contains(&image)), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    drop(registry);
    let why = until("the failure is told", Duration::from_secs(120), async || {
        match docker.ensure_started(&execution).await {
            Err(ExecutorError::Refused(why)) => Some(why),
            Err(ExecutorError::Failed { .. }) => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert!(why.starts_with(&format!("image {image} cannot be pulled: ")), "{why}");
    docker.close().await;
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unreachable() {
    let docker = Docker::new(DockerSettings {
        instance: "nobody".into(),
        host: Some("unix:///nonexistent/docker.sock".into()),
        node_images: vec!["n".into()],
        privileged: Privileged::Auto,
        runtime: None,
    });
    assert!(matches!(portcullis::ports::ClusterProvider::check(&docker).await, Err(ProviderError::Unreachable { .. })));
    assert!(matches!(docker.list().await, Err(ExecutorError::Unreachable { .. })));
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_process_that_the_kernel_killed_is_noticed_while_the_rest_hangs() {
    let corner = Corner::new("worker");
    let docker = corner.docker();
    let mut execution = script(BUSYBOX, "echo begin; (tail /dev/zero); echo waiting for it; exec sleep 1000");
    execution.limits.memory_bytes = 32 * MIB;
    docker.ensure_started(&execution).await.unwrap();
    docker.follow(execution.attempt, &corner.home.path().join("log"), MIB, &Arc::default());
    until("the engine tells of it", Duration::from_secs(60), async || {
        let seen = docker.observe(execution.attempt).await.unwrap();
        assert_eq!(seen.state, ContainerState::Running, "the container itself goes on");
        seen.oom_killed.then_some(())
    })
    .await;
    let calm = script(BUSYBOX, "echo begin; exec sleep 1000");
    docker.ensure_started(&calm).await.unwrap();
    docker.follow(calm.attempt, &corner.home.path().join("calm"), MIB, &Arc::default());
    until("it is measured", Duration::from_secs(60), async || docker.observe(calm.attempt).await.unwrap().disk_bytes)
        .await;
    assert!(!docker.observe(calm.attempt).await.unwrap().oom_killed, "another container's trouble is not its own");
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn dots_are_heard_before_their_line_ends() {
    let corner = Corner::new("dots");
    let docker = corner.docker();
    let execution = script(
        BUSYBOX,
        "echo Will run 9 of 20 specs; while [ ! -e /results/stop ]; do printf 'S•'; sleep 1; done; \
         printf 'P••\\n• [FAILED] [0.1 seconds]\\n'; exec sleep 1000",
    );
    docker.ensure_started(&execution).await.unwrap();
    let log = corner.home.path().join("log");
    docker.follow(execution.attempt, &log, MIB, &Arc::default());
    let heard = until("dots are counted", Duration::from_secs(60), async || {
        let seen = docker.observe(execution.attempt).await.unwrap();
        (seen.progress.completed >= 3).then_some(seen)
    })
    .await;
    assert!(heard.progress.completed < 9 && heard.progress.total == 9, "{heard:?}");
    assert!(heard.silent_for < Duration::from_secs(5), "{heard:?}");
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1, "the line itself is not there yet");
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn whoever_stops_a_suite_the_reports_are_kept() {
    let corner = Corner::new("reports");
    let docker = corner.docker();
    // As Ginkgo does: the signal reaches the whole process group, the report is written, then it ends.
    let text = "report() { echo '<testsuite><testcase name=\"a\"/></testsuite>' > /results/junit.xml; exit 1; }; \
                trap report INT TERM; echo ready; while :; do sleep 1; done";
    let stopped = |how: Option<Stop>| {
        let (docker, corner, execution) = (&docker, &corner, script(BUSYBOX, text));
        async move {
            docker.ensure_started(&execution).await.unwrap();
            let log = corner.home.path().join(format!("{}.log", execution.attempt));
            docker.follow(execution.attempt, &log, MIB, &Arc::default());
            let ready = async || fs::read_to_string(&log).unwrap_or_default().contains("ready").then_some(());
            until("the suite is ready", Duration::from_secs(60), ready).await;
            match how {
                Some(how) => docker.stop(execution.attempt, how).await.unwrap(),
                // An operator's `docker stop`, or an engine that shuts down: SIGTERM.
                None => {
                    let label = format!("label=dev.portcullis.attempt={}", execution.attempt);
                    let container = run("docker", &["ps", "-q", "--filter", &label]);
                    run("docker", &["stop", "-t", "30", container.trim()]);
                }
            }
            ended(docker, execution.attempt).await;
            let into = corner.home.path().join(execution.attempt.to_string());
            docker.collect(execution.attempt, &into, MIB, &Arc::default()).await.unwrap();
            into.join("junit.xml").exists()
        }
    };
    assert!(stopped(Some(Stop::Interrupt)).await, "SIGINT");
    assert!(stopped(None).await, "SIGTERM");
    assert!(!stopped(Some(Stop::Kill)).await, "SIGKILL leaves nothing, so the two above prove something");
}

#[tokio::test]
#[ignore = "needs Docker"]
async fn a_hang_is_asked_where_it_hangs() {
    let corner = Corner::new("dump");
    let docker = corner.docker();
    let execution = script(
        BUSYBOX,
        "trap '' INT; trap 'echo goroutine 1 [select]:; exit 2' QUIT; echo ready; while :; do sleep 1; done",
    );
    docker.ensure_started(&execution).await.unwrap();
    let log = corner.home.path().join("log");
    docker.follow(execution.attempt, &log, MIB, &Arc::default());
    let ready = async || fs::read_to_string(&log).unwrap_or_default().contains("ready").then_some(());
    until("the suite is ready", Duration::from_secs(60), ready).await;
    docker.stop(execution.attempt, Stop::Dump).await.unwrap();
    ended(&docker, execution.attempt).await;
    let said = async || fs::read_to_string(&log).unwrap_or_default().contains("goroutine 1").then_some(());
    until("what it said is in the log", Duration::from_secs(60), said).await;
}
