//! The command line as a user meets it: the built program, its output and its exit status.

mod clusters;
mod output;

use std::path::Path;
use std::process::{Command, Output};

struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs the program in a folder with an environment in which nothing is configured.
fn portcullis(folder: &Path, arguments: &[&str]) -> Ended {
    ended(&mut program(folder, arguments))
}

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let ours =
        std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("PORTCULLIS_"));
    for name in ours {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder);
    command
}

fn ended(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { status: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}

fn repository(gate: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".github")).unwrap();
    std::fs::write(folder.path().join(".github/portcullis.yaml"), gate).unwrap();
    folder
}

#[test]
fn check_says_what_a_good_gate_amounts_to() {
    let repository = repository("suites: {smoke: , custom: }\nskips: skips.yaml\n");
    let list = "entries:\n- {match: a, reason: r, owner: o, expires: 2020-01-01}\n- {match: b, reason: r, owner: o, expires: 2020-01-01}\n";
    std::fs::write(repository.path().join("skips.yaml"), list).unwrap();
    let expected = ": ok, suites smoke, custom; 2 skip entries, 2 of them expired\n";

    let here = portcullis(repository.path(), &["check"]);
    assert_eq!((here.status, here.stdout), (0, format!(".github/portcullis.yaml{expected}")), "{}", here.stderr);
    for place in [repository.path().to_owned(), repository.path().join(".github/portcullis.yaml")] {
        let ended = portcullis(Path::new("/"), &["check", "--gate", place.to_str().unwrap()]);
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        assert!(ended.stdout.ends_with(expected), "{}", ended.stdout);
    }
}

#[test]
fn check_names_every_problem_of_every_file() {
    let repository = repository("suites:\n  smoke: {timeout: soon}\nskips: lists/skips.yaml\n");
    std::fs::create_dir(repository.path().join("lists")).unwrap();
    std::fs::write(repository.path().join("lists/skips.yaml"), "entries:\n- {match: '['}\n").unwrap();
    std::fs::write(repository.path().join("server.toml"), "[server]\nlisten = 'here'\n").unwrap();
    let ended = portcullis(repository.path(), &["check", "--config", "server.toml", "--gate", "."]);
    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""));
    let places: Vec<_> = ended.stderr.lines().map(|line| line.split(": ").next().unwrap()).collect();
    let list = "lists/skips.yaml:2:3";
    let expected = ["server.toml:2:10", "server.toml", "server.toml", ".github/portcullis.yaml:2:20", list, list, list];
    assert_eq!(places, expected, "{}", ended.stderr);
}

#[test]
fn check_of_both_files_finds_secrets_that_the_server_does_not_have() {
    let repository = repository("suites:\n  smoke: {secrets: {TOKEN: registry, KEY: cloud}}\n");
    let server = "[github]\ntoken = 't'\nwebhook_secrets = ['s']\n[secrets.registry]\nvalue = 'hunter2'\n";
    std::fs::write(repository.path().join("server.toml"), server).unwrap();
    let ended = portcullis(repository.path(), &["check", "--config", "server.toml", "--gate", "."]);
    let expected = ".github/portcullis.yaml: suites.smoke.secrets: the server has no secret `cloud`\n";
    assert_eq!((ended.status, ended.stdout.as_str(), ended.stderr.as_str()), (1, "server.toml: ok\n", expected));
    assert_eq!(portcullis(repository.path(), &["check"]).status, 0, "which secrets there are is the server's to say");
}

#[test]
fn check_of_nothing_is_a_problem() {
    let empty = tempfile::tempdir().unwrap();
    let ended = portcullis(empty.path(), &["check"]);
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.starts_with(".github/portcullis.yaml: cannot be read: No such file"), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("; `--gate FILE|DIR` names another\n"), "{}", ended.stderr);
}

#[test]
fn check_finds_what_a_set_up_would_not_find() {
    let gate =
        "suites: {smoke: }\nsetup:\n- {name: a, apply: [deploy, ./deploy//web.yaml]}\n- {name: b, apply: [nothere/]}\n";
    let repository = repository(gate);
    std::fs::create_dir(repository.path().join("deploy")).unwrap();
    let ended = portcullis(repository.path(), &["check"]);
    let expected = ".github/portcullis.yaml:3:29: there is no file or folder `deploy/web.yaml`\n\
                    .github/portcullis.yaml:4:21: there is no file or folder `nothere`\n";
    assert_eq!((ended.status, ended.stderr.as_str(), ended.stdout.as_str()), (1, expected, ""));
    std::fs::write(repository.path().join("deploy/web.yaml"), "").unwrap();
    std::fs::create_dir(repository.path().join("nothere")).unwrap();
    let ended = portcullis(repository.path(), &["check"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
}

#[test]
fn check_of_specs_alone_means_the_repository_of_this_folder() {
    let repository = repository("suites: {smoke: }\nskips: nowhere.yaml\n");
    std::fs::write(repository.path().join("server.toml"), "[github]\ntoken = 't'\nwebhook_secrets = ['s']\n").unwrap();
    let ended = portcullis(repository.path(), &["check", "--config", "server.toml", "--specs"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (1, "server.toml: ok\n"));
    assert_eq!(ended.stderr, ".github/portcullis.yaml:2:8: there is no file `nowhere.yaml`\n");
}

#[test]
fn serve_refuses_a_configuration_that_is_not_whole() {
    let empty = tempfile::tempdir().unwrap();
    let ended = portcullis(empty.path(), &["serve"]);
    assert_eq!(ended.status, 1);
    assert!(
        ended.stderr.contains("`github.webhook_secrets` or `github.webhook_secret_file` is missing"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("`--config FILE`, or set `PORTCULLIS_GITHUB__TOKEN`"), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was begun");
}

#[test]
fn schemas_and_suites_are_printed_for_programs() {
    let here = Path::new(".");
    for file in ["gate", "skips", "server"] {
        let ended = portcullis(here, &["schema", file]);
        let schema: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((ended.status, &schema["additionalProperties"]), (0, &false.into()), "{file}");
    }
    let ended = portcullis(here, &["suites", "--json"]);
    let suites: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(suites[1]["name"], "conformance");
    assert_eq!(suites[1]["suite"]["entry"]["ginkgo"]["procs"], 4);
    let text = portcullis(here, &["suites"]).stdout;
    let unknown = portcullis(here, &["suites", "show", "smok"]);
    let expected =
        "there is no built-in suite `smok` (smoke, conformance, statefulset, custom); did you mean `smoke`?\n";
    assert_eq!((unknown.status, unknown.stderr.as_str()), (1, expected));
    assert!(suites.iter().all(|suite| text.contains(suite["description"].as_str().unwrap())), "{text}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = portcullis(Path::new("."), &["completions", shell]);
        assert!(ended.status == 0 && ended.stdout.contains("check"), "{shell}");
    }
}

#[test]
fn a_call_that_cannot_be_understood_is_told_from_a_verdict() {
    for arguments in [&["report"][..], &["no-such-command"], &["serve", "--no-such-option"]] {
        let ended = portcullis(Path::new("/"), arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (64, ""), "{arguments:?}");
        assert!(ended.stderr.contains("Usage: portcullis"), "{}", ended.stderr);
    }
    assert!(portcullis(Path::new("."), &["chekc"]).stderr.contains("check"), "what was meant is suggested");
    let help = portcullis(Path::new("/"), &["report", "--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (0, ""));
}
