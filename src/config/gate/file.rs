//! The gate file and the skip list as people write them: every key, nothing else. What the values mean is checked in the
//! sibling modules; the JSON Schema is made from these types.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::position::At;
use crate::domain::gate::Checkout;
use crate::domain::rules::{Commenters, OnBaseMove};
use crate::domain::skip::Action;
use crate::domain::status::Report;
use crate::domain::suite::{ClusterUse, FlakyPolicy, SecretsFor};

/// `.github/portcullis.yaml`: which suites a pull request must pass, and on what kind of cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Gate")]
pub(super) struct GateFile {
    /// Version of this format: 1.
    pub(super) version: Option<At<u64>>,
    /// The label that starts a run. Default `ready-to-test`.
    pub(super) label: Option<At<String>>,
    /// Whether a pull request without the label shows every suite as pending. Default true.
    pub(super) announce: Option<bool>,
    /// What becomes of results when the base branch moves: they stand (`ignore`, default), or every labelled pull request is run again on the new base (`rerun_before_merge`).
    pub(super) on_base_move: Option<OnBaseMove>,
    pub(super) teams: Option<TeamsFile>,
    pub(super) commands: Option<CommandsFile>,
    /// Test the merge of the pull request into its base (default), or its head alone.
    pub(super) checkout: Option<Checkout>,
    pub(super) cluster: Option<ClusterFile>,
    /// Steps that bring a fresh cluster to the state the repository describes, in order.
    pub(super) setup: Option<Vec<StepFile>>,
    /// How long one set-up may take. Default `10m`.
    pub(super) setup_timeout: Option<At<String>>,
    /// Set the cluster up from the base branch first, then upgrade it to the tested commit.
    pub(super) upgrade: Option<UpgradeFile>,
    /// The suites by name, which is the end of their statuses' context: changes to the built-in suite of that name, or a whole suite of your own. `gate` is the policy's own and names no suite.
    pub(super) suites: At<IndexMap<At<String>, Option<SuiteFile>>>,
    /// Specs that are not run: the path of a skip list, or its entries.
    pub(super) skips: Option<At<SkipsFile>>,
    /// Tell GitHub by commit statuses (default) or, as a GitHub App, by check runs.
    pub(super) report: Option<Report>,
    /// Whether one comment on the pull request, edited in place, tells how the run stands. Default false.
    pub(super) comment: Option<bool>,
}

/// Who may do what, beside those with the permission in the repository.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Teams")]
pub(super) struct TeamsFile {
    /// Teams, as `org/team`, whose members may do what writers may.
    pub(super) run: Option<Vec<At<String>>>,
    /// Teams whose members may `/override` as administrators may.
    #[serde(rename = "override")]
    pub(super) may_override: Option<Vec<At<String>>>,
}

/// What comments may ask for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Commands")]
pub(super) struct CommandsFile {
    /// Whose `/test`, `/retest` and `/cancel` count on an approved commit beside writers': nobody's (`writers`, default), the pull request's author's (`author`) or anybody's (`anyone`).
    pub(super) from: Option<Commenters>,
    /// How often one suite may be run on one commit because a comment asks for it, 1 to 100. Default 5.
    pub(super) reruns: Option<At<u64>>,
    /// The pause between two such runs of a suite. Default `1m`.
    pub(super) cool_down: Option<At<String>>,
}

/// What the throwaway cluster is like.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cluster")]
pub(super) struct ClusterFile {
    /// Number of nodes, 1 to 9. Default 1.
    pub(super) nodes: Option<At<u64>>,
    /// Node image such as `rancher/k3s:v1.34.4-k3s1`. Default: the server's.
    pub(super) image: Option<At<String>>,
    /// Extra arguments for the control plane, in k3s's spelling.
    pub(super) server_args: Option<Vec<At<String>>>,
    /// How long creation and readiness may take. Default `5m`.
    pub(super) ready_timeout: Option<At<String>>,
    /// How many fresh clusters a run may ask for when one breaks, 0 to 5. Default 1.
    pub(super) retries: Option<At<u64>>,
}

/// One step of the set-up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SetupStep")]
pub(super) struct StepFile {
    /// Name for people.
    pub(super) name: At<String>,
    /// Files and folders whose Kubernetes manifests are applied, in this order.
    pub(super) apply: At<Vec<At<String>>>,
}

/// Where an upgrade starts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Upgrade")]
pub(super) struct UpgradeFile {
    #[expect(dead_code, reason = "reading it is the check: there is one place to start from so far")]
    pub(super) from: UpgradeFrom,
}

/// The state an upgrade starts from.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum UpgradeFrom {
    /// The base branch's.
    Base,
}

