//! When an entry holds, and which specs it means.

use super::*;
use crate::domain::suite::Ginkgo;

const TODAY: &str = "2026-11-21";

fn entry(pattern: &str, expires: &str) -> SkipEntry {
    SkipEntry {
        pattern: pattern.into(),
        by: MatchBy::Pattern,
        action: Action::Skip,
        reason: "broken upstream".into(),
        owner: "@net".into(),
        issue: None,
        expires: expires.parse().unwrap(),
        suites: vec![],
        kubernetes: None,
        providers: vec![],
    }
}

fn here(kubernetes: Option<&str>) -> Circumstances<'_> {
    Circumstances { today: TODAY.parse().unwrap(), kubernetes, provider: "docker" }
}

fn upstream() -> Suite {
    Suite { entry: Entry::Ginkgo(Ginkgo::default()), ..Suite::plain("i") }
}

#[test]
fn an_entry_ends_after_its_last_day() {
    let smoke = SkipEntry { suites: vec!["smoke".parse().unwrap()], ..entry("c", "2027-01-01") };
    let entries = [entry("a", "2026-11-20"), entry("b", TODAY), smoke];
    let plain = Suite::plain("i");
    assert_eq!(holding(&entries, &"custom".parse().unwrap(), &plain, &here(None)), [1]);
    let places = holding(&entries, &"smoke".parse().unwrap(), &plain, &here(None));
    assert_eq!(
        (places.as_slice(), patterns(&entries, &places, &plain)),
        ([1, 2].as_slice(), vec!["b".into(), "c".into()])
    );
}

#[test]
fn conditions_are_about_version_and_provider() {
    let narrow = SkipEntry {
        kubernetes: Some("<1.34".parse().unwrap()),
        providers: vec!["docker".into()],
        ..entry("a", "2027-01-01")
    };
    let (name, suite) = ("custom".parse().unwrap(), Suite::plain("i"));
    assert!(narrow.concerns(&name, &suite, &here(Some("v1.33.9"))));
    assert!(!narrow.concerns(&name, &suite, &here(Some("v1.34.4"))));
    assert!(narrow.concerns(&name, &suite, &here(None)), "a version that is not known rules nothing out");
    let elsewhere = SkipEntry { providers: vec!["terraform".into()], ..narrow };
    assert!(!elsewhere.concerns(&name, &suite, &here(Some("v1.33.9"))));
    let submission = Suite { submission: true, ..suite };
    assert!(!entry("a", "2027-01-01").concerns(&name, &submission, &here(None)), "certification skips nothing");
}

#[test]
fn patterns_are_compared_as_ginkgo_does() {
    let all = entry("e2e", "2027-01-01").matcher(&upstream()).unwrap();
    assert!(all.matches("[sig-apps] Foo"), "the suite's own name is part of what is matched");
    assert!(!entry("^\\[sig-apps\\]", "2027-01-01").matcher(&upstream()).unwrap().matches("[sig-apps] Foo"));
    assert!(!entry("e2e", "2027-01-01").matcher(&Suite::plain("i")).unwrap().matches("[sig-apps] Foo"));
}

#[test]
fn a_name_means_one_spec() {
    let exact = SkipEntry { by: MatchBy::Name, ..entry("[sig-apps] Foo (a|b)", "2027-01-01") };
    for suite in [upstream(), Suite::plain("i")] {
        let matcher = exact.matcher(&suite).unwrap();
        assert!(matcher.matches("[sig-apps] Foo (a|b)"));
        for other in ["[sig-apps] Foo (a|b) more", "more[sig-apps] Foo (a|b)", "[sig-apps] Foo a"] {
            assert!(!matcher.matches(other), "{other}");
        }
    }
}

#[test]
fn an_expired_entry_that_would_have_helped_is_named() {
    let entries = [entry("Bar", "2026-01-01"), entry("Foo", "2026-11-20"), entry("Foo", "2027-01-01")];
    let (name, suite) = ("custom".parse().unwrap(), Suite::plain("i"));
    let today = TODAY.parse().unwrap();
    assert_eq!(missed(&entries, &name, &suite, &["a Foo"], today).unwrap().to_string(), "2026-11-20");
    assert_eq!(missed(&entries, &name, &suite, &["a Baz"], today), None);
}
