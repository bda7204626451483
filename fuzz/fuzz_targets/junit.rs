#![no_main]
//! JUnit of any dialect as a stream: whatever the bytes, a report comes out, and its merged form is as red or green as it is.

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::domain::verdict::{Evidence, Policy, judge};
use portcullis_fuzz::reports::{read_junit, write_merged};

fuzz_target!(|bytes: &[u8]| {
    let report = read_junit(bytes, "fuzz.xml");
    let digest = report.digest();
    let counts = digest.counts;
    assert_eq!(counts.total, counts.passed + counts.failed + counts.errored + counts.skipped + counts.flaky);
    let judgement = judge(&Evidence { digest, ..Evidence::default() }, &Policy::default());
    assert!(judgement.description.chars().count() <= 140);
    let mut merged = Vec::new();
    write_merged(&report, "fuzz", &mut merged).expect("memory takes it");
    let again = read_junit(&merged[..], "merged.xml");
    assert_eq!(again.files, 1, "what we write can be read");
    assert!(again.counts().bad() > 0 || !again.events.is_empty() || counts.bad() == 0, "nothing red becomes green");
});
