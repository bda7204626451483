//! How far a running suite is, folded from the lines it prints. Never part of a verdict.

use serde::{Deserialize, Serialize};

/// Counters of a running suite; zero where nothing is known yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Specs that will run, as announced; 0 when unknown.
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
}

impl Progress {
    /// Takes one line of output into account. Understands Ginkgo (both generations) and our own suites.
    pub fn read_line(&mut self, line: &str) {
        if let Some(total) = announced(line) {
            *self = Progress { total, ..Progress::default() };
        } else if is_failed(line) {
            self.failed += 1;
            self.completed += 1;
        } else if is_passed(line) {
            self.completed += 1;
        }
        if self.total > 0 {
            self.completed = self.completed.min(self.total);
            self.failed = self.failed.min(self.completed);
        }
    }
}

/// `Will run 15 of 5667 specs` (both generations) or `plan 12 to run, 3 skipped` (ours).
fn announced(line: &str) -> Option<u64> {
    let shapes = [("Will run ", "of "), ("Will run ", "specs"), ("plan ", "to run")];
    shapes.into_iter().find_map(|(head, tail)| {
        let (count, rest) = line.strip_prefix(head)?.split_once(' ')?;
        rest.starts_with(tail).then(|| count.parse().ok())?
    })
}

/// Ginkgo v2 `• [FAILED] …` and kin, v1 `• Failure [..]`, ours `FAIL name`.
fn is_failed(line: &str) -> bool {
    let line = line.trim_start();
    match line.strip_prefix('•') {
        Some(rest) => {
            let rest = rest.trim_start_matches(['!', '.', ' ']);
            ["[FAILED]", "[PANICKED]", "[TIMEDOUT]", "[INTERRUPTED]", "Failure", "Panic", "Timeout"]
                .iter()
                .any(|word| rest.starts_with(word))
        }
        None => line.starts_with("FAIL ") && !line.starts_with("FAIL!"),
    }
}

/// Ginkgo `•` or `• [5.1 seconds]`, v1 `•{"msg":…}`, flaky `↺ [FLAKEY …`, ours `ok name`.
fn is_passed(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('•') || line.starts_with("↺ [FLAKEY") || line.starts_with("ok ")
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
        let v1 = fold(&["Will run 3 of 5667 specs", "•{\"msg\":\"PASSED x\"}", "• Failure [0.000 seconds]", "•! Panic [x]"]);
        assert_eq!(v1, Progress { total: 3, completed: 3, failed: 2 });
    }

    #[test]
    fn our_own_suites_are_counted() {
        let ours = fold(&["plan 3 to run, 1 skipped", "run   a", "ok    a 1.2s", "again b", "ok    b 2s", "FAIL  c 1s"]);
        assert_eq!(ours, Progress { total: 3, completed: 3, failed: 1 });
    }

    #[test]
    fn chatter_counts_for_nothing() {
        let noise = fold(&["Will run out of memory", "FAIL! -- 1 Passed", "okay", "[FAILED] expected", "Will run x of y"]);
        assert_eq!(noise, Progress::default());
    }
}
