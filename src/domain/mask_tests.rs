use super::super::secret::LONGEST;
use super::*;

const TOKEN: &str = "ghp_0123456789abcdef";
const PASSWORD: &str = "p&ss<w>ord\"'\\ ü/+=";

/// The whole text as a stream hands it out, in pieces of this size.
fn streamed(masker: &Masker, text: &[u8], size: usize) -> String {
    let (mut stream, mut out) = (masker.stream(), Vec::new());
    text.chunks(size).for_each(|piece| stream.push(piece, &mut out));
    stream.finish(&mut out);
    String::from_utf8(out).unwrap()
}

/// However it comes.
fn masked(masker: &Masker, text: &str) -> String {
    let whole = masker.text(text.to_owned());
    for size in 1..=text.len().min(80) {
        assert_eq!(streamed(masker, text.as_bytes(), size), whole, "in pieces of {size} bytes");
    }
    whole
}

#[test]
fn a_secret_is_covered_wherever_it_stands() {
    let masker = Masker::of([TOKEN]);
    for (text, expected) in [
        (String::new(), ""),
        ("nothing here: ghp_0123456789abcde".into(), "nothing here: ghp_0123456789abcde"),
        (TOKEN.into(), "***"),
        (format!("a{TOKEN}{TOKEN}b {TOKEN}"), "a******b ***"),
        (format!("git clone https://x:{TOKEN}@example.org/x"), "git clone https://x:***@example.org/x"),
        (format!("ghp_0123ghp_0123{TOKEN}ef"), "ghp_0123ghp_0123***ef"),
    ] {
        assert_eq!(masked(&masker, &text), expected);
    }
}

#[test]
fn secrets_that_overlap_leave_nothing_of_each_other() {
    let masker = Masker::of(["abcdef", "cdefgh", "abcd", "fghi-jkl"]);
    for (text, expected) in [
        ("abcdefgh", "***"),
        ("abcdefghi-jkl!", "***!"),
        ("xabcdx", "x***x"),
        ("abcdabcdef", "******"),
        ("abcdefg", "***g"),
        ("cdefghi-jk", "***i-jk"),
    ] {
        assert_eq!(masked(&masker, text), expected, "{text}");
    }
}

#[test]
fn a_secret_of_several_lines_is_covered_line_by_line() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\r\n  kqhkiG9w0BAQ\nab\n-----END KEY-----\n";
    let masker = Masker::of([key]);
    assert_eq!(masked(&masker, "x MIIEvQIBADANBg y"), "x *** y");
    assert_eq!(masked(&masker, "  kqhkiG9w0BAQ\\nab\\n"), "  ***\\nab\\n", "a line too short for a secret is not one");
    assert_eq!(masked(&masker, &key.replace('\n', " ")), "*** ***\r   *** ab *** ");
}

#[test]
fn the_usual_ways_to_write_it_are_known() {
    let masker = Masker::of([PASSWORD]);
    for written in [
        PASSWORD.to_owned(),
        serde_json::to_string(PASSWORD).unwrap().trim_matches('"').to_owned(),
        r#"p\u0026ss\u003cw\u003eord\"'\\ ü/+="#.to_owned(),
        r#"p&amp;ss&lt;w&gt;ord"'\ ü/+="#.to_owned(),
        r"p&amp;ss&lt;w&gt;ord&quot;&apos;\ ü/+=".to_owned(),
        r"p&amp;ss&lt;w&gt;ord&#34;&#39;\ ü/+=".to_owned(),
        r"p&amp;ss&lt;w&gt;ord&quot;'\ ü/+=".to_owned(),
        r"p&amp;ss&lt;w&gt;ord&quot;&#39;\ ü/+=".to_owned(),
        r"p&amp;ss&lt;w&gt;ord&quot;&#x27;\ ü/+=".to_owned(),
        r"p&#38;ss&#60;w&#62;ord&#34;&#39;\ ü/+=".to_owned(),
        r"p&#x26;ss&#x3C;w&#x3E;ord&#x22;&#x27;\ ü/+=".to_owned(),
        r"p&#x26;ss&#x3c;w&#x3e;ord&#x22;&#x27;\ ü/+=".to_owned(),
        "p%26ss%3Cw%3Eord%22%27%5C%20%C3%BC%2F%2B%3D".to_owned(),
        "p%26ss%3cw%3eord%22%27%5c%20%c3%bc%2f%2b%3d".to_owned(),
    ] {
        assert_eq!(masked(&masker, &format!("<{written}>")), "<***>", "{written}");
    }
}

#[test]
fn white_space_within_a_line_is_known_as_attributes_have_it() {
    let masker = Masker::of(["user\t\"pass\"\rword"]);
    for written in
        ["user&#x9;&#34;pass&#34;&#xD;word", "user&#9;&quot;pass&quot;&#13;word", "user&#09;&quot;pass&quot;&#13;word"]
    {
        assert_eq!(masked(&masker, &format!("<{written}>")), "<***>", "{written}");
    }
}

