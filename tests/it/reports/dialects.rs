//! JUnit as other tools write it. The samples are written by hand in the shape each tool documents or is known for.

use super::{report_on, report_text};

/// (file, verdict, [total, passed, failed, errored, skipped, flaky], names of bad cases)
type Expected = (&'static str, &'static str, [u64; 6], &'static [&'static str]);

const EXPECTED: &[Expected] = &[
    ("ant-merged", "failure", [2, 1, 0, 1, 0, 0], &["works"]),
    ("bats", "failure", [3, 1, 1, 0, 1, 0], &["installs twice"]),
    ("bazel", "failure", [1, 0, 0, 1, 0, 0], &["//pkg:thing_test"]),
    ("catch2", "success", [2, 2, 0, 0, 0, 0], &[]),
    ("ctest", "failure", [4, 1, 1, 0, 2, 0], &["perf"]),
    ("doctest", "success", [2, 2, 0, 0, 0, 0], &[]),
    ("ginkgo-cli", "success", [3, 2, 0, 0, 1, 0], &[]),
    ("ginkgo-programmatic-focus", "error", [2, 1, 0, 0, 1, 0], &[]),
    ("go-junit-report", "failure", [5, 3, 1, 0, 1, 0], &["TestRemove"]),
    ("googletest", "failure", [5, 2, 1, 0, 2, 0], &["Addition"]),
    ("gotestsum-build-failed", "failure", [2, 1, 1, 0, 0, 0], &["TestMain"]),
    ("gotestsum-rerun", "success", [2, 1, 0, 0, 0, 1], &[]),
    ("gradle-retry", "success", [3, 1, 0, 0, 1, 1], &[]),
    ("jest-junit", "failure", [5, 3, 1, 0, 1, 0], &["Button handles click"]),
    ("jest-suite-crash", "error", [1, 1, 0, 0, 0, 0], &[]),
    ("minimal", "success", [2, 2, 0, 0, 0, 0], &[]),
    ("mocha-cypress", "failure", [3, 1, 1, 0, 1, 0], &["login rejects a stranger"]),
    ("nameless", "failure", [6, 2, 1, 1, 2, 0], &["(no name)", "only.a.Class"]),
    ("nextest", "failure", [3, 1, 1, 0, 0, 1], &["removes"]),
    ("nunit3-converted", "failure", [4, 1, 1, 0, 2, 0], &["Closes"]),
    ("phpunit", "failure", [5, 2, 1, 1, 1, 0], &["testAdd with data set #1", "testDivide"]),
    ("phpunit-warning", "failure", [2, 1, 1, 0, 0, 0], &["Warning"]),
    ("playwright", "failure", [4, 3, 1, 0, 0, 0], &["shop › pays"]),
    ("pytest", "failure", [6, 2, 1, 1, 2, 0], &["test_discount", "test_insert"]),
    ("pytest-collection-error", "failure", [1, 0, 0, 1, 0, 0], &["tests.test_api"]),
    ("pytest-fail-and-teardown-error", "failure", [1, 0, 0, 1, 0, 0], &["test_both"]),
    ("pytest-subtests", "success", [1, 1, 0, 0, 0, 0], &[]),
    ("robot", "failure", [3, 1, 1, 0, 1, 0], &["Bad Login"]),
    ("rspec", "failure", [3, 1, 1, 0, 1, 0], &["User has a name"]),
    ("surefire-flaky", "failure", [3, 1, 0, 1, 0, 1], &["shipsBox"]),
    ("surefire-only-flaky", "success", [1, 0, 0, 0, 0, 1], &[]),
    ("testng", "failure", [3, 1, 1, 0, 1, 0], &["refunds"]),
    ("trivy", "failure", [1, 0, 1, 0, 0, 0], &["[CRITICAL] CVE-2019-14697"]),
    ("xcode-retries", "failure", [3, 1, 1, 0, 0, 1], &["tilts"]),
];

#[test]
fn every_dialect_is_understood() {
    for (name, verdict, cases, failures) in EXPECTED {
        let said = report_on(&format!("dialects/{name}.xml"));
        assert_eq!((said.verdict(), said.cases()), (*verdict, *cases), "{name}: {}", said.json);
        assert_eq!(said.failures(), *failures, "{name}");
    }
    let files = std::fs::read_dir(super::fixture("dialects")).unwrap().count();
    assert_eq!(files, EXPECTED.len(), "every sample is in the table");
}

