//! Every way in which a suite can end, with every report it can leave, under every rule of a gate: what the run does about it and what
//! its status says in the end. The product of all of them is walked through by the function that decides for the service.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use portcullis::domain::attempt::{AttemptState, Part, Spec, StopReason};
use portcullis::domain::cluster::ClusterState;
use portcullis::domain::plan::{RunView, Step, Wanted, next_step};
use portcullis::domain::report::{Counts, Digest, SuiteEnd};
use portcullis::domain::run::{Conclusion, RunState};
use portcullis::domain::suite::FlakyPolicy;
use portcullis::domain::verdict::{Evidence, Exit, Verdict};
use portcullis::reports::{Limits, read_paths};

use super::fixture;
use crate::support::values::{at, attempt, cluster, run, suite};

const REPORTS: [(&str, &str); 13] = [
    ("none", ""),
    ("empty", "<testsuite/>"),
    ("only skipped", "<testsuite><testcase name='buys'><skipped/></testcase></testsuite>"),
    ("all passed", "<testsuite><testcase name='buys'/><testcase name='pays'/></testsuite>"),
    (
        "one failed",
        "<testsuite><testcase name='buys'/><testcase name='pays'><failure message='the till is closed'/></testcase></testsuite>",
    ),
    (
        "one flaky",
        "<testsuite><testcase name='buys'/><testcase name='pays'><flakyFailure message='slow'/></testcase></testsuite>",
    ),
    ("unreadable", "{]"),
    ("truncated", "<testsuite><testcase name='buys'/><testcase name='pays'/><testca"),
    ("interrupted", "ginkgo/v2.13.0-interrupt-sigterm"),
    ("timed out", "ginkgo/v2.13.0-timeout"),
    ("BeforeSuite failed", "ginkgo/v2.13.0-beforesuite-failed"),
    ("programmatic focus", "dialects/ginkgo-programmatic-focus.xml"),
    ("API server gone", "e2e/f-apiserver-unreachable"),
];

fn digest(report: &str, home: &std::path::Path) -> Digest {
    let path = home.join("junit.xml");
    let path = match report {
        "" => return Digest::default(),
        text if text.starts_with(['<', '{']) => {
            std::fs::write(&path, text).unwrap();
            path
        }
        name => fixture(name),
    };
    let mut digest = read_paths(&[path], &Limits::default()).digest();
    // The test's own folders are no part of what is compared.
    digest
        .problems
        .iter_mut()
        .for_each(|problem| problem.text = problem.text.replace(&format!("{}/", home.display()), ""));
    digest
}

fn exits() -> Vec<(&'static str, Exit)> {
    let mut all = vec![
        ("0", Exit::Code(0)),
        ("1", Exit::Code(1)),
        ("2", Exit::Code(2)),
        ("130", Exit::Code(130)),
        ("137", Exit::Code(137)),
        ("143", Exit::Code(143)),
        ("197", Exit::Code(197)),
        ("out of memory", Exit::OutOfMemory),
        ("not known", Exit::Unknown),
        ("container gone", Exit::Lost),
        ("never started", Exit::NotStarted("image example/suite:1 cannot be pulled".into())),
    ];
    let stopped = [
        ("cancelled", StopReason::Cancelled),
        ("cluster lost", StopReason::ClusterLost),
        ("time up", StopReason::TimedOut),
        ("stalled", StopReason::Stalled),
        ("disk full", StopReason::DiskFull),
        ("hung for memory", StopReason::OutOfMemory),
        ("no start", StopReason::StartUp),
    ];
    all.extend(stopped.map(|(name, reason)| (name, Exit::Stopped(reason))));
    all
}

/// What comes of the failed specs when they are run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Passes,
    Fails,
    /// It is killed after a green report.
    Killed,
}

