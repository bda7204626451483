//! What is cut and what is not, at every size of buffer.

use super::*;

fn through(text: &str, capacity: usize) -> io::Result<String> {
    let mut out = Vec::new();
    Bounded::with_capacity(capacity, text.as_bytes()).read_to_end(&mut out)?;
    Ok(String::from_utf8(out).expect("only ASCII is used here"))
}

#[test]
fn ordinary_documents_pass_unchanged() {
    let text = r#"<?xml version="1.0"?><!DOCTYPE a SYSTEM "a>b"><!-- c > - -- --><a b='"' c="<>"><![CDATA[ ]] ]> <x> ]]]]></a ><!x><>"#;
    for capacity in [1, 2, 3, 5, 8, 1000] {
        assert_eq!(through(text, capacity).unwrap(), text, "{capacity}");
    }
}

#[test]
fn long_runs_are_cut_and_what_follows_stays() {
    let long = "y".repeat(200_000);
    for (text, expected) in [
        (format!("<a>{long}</a>"), format!("<a>{}</a>", &long[..RUN])),
        (format!("<a b=\"{long}\" c='1'/>"), format!("<a b=\"{}\" c='1'/>", &long[..RUN])),
        (format!("<![CDATA[{long}]]><b/>"), format!("<![CDATA[{}]]><b/>", &long[..RUN])),
        (format!("<!--{long}--><b/>"), format!("<!--{}--><b/>", &long[..RUN])),
        (format!("<?p {long}?><b/>"), format!("<?{}?><b/>", &format!("p {long}")[..RUN])),
    ] {
        for capacity in [7, 4096, 1_000_000] {
            assert_eq!(through(&text, capacity).unwrap(), expected, "{capacity}");
        }
    }
}

#[test]
fn the_end_of_a_section_is_found_wherever_the_cut_falls() {
    for extra in 0..6 {
        for tail in ["]]>", "]]]]>", "] ]]>"] {
            let text = format!("<![CDATA[{}{tail}<after/>", "z".repeat(RUN - 3 + extra));
            let cut = through(&text, 5).unwrap();
            assert!(cut.ends_with("]]><after/>"), "{extra} {tail}: {}", &cut[cut.len() - 30..]);
        }
    }
}

#[test]
fn endless_tags_are_refused() {
    let attributes = "a='1' ".repeat(300_000);
    assert!(through(&format!("<t {attributes}>"), 4096).is_err());
    assert!(through(&format!("</{}>", "t".repeat(2_000_000)), 4096).is_err());
    assert!(through(&format!("<!DOCTYPE {}>", "<x>".repeat(100_000)), 4096).is_err());
}
