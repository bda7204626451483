//! Which files are looked at, in which order, and which are rounds of one another.

use std::fs;

use super::*;

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

fn names(dir: &tempfile::TempDir) -> Vec<Vec<String>> {
    let mut problems = Vec::new();
    let groups = find(&[dir.path().to_owned()], &Limits::default(), &mut problems);
    assert_eq!(problems, Vec::<String>::new());
    let shown = |c: &Candidate| c.path.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned();
    groups.iter().map(|group| group.iter().map(shown).collect()).collect()
}

#[test]
fn folders_are_searched_for_report_endings_in_natural_order() {
    let dir =
        tree(&[("b10.xml", "<a/>"), ("b2.xml", "<a/>"), ("deep/er/c.JSON", "{}"), ("log.txt", "x"), ("d.xml.gz", "")]);
    assert_eq!(names(&dir).concat(), ["b2.xml", "b10.xml", "d.xml.gz", "deep/er/c.JSON"]);
}

#[test]
fn processes_and_rounds_belong_together() {
    let dir = tree(&[
        ("junit_01.xml", ""),
        ("junit_02.xml", ""),
        ("other/junit_01.xml", ""),
        ("attempt-1/r.xml", ""),
        ("attempt-2/r.xml", ""),
        ("report.xml", ""),
        ("report-rerun.xml", ""),
        ("country.xml", ""),
        ("coun.xml", ""),
    ]);
    let groups = names(&dir);
    let of = |name: &str| groups.iter().find(|group| group.iter().any(|n| n == name)).unwrap().clone();
    assert_eq!(of("junit_01.xml"), ["junit_01.xml", "junit_02.xml"]);
    assert_eq!(of("other/junit_01.xml"), ["other/junit_01.xml"]);
    assert_eq!(of("attempt-2/r.xml"), ["attempt-1/r.xml", "attempt-2/r.xml"]);
    assert_eq!(of("report.xml"), ["report.xml", "report-rerun.xml"]);
    assert_eq!(of("country.xml"), ["country.xml"]);
}

#[test]
fn rounds_that_say_when_they_ran_are_ordered_by_it() {
    let at = |time: &str| format!("<testsuite timestamp=\"2026-01-01T{time}\"/>");
    let dir = tree(&[("retry-1.xml", &at("12:00:00")), ("retry-2.xml", &at("11:00:00"))]);
    assert_eq!(names(&dir), [["retry-2.xml", "retry-1.xml"]]);
}

#[test]
fn matrix_legs_stay_apart() {
    for legs in [["py310/junit.xml", "py311/junit.xml"], ["shard-1.xml", "shard-2.xml"], ["run1.xml", "run2.xml"]] {
        let dir = tree(&[(legs[0], ""), (legs[1], "")]);
        assert_eq!(names(&dir).len(), 2, "{legs:?}");
    }
}

#[cfg(unix)]
#[test]
fn links_and_pipes_in_a_folder_are_not_followed() {
    let dir = tree(&[("a.xml", "<a/>")]);
    std::os::unix::fs::symlink("/etc", dir.path().join("out.xml")).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("round")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe.xml")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo is part of every Unix");
    assert_eq!(names(&dir).concat(), ["a.xml"]);
    let mut problems = Vec::new();
    assert!(find(&[dir.path().join("pipe.xml")], &Limits::default(), &mut problems).is_empty());
    assert!(problems[0].contains("neither a file nor a folder"), "{problems:?}");
}

#[test]
fn what_is_missing_or_too_much_is_said() {
    let mut problems = Vec::new();
    assert!(find(&["/nonexistent/x.xml".into()], &Limits::default(), &mut problems).is_empty());
    assert_eq!(problems, ["/nonexistent/x.xml: no such file or folder"]);

    let dir = tree(&[("a.xml", ""), ("b.xml", ""), ("c.xml", "")]);
    let mut problems = Vec::new();
    let limits = Limits { files: 2, ..Limits::default() };
    assert_eq!(find(&[dir.path().to_owned()], &limits, &mut problems).concat().len(), 2);
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_file_named_twice_is_read_once() {
    let dir = tree(&[("a.xml", "<a/>")]);
    let path = dir.path().join("a.xml");
    let found = find(&[path.clone(), dir.path().to_owned(), path], &Limits::default(), &mut Vec::new());
    assert_eq!(found.concat().len(), 1);
}
