//! What a suite's container finds when it starts: paths and variables, the same for every executor.
//! A promise to whoever writes a suite's image; nothing here knows how containers are made.

use std::collections::BTreeMap;

use super::suite::{Entry, Suite};

/// The throwaway cluster's kubeconfig.
pub const KUBECONFIG: &str = "/run/portcullis/kubeconfig";
/// Where reports go. Writable by any user; copied out when the container has ended.
pub const RESULTS_DIR: &str = "/results";
/// The tested commit's files.
pub const WORKSPACE_DIR: &str = "/workspace";

/// The container's variables. The suite's own come before the contract's, so that it cannot point them elsewhere.
pub fn variables(suite: &Suite, skips: &[String], extra: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = suite.env.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    all.extend(extra.clone());
    if let Entry::Command(_) = suite.entry {
        // Ginkgo gets the same by arguments; anything else by these two.
        all.insert("PORTCULLIS_SKIP".into(), skips.join("\n"));
        all.insert("PORTCULLIS_FLAKE_ATTEMPTS".into(), suite.flake_attempts.to_string());
    }
    all.insert("KUBECONFIG".into(), KUBECONFIG.into());
    all.insert("RESULTS_DIR".into(), RESULTS_DIR.into());
    all.insert("HOME".into(), "/tmp".into());
    // The init hands an interrupt to the whole process group: Ginkgo swallows one sent to its command line alone.
    all.insert("TINI_KILL_PROCESS_GROUP".into(), "1".into());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::suite::{FlakyPolicy, Limits, Timeouts};

    fn suite(entry: Entry) -> Suite {
        Suite {
            image: "i".into(),
            entry,
            env: [("KUBECONFIG", "/elsewhere"), ("MODE", "full")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            limits: Limits { memory_bytes: 0, cpu_millis: 0, pids: 0, disk_bytes: 0, log_bytes: 0 },
            timeouts: Timeouts { suite_s: 0, no_output_s: 0, stop_grace_s: 0 },
            min_specs: 1,
            required: true,
            flaky: FlakyPolicy::Pass,
            flake_attempts: 2,
        }
    }

    #[test]
    fn a_suite_cannot_move_what_the_contract_fixes() {
        let extra = BTreeMap::from([("RUN".to_owned(), "7".to_owned())]);
        let all = variables(&suite(Entry::Command(vec![])), &["a|b".into(), "c".into()], &extra);
        assert_eq!(all["KUBECONFIG"], KUBECONFIG);
        assert_eq!((all["MODE"].as_str(), all["RUN"].as_str()), ("full", "7"));
        assert_eq!((all["PORTCULLIS_SKIP"].as_str(), all["PORTCULLIS_FLAKE_ATTEMPTS"].as_str()), ("a|b\nc", "2"));
    }

    #[test]
    fn ginkgo_gets_its_skips_by_arguments_alone() {
        let ginkgo = crate::domain::suite::Ginkgo {
            focus: vec![],
            skip: vec![],
            label_filter: String::new(),
            procs: 1,
            extra_args: vec![],
        };
        let all = variables(&suite(Entry::Ginkgo(ginkgo)), &["a".into()], &BTreeMap::new());
        assert!(!all.contains_key("PORTCULLIS_SKIP"));
        assert_eq!(all["RESULTS_DIR"], RESULTS_DIR);
    }
}