/// A suite: changes to a built-in one, or a whole one. Keys that are absent keep the built-in's value.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Suite")]
pub(crate) struct SuiteFile {
    /// One sentence for people.
    pub(crate) description: Option<At<String>>,
    /// The built-in suite to start from, where it is not the one of the same name.
    pub(super) uses: Option<At<String>>,
    /// Container image; `{version}` stands for the cluster's Kubernetes version such as `v1.34.4`, and `auto` for the upstream
    /// conformance image of that version.
    pub(super) image: Option<At<String>>,
    /// How the tests are started: `ginkgo` for an image laid out like the upstream conformance image, `go-runner` for that image's own
    /// entry point, `command` (default) for any other.
    pub(super) entry: Option<At<EntryFile>>,
    /// Command and arguments. Absent: the image's entry point.
    pub(super) command: Option<At<Vec<String>>>,
    /// Run only specs that match one of these regular expressions.
    pub(super) focus: Option<At<Vec<At<String>>>>,
    /// Ginkgo: leave out specs that match one of these regular expressions. Known breakage belongs on the skip list.
    pub(super) skip: Option<At<Vec<At<String>>>>,
    /// Ginkgo: run only specs whose labels match this query, such as `Conformance && !Serial`.
    pub(super) label_filter: Option<At<String>>,
    /// Ginkgo: parallel processes, 1 to 64.
    pub(super) procs: Option<At<u64>>,
    /// Ginkgo: extra arguments for the suite's own program.
    pub(super) extra_args: Option<At<Vec<String>>>,
    /// Ginkgo: executions one after the other, such as a parallel and a serial one; their results are one.
    pub(super) phases: Option<At<Vec<PhaseFile>>>,
    /// Variables for the suite's container.
    pub(super) env: Option<IndexMap<At<String>, At<String>>>,
    /// Variables that hold secrets of the server, by the name of each, such as `REGISTRY_TOKEN: registry`.
    pub(super) secrets: Option<At<IndexMap<At<String>, At<String>>>>,
    /// Whose changes the suite is run for when it has secrets: those of people who may start runs (`trusted`, default), or `anyone`'s that is let in.
    pub(super) secrets_for: Option<SecretsFor>,
    /// A command in the suite's image that prints the names of its specs, one a line: the skip list is compared with them. Ginkgo
    /// suites need none.
    pub(super) list: Option<At<Vec<String>>>,
    /// `shared` (default): the run's cluster, after the suites before it. `own`: a fresh one.
    pub(super) cluster: Option<ClusterUse>,
    /// Globs of the result files that are kept, such as `*.xml` or `screenshots/**`; `*` stays within a folder. Default: all.
    pub(super) artifacts: Option<At<Vec<At<String>>>>,
    pub(super) resources: Option<ResourcesFile>,
    /// How long one execution of the suite may take. Default `1h`.
    pub(super) timeout: Option<At<String>>,
    /// Silence longer than this is a stall. Default `20m`.
    pub(super) no_output: Option<At<String>>,
    /// Until the container runs and has printed something, image pull included. Default `15m`.
    pub(super) start_up: Option<At<String>>,
    /// Between interrupt and kill when the suite is stopped. Default `90s`.
    pub(super) stop_grace: Option<At<String>>,
    /// Fewer specs that ran than this is an error. At least 1, the default.
    pub(super) min_specs: Option<At<u64>>,
    /// Nodes the cluster must have, 1 to 9. Default 1.
    pub(super) min_nodes: Option<At<u64>>,
    /// Whether a failure fails the run. Default true.
    pub(super) required: Option<bool>,
    /// Run only when a changed file matches one of these globs; otherwise the suite's status is green at once.
    pub(super) paths: Option<At<Vec<At<String>>>>,
    /// Changed files that do not count, as globs.
    pub(super) paths_ignore: Option<At<Vec<At<String>>>>,
    /// Whether a spec that failed and then passed passes (default) or fails.
    pub(super) flaky: Option<FlakyPolicy>,
    /// How often one spec may be tried, 1 to 10. Default 1.
    pub(super) flake_attempts: Option<At<u64>>,
    /// When failed specs alone are run again, and how.
    pub(super) rerun: Option<At<RerunFile>>,
    /// Run the conformance suite for certification: nothing skipped, nothing tried twice, the files bundled as the CNCF expects them.
    pub(super) submission: Option<At<bool>>,
}

impl SuiteFile {
    /// Regular expressions in it.
    pub(super) fn patterns(&self) -> usize {
        let length = |list: &Option<At<Vec<At<String>>>>| list.as_ref().map_or(0, |list| list.len());
        let of_phase = |phase: &PhaseFile| length(&phase.focus) + length(&phase.skip);
        let phases: usize = self.phases.iter().flat_map(|phases| phases.iter()).map(of_phase).sum();
        length(&self.focus) + length(&self.skip) + phases
    }
}

/// How a suite's tests are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Entry")]
pub(super) enum EntryFile {
    /// `ginkgo` and `e2e.test` in `/usr/local/bin`.
    Ginkgo,
    /// The conformance image's own entry point, told by `E2E_*` variables.
    GoRunner,
    /// A command, or the image's entry point.
    Command,
}

