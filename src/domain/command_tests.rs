//! Every command line, the odd ones above all.

use std::time::Duration;

use super::{Command, MOST_COMMANDS, Misread, Retest, Selection, read};

fn named(suites: &[&str]) -> Command {
    Command::Test(Selection::Named(suites.iter().map(|suite| (*suite).to_owned()).collect()))
}

fn one(markdown: &str) -> Command {
    let mut found = read(markdown);
    assert_eq!(found.len(), 1, "{markdown:?}: {found:?}");
    found.remove(0).unwrap_or_else(|Misread(why)| panic!("{markdown:?}: {why}"))
}

fn complaint(markdown: &str) -> String {
    match read(markdown).as_slice() {
        [Err(Misread(why))] => why.clone(),
        other => panic!("{markdown:?}: {other:?}"),
    }
}

#[test]
fn what_a_line_means() {
    let open = Command::Test(Selection::Open);
    let all = Command::Test(Selection::All);
    let hours = |hours: u64| Command::Hold(Duration::from_secs(hours * 3600));
    for (line, expected) in [
        ("/test", open.clone()),
        ("/TEST", open.clone()),
        ("/test.", open.clone()),
        ("   /test", open.clone()),
        ("/test   ", open.clone()),
        ("/test\r\n", open),
        ("/test all", all.clone()),
        ("/Test All.", all),
        ("/test smoke", named(&["smoke"])),
        ("/test\tsmoke", named(&["smoke"])),
        ("/test foo,bar", named(&["foo", "bar"])),
        ("/test foo, bar foo", named(&["foo", "bar"])),
        ("/test `smoke`", named(&["smoke"])),
        ("/test SMOKE!", named(&["smoke"])),
        ("/test ?", Command::List),
        ("/retest", Command::Retest(Retest::Suites)),
        ("/retest.", Command::Retest(Retest::Suites)),
        ("/retest specs", Command::Retest(Retest::Specs)),
        ("/cancel", Command::Cancel(vec![])),
        ("/cancel smoke, custom", Command::Cancel(vec!["smoke".into(), "custom".into()])),
        ("/ok-to-test", Command::OkToTest(None)),
        ("/OK-TO-TEST 0123ABC", Command::OkToTest(Some("0123abc".into()))),
        ("/skip smoke known to be `broken`", skip("smoke", "known to be broken")),
        ("/hold", hours(2)),
        ("/hold 3h", hours(3)),
        ("/release", Command::Release),
    ] {
        assert_eq!(one(line), expected, "{line:?}");
    }
    let expected = Command::Override { suite: "smoke".into(), reason: "Outage of DNS. See #7".into() };
    assert_eq!(one("/override smoke Outage of DNS. See #7"), expected);
}

fn skip(suite: &str, reason: &str) -> Command {
    Command::Skip { suite: suite.into(), reason: reason.into() }
}

#[test]
fn what_is_talk() {
    for talk in [
        "",
        "please /test",
        "`/test`",
        "```\n/test\n```",
        "    /test",
        "\t/test",
        "> /test",
        "> quoted\n/test",
        "# /test",
        "- /test",
        "1. /test",
        "**/test**",
        "[/test](https://example.org)",
        "![/test](https://example.org/x.png)",
        "<!-- /test -->",
        "<!--\n/test\n-->",
        "\\/test",
        "&#47;test",
        "//test",
        "/etc/hosts is wrong",
        "/test/it.rs fails",
        "https://example.org/test",
        "/lgtm",
        "/help",
        "/assign @bob",
        "/",
        "/ test",
        "~~~sh\n/test all\n~~~",
    ] {
        assert_eq!(read(talk), [], "{talk:?}");
    }
}

#[test]
fn a_quote_ends_where_a_blank_line_ends_it() {
    assert_eq!(one("> what about this?\n\n/retest"), Command::Retest(Retest::Suites));
    assert_eq!(one("Thanks!\n/retest\nThat should do."), Command::Retest(Retest::Suites));
    assert_eq!(one("Thanks!\r\n\r\n/retest\r\n"), Command::Retest(Retest::Suites));
}

#[test]
fn several_commands_keep_their_order_and_are_not_endless() {
    let found: Vec<_> = read("/cancel\n/test smoke\nand then\n\n/hold 1h").into_iter().map(Result::unwrap).collect();
    assert_eq!(found, [Command::Cancel(vec![]), named(&["smoke"]), Command::Hold(Duration::from_secs(3600))]);
    assert_eq!(read(&"/test\n".repeat(500)).len(), MOST_COMMANDS);
}

#[test]
fn a_bad_line_is_told_what_is_wrong_with_it() {
    for (line, word) in [
        ("/tset", "`/test`"),
        ("/rest", "`/test`"),
        ("/retset specs", "`/retest`"),
        ("/cancle", "`/cancel`"),
        ("/ok-to-tset", "`/ok-to-test`"),
        ("/retest smoke", "`/test smoke`"),
        ("/skip", "which suite"),
        ("/skip smoke", "say why"),
        ("/override smoke", "say why"),
        ("/ok-to-test please", "commit id"),
        ("/ok-to-test 123", "commit id"),
        ("/hold cancel", "`/release`"),
        ("/hold 10s", "`1m` to `24h`"),
        ("/hold 48h", "`1m` to `24h`"),
        ("/hold -2h", "`1m` to `24h`"),
    ] {
        assert!(complaint(line).contains(word), "{line}: {}", complaint(line));
    }
    assert!(!complaint("/retest a`b`\u{202e}c").contains('\u{202e}'));
}
