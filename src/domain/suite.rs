//! What a suite is: an image, how its tests are started, its limits and its policy. Suites are data.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::names::SecretName;
use super::verdict::Policy;

/// A suite as a run uses it: built-in defaults with the gate's changes, validated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suite {
    /// Container image; `{version}` stands for the cluster's Kubernetes version such as `v1.34.4`.
    pub image: String,
    pub entry: Entry,
    /// Ginkgo: executions one after the other, merged into one result. Empty: one execution of everything.
    pub phases: Vec<Phase>,
    /// Environment beyond the contract's own variables.
    pub env: IndexMap<String, String>,
    /// Variables that hold the server's secrets of these names.
    pub secrets: IndexMap<String, SecretName>,
    pub secrets_for: SecretsFor,
    pub limits: Limits,
    pub timeouts: Timeouts,
    /// Fewer specs that ran than this is an error, never a pass.
    pub min_specs: u64,
    /// Nodes the cluster must have.
    pub min_nodes: u8,
    /// A failing required suite blocks a merge; others report and do not.
    pub required: bool,
    /// Which changed files make it needed.
    pub paths: Paths,
    /// What a spec that failed and then passed means.
    pub flaky: FlakyPolicy,
    /// How often one spec may be tried within one execution, 1 to 10.
    pub flake_attempts: u32,
    pub rerun: Rerun,
    /// A command in the suite's image that prints the names of its specs, one a line. Ginkgo suites need none.
    pub list: Vec<String>,
    pub cluster: ClusterUse,
    /// Globs of result files that are kept, as [`glob`] reads them; empty keeps all.
    pub artifacts: Vec<String>,
    /// The results are to be handed in for certification: nothing is skipped or tried twice, and the files are bundled.
    pub submission: bool,
}

impl Suite {
    /// A suite of which only the image is known.
    pub fn plain(image: impl Into<String>) -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            image: image.into(),
            entry: Entry::Command(vec![]),
            phases: vec![],
            env: IndexMap::new(),
            secrets: IndexMap::new(),
            secrets_for: SecretsFor::Trusted,
            limits: Limits {
                memory_bytes: 2 * GIB,
                cpu_millis: 2000,
                pids: 2048,
                disk_bytes: 2 * GIB,
                log_bytes: GIB / 16,
            },
            timeouts: Timeouts { suite_s: 3600, no_output_s: 1200, start_up_s: 900, stop_grace_s: 90 },
            min_specs: 1,
            min_nodes: 1,
            required: true,
            paths: Paths::default(),
            flaky: FlakyPolicy::Pass,
            flake_attempts: 1,
            rerun: Rerun { rounds: 0, max_specs: 20, max_percent: 5, with: RerunWith::Whole },
            list: vec![],
            cluster: ClusterUse::Shared,
            artifacts: vec![],
            submission: false,
        }
    }

    /// What a verdict on the suite asks for.
    pub fn policy(&self) -> Policy {
        Policy { min_specs: self.min_specs, flaky: self.flaky }
    }

    /// How many executions make the suite whole.
    pub fn parts(&self) -> u32 {
        u32::try_from(self.phases.len()).unwrap_or(u32::MAX).max(1)
    }

    /// A phase by its number.
    pub fn phase(&self, number: u32) -> Option<&Phase> {
        self.phases.get(usize::try_from(number).ok()?)
    }

    /// What a verdict on one phase asks for. Without phases that is the whole.
    pub fn policy_of(&self, phase: u32) -> Policy {
        match self.phase(phase) {
            Some(phase) => Policy { min_specs: phase.min_specs, flaky: self.flaky },
            None => self.policy(),
        }
    }

    /// Ginkgo's arguments in one phase: the phase's own focus and processes where it has any, skips and labels of both.
    pub fn ginkgo(&self, phase: u32) -> Option<Ginkgo> {
        let mut ginkgo = match &self.entry {
            Entry::Ginkgo(ginkgo) | Entry::GoRunner(ginkgo) => ginkgo.clone(),
            Entry::Command(_) => return None,
        };
        let Some(phase) = self.phase(phase) else { return Some(ginkgo) };
        if !phase.focus.is_empty() {
            ginkgo.focus.clone_from(&phase.focus);
        }
        ginkgo.skip.extend(phase.skip.iter().cloned());
        ginkgo.label_filter = match (ginkgo.label_filter.as_str(), phase.label_filter.as_str()) {
            (one, "") | ("", one) => one.to_owned(),
            (both, and) => format!("({both}) && ({and})"),
        };
        ginkgo.procs = phase.procs.unwrap_or(ginkgo.procs);
        Some(ginkgo)
    }
}

