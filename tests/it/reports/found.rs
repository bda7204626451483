//! Reports that other people's tools wrote, and the table of what every recorded report comes to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{Said, fixture, report_on};

/// (file, verdict, [total, passed, failed, errored, skipped, flaky]), as the tools' own summaries had it.
const FOUND: &[(&str, &str, [u64; 6])] = &[
    ("bats", "failure", [3, 1, 1, 0, 1, 0]),
    ("behave", "failure", [3, 1, 1, 1, 0, 0]),
    ("ginkgo-2.22", "failure", [6, 2, 1, 1, 2, 0]),
    ("go-junit-report", "failure", [7, 3, 3, 0, 1, 0]),
    ("go-junit-report-panic", "failure", [2, 1, 1, 0, 0, 0]),
    ("gotestsum", "failure", [7, 3, 3, 0, 1, 0]),
    ("gotestsum-build-failure", "failure", [1, 0, 1, 0, 0, 0]),
    ("gotestsum-rerun-fails", "success", [2, 1, 0, 0, 0, 1]),
    ("node-test", "failure", [4, 1, 1, 0, 2, 0]),
    ("nose2", "failure", [5, 1, 2, 1, 1, 0]),
    ("pytest-import-error", "failure", [1, 0, 0, 1, 0, 0]),
    ("pytest-mixed", "failure", [8, 3, 2, 1, 2, 0]),
    ("pytest-nothing-selected", "error", [0; 6]),
    ("pytest-passed", "success", [1, 1, 0, 0, 0, 0]),
    ("pytest-rerunfailures", "success", [2, 2, 0, 0, 0, 0]),
    ("pytest-xdist", "failure", [8, 3, 2, 1, 2, 0]),
    ("robot", "failure", [3, 1, 1, 0, 1, 0]),
    ("surefire-shop", "failure", [5, 1, 1, 1, 1, 1]),
    ("surefire-steady", "success", [2, 1, 0, 0, 0, 1]),
    ("unittest-xml-reporting", "failure", [5, 1, 2, 1, 1, 0]),
    ("vitest", "failure", [4, 2, 1, 0, 1, 0]),
];

#[test]
fn other_peoples_tools_are_understood() {
    for (name, verdict, cases) in FOUND {
        let said = report_on(&format!("found/{name}.xml"));
        assert_eq!((said.verdict(), said.cases()), (*verdict, *cases), "{name}: {}", said.json);
    }
    let files = fs::read_dir(fixture("found"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "xml"));
    assert_eq!(files.count(), FOUND.len(), "each has its line above");
}

/// A line of the document.
fn line(name: &str, said: &Said) -> String {
    let [_, passed, failed, errored, skipped, flaky] = said.cases();
    let text = said.description().replace('|', "\\|");
    format!("| `{name}` | {} | {passed} | {failed} | {errored} | {skipped} | {flaky} | {text} |\n", said.verdict())
}

#[test]
fn the_table_of_verdicts_is_what_the_command_says() {
    let mut text = String::from(
        "# Recorded reports and what they come to\n\n\
         Every report below `tests/fixtures/reports`, read by `portcullis report` without an exit status. A test writes this table anew \
         and fails\nwhen it differs. `ginkgo` and `e2e` are recorded runs, `found` is what other tools printed, `dialects` are their \
         corner cases.\n",
    );
    for group in ["ginkgo", "e2e", "found", "dialects"] {
        let _ = write!(
            text,
            "\n## {group}\n\n| report | verdict | passed | failed | errored | skipped | flaky | in words |\n\
             |---|---|---:|---:|---:|---:|---:|---|\n"
        );
        let entries: BTreeMap<String, ()> = fs::read_dir(fixture(group))
            .unwrap()
            .map(|entry| (entry.unwrap().file_name().into_string().unwrap(), ()))
            .filter(|(name, ())| !name.ends_with(".md"))
            .collect();
        for name in entries.keys() {
            text += &line(name, &report_on(&format!("{group}/{name}")));
        }
    }
    text += "\n## Every end of a suite\n\nEvery exit of a suite's program with every report, under every rule of a gate and whatever comes of what is run again: \
             one row for each distinct end,\nwith the first of the cases that come to it. After a cluster that was lost everything comes to the same on the next, with ` · attempt 2` added.\n\n";
    text += &super::every::table();
    let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verdicts.md");
    fs::write(&written, &text).unwrap();
    let document =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verdicts.md")).unwrap_or_default();
    assert!(document == text, "docs/verdicts.md is out of date; as it should be: {}", written.display());
}