#[test]
fn messages_come_from_wherever_the_tool_puts_them() {
    for (name, at, telling) in [
        ("bats", 0, "in test file install.bats, line 12"),
        ("go-junit-report", 0, "cart_test.go:22: got 2 items, want 1"),
        ("googletest", 0, "Which is: 4"),
        ("jest-junit", 0, "Expected number of calls: 1"),
        ("nextest", 0, "left: 2"),
        ("phpunit", 0, "Failed asserting that 3 matches expected 4."),
        ("playwright", 0, "expect(received).toBe(expected)"),
        ("pytest", 0, "assert 90 == 80"),
        ("pytest", 1, "no database"),
        ("robot", 0, "Title should have been 'Error' but was 'Home'"),
        ("nameless", 0, "failed"),
        ("surefire-flaky", 0, "java.net.SocketException"),
        ("xcode-retries", 0, "MapTests.swift:60: no"),
    ] {
        let said = report_on(&format!("dialects/{name}.xml"));
        assert!(said.message(at).contains(telling), "{name}: {}", said.message(at));
    }
}

#[test]
fn the_same_name_in_two_classes_is_two_cases() {
    let said = report_text(
        "r.xml",
        r#"<testsuite name="s"><testcase classname="a.One" name="works"><failure/></testcase>
           <testcase classname="a.Two" name="works"/></testsuite>"#,
    );
    assert_eq!((said.verdict(), said.cases()), ("failure", [2, 1, 1, 0, 0, 0]));
}

#[test]
fn the_same_name_in_one_suite_was_tried_again() {
    let two = |first: &str, second: &str| {
        let case = |inner: &str| format!(r#"<testcase classname="C" name="works">{inner}</testcase>"#);
        report_text("r.xml", format!("<testsuite name=\"s\">{}{}</testsuite>", case(first), case(second)))
    };
    assert_eq!(two("<failure/>", "").cases(), [1, 0, 0, 0, 0, 1]);
    assert_eq!(two("", "<failure/>").cases(), [1, 0, 1, 0, 0, 0]);
    assert_eq!(two("<failure/>", "<error/>").cases(), [1, 0, 0, 1, 0, 0]);
    assert_eq!(two("<skipped/>", "").cases(), [1, 1, 0, 0, 0, 0]);
}

#[test]
fn words_in_attributes_count_when_no_element_says_it() {
    for (attributes, cases) in [
        (r#"status="failed""#, [1, 0, 1, 0, 0, 0]),
        (r#"status="ERROR""#, [1, 0, 0, 1, 0, 0]),
        (r#"result="Skipped""#, [1, 0, 0, 0, 1, 0]),
        (r#"status="run" result="failed""#, [1, 0, 1, 0, 0, 0]),
        (r#"status="notrun""#, [1, 0, 0, 0, 1, 0]),
        (r#"status="0""#, [1, 1, 0, 0, 0, 0]),
    ] {
        let xml = format!(r#"<testsuite name="s"><testcase name="a" {attributes}/></testsuite>"#);
        assert_eq!(report_text("r.xml", xml).cases(), cases, "{attributes}");
    }
}

#[test]
fn a_header_that_contradicts_its_cases_is_not_green() {
    for xml in [
        r#"<testsuite name="s" tests="2" failures="1"><testcase name="a"/><testcase name="b"/></testsuite>"#,
        r#"<testsuite name="s" tests="2" errors="3"><testcase name="a"/><testcase name="b"/></testsuite>"#,
        r#"<testsuites failures="1"><testsuite name="s"><testcase name="a"/></testsuite></testsuites>"#,
        r#"<testsuite name="s" tests="5" failures="0"><testcase name="a"/></testsuite>"#,
        r#"<testsuite name="s"><error message="set-up broke"/><testcase name="a"/></testsuite>"#,
    ] {
        let said = report_text("r.xml", xml);
        assert_eq!(said.verdict(), "error", "{xml}: {}", said.json);
    }
    let counts_missing =
        r#"<testsuite name="s" tests="" failures="-1" errors="x" time="soon"><testcase name="a"/></testsuite>"#;
    assert_eq!(report_text("r.xml", counts_missing).verdict(), "success");
}
