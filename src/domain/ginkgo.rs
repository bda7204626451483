//! The command line of a Ginkgo suite as the upstream conformance image holds it, in both generations: the first up to Kubernetes 1.24,
//! the second since 1.25. Also how a suite is told to run exactly some specs. Pure: patterns are validated before they come here.

use super::contract::{KUBECONFIG, RESULTS_DIR};
use super::suite::Ginkgo;

/// Ginkgo's own command line, started in place of the image's entry point: real exit codes, and arguments that nothing splits again.
pub const PROGRAM: &str = "/usr/local/bin/ginkgo";

/// The compiled suite.
const SUITE: &str = "/usr/local/bin/e2e.test";

/// Ginkgo's JSON report inside the results folder; the suite itself adds its `junit_*.xml`.
const JSON_REPORT: &str = "report.json";

/// A spec that runs longer than this prints where it stands, so that a slow spec is not taken for a stalled suite.
const POLL_AFTER: &str = "120s";
const POLL_INTERVAL: &str = "60s";

/// Linux takes no argument of 128 KiB or more.
const LONGEST_ARGUMENT: usize = 100_000;

/// Ginkgo's command lines differ by generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    One,
    Two,
}

impl Generation {
    /// By the Kubernetes version that the image goes with, such as `v1.34.4`; what cannot be read is taken for recent.
    pub fn of(kubernetes: &str) -> Self {
        let minor = kubernetes.trim_start_matches('v').split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        if minor.is_some_and(|minor| minor < 25) { Generation::One } else { Generation::Two }
    }
}

/// What one execution asks of Ginkgo.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub generation: Generation,
    pub ginkgo: &'a Ginkgo,
    /// Of the skip list, beyond the suite's own.
    pub skips: &'a [String],
    pub flake_attempts: u32,
    pub timeout_s: u64,
    pub mode: Mode,
}

/// Whether specs run, or are only listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Run,
    /// Needs no cluster.
    List,
}

/// The arguments after [`PROGRAM`].
pub fn arguments(call: &Call<'_>) -> Vec<String> {
    let mut argv = options(call);
    argv.push(SUITE.to_owned());
    argv.push("--".to_owned());
    argv.push("--provider=skeleton".to_owned());
    argv.push(format!("--kubeconfig={KUBECONFIG}"));
    argv.push(format!("--report-dir={RESULTS_DIR}"));
    argv.push("--disable-log-dump".to_owned());
    argv.extend(call.ginkgo.extra_args.iter().cloned());
    argv
}

/// Ginkgo's own options, without the suite.
pub fn options(call: &Call<'_>) -> Vec<String> {
    let Call { generation, ginkgo, skips, flake_attempts, timeout_s, mode } = *call;
    let second = generation == Generation::Two;
    let flag = |one: &str, two: &str| if second { format!("--{two}") } else { format!("--{one}") };
    // A dry run must be serial in the second generation.
    let procs = if mode == Mode::List { 1 } else { ginkgo.procs.max(1) };
    let mut argv = vec![flag("noColor", "no-color")];
    // Verbose on purpose: the dots of the terse form carry no line end, and a log driver that hands out lines would show nothing.
    argv.push("-v".to_owned());
    argv.push(format!("{}={procs}", flag("nodes", "procs")));
    let skip: Vec<String> = ginkgo.skip.iter().chain(skips).cloned().collect();
    argv.extend(alternatives(generation, &ginkgo.focus).map(|pattern| format!("--focus={pattern}")));
    argv.extend(alternatives(generation, &skip).map(|pattern| format!("--skip={pattern}")));
    if second && !ginkgo.label_filter.is_empty() {
        argv.push(format!("--label-filter={}", ginkgo.label_filter));
    }
    match mode {
        Mode::List => argv.push(flag("dryRun", "dry-run")),
        Mode::Run => {
            argv.push(format!("{}={}", flag("flakeAttempts", "flake-attempts"), flake_attempts.max(1)));
            argv.push(format!("--timeout={timeout_s}s"));
        }
    }
    if second {
        if mode == Mode::Run {
            argv.push(format!("--poll-progress-after={POLL_AFTER}"));
            argv.push(format!("--poll-progress-interval={POLL_INTERVAL}"));
        }
        argv.push(format!("--json-report={JSON_REPORT}"));
        argv.push(format!("--output-dir={RESULTS_DIR}"));
    }
    argv
}

/// The second generation or-s several flags of a kind; the first heeds only the last one, so they become one.
fn alternatives(generation: Generation, patterns: &[String]) -> impl Iterator<Item = String> {
    let joined = match generation {
        Generation::Two => patterns.to_vec(),
        Generation::One => one_of(patterns).into_iter().collect(),
    };
    joined.into_iter()
}

/// One pattern for many; `None` for none, because an empty alternative would match everything.
pub fn one_of(patterns: &[String]) -> Option<String> {
    match patterns {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(many.iter().map(|pattern| format!("(?:{pattern})")).collect::<Vec<_>>().join("|")),
    }
}

/// Patterns that select exactly the specs of these names. Ginkgo matches the suite's own name, a space (`[Top Level] ` besides, in the
/// first generation) and the spec's; a name may be part of another's but never its end, so the space and the end fix it. Each
/// pattern is short enough for an argument.
pub fn exactly<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    let mut open = String::new();
    for name in names {
        let escaped = regex::escape(name);
        if !open.is_empty() && open.len() + escaped.len() > LONGEST_ARGUMENT {
            chunks.push(std::mem::take(&mut open));
        }
        if !open.is_empty() {
            open.push('|');
        }
        open.push_str(&escaped);
    }
    if !open.is_empty() {
        chunks.push(open);
    }
    chunks.into_iter().map(|names| format!(" (?:{names})$")).collect()
}

/// The variables by which the conformance image's own entry point is told the same.
pub fn go_runner(call: &Call<'_>) -> Vec<(&'static str, String)> {
    const SEPARATOR: &str = ";;";
    let own = Ginkgo { focus: vec![], skip: vec![], ..call.ginkgo.clone() };
    let skip: Vec<String> = call.ginkgo.skip.iter().chain(call.skips).cloned().collect();
    let rest = options(&Call { ginkgo: &own, skips: &[], ..*call });
    // It says these two itself.
    let rest: Vec<String> = rest.into_iter().filter(|arg| !arg.to_lowercase().replace('-', "").eq("nocolor")).collect();
    let mut all = vec![
        ("E2E_USE_GO_RUNNER", "true".to_owned()),
        ("E2E_PROVIDER", "skeleton".to_owned()),
        ("E2E_FOCUS", one_of(&call.ginkgo.focus).unwrap_or_default()),
        ("E2E_SKIP", one_of(&skip).unwrap_or_default()),
        // Its own idea of parallel would add a skip that nobody asked for; `--procs` among the extra arguments says how many.
        ("E2E_PARALLEL", "false".to_owned()),
        ("E2E_EXTRA_ARGS_SEP", SEPARATOR.to_owned()),
        ("E2E_EXTRA_GINKGO_ARGS", rest.join(SEPARATOR)),
    ];
    if !call.ginkgo.extra_args.is_empty() {
        all.push(("E2E_EXTRA_ARGS", call.ginkgo.extra_args.join(SEPARATOR)));
    }
    all
}

#[cfg(test)]
#[path = "ginkgo_tests.rs"]
mod tests;
