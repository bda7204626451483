//! Files that are broken, odd or made to harm: no panic, no hang, no green without evidence.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::{report_on, report_text};

#[test]
fn truncated_files_keep_what_they_hold_and_are_not_green() {
    let whole = r#"<testsuites><testsuite name="s" tests="3"><testcase name="a"/><testcase name="b"></testcase><testcase name="c"/></testsuite></testsuites>"#;
    for at in 0..whole.len() - 1 {
        let said = report_text("r.xml", &whole[..at]);
        assert_eq!(said.verdict(), "error", "cut at {at}: {}", &whole[..at]);
    }
    let said = report_text("r.xml", &whole[..whole.find("<testcase name=\"c").unwrap()]);
    assert_eq!(said.cases(), [2, 2, 0, 0, 0, 0]);
    assert!(said.problems().contains("cut short"), "{}", said.problems());
}

#[test]
fn a_failure_before_the_cut_is_a_failure() {
    let said = report_text("r.xml", r#"<testsuite name="s"><testcase name="a"><failure message="boom">tra"#);
    assert_eq!((said.verdict(), said.failures()), ("failure", vec!["a"]));
    assert!(said.problems().contains("cut short"), "{}", said.problems());
}

#[test]
fn truncated_json_keeps_what_it_holds_and_is_not_green() {
    let whole = std::fs::read(super::fixture("ginkgo/v2.13.0-only-flake/report.json")).unwrap();
    for part in 1..20 {
        let said = report_text("report.json", &whole[..whole.len() * part / 20]);
        assert_eq!(said.verdict(), "error", "{part}/20: {}", said.json);
    }
    let mut twice = whole.clone();
    twice.extend_from_slice(b"garbage");
    assert_eq!(report_text("report.json", twice).verdict(), "error");
}

#[test]
fn what_is_no_report_is_an_error() {
    for (name, content) in [
        ("r.xml", ""),
        ("r.xml", "   \n"),
        ("r.xml", "not xml"),
        ("r.xml", "<"),
        ("r.xml", "<>"),
        ("r.xml", "<!"),
        ("r.xml", "<![CDATA["),
        ("r.xml", "<?xml"),
        ("r.xml", "<testsuite"),
        ("r.xml", "</testsuite>"),
        ("r.xml", "<html><body>502</body></html>"),
        ("r.xml", "<testsuites/>"),
        ("r.xml", "<testsuite tests=\"3\" failures=\"0\"/>"),
        ("r.xml", "<test-run result=\"Passed\"/>"),
        ("r.xml", "<testsuite><testcase name=\"a\"></wrong></testsuite>"),
        ("r.json", ""),
        ("r.json", "{}"),
        ("r.json", "[]"),
        ("r.json", "[{\"SuitePath\":1}]"),
        ("r.json", "[{\"SuiteDescription\":\"x\",\"SpecReports\":null}]"),
        ("r.json", "{\"SuiteSucceeded\":true"),
        ("r.txt", "hello"),
        ("r.xml.gz", "\u{1f}garbage"),
    ] {
        assert_eq!(report_text(name, content).status, 2, "{name}: {content}");
    }
    assert_eq!(report_text("r.xml.gz", [0x1f, 0x8b, 8, 0, 1, 2, 3]).status, 2);
}

#[test]
fn entities_are_never_expanded() {
    let mut bomb = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [\n<!ENTITY lol \"lol\">\n");
    for level in 1..30 {
        let before = if level == 1 { "lol".to_owned() } else { format!("lol{}", level - 1) };
        writeln!(bomb, "<!ENTITY lol{level} \"{}\">", format!("&{before};").repeat(10)).unwrap();
    }
    bomb.push_str("]>\n<testsuite name=\"&lol29;\"><testcase name=\"&lol29;\"/></testsuite>");
    let started = Instant::now();
    let said = report_text("r.xml", bomb);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(said.verdict(), "error");
    assert!(said.problems().contains("refused"), "{}", said.problems());

    let file = r#"<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&x;"/></testsuite>"#;
    assert_eq!(report_text("r.xml", file).verdict(), "error");
    let unknown = r#"<testsuite><testcase name="a &nbsp; &x; b"><failure>&nbsp;</failure></testcase></testsuite>"#;
    assert_eq!(report_text("r.xml", unknown).failures(), ["a &nbsp; &x; b"]);
}

#[test]
fn a_doctype_without_entities_is_harmless() {
    let said = report_text("r.xml", r#"<!DOCTYPE testsuite SYSTEM "junit.dtd"><testsuite><testcase name="a"/></testsuite>"#);
    assert_eq!(said.verdict(), "success");
}

#[test]
fn nesting_without_end_is_refused() {
    for deep in ["<testsuite>".repeat(200_000), "<testsuite><x>".repeat(100_000), format!("<testsuite>{}", "<testcase name='a'>".repeat(100_000))] {
        assert_eq!(report_text("r.xml", deep).verdict(), "error");
    }
    let json = format!("[{{\"SuitePath\":\"x\",\"Deep\":{}", "[".repeat(1_000_000));
    assert_eq!(report_text("r.json", json).verdict(), "error");
}

#[test]
fn encodings_and_wrong_bytes_do_not_redden_a_green_report() {
    let xml = |declared: &str| format!("<?xml version=\"1.0\" encoding=\"{declared}\"?><testsuite name=\"s\"><testcase name=\"grüße\"><failure/></testcase></testsuite>");
    let utf16: Vec<u8> = xml("UTF-16").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe][..], &utf16].concat();
    let big: Vec<u8> = format!("\u{feff}{}", xml("UTF-16")).encode_utf16().flat_map(u16::to_be_bytes).collect();
    let latin: Vec<u8> = xml("ISO-8859-1").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let bom = [&[0xef, 0xbb, 0xbf][..], xml("UTF-8").as_bytes()].concat();
    for bytes in [utf16, marked, big, latin, bom] {
        let said = report_text("r.xml", bytes);
        assert_eq!(said.failures(), ["grüße"], "{}", said.json);
    }
    let wrong = b"<testsuite name=\"s\xff\"><testcase name=\"a\xc3\x28\"/><testcase name=\"b\x1b[31m\x00\"/></testsuite>";
    assert_eq!(report_text("r.xml", wrong).verdict(), "success");
}

