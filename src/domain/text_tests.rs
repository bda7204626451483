//! What people are shown: cuts, durations, lines.

use std::time::Duration;

use super::*;

#[test]
fn short_text_is_left_alone() {
    assert_eq!(cut("311 passed", 140), "311 passed");
    assert_eq!(cut("äöü", 3), "äöü");
    assert_eq!(cut("", 0), "");
}

#[test]
fn long_text_is_cut_on_a_word_and_never_exceeds_the_limit() {
    assert_eq!(cut("one two three four", 14), "one two three…");
    assert_eq!(cut("one two three four", 13), "one two…");
    assert_eq!(cut("one two, three", 9), "one two…");
    for max in 0..40 {
        for text in ["a b c d e f g h i j k l m n o p", "ääääääääääää öööööööööööööööööö", "nospacesatallinthisone…"]
        {
            assert!(cut(text, max).chars().count() <= max, "{max}: {}", cut(text, max));
        }
    }
}

#[test]
fn a_word_longer_than_the_limit_is_cut_inside() {
    assert_eq!(cut("abcdefghij", 5), "abcd…");
    assert_eq!(cut("1 of 2 failed: abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", 30).chars().count(), 30);
}

#[test]
fn durations_show_two_units() {
    let of = |secs| human_duration(Duration::from_secs(secs));
    assert_eq!(human_duration(Duration::from_millis(430)), "0.4s");
    assert_eq!(of(12), "12s");
    assert_eq!(of(185), "3m05s");
    assert_eq!(of(5040), "1h24m");
    assert_eq!(of(86_400 + 3600 * 5), "1d05h");
}

#[test]
fn terminal_codes_and_control_characters_are_taken_out() {
    assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\u{7}"), "red");
    assert_eq!(plain("\u{fffd}[1m\u{fffd}[38;5;9mfailed\u{fffd}[0m"), "failed");
    assert_eq!(plain("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\ end"), "link end");
    assert_eq!(plain("a\r\nb\rc\td\u{0}"), "a\nb\nc\td");
    assert_eq!(plain("name\u{202e}txt"), "nametxt");
    assert_eq!(plain("tail \u{1b}["), "tail ");
}

#[test]
fn a_name_is_one_line() {
    assert_eq!(plain_line("a\nb\tc"), "a b c");
    assert_eq!(plain_line("two  blanks stay"), "two  blanks stay");
}

#[test]
fn the_headline_skips_places_and_rules() {
    assert_eq!(headline("/src/foo.go:25\nexpected 1 to equal 2\n/src/foo.go:25"), "expected 1 to equal 2");
    assert_eq!(headline("\n  ------\n\nboom\n"), "boom");
    assert_eq!(headline("https://host:6443"), "https://host:6443");
    let rust =
        "thread 'tests::broken' (19416) panicked at src/lib.rs:11:19:\nassertion `left == right` failed\n  left: 1";
    assert_eq!(headline(rust), "assertion `left == right` failed");
    assert_eq!(headline("thread 'main' panicked at src/lib.rs:1:1:"), "thread 'main' panicked at src/lib.rs:1:1:");
    assert_eq!(headline("foo.go:25"), "foo.go:25");
    assert_eq!(headline(""), "");
    let kubernetes = "framework.go:629\nNov 20 22:06:21.290: Unexpected error:\n    <*errors.errorString | 0xc>: {\n        s: \"gone\",\n    }\n    pods \"a\" not found\noccurred\nutil.go:738";
    assert_eq!(headline(kubernetes), "pods \"a\" not found");
    assert_eq!(headline("Nov  2 22:06:21.290: timed out"), "timed out");
}
