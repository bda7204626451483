//! `portcullis report` on recorded, dialect and hostile result files: what its JSON says and how it exits.
//! Goes through the command itself, so that the promises to scripts are what is tested.

mod dialects;
mod every;
mod found;
mod hostile;
mod recorded;
mod rounds;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What the command printed and returned.
struct Said {
    status: u8,
    json: Value,
}

impl Said {
    fn verdict(&self) -> &str {
        self.json["verdict"].as_str().unwrap()
    }

    fn description(&self) -> &str {
        self.json["description"].as_str().unwrap()
    }

    /// total, passed, failed, errored, skipped, flaky
    fn cases(&self) -> [u64; 6] {
        ["total", "passed", "failed", "errored", "skipped", "flaky"]
            .map(|key| self.json["cases"][key].as_u64().unwrap())
    }

    fn failures(&self) -> Vec<&str> {
        self.json["failures"].as_array().unwrap().iter().map(|failure| failure["name"].as_str().unwrap()).collect()
    }

    fn message(&self, at: usize) -> &str {
        self.json["failures"][at]["message"].as_str().unwrap()
    }

    fn problems(&self) -> String {
        let problems = self.json["problems"].as_array().unwrap();
        problems.iter().map(|problem| problem.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports").join(path)
}

fn program(paths: &[PathBuf], exit_code: Option<i64>, json: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("report").args(paths);
    if let Some(code) = exit_code {
        command.args(["--exit-code", &code.to_string()]);
    }
    if json {
        command.arg("--json");
    }
    command.output().unwrap()
}

/// Runs the command and checks what holds for every answer.
#[track_caller]
fn report(paths: Vec<PathBuf>, exit_code: Option<i64>) -> Said {
    let Output { status, stdout, stderr } = program(&paths, exit_code, true);
    assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    let json = serde_json::from_slice(&stdout).unwrap();
    let said = Said { status: u8::try_from(status.code().unwrap()).unwrap(), json };

    let expected = ["success", "failure", "error"].iter().position(|word| *word == said.verdict()).unwrap();
    assert_eq!(usize::from(said.status), expected, "exit status and verdict agree");
    let [total, passed, failed, errored, skipped, flaky] = said.cases();
    assert_eq!(total, passed + failed + errored + skipped + flaky, "every case counts once");
    assert!(said.description().chars().count() <= 140, "{}", said.description());
    assert_eq!(said.failures().len() as u64, failed + errored, "every bad case is named");
    if said.verdict() == "error" {
        assert!(!said.problems().is_empty(), "an error says why");
    }
    said
}

#[track_caller]
fn report_on(path: &str) -> Said {
    report(vec![fixture(path)], None)
}

/// The command on a file of this content.
#[track_caller]
fn report_text(name: &str, content: impl AsRef<[u8]>) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    report(vec![path], None)
}

#[test]
fn text_says_the_same_as_json() {
    for path in
        ["dialects/pytest.xml", "dialects/surefire-only-flaky.xml", "ginkgo/v1-zero", "e2e/f-apiserver-unreachable"]
    {
        let paths = vec![fixture(path)];
        let Output { status, stdout, .. } = program(&paths, None, false);
        let said = report(paths, None);
        assert_eq!(status.code(), Some(said.status.into()));
        let text = String::from_utf8(stdout).unwrap();
        assert!(text.starts_with(&format!("{}: {}\n", said.verdict(), said.description())), "{text}");
        for name in said.failures() {
            assert!(text.contains(name), "{text}");
        }
        assert!(said.problems().lines().all(|problem| text.contains(problem)), "{text}");
        assert!(!text.contains('\u{1b}'), "nothing from a report steers the terminal");
    }
}
