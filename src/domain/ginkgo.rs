//! The command line of a Ginkgo suite, second generation, as the upstream conformance image of Kubernetes 1.25 and later holds it.
//! Pure: patterns are validated before they come here.

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

/// The arguments after [`PROGRAM`]. Several `--focus` and several `--skip` are or-ed by Ginkgo.
pub fn arguments(ginkgo: &Ginkgo, skips: &[String], flake_attempts: u32, timeout_s: u64) -> Vec<String> {
    // Verbose on purpose: the dots of the terse form carry no line end, and a log driver that hands out lines would show nothing.
    let mut argv = vec!["--no-color".to_owned(), "-v".to_owned(), format!("--procs={}", ginkgo.procs.max(1))];
    argv.extend(ginkgo.focus.iter().map(|pattern| format!("--focus={pattern}")));
    argv.extend(ginkgo.skip.iter().chain(skips).map(|pattern| format!("--skip={pattern}")));
    if !ginkgo.label_filter.is_empty() {
        argv.push(format!("--label-filter={}", ginkgo.label_filter));
    }
    argv.push(format!("--flake-attempts={}", flake_attempts.max(1)));
    argv.push(format!("--timeout={timeout_s}s"));
    argv.push(format!("--poll-progress-after={POLL_AFTER}"));
    argv.push(format!("--poll-progress-interval={POLL_INTERVAL}"));
    argv.push(format!("--json-report={JSON_REPORT}"));
    argv.push(format!("--output-dir={RESULTS_DIR}"));
    argv.push(SUITE.to_owned());
    argv.push("--".to_owned());
    argv.push("--provider=skeleton".to_owned());
    argv.push(format!("--kubeconfig={KUBECONFIG}"));
    argv.push(format!("--report-dir={RESULTS_DIR}"));
    argv.push("--disable-log-dump".to_owned());
    argv.extend(ginkgo.extra_args.iter().cloned());
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ginkgo() -> Ginkgo {
        Ginkgo {
            focus: vec![r"\[Conformance\]".into(), "StatefulSet Basic".into()],
            skip: vec![r"\[Serial\]".into()],
            label_filter: "Conformance && !Serial".into(),
            procs: 4,
            extra_args: vec!["--allowed-not-ready-nodes=-1".into()],
        }
    }

    #[test]
    fn every_pattern_is_one_argument_of_its_own() {
        let argv = arguments(&ginkgo(), &["should be; odd $(x)".into()], 2, 7200);
        let expected = [
            "--no-color",
            "-v",
            "--procs=4",
            r"--focus=\[Conformance\]",
            "--focus=StatefulSet Basic",
            r"--skip=\[Serial\]",
            "--skip=should be; odd $(x)",
            "--label-filter=Conformance && !Serial",
            "--flake-attempts=2",
            "--timeout=7200s",
            "--poll-progress-after=120s",
            "--poll-progress-interval=60s",
            "--json-report=report.json",
            "--output-dir=/results",
            "/usr/local/bin/e2e.test",
            "--",
            "--provider=skeleton",
            "--kubeconfig=/run/portcullis/kubeconfig",
            "--report-dir=/results",
            "--disable-log-dump",
            "--allowed-not-ready-nodes=-1",
        ];
        assert_eq!(argv, expected);
    }

    #[test]
    fn what_is_not_asked_for_is_not_said() {
        let plain = Ginkgo { focus: vec![], skip: vec![], label_filter: String::new(), procs: 0, extra_args: vec![] };
        let argv = arguments(&plain, &[], 0, 60);
        assert!(
            !argv.iter().any(|arg| ["--focus", "--skip", "--label-filter"].iter().any(|flag| arg.starts_with(flag)))
        );
        assert!(argv.contains(&"--procs=1".to_owned()) && argv.contains(&"--flake-attempts=1".to_owned()));
    }
}