impl EntryFile {
    pub(super) fn name(self) -> &'static str {
        match self {
            EntryFile::Ginkgo => "ginkgo",
            EntryFile::GoRunner => "go-runner",
            EntryFile::Command => "command",
        }
    }
}

/// One execution of several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Phase")]
pub(super) struct PhaseFile {
    /// Name for people.
    pub(super) name: At<String>,
    /// In place of the suite's `focus`.
    pub(super) focus: Option<At<Vec<At<String>>>>,
    /// Besides the suite's `skip`.
    pub(super) skip: Option<At<Vec<At<String>>>>,
    /// Besides the suite's `label_filter`: both must hold.
    pub(super) label_filter: Option<At<String>>,
    /// In place of the suite's `procs`.
    pub(super) procs: Option<At<u64>>,
    /// Fewer specs that ran in this phase than this is an error; 0 allows a phase in which nothing runs. Default 1.
    pub(super) min_specs: Option<At<u64>>,
}

/// When failed specs alone are run again, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rerun")]
pub(super) struct RerunFile {
    /// How often, 0 to 3. Default 1 where single specs can be run, else 0.
    pub(super) rounds: Option<At<u64>>,
    /// Not when more than this failed, 1 to 20. Default 20.
    pub(super) max_specs: Option<At<u64>>,
    /// Nor when more than this part of those that ran failed; a single one always may. Default 5.
    pub(super) max_percent: Option<At<u64>>,
    /// The test runner behind the suite's command, which is given the specs in its own words.
    pub(super) runner: Option<At<RunnerFile>>,
    /// A command of its own: `{cases}` stands for all names, an argument with `{case}` is repeated for each.
    pub(super) command: Option<At<Vec<String>>>,
}

/// A test runner that can be told which cases to run.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Runner")]
pub(super) enum RunnerFile {
    Pytest,
    GoTest,
    Nextest,
}

/// What a suite's container may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Resources")]
pub(super) struct ResourcesFile {
    /// Memory, at least `16Mi`. Default `2Gi`.
    pub(super) memory: Option<At<String>>,
    /// Cores, such as `2` or `500m`; at least `10m`. Default `2`.
    pub(super) cpu: Option<At<String>>,
    /// Processes and threads, at least 16. Default 2048.
    pub(super) pids: Option<At<u64>>,
    /// What it may write to its own disk, reports included; at least `1Mi`. Default `2Gi`.
    pub(super) disk: Option<At<String>>,
    /// How much of its log is kept, at least `1Mi`. Default `64Mi`.
    pub(super) log: Option<At<String>>,
}

/// A skip list of its own, or one inside the gate file.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Skips")]
pub(super) enum SkipsFile {
    /// Path of a skip list inside the repository.
    Path(String),
    Entries(Vec<SkipFile>),
}

/// By hand rather than `untagged`, which would forget where the entries stand.
impl<'de> Deserialize<'de> for SkipsFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrEntries;

        impl<'de> Visitor<'de> for PathOrEntries {
            type Value = SkipsFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a skip list, or a list of entries")
            }

            fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<SkipsFile, E> {
                Ok(SkipsFile::Path(path.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<SkipsFile, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(entries)).map(SkipsFile::Entries)
            }
        }

        deserializer.deserialize_any(PathOrEntries)
    }
}

/// A skip list: specs that are known to be broken and are not run for a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SkipList")]
pub(super) struct SkipListFile {
    pub(super) entries: Vec<SkipFile>,
}

/// One spec, or several alike, that are not run or do not count.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Skip")]
pub(super) struct SkipFile {
    /// Regular expression over a spec's full name.
    #[serde(rename = "match")]
    pub(super) pattern: Option<At<String>>,
    /// The full name of one spec, in place of `match`.
    pub(super) exact: Option<At<String>>,
    /// `skip` (default): it is not run. `quarantine`: it runs, and its failure does not count.
    pub(super) action: Option<Action>,
    /// Why.
    pub(super) reason: At<String>,
    /// Who will see to it, such as `@acme/net`.
    pub(super) owner: At<String>,
    /// Where it is being seen to.
    pub(super) issue: Option<At<String>>,
    /// The last day on which it is not run, at most 90 days ahead, such as `2027-01-30`.
    pub(super) expires: At<String>,
    /// The suites this is about. Absent: every suite.
    pub(super) suites: Option<Vec<At<String>>>,
    /// Where else it applies alone.
    pub(super) when: Option<WhenFile>,
}

/// Conditions of a skip entry.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SkipWhen")]
pub(super) struct WhenFile {
    /// Kubernetes versions, such as `>=1.30 <1.35` or `1.34`.
    pub(super) kubernetes: Option<At<String>>,
    /// Providers of clusters, such as `docker`.
    pub(super) provider: Option<Vec<At<String>>>,
    /// The suites this is about, as `suites` beside it.
    pub(super) suites: Option<Vec<At<String>>>,
}