#[test]
fn messages_carry_no_terminal_codes() {
    let said = report_text(
        "r.xml",
        "<testsuite><testcase name=\"a&#x1b;[2Jb\"><failure>\u{1b}[31mred\u{1b}[0m &#27;]0;title&#7; \u{fffd}[1mbold\u{fffd}[0m</failure></testcase></testsuite>",
    );
    assert_eq!(said.failures(), ["ab"]);
    assert_eq!(said.message(0), "red  bold");
}

#[test]
fn endless_values_are_cut_and_the_rest_is_read() {
    let long = "x".repeat(3_000_000);
    let xml = format!(
        r#"<testsuite name="{long}"><testcase name="{long}" classname="c"><failure message="{long}">{long}</failure><system-out><![CDATA[{long}]]></system-out></testcase><!-- {long} --><testcase name="after"><error>{long}</error></testcase></testsuite>"#
    );
    let said = report_text("r.xml", xml);
    assert_eq!((said.verdict(), said.cases()), ("failure", [2, 0, 1, 1, 0, 0]));
    assert_eq!(said.failures()[1], "after");
    assert!(said.json.to_string().len() < 100_000);
}

#[test]
fn many_outcomes_of_one_case_are_one_case() {
    let xml = format!("<testsuite><testcase name=\"a\">{}</testcase></testsuite>", "<failure>f</failure>".repeat(10_000));
    assert_eq!(report_text("r.xml", xml).cases(), [1, 0, 1, 0, 0, 0]);
    let xml = format!("<testsuite>{}</testsuite>", "<testcase name=\"a\"><failure>f</failure></testcase>".repeat(10_000));
    assert_eq!(report_text("r.xml", xml).cases(), [1, 0, 1, 0, 0, 0]);
}

#[test]
fn xml_that_only_quotes_a_report_is_not_one() {
    let said = report_text("r.xml", "<testsuite><system-out><![CDATA[<testcase name=\"x\"/>]]></system-out><!-- <testcase name=\"y\"/> --></testsuite>");
    assert_eq!((said.verdict(), said.cases()), ("error", [0; 6]));
}

#[test]
fn files_put_one_after_the_other_are_all_read() {
    let one = |inner: &str| format!("<?xml version=\"1.0\"?>\n<testsuite name=\"s\"><testcase name=\"a\">{inner}</testcase></testsuite>\n");
    let said = report_text("r.xml", format!("{}{}", one(""), one("<failure/>")));
    assert_eq!(said.verdict(), "failure");
}

#[test]
fn unreadable_files_do_not_hide_readable_ones() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.xml"), "<testsuite><testcase name=\"a\"/></testsuite>").unwrap();
    std::fs::write(dir.path().join("b.xml"), "").unwrap();
    let said = super::report(vec![dir.path().to_owned()], Some(0));
    assert_eq!((said.verdict(), said.cases()), ("error", [1, 1, 0, 0, 0, 0]), "a report that was never finished is no evidence");
    assert_eq!(report_on("dialects/minimal.xml").verdict(), "success");
}