#[derive(Debug, Clone)]
struct Scenario<'a> {
    exit: (&'a str, Exit),
    report: (&'a str, Digest),
    min_specs: u64,
    flaky: FlakyPolicy,
    again: Again,
    /// The first cluster is lost, and only the second shows the rest.
    after_trouble: bool,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    conclusion: Conclusion,
    reruns: usize,
    clusters: usize,
    /// What the last execution of everything showed.
    last: Evidence,
}

impl Scenario<'_> {
    fn view(&self) -> RunView {
        let mut view = RunView::new(run(7, 'a'));
        view.run.state = RunState::Active;
        view.run.gate.setup.clear();
        let mut rules = suite();
        (rules.min_specs, rules.flaky, rules.rerun.rounds) = (self.min_specs, self.flaky, 1);
        view.run.gate.suites = [("smoke".parse().unwrap(), rules)].into_iter().collect();
        view
    }

    /// Does what the service would, until the suite is concluded.
    fn walk(&self) -> End {
        let mut view = self.view();
        let (mut reruns, mut last) = (0, Evidence::default());
        for _ in 0..10 {
            match next_step(&view, at(20)) {
                Step::ReplaceCluster | Step::Admit => {
                    let mut fresh = cluster(&view.run);
                    fresh.state = ClusterState::Ready;
                    view.clusters.push(fresh);
                }
                Step::CreateAttempt { number, what, .. } => {
                    let mut fresh = attempt(&view.run, view.clusters.last().unwrap(), "smoke", number);
                    let evidence = match what {
                        Wanted::Phase(_) => self.first(number),
                        Wanted::FailedSpecs => {
                            reruns += 1;
                            fresh.part = Part::Specs(self.failed());
                            self.second()
                        }
                    };
                    if what == Wanted::Phase(0) {
                        last = evidence.clone();
                    }
                    (fresh.state, fresh.evidence) = (AttemptState::Done, Some(evidence));
                    view.attempts.push(fresh);
                }
                Step::Conclude(_, conclusion) => {
                    return End { conclusion, reruns, clusters: view.clusters.len(), last };
                }
                other => panic!("{self:?}: {other:?}"),
            }
        }
        panic!("it goes on for ever: {self:?}");
    }

    fn first(&self, number: u32) -> Evidence {
        match self.after_trouble && number == 1 {
            true => Evidence { exit: Exit::Stopped(StopReason::ClusterLost), ..Evidence::default() },
            false => Evidence { exit: self.exit.1.clone(), digest: self.report.1.clone(), ..Evidence::default() },
        }
    }

    fn failed(&self) -> Vec<Spec> {
        let failures = self.report.1.failures.iter();
        failures.map(|failed| Spec { class: failed.class.clone(), name: failed.name.clone() }).collect()
    }

    fn second(&self) -> Evidence {
        let specs = self.report.1.counts.bad();
        let green = Counts { total: specs, passed: specs, ..Counts::default() };
        let red = Counts { total: specs, failed: specs, ..Counts::default() };
        let digest = |counts| Digest { counts, files: 1, ..Digest::default() };
        let (exit, digest) = match self.again {
            Again::Passes => (Exit::Code(0), digest(green)),
            Again::Fails => (Exit::Code(1), Digest { failures: self.report.1.failures.clone(), ..digest(red) }),
            Again::Killed => (Exit::Code(137), digest(green)),
        };
        Evidence { exit, digest, ..Evidence::default() }
    }

    /// Whether green is thinkable, said independently of the code: something ran and enough of it, every failure is excused, the report
    /// was read to its end, and the program ended as it does when such specs come out so.
    fn may_be_green(&self) -> bool {
        let Digest { counts, end, .. } = &self.report.1;
        let is_whole = matches!(self.report.0, "all passed" | "one failed" | "one flaky") && *end == SuiteEnd::Complete;
        let enough = counts.passed + counts.flaky + counts.failed >= self.min_specs;
        let by_itself = match self.report.0 {
            "one failed" => {
                let ended = matches!(self.exit.1, Exit::Code(0..=125));
                ended && self.again == Again::Passes && self.flaky == FlakyPolicy::Pass
            }
            "one flaky" => matches!(self.exit.1, Exit::Code(0) | Exit::Unknown) && self.flaky == FlakyPolicy::Pass,
            _ => matches!(self.exit.1, Exit::Code(0) | Exit::Unknown),
        };
        is_whole && enough && by_itself
    }

    /// Nobody's specs can be blamed for it.
    fn is_trouble(&self) -> bool {
        matches!(
            self.exit.1,
            Exit::Lost
                | Exit::NotStarted(_)
                | Exit::Stopped(StopReason::Cancelled | StopReason::ClusterLost | StopReason::StartUp)
        ) || matches!(self.report.0, "API server gone" | "none" | "BeforeSuite failed")
    }
}

