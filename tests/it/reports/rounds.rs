//! Several files: folders, processes, retries, matrix legs, and what is no report at all.

use std::fs;
use std::path::PathBuf;

use super::{fixture, report};

fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let paths = vec![dir.path().to_owned()];
    (dir, paths)
}

const PASS: &str = r#"<testsuite name="s"><testcase name="a" classname="s"/></testsuite>"#;
const FAIL: &str = r#"<testsuite name="s"><testcase name="a" classname="s"><failure>no</failure></testcase></testsuite>"#;
const SKIP: &str = r#"<testsuite name="s"><testcase name="a" classname="s"><skipped/></testcase></testsuite>"#;

#[test]
fn a_retry_is_one_when_its_name_says_so() {
    for names in [["junit.xml", "junit-rerun.xml"], ["attempt-1/j.xml", "attempt-2/j.xml"], ["j_retry_1.xml", "j_retry_2.xml"]] {
        let (_dir, paths) = folder(&[(names[0], FAIL), (names[1], PASS)]);
        let said = report(paths, None);
        assert_eq!((said.verdict(), said.cases()), ("success", [1, 0, 0, 0, 0, 1]), "{names:?}");
        let (_dir, paths) = folder(&[(names[0], PASS), (names[1], FAIL)]);
        assert_eq!(report(paths, None).verdict(), "failure", "{names:?}");
    }
}

#[test]
fn a_pass_on_one_platform_excuses_no_failure_on_another() {
    let (_dir, paths) = folder(&[("py310/junit.xml", FAIL), ("py311/junit.xml", PASS)]);
    let said = report(paths, None);
    assert_eq!((said.verdict(), said.cases()), ("failure", [1, 0, 1, 0, 0, 0]));
}

#[test]
fn processes_of_one_run_are_merged_by_name() {
    let (_dir, paths) = folder(&[("junit_01.xml", SKIP), ("junit_02.xml", PASS), ("junit_03.xml", SKIP)]);
    let said = report(paths, None);
    assert_eq!((said.verdict(), said.cases()), ("success", [1, 1, 0, 0, 0, 0]));
}

#[test]
fn files_and_folders_mix_and_nothing_is_counted_twice() {
    let (dir, mut paths) = folder(&[("a.xml", PASS)]);
    paths.push(dir.path().join("a.xml"));
    paths.push(fixture("dialects/pytest.xml"));
    assert_eq!(report(paths, None).cases(), [7, 3, 1, 1, 2, 0]);
}

#[test]
fn other_files_in_a_folder_are_passed_over() {
    let (_dir, paths) = folder(&[
        ("junit.xml", PASS),
        ("pom.xml", "<?xml version=\"1.0\"?><project><modelVersion>4</modelVersion></project>"),
        ("coverage.xml", "<!DOCTYPE coverage SYSTEM \"x.dtd\"><coverage/>"),
        ("package.json", "{\"name\":\"x\"}"),
        ("list.json", "[1,2,3]"),
        ("log.txt", "FAIL"),
    ]);
    let said = report(paths, None);
    assert_eq!((said.verdict(), said.cases(), said.problems()), ("success", [1, 1, 0, 0, 0, 0], String::new()));
}

#[test]
fn a_folder_without_reports_says_what_it_holds() {
    let (dir, paths) = folder(&[("pom.xml", "<project/>"), ("log.txt", "x")]);
    let said = report(paths, Some(0));
    assert_eq!(said.verdict(), "error");
    assert!(said.problems().contains("its root element is <project>"), "{}", said.problems());
    let said = report(vec![dir.path().join("pom.xml")], Some(0));
    assert!(said.verdict() == "error" && said.problems().contains("<project>"), "{}", said.json);
}

#[test]
fn a_path_that_does_not_exist_is_an_error() {
    let said = report(vec!["/nonexistent/report.xml".into()], None);
    assert_eq!((said.status, said.cases()), (2, [0; 6]));
    assert!(said.problems().contains("/nonexistent/report.xml: no such file or folder"), "{}", said.problems());
    let said = report(vec![fixture("dialects/minimal.xml"), "/nonexistent".into()], Some(0));
    assert_eq!(said.verdict(), "error", "what was asked for and is missing is never green");
}

#[test]
fn an_empty_folder_is_an_error() {
    let (_dir, paths) = folder(&[]);
    let said = report(paths, Some(0));
    assert_eq!((said.verdict(), said.description()), ("error", "exited with status 0 without a result file"));
}

#[test]
fn parallel_and_serial_phases_add_up() {
    let phase = |ran: &str, filtered: &str| {
        format!(
            r#"<testsuites><testsuite name="k" tests="2" skipped="1"><properties><property name="SuiteSucceeded" value="true"/></properties>
            <testcase name="[It] {ran}" classname="k" status="passed" time="1"/>
            <testcase name="[It] {filtered}" classname="k" status="skipped" time="0"><skipped message="skipped"/></testcase></testsuite></testsuites>"#
        )
    };
    let (_dir, paths) = folder(&[("parallel/junit_01.xml", &phase("a", "b")), ("serial/junit_01.xml", &phase("b", "a"))]);
    assert_eq!(report(paths, None).cases(), [2, 2, 0, 0, 0, 0]);
}
