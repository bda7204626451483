//! `portcullis report` on recorded, dialect and hostile result files: what its JSON says and how it exits.
//! Goes through the command itself, so that the promises to scripts are what is tested.

mod dialects;
mod hostile;
mod recorded;
mod rounds;

use std::path::{Path, PathBuf};

use portcullis::cli::report::{ReportArgs, run};
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
        ["total", "passed", "failed", "errored", "skipped", "flaky"].map(|key| self.json["cases"][key].as_u64().unwrap())
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

/// Runs the command and checks what holds for every answer.
#[track_caller]
fn report(paths: Vec<PathBuf>, exit_code: Option<i64>) -> Said {
    let mut out = Vec::new();
    let status = run(&ReportArgs { paths: paths.clone(), exit_code, json: true }, &mut out).unwrap();
    let json: Value = serde_json::from_slice(&out).unwrap();
    let said = Said { status, json };

    let expected = ["success", "failure", "error"].iter().position(|word| *word == said.verdict()).unwrap();
    assert_eq!(usize::from(status), expected, "exit status and verdict agree");
    let [total, passed, failed, errored, skipped, flaky] = said.cases();
    assert_eq!(total, passed + failed + errored + skipped + flaky, "every case counts once");
    assert!(said.description().chars().count() <= 140, "{}", said.description());
    assert_eq!(said.failures().len() as u64, failed + errored, "every bad case is named");
    if said.verdict() == "error" {
        assert!(!said.problems().is_empty(), "an error says why");
    }

    let mut text = Vec::new();
    let again = run(&ReportArgs { paths, exit_code, json: false }, &mut text).unwrap();
    assert_eq!(again, status);
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with(&format!("{}: {}", said.verdict(), said.description())), "{text}");
    assert!(!text.contains('\u{1b}'), "nothing from a report steers the terminal");
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