fn every() -> Vec<Scenario<'static>> {
    let home = tempfile::tempdir().unwrap();
    let reports: Vec<_> = REPORTS.iter().map(|(name, text)| (*name, digest(text, home.path()))).collect();
    let mut all = vec![];
    for exit in exits() {
        for report in &reports {
            for min_specs in [1, 1000] {
                for flaky in [FlakyPolicy::Pass, FlakyPolicy::Fail] {
                    for again in [Again::Passes, Again::Fails, Again::Killed] {
                        for after_trouble in [false, true] {
                            let (exit, report) = (exit.clone(), report.clone());
                            all.push(Scenario { exit, report, min_specs, flaky, again, after_trouble });
                        }
                    }
                }
            }
        }
    }
    all
}

#[test]
fn green_needs_evidence_and_trouble_is_nobodys_failure() {
    let (mut green, mut red, all) = (0, 0, every());
    for scenario in &all {
        let end = scenario.walk();
        assert_eq!(end, scenario.walk(), "the same is decided the same way");
        let Conclusion { verdict, description } = &end.conclusion;
        let told = format!("{verdict:?} `{description}` of {scenario:?}");
        assert_eq!(*verdict == Verdict::Success, scenario.may_be_green(), "{told}");
        assert!(*verdict != Verdict::Failure || !scenario.is_trouble(), "{told}");
        assert!((1..=140).contains(&description.chars().count()), "{told}");
        assert!(!description.contains('\n') && !description.contains("/tmp"), "{told}");
        assert!(end.reruns <= 1 && (1..=2).contains(&end.clusters), "{told}: {end:?}");
        if matches!(scenario.exit.1, Exit::Stopped(StopReason::Cancelled)) {
            assert!(*verdict == Verdict::Error && description.starts_with("cancelled"), "{told}");
        }
        let calm = Scenario { after_trouble: false, ..scenario.clone() }.walk().conclusion;
        let words = |text: &str| text.trim_end_matches(" · attempt 2").to_owned();
        assert_eq!(
            (*verdict, words(description)),
            (calm.verdict, words(&calm.description)),
            "a lost cluster changes nothing"
        );
        green += usize::from(*verdict == Verdict::Success);
        red += usize::from(*verdict == Verdict::Failure);
    }
    assert_eq!(all.len(), 18 * 13 * 24);
    assert!(green > 20 && red > 100, "{green} green, {red} red of {}", all.len());
}

#[test]
fn only_required_suites_decide_over_a_run() {
    for scenario in every() {
        let conclusion = scenario.walk().conclusion;
        for required in [true, false] {
            let mut view = scenario.view();
            view.run.gate.suites[0].required = required;
            view.conclusions.insert("smoke".parse().unwrap(), conclusion.clone());
            let Step::Finish { verdict, .. } = next_step(&view, at(20)) else { panic!("{scenario:?}") };
            assert_eq!(verdict, if required { conclusion.verdict } else { Verdict::Success }, "{scenario:?}");
        }
    }
}

/// One row for each distinct end, by the first scenario that comes to it.
pub(super) fn table() -> String {
    let mut rows: BTreeMap<(Verdict, String), (usize, String)> = BTreeMap::new();
    for scenario in every().into_iter().filter(|scenario| !scenario.after_trouble) {
        let end = scenario.walk();
        let mut then = vec![];
        if end.clusters > 1 {
            then.push("again on a fresh cluster");
        }
        if end.reruns > 0 {
            then.push(match scenario.again {
                Again::Passes => "failed specs again: pass",
                Again::Fails => "failed specs again: fail",
                Again::Killed => "failed specs again: killed",
            });
        }
        let enough = if scenario.min_specs > 1 { "1000 specs wanted" } else { "" };
        let flaky = if scenario.flaky == FlakyPolicy::Fail { "`flaky: fail`" } else { "" };
        let rules: Vec<&str> = [enough, flaky].into_iter().filter(|rule| !rule.is_empty()).collect();
        let text = end.conclusion.description.replace('|', "\\|");
        let row =
            format!("| {} | {} | {} | {} |", scenario.exit.0, scenario.report.0, rules.join(", "), then.join(", "));
        rows.entry((end.conclusion.verdict, text)).or_insert((0, row)).0 += 1;
    }
    let mut text = String::from(
        "| exit | report | rules | then | verdict | in words | such cases |\n|---|---|---|---|---|---|---:|\n",
    );
    for ((verdict, words), (count, row)) in rows {
        let _ = writeln!(text, "{row} {} | {words} | {count} |", format!("{verdict:?}").to_lowercase());
    }
    text
}
