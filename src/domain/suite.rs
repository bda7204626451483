//! What a suite is: an image, how its tests are started, its limits and its policy. Suites are data.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::verdict::Policy;

/// A suite as a run uses it: built-in defaults with the gate's changes, validated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suite {
    /// Container image; `{version}` stands for the cluster's Kubernetes version such as `v1.34.4`.
    pub image: String,
    pub entry: Entry,
    /// Environment beyond the contract's own variables.
    pub env: IndexMap<String, String>,
    pub limits: Limits,
    pub timeouts: Timeouts,
    /// Fewer specs that ran than this is an error, never a pass.
    pub min_specs: u64,
    /// A failing required suite blocks a merge; others report and do not.
    pub required: bool,
    /// What a spec that failed and then passed means.
    pub flaky: FlakyPolicy,
    /// How often one spec may be tried within one execution, 1 to 10.
    pub flake_attempts: u32,
}

impl Suite {
    /// What a verdict on the suite asks for.
    pub fn policy(&self) -> Policy {
        Policy { min_specs: self.min_specs, flaky: self.flaky }
    }
}

/// How a suite's tests are started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Ginkgo's command line with a compiled suite, as in the upstream conformance image.
    Ginkgo(Ginkgo),
    /// A command of the suite's own; empty means the image's entry point.
    Command(Vec<String>),
}

/// Arguments of a Ginkgo suite. Focus and skip are regular expressions, each list or-ed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// How long a suite may take, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    pub suite_s: u64,
    /// Silence longer than this is a stall.
    pub no_output_s: u64,
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
