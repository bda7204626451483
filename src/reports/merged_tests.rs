//! What is written can be read back and means the same.

use super::*;
use crate::reports::read_junit;

fn round_trip(xml: &str) -> (Report, Report, String) {
    let first = read_junit(xml.as_bytes(), "in.xml");
    let mut written = Vec::new();
    write_merged(&first, "merged", &mut written).unwrap();
    let again = read_junit(written.as_slice(), "merged.xml");
    (first, again, String::from_utf8(written).unwrap())
}

const MIXED: &str = r#"<testsuite name="s" tests="6">
    <testcase name="passes" classname="a.B" time="1.5"/>
    <testcase name="flakes" classname="a.B"><failure message="once">trace</failure></testcase>
    <testcase name="flakes" classname="a.B"/>
    <testcase name="fails" classname="a.B"><failure>one</failure></testcase>
    <testcase name="fails" classname="a.B"><failure>two</failure></testcase>
    <testcase name="errs" classname="a.B"><error message="boom &lt;&amp;&#27;[31m"/></testcase>
    <testcase name="skips" classname="a.B"><skipped message="not here"/></testcase>
</testsuite>"#;

#[test]
fn a_merged_report_reads_back_the_same() {
    let (first, again, xml) = round_trip(MIXED);
    assert_eq!(first.counts(), again.counts(), "{xml}");
    let outcomes = |report: &Report| -> Vec<_> {
        report.cases.iter().map(|case| (case.id.clone(), case.outcome(), case.tries.len())).collect()
    };
    assert_eq!(outcomes(&first), outcomes(&again), "{xml}");
    assert_eq!(again.problems, [], "{xml}");
}

#[test]
fn failed_tries_are_written_as_surefire_does() {
    let (_, _, xml) = round_trip(MIXED);
    assert_eq!(xml.matches("<flakyFailure").count(), 1, "{xml}");
    assert_eq!(xml.matches("<rerunFailure").count(), 1, "{xml}");
    assert!(!xml.contains('\u{1b}'), "{xml}");
}

#[test]
fn suite_failures_and_uncounted_cases_are_mentioned() {
    let (first, again, xml) = round_trip(
        r#"<testsuite name="k" tests="3" failures="3" errors="0" time="0.1">
            <testcase name="BeforeSuite" classname="k" time="0.1"><failure type="Failure">no nodes</failure></testcase>
            <testcase name="filtered" classname="k" time="0"><skipped/></testcase>
        </testsuite>"#,
    );
    assert_eq!(first.events.len(), 1);
    assert!(xml.contains("BeforeSuite") && xml.contains("unlisted.skipped"), "{xml}");
    assert!(again.cases.iter().any(|case| case.outcome().is_bad()) || !again.events.is_empty(), "{xml}");
}

#[test]
fn a_failure_beside_a_pass_of_the_same_name_stays_a_failure() {
    let browser = |host: &str, inside: &str| {
        format!(
            "<testsuite name=\"shop\" hostname=\"{host}\"><testcase name=\"pays\" classname=\"c\">{inside}</testcase></testsuite>"
        )
    };
    let xml = format!("<testsuites>{}{}</testsuites>", browser("a", "<failure>no</failure>"), browser("b", ""));
    let (first, again, written) = round_trip(&xml);
    assert_eq!((first.counts().failed, first.counts().passed), (1, 1));
    assert_eq!(again.counts().failed, 1, "{written}");
}
