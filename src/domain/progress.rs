//! How far a running suite is, folded from what it prints: lines when they are whole, dots as they come. Never part of a verdict.

use serde::{Deserialize, Serialize};

/// Counters of a running suite; zero where nothing is known yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Specs that will run, as announced; 0 when unknown.
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
}

/// What one line says of specs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Announced(u64),
    Ended { specs: u64, failed: u64 },
    Nothing,
}

impl Progress {
    /// Takes one line of output into account: Ginkgo of both generations, TAP, pytest, `go test -v`, nextest, our own suites.
    pub fn read_line(&mut self, line: &str) {
        match told(line) {
            Told::Announced(total) => *self = Progress { total, ..Progress::default() },
            Told::Ended { specs, failed } => {
                self.completed += specs;
                self.failed += failed;
            }
            Told::Nothing => {}
        }
        self.bound();
    }

    /// The same with specs that ended on a line which is still being written.
    #[must_use]
    pub fn with_dots(mut self, dots: u64) -> Self {
        self.completed += dots;
        self.bound();
        self
    }

    fn bound(&mut self) {
        if self.total > 0 {
            self.completed = self.completed.min(self.total);
            self.failed = self.failed.min(self.completed);
        }
    }
}

/// Ginkgo's mark of a spec that ended.
const DOT: &str = "•";

/// Dots in bytes of a line that has no end yet. Whatever stands between them is no spec: filtered ones print `S`.
pub fn dots(bytes: &[u8]) -> u64 {
    bytes.windows(DOT.len()).filter(|window| *window == DOT.as_bytes()).count() as u64
}

fn told(line: &str) -> Told {
    let line = line.trim_start();
    if let Some(total) = announced(line) {
        return Told::Announced(total);
    }
    let one = |failed: bool| Told::Ended { specs: 1, failed: u64::from(failed) };
    match line.chars().next() {
        Some('•' | '↺' | 'S' | 'P') if line.contains(['•', '↺']) => ginkgo(line),
        Some('o') if line.starts_with("ok ") => one(false),
        Some('n') if line.starts_with("not ok ") => one(true),
        Some('-') if line.starts_with("--- ") => match &line[4..] {
            rest if rest.starts_with("PASS: ") => one(false),
            rest if rest.starts_with("FAIL: ") => one(true),
            _ => Told::Nothing,
        },
        // nextest's `PASS [   0.005s] crate test` and `FAIL [`; our own `FAIL name`.
        Some('P') if line.starts_with("PASS [") => one(false),
        Some('F') if line.starts_with("FAIL ") => one(true),
        _ => pytest(line),
    }
}

/// `•••S••`, `• [1.2 seconds]`, `•{"msg":…}`, `• [FAILED] …`, `• Failure [..]`, `•! Panic`, `↺ [FLAKEY TEST …`.
fn ginkgo(line: &str) -> Told {
    let last = line.rfind(['•', '↺']).map_or("", |at| &line[at..]);
    let after = last.trim_start_matches(['•', '↺', '!', '.', ' ']);
    let failed = ["[FAILED]", "[PANICKED]", "[TIMEDOUT]", "[INTERRUPTED]", "Failure", "Panic", "Timeout"]
        .iter()
        .any(|word| after.starts_with(word));
    // In a message a dot may be anything; only a run of marks at the start counts.
    let marks = line.chars().take_while(|mark| matches!(mark, '•' | '↺' | 'S' | 'P'));
    let specs = marks.filter(|mark| matches!(mark, '•' | '↺')).count() as u64;
    Told::Ended { specs, failed: u64::from(failed && specs > 0) }
}

/// `tests/test_a.py::test_b PASSED [ 50%]` and `FAILED`, `ERROR`; a skip ran nothing.
fn pytest(line: &str) -> Told {
    let Some((test, rest)) = line.split_once(' ') else { return Told::Nothing };
    match rest.split_whitespace().next() {
        Some("PASSED" | "XFAIL") if test.contains("::") => Told::Ended { specs: 1, failed: 0 },
        Some("FAILED" | "ERROR") if test.contains("::") => Told::Ended { specs: 1, failed: 1 },
        _ => Told::Nothing,
    }
}

/// `Will run 15 of 5667 specs` (both generations), `plan 12 to run, 3 skipped` (ours), `collected 12 items / 2 deselected / 10 selected`,
/// `1..12`, `Starting 25 tests across 3 binaries`.
fn announced(line: &str) -> Option<u64> {
    const SHAPES: [(&str, &str); 6] = [
        ("Will run ", "of "),
        ("Will run ", "specs"),
        ("plan ", "to run"),
        ("collected ", "item"),
        ("Starting ", "tests across"),
        ("Starting ", "test across"),
    ];
    let shaped = SHAPES.into_iter().find_map(|(head, tail)| {
        let (count, rest) = line.strip_prefix(head)?.split_once(' ')?;
        rest.starts_with(tail).then(|| count.parse().ok().map(|count| selected(count, rest)))?
    });
    shaped.or_else(|| line.strip_prefix("1..")?.split(' ').next()?.parse().ok())
}

