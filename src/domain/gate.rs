//! The policy of one repository as a run uses it: read from the base branch, validated, and kept with the run.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::cluster::{ClusterPlan, Stage};
use super::names::SuiteName;
use super::rules::Rules;
use super::skip::SkipEntry;
use super::status::Report;
use super::suite::Suite;

/// Where a repository keeps its policy.
pub const GATE_PATH: &str = ".github/portcullis.yaml";

/// A gate policy, complete: defaults filled in, suites resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The label that starts a run.
    pub label: String,
    pub rules: Rules,
    pub checkout: Checkout,
    pub cluster: ClusterPlan,
    pub setup: Vec<SetupStep>,
    /// How long one set-up stage may take, in seconds.
    pub setup_timeout_s: u64,
    /// Whether the cluster is first brought to the base branch's state and then upgraded to the tested commit's.
    pub upgrade: bool,
    pub suites: IndexMap<SuiteName, Suite>,
    pub skips: Vec<SkipEntry>,
    /// Fresh clusters a run may ask for when the first one breaks.
    pub cluster_retries: u32,
    /// As what GitHub is told how suites stand.
    pub report: Report,
    /// Whether a comment on the pull request tells how the run stands.
    pub comment: bool,
}

impl Gate {
    /// What a run holds whose policy could not be read: no suites, nothing to make.
    pub fn empty() -> Self {
        Self {
            label: String::new(),
            rules: Rules::default(),
            checkout: Checkout::Head,
            cluster: ClusterPlan { image: None, nodes: 1, server_args: vec![], ready_timeout_s: 0 },
            setup: vec![],
            setup_timeout_s: 0,
            upgrade: false,
            suites: IndexMap::new(),
            skips: vec![],
            cluster_retries: 0,
            report: Report::Statuses,
            comment: false,
        }
    }

    /// Whether a suite is set up, run and judged alike under both.
    pub fn treats_alike(&self, other: &Gate, suite: &SuiteName) -> bool {
        let same_cluster = self.cluster == other.cluster && self.setup == other.setup && self.upgrade == other.upgrade;
        let same_tests = self.checkout == other.checkout && self.skips == other.skips;
        same_cluster && same_tests && self.suites.get(suite) == other.suites.get(suite)
    }

    /// The set-up stages a cluster passes through, in order.
    pub fn stages(&self) -> &'static [Stage] {
        match (self.setup.is_empty(), self.upgrade) {
            (true, _) => &[],
            (false, true) => &[Stage::Base, Stage::Head],
            (false, false) => &[Stage::Head],
        }
    }
}

/// Which commit is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checkout {
    /// The merge of the head into the base, as it would land.
    Merge,
    /// The head alone.
    Head,
}

/// One step of the set-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupStep {
    pub name: String,
    /// Files and folders of the checkout whose Kubernetes manifests are applied, in this order.
    pub apply: Vec<String>,
}