/// Globs over changed files. Without any, every change needs the suite.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paths {
    /// Only a change that touches one of these needs the suite; empty for any.
    pub only: Vec<String>,
    /// A change that touches nothing but these does not.
    pub ignore: Vec<String>,
}

impl Paths {
    /// Whether these changed files make the suite needed. A glob that does not compile rules nothing out.
    pub fn need(&self, files: &[String]) -> bool {
        let (Some(only), Some(ignore)) = (globs(&self.only), globs(&self.ignore)) else { return true };
        files.iter().any(|file| (self.only.is_empty() || only.is_match(file)) && !ignore.is_match(file))
    }

    /// Whether there is anything to compare with.
    pub fn is_empty(&self) -> bool {
        self.only.is_empty() && self.ignore.is_empty()
    }
}

/// `*` stays within a folder, `**` crosses folders.
pub fn glob(text: &str) -> Result<globset::Glob, globset::Error> {
    globset::GlobBuilder::new(text).literal_separator(true).build()
}

fn globs(texts: &[String]) -> Option<globset::GlobSet> {
    let mut set = globset::GlobSetBuilder::new();
    for text in texts {
        set.add(glob(text).ok()?);
    }
    set.build().ok()
}

/// How a suite's tests are started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Ginkgo's command line with a compiled suite, as in the upstream conformance image.
    Ginkgo(Ginkgo),
    /// The conformance image's own entry point, told what to do by `E2E_*` variables.
    GoRunner(Ginkgo),
    /// A command of the suite's own; empty means the image's entry point.
    Command(Vec<String>),
}

/// Arguments of a Ginkgo suite. Focus and skip are regular expressions, each list or-ed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ginkgo {
    pub focus: Vec<String>,
    pub skip: Vec<String>,
    /// Ginkgo v2's label query, empty for none.
    pub label_filter: String,
    /// Parallel processes.
    pub procs: u32,
    /// Extra arguments for the suite's own program.
    pub extra_args: Vec<String>,
}

/// One of several executions of a Ginkgo suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    /// In place of the suite's; empty keeps the suite's.
    pub focus: Vec<String>,
    /// Besides the suite's.
    pub skip: Vec<String>,
    /// Besides the suite's.
    pub label_filter: String,
    /// In place of the suite's.
    pub procs: Option<u32>,
    /// Fewer specs that ran than this is an error; 0 allows a phase in which nothing runs.
    pub min_specs: u64,
}

/// When the failed specs alone are run again, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerun {
    /// How often; 0 never.
    pub rounds: u32,
    /// More failed specs than this are not run again, 1 to 20.
    pub max_specs: u64,
    /// Nor is a larger part of those that ran; a single one always may be.
    pub max_percent: u64,
    pub with: RerunWith,
}

impl Rerun {
    /// Whether so many failed specs of those that ran may be run again: more than a few are no flakes.
    pub fn allows(&self, failed: u64, ran: u64) -> bool {
        let part = (ran.saturating_mul(self.max_percent) / 100).max(1);
        (1..=self.max_specs.min(part)).contains(&failed)
    }
}

/// How a suite is told to run just some of its specs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RerunWith {
    /// Ginkgo's focus on the exact names.
    Focus,
    /// `pytest FILE::CLASS::NAME …` after the suite's command.
    Pytest,
    /// `-run '^(A|B)$'` after the suite's command.
    GoTest,
    /// `-E 'test(=A) | test(=B)'` after the suite's command.
    Nextest,
    /// A command of its own, in which `{cases}` stands for all names and `{case}` repeats its argument for each.
    Command(Vec<String>),
    /// It cannot be told: everything is run again.
    Whole,
}