#[test]
fn base64_hides_it_nowhere() {
    let masker = Masker::of([TOKEN, PASSWORD]);
    for secret in [TOKEN, PASSWORD] {
        for (before, after) in [("", ""), ("u:", ""), ("user:", "!"), ("u", "ab"), ("us", "abc"), ("user", "\n")] {
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                let written = engine.encode(format!("{before}{secret}{after}"));
                let shown = masked(&masker, &written);
                assert!(
                    shown.contains(MASK) && shown.len() < before.len() * 2 + after.len() * 2 + 10,
                    "{written} is {shown}"
                );
            }
        }
    }
    assert_eq!(masked(&masker, &format!("({})", STANDARD.encode(TOKEN))), "(***)");
    assert_eq!(masked(&Masker::of(["abcd"]), &STANDARD_NO_PAD.encode("abcd")), "YWJjZA", "too little to be sure of");
}

/// Lines of the standard tools have 76 columns, those of certificates 64.
#[test]
fn base64_in_lines_hides_it_nowhere_either() {
    let letters: String = (0..40).map(|n| format!("{:04}", n * 7919 % 10_000)).collect();
    let masker = Masker::of([TOKEN, &letters]);
    for (secret, before) in [(&*letters, 0), (&*letters, 1), (&*letters, 50), (TOKEN, 41), (TOKEN, 47), (TOKEN, 50)] {
        let written = STANDARD.encode(format!("{}{secret}{}", "~".repeat(before), "~".repeat(30)));
        for columns in [64, 76] {
            let lines: Vec<&str> =
                written.as_bytes().chunks(columns).map(|line| str::from_utf8(line).unwrap()).collect();
            let shown = masked(&masker, &lines.join("\n"));
            // What is not the secret's is three bytes in four letters; fewer than eight letters at a fold are not sure.
            let kept = shown.replace(MASK, "").len();
            assert!(kept < (before + 30) * 4 / 3 + 6 + 2 * 7 + lines.len(), "{before} {columns}: {shown}");
        }
    }
}

#[test]
fn what_a_cut_leaves_of_a_secret_is_covered_too() {
    let masker = Masker::of([TOKEN, "cdef-and-more"]);
    let cut = |text: &str| masker.cut_text(text.to_owned());
    for end in 1..TOKEN.len() {
        assert_eq!(cut(&format!("x {}", &TOKEN[..end])), "x ***");
    }
    assert_eq!(cut(&format!("x {TOKEN} y")), "x *** y");
    assert_eq!(cut(&format!("x {TOKEN}-and")), "x ***", "one that begins within another");
    assert_eq!(cut("nothing of it"), "nothing of it");
    assert_eq!(Masker::of(["üüüü"]).cut_text("x ü".into()), "x ***");
}

#[test]
fn without_secrets_nothing_changes_and_nothing_is_told() {
    let none = Masker::of([]);
    assert!(none.is_empty());
    assert_eq!(masked(&none, "any text"), "any text");
    assert_eq!(none.cut_text("any text".into()), "any text");
    let shown = format!("{:?}", Masker::of([TOKEN]));
    assert!(!shown.contains("ghp_"), "{shown}");
}

#[test]
fn bytes_that_are_no_text_pass_a_stream_unchanged() {
    let masker = Masker::of([TOKEN]);
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).chain(TOKEN.bytes()).chain(0..=255).collect();
    let expected = [&bytes[..5000], MASK.as_bytes(), &bytes[5000 + TOKEN.len()..]].concat();
    for size in [1, 7, 19, 20, 21, 64, 4096, 6000] {
        let (mut stream, mut out) = (masker.stream(), Vec::new());
        bytes.chunks(size).for_each(|piece| stream.push(piece, &mut out));
        stream.finish(&mut out);
        assert!(out == expected, "in pieces of {size} bytes");
    }
}

/// Every text of nine letters out of two, against the plainest way to say what must be covered.
#[test]
fn every_short_text_is_masked_as_the_rule_says() {
    let secrets = ["abab", "babb", "aabaa", "bbbb"];
    let masker = Masker::of(secrets);
    for n in 0..1_u32 << 9 {
        let text: String = (0..9).map(|bit| if n >> bit & 1 == 0 { 'a' } else { 'b' }).collect();
        let hit = |at: usize| secrets.iter().any(|secret| text[at..].starts_with(secret));
        let mut covered = [false; 9];
        for at in 0..9 {
            for secret in secrets.iter().filter(|secret| text[at..].starts_with(**secret)) {
                covered[at..at + secret.len()].fill(true);
            }
        }
        let shown = masked(&masker, &text);
        let kept: String =
            text.chars().zip(covered).filter(|(_, covered)| !covered).map(|(letter, _)| letter).collect();
        assert_eq!(shown.replace(MASK, ""), kept, "{text}");
        assert_eq!(shown.contains(MASK), (0..9).any(hit), "{text}");
    }
}

#[test]
fn a_secret_as_large_as_they_come_is_looked_for_in_bounded_memory() {
    let letter = |n: u32| char::from_u32(33 + n.wrapping_mul(2_654_435_761) % 90).unwrap();
    let masker = Masker::of([&*(0..LONGEST).map(|n| letter(n.try_into().unwrap())).collect::<String>()]);
    let bytes = masker.automaton.map_or(0, |automaton| automaton.memory_usage());
    assert!((1..40 << 20).contains(&bytes), "{bytes} bytes");
}