/// What is left of the tests that pytest found; before its version 5 it says only how many are not.
fn selected(found: u64, rest: &str) -> u64 {
    let said = |word: &str| {
        let mut parts = rest.split(" / ").skip(1).filter_map(|part| part.trim_end().split_once(' '));
        parts.find(|(_, what)| *what == word).and_then(|(count, _)| count.parse().ok())
    };
    said("selected").or_else(|| said("deselected").map(|out: u64| found.saturating_sub(out))).unwrap_or(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(lines: &[&str]) -> Progress {
        let mut progress = Progress::default();
        lines.iter().for_each(|line| progress.read_line(line));
        progress
    }

    #[test]
    fn both_generations_of_ginkgo_are_counted() {
        let v2 = fold(&["Will run 4 of 7144 specs", "• [1.500 seconds]", "• [FAILED] [0.1 seconds]", "↺ [FLAKEY TEST"]);
        assert_eq!(v2, Progress { total: 4, completed: 3, failed: 1 });
        let v1 =
            fold(&["Will run 3 of 5667 specs", "•{\"msg\":\"PASSED x\"}", "• Failure [0.000 seconds]", "•! Panic [x]"]);
        assert_eq!(v1, Progress { total: 3, completed: 3, failed: 2 });
    }

    #[test]
    fn dots_are_counted_and_filtered_specs_are_not() {
        assert_eq!(fold(&["Will run 9 of 20 specs", "SSS••S•P•"]), Progress { total: 9, completed: 4, failed: 0 });
        assert_eq!(fold(&["••• [FAILED] [0.2 seconds]"]), Progress { total: 0, completed: 3, failed: 1 });
        assert_eq!(dots("SS••S•".as_bytes()), 3);
        assert_eq!(dots(b"no such thing"), 0);
        let begun = Progress { total: 5, completed: 3, failed: 1 };
        assert_eq!(begun.with_dots(1), Progress { total: 5, completed: 4, failed: 1 });
        assert_eq!(begun.with_dots(9).completed, 5);
    }

    #[test]
    fn our_own_suites_are_counted() {
        let ours =
            fold(&["plan 3 to run, 1 skipped", "run   a", "ok    a 1.2s", "again b", "ok    b 2s", "FAIL  c 1s"]);
        assert_eq!(ours, Progress { total: 3, completed: 3, failed: 1 });
    }

    #[test]
    fn other_runners_are_counted() {
        let tap = fold(&["1..3", "ok 1 a", "not ok 2 b", "# (in test file x.bats, line 3)", "ok 3 c # skip"]);
        assert_eq!(tap, Progress { total: 3, completed: 3, failed: 1 });
        let pytest = fold(&[
            "collected 3 items",
            "tests/test_a.py::test_one PASSED                     [ 33%]",
            "tests/test_a.py::test_two FAILED                     [ 66%]",
            "tests/test_a.py::test_three SKIPPED (no cluster)     [100%]",
        ]);
        assert_eq!(pytest, Progress { total: 3, completed: 2, failed: 1 });
        for (line, total) in [
            ("collected 12 items / 2 deselected / 10 selected", 10),
            ("collected 12 items / 1 error / 2 deselected / 10 selected", 10),
            ("collected 12 items / 2 deselected", 10),
            ("collected 12 items / 1 skipped", 12),
            ("collected 1 item", 1),
            ("collected 2 items / 5 deselected", 0),
        ] {
            assert_eq!(fold(&[line]).total, total, "{line}");
        }
        let go =
            fold(&["=== RUN   TestA", "--- PASS: TestA (0.00s)", "    --- FAIL: TestB/sub (0.10s)", "FAIL", "PASS"]);
        assert_eq!(go, Progress { total: 0, completed: 2, failed: 1 });
        let nextest = fold(&[
            "    Starting 2 tests across 1 binary",
            "        PASS [   0.005s] crate tests::a",
            "        FAIL [   0.005s] crate tests::b",
        ]);
        assert_eq!(nextest, Progress { total: 2, completed: 2, failed: 1 });
    }

    #[test]
    fn chatter_counts_for_nothing() {
        let noise = fold(&[
            "Will run out of memory",
            "FAIL! -- 1 Passed",
            "okay",
            "[FAILED] expected",
            "Will run x of y",
            "a list: • one • two",
            "Summarizing: •",
            "PASS",
            "1..x",
        ]);
        assert_eq!(noise, Progress::default());
    }
}