/// Which cluster a suite runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterUse {
    /// The run's cluster, after the suites before it.
    Shared,
    /// A fresh one that no other suite uses.
    Own,
}

/// Whose changes a suite with secrets is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretsFor {
    /// Those of people who may start runs.
    Trusted,
    /// Anybody's that is let in.
    Anyone,
}

/// What a suite's container may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub memory_bytes: u64,
    /// Thousandths of a core.
    pub cpu_millis: u64,
    pub pids: u64,
    /// Bytes the container may write to its own disk, reports included.
    pub disk_bytes: u64,
    /// Bytes of log that are kept.
    pub log_bytes: u64,
}

/// How long one execution of a suite may take, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    pub suite_s: u64,
    /// Silence longer than this is a stall.
    pub no_output_s: u64,
    /// Until its container runs and has printed something, image pull included.
    pub start_up_s: u64,
    /// Between the interrupt and the kill.
    pub stop_grace_s: u64,
}

/// What a spec that failed and then passed means for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlakyPolicy {
    /// It passes and is shown as flaky.
    Pass,
    /// It fails.
    Fail,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(only: &[&str], ignore: &[&str]) -> Paths {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
        Paths { only: owned(only), ignore: owned(ignore) }
    }

    fn need(paths: &Paths, files: &[&str]) -> bool {
        paths.need(&files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn globs_say_which_changes_need_a_suite() {
        let deploys = paths(&["deploy/**", "*.yaml"], &["**/*.md"]);
        for (files, expected) in [
            (&["deploy/a/b.yaml"][..], true),
            (&["top.yaml"], true),
            (&["below/top.yaml"], false),
            (&["deploy/README.md"], false),
            (&["deploy/README.md", "deploy/x"], true),
            (&["src/main.rs"], false),
        ] {
            assert_eq!(need(&deploys, files), expected, "{files:?}");
        }
        assert!(need(&paths(&[], &["docs/**"]), &["docs/a", "src/b"]));
        assert!(!need(&paths(&[], &["docs/**"]), &["docs/a", "docs/b/c"]));
        assert!(need(&paths(&[], &[]), &["anything"]));
    }

    #[test]
    fn only_a_few_failures_are_worth_another_look() {
        let rerun = Rerun { rounds: 1, max_specs: 20, max_percent: 5, with: RerunWith::Focus };
        let cases = [
            (0, 300, false),
            (1, 8, true),
            (2, 8, false),
            (15, 300, true),
            (16, 300, false),
            (20, 9000, true),
            (21, 9000, false),
        ];
        for (failed, ran, allowed) in cases {
            assert_eq!(rerun.allows(failed, ran), allowed, "{failed} of {ran}");
        }
    }

    #[test]
    fn a_phase_narrows_what_its_suite_says() {
        let mut suite = Suite::plain("i");
        suite.entry = Entry::Ginkgo(Ginkgo {
            focus: vec!["a".into()],
            skip: vec!["x".into()],
            label_filter: "L".into(),
            procs: 4,
            extra_args: vec![],
        });
        let phase = |label: &str, procs| Phase {
            name: "p".into(),
            focus: vec![],
            skip: vec!["y".into()],
            label_filter: label.into(),
            procs,
            min_specs: 1,
        };
        suite.phases = vec![phase("", None), phase("Serial", Some(1))];
        let (parallel, serial) = (suite.ginkgo(0).unwrap(), suite.ginkgo(1).unwrap());
        assert_eq!((parallel.label_filter.as_str(), parallel.procs), ("L", 4));
        assert_eq!((serial.label_filter.as_str(), serial.procs), ("(L) && (Serial)", 1));
        assert_eq!((serial.focus, serial.skip), (vec!["a".to_owned()], vec!["x".to_owned(), "y".to_owned()]));
    }
}
