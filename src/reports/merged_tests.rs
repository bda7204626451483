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

/// What may stand within what, and which attributes must be there (Surefire's published schema, and `testsuites` around it).
fn surefire(element: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match element {
        "testsuites" => (&["testsuite"], &[]),
        "testsuite" => (&["properties", "testcase"], &["name", "tests", "errors", "skipped", "failures"]),
        "properties" => (&["property"], &[]),
        "property" => (&[], &["name", "value"]),
        "testcase" => (
            &["skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out"],
            &["name"],
        ),
        "failure" | "error" => (&[], &["type"]),
        "rerunFailure" | "rerunError" | "flakyFailure" | "flakyError" => (&["stackTrace", "system-out"], &["type"]),
        "skipped" | "stackTrace" | "system-out" => (&[], &[]),
        other => panic!("Surefire knows no <{other}>"),
    }
}

#[test]
fn surefires_schema_holds() {
    use quick_xml::events::Event;
    let with_events = r#"<testsuite name="k" tests="3" failures="3" errors="0" time="0.1">
        <testcase name="BeforeSuite" classname="k" time="0.1"><failure type="Failure">no nodes</failure></testcase>
        <testcase name="filtered" classname="k" time="0"><skipped/></testcase>
    </testsuite>"#;
    let mut seen = std::collections::BTreeSet::new();
    for xml in [MIXED, with_events] {
        let (.., written) = round_trip(xml);
        let (mut reader, mut open) = (quick_xml::Reader::from_str(&written), Vec::<String>::new());
        loop {
            let (tag, is_empty) = match reader.read_event().unwrap() {
                Event::Start(tag) => (tag, false),
                Event::Empty(tag) => (tag, true),
                Event::End(_) => {
                    open.pop();
                    continue;
                }
                Event::Eof => break,
                _ => continue,
            };
            let name = String::from_utf8(tag.name().as_ref().to_vec()).unwrap();
            if let Some(parent) = open.last() {
                assert!(surefire(parent).0.contains(&name.as_str()), "<{name}> within <{parent}>\n{written}");
            }
            for needed in surefire(&name).1 {
                assert!(tag.try_get_attribute(needed).unwrap().is_some(), "<{name}> lacks {needed}\n{written}");
            }
            seen.insert(name.clone());
            if !is_empty {
                open.push(name);
            }
        }
    }
    for element in ["failure", "error", "rerunFailure", "flakyFailure", "skipped", "property", "stackTrace"] {
        assert!(seen.contains(element), "{element} is never written: {seen:?}");
    }
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
