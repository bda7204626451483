//! What becomes of output that nobody reads, or that cannot be written.

use std::fs::File;
use std::process::Stdio;

use serde_json::Value;

use super::{ended, portcullis, program};

const DOCUMENT: &str = include_str!("../../../docs/suites.md");
const FAILED: &str =
    r#"<testsuite tests="1" failures="1"><testcase name="pays"><failure message="no"/></testcase></testsuite>"#;

/// The end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_went_away_changes_neither_status_nor_errors() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("junit.xml"), FAILED).unwrap();
    for (arguments, status) in [
        (&["report", "junit.xml"][..], 1),
        (&["report", "--json", "junit.xml"], 1),
        (&["schema", "gate"], 0),
        (&["suites"], 0),
        (&["completions", "bash"], 0),
        (&["--help"], 0),
        (&["--version"], 0),
    ] {
        let mut command = program(folder.path(), arguments);
        let child = command.stdout(unread()).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(status), ""), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_no_success_and_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("junit.xml"), FAILED).unwrap();
    std::fs::create_dir(folder.path().join(".github")).unwrap();
    std::fs::write(folder.path().join(".github/portcullis.yaml"), "suites: {smoke: , custom: }\n").unwrap();
    for arguments in [
        &["report", "junit.xml"][..],
        &["report", "--json", "junit.xml"],
        &["schema", "gate"],
        &["suites"],
        &["suites", "show", "smoke"],
        &["check"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ] {
        let mut command = program(folder.path(), arguments);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{arguments:?}: {stderr}");
        assert_eq!(stderr, "the output cannot be written: No space left on device (os error 28)\n", "{arguments:?}");
    }
    assert_eq!(ended(&mut program(folder.path(), &["check"])).status, 0);
}

/// The example in the document is what its report comes to.
#[test]
fn what_report_prints_is_as_documented() {
    const CASES: &str = r#"<testsuite><testcase name="opens"/><testcase name="waits"><skipped/></testcase><testcase name="pays"><failure message="the till is closed"/></testcase></testsuite>"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("junit.xml"), CASES).unwrap();
    let ended = portcullis(folder.path(), &["report", "--json", "."]);
    let (_, example) = DOCUMENT.split_once("\n```json\n").unwrap();
    let example: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&ended.stdout).unwrap(), example);
    assert_eq!((ended.status, ended.stderr.as_str()), (1, ""));
    let help = portcullis(folder.path(), &["report", "--help"]).stdout;
    for status in ["0 success", "1 failure", "2 error", "64 ", "74 "] {
        assert!(help.contains(status), "{help}");
        assert!(DOCUMENT.contains(&format!("| {} |", status.split(' ').next().unwrap())), "{status}");
    }
}

/// What a report cannot be read for is told by its cause.
#[test]
fn a_result_that_is_none_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("empty.xml", "");
    write("plain.txt", "hello\n");
    write("cut.json", "{");
    write("other.json", "{\"a\": 1}");
    write("one.xml", "<testsuite><testcase name=\"a\"/></testsuite>");
    std::fs::create_dir(folder.path().join("nothing")).unwrap();
    for (path, status, expected) in [
        ("empty.xml", 2, "empty.xml: empty: it holds no XML element"),
        ("plain.txt", 2, "plain.txt: text without any XML element"),
        ("cut.json", 2, "cut.json: not a Ginkgo report: EOF while parsing an object at line 1 column 1"),
        ("other.json", 2, "other.json: not a Ginkgo report: JSON of another kind"),
        ("nothing", 2, "nothing: no report in it among `*.xml` and `*.json` (also `.gz`)"),
        ("one.xml", 0, "\n1 case: 1 passed, "),
    ] {
        let ended = portcullis(folder.path(), &["report", path]);
        assert!(ended.status == status && ended.stdout.contains(expected), "{path}: {}", ended.stdout);
    }
}
