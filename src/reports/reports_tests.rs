//! Readers against damaged input: whatever arrives, they end, do not panic, and stay within their promises.

use std::fs;
use std::io::BufReader;

use super::*;
use crate::domain::verdict::{Evidence, Policy, judge};

/// A small, seeded generator: the same run every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }
}

/// Pieces that mean something to a parser.
const TOKENS: [&str; 24] = [
    "<",
    ">",
    "\"",
    "'",
    "&",
    ";",
    "&#0;",
    "&#x1b;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?",
    "?>",
    "<!DOCTYPE",
    "</testsuite>",
    "<testcase name=\"x\">",
    "<failure>",
    "\u{feff}",
    "[",
    "]",
    "{",
    "\\u",
    "\0",
];

fn mutate(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.roll(6) {
        let at = dice.roll(bytes.len() + 1);
        let end = (at + dice.roll(200)).min(bytes.len());
        match dice.roll(6) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => drop(bytes.splice(at..at, TOKENS[dice.roll(TOKENS.len())].bytes())),
            4 => bytes.truncate(at),
            _ => {
                let other = dice.roll(bytes.len() + 1);
                let piece = bytes[at..end].to_vec();
                bytes.splice(other..other, piece);
            }
        }
    }
    bytes
}

fn seeds(ending: &str) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports");
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) && entry.metadata().unwrap().len() < 14_000 {
                seeds.push(fs::read(path).unwrap());
            }
        }
    }
    seeds.sort();
    assert!(seeds.len() > 5, "there are fixtures to damage");
    seeds
}

fn read_ginkgo(bytes: &[u8]) -> Report {
    let mut collector = Collector::new();
    let file = File { name: "report.json", lane: None };
    settle(ginkgo::read(bytes, &file, &mut collector), &file, true, &mut collector);
    collector.finish(Duration::ZERO)
}

fn promises_hold(report: &Report, what: &str) {
    let counts = report.counts();
    assert_eq!(counts.total, counts.passed + counts.failed + counts.errored + counts.skipped + counts.flaky, "{what}");
    let judgement = judge(&Evidence { digest: report.digest(), ..Evidence::default() }, &Policy::default());
    assert!(judgement.description.chars().count() <= 140, "{what}: {}", judgement.description);
    write_merged(report, "merged", std::io::sink()).unwrap();
}

#[test]
fn damaged_junit_does_not_break_the_reader() {
    let seeds = seeds(".xml");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..3000 {
        let bytes = mutate(&seeds[round % seeds.len()], &mut dice);
        // A tiny buffer puts every boundary somewhere awkward.
        let report = if round % 2 == 0 {
            read_junit(bytes.as_slice(), "r.xml")
        } else {
            read_junit(BufReader::with_capacity(1 + dice.roll(40), bytes.as_slice()), "r.xml")
        };
        promises_hold(&report, &format!("round {round}"));
    }
}

#[test]
fn damaged_ginkgo_reports_do_not_break_the_reader() {
    let seeds = seeds(".json");
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for round in 0..1500 {
        let report = read_ginkgo(&mutate(&seeds[round % seeds.len()], &mut dice));
        promises_hold(&report, &format!("round {round}"));
    }
}

#[test]
fn the_size_of_the_buffer_changes_nothing() {
    for seed in seeds(".xml") {
        let whole = read_junit(seed.as_slice(), "r.xml");
        for capacity in [1, 2, 3, 7, 64] {
            assert_eq!(read_junit(BufReader::with_capacity(capacity, seed.as_slice()), "r.xml"), whole);
        }
    }
}

#[test]
fn more_cases_than_rows_are_still_counted_and_told_apart() {
    let mut xml = String::from("<testsuite name=\"s\">");
    for number in 0..120_000 {
        xml.push_str(&format!("<testcase name=\"case {number}\"/>"));
    }
    xml.push_str(
        "<testcase name=\"case 119999\"><failure>late</failure></testcase><testcase name=\"case 5\"/></testsuite>",
    );
    let report = read_junit(xml.as_bytes(), "r.xml");
    let counts = report.counts();
    assert_eq!((counts.total, counts.passed, counts.failed), (120_000, 119_999, 1));
    assert_eq!(report.failures().next().unwrap().id.name, "case 119999");
}

#[test]
fn limits_on_bytes_are_kept_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.xml");
    fs::write(&path, format!("<testsuite><testcase name=\"a\"/>{}</testsuite>", " ".repeat(10_000))).unwrap();
    let limits = Limits { file_bytes: 5000, ..Limits::default() };
    let report = read_paths(std::slice::from_ref(&path), &limits);
    assert_eq!(report.counts().passed, 1);
    assert!(report.problems.iter().any(|p| p.weight == Weight::Fatal && p.text.contains("larger than the limit")));
    let limits = Limits { total_bytes: 5000, ..Limits::default() };
    assert!(read_paths(&[path], &limits).problems.iter().any(|p| p.weight == Weight::Fatal));
}
