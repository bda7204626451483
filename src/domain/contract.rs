//! What a suite's container finds when it starts: paths and variables, the same for every executor.
//! A promise to whoever writes a suite's image; nothing here knows how containers are made.

use std::collections::BTreeMap;

/// The throwaway cluster's kubeconfig.
pub const KUBECONFIG: &str = "/run/portcullis/kubeconfig";
/// Where reports go. Writable by any user; copied out when the container has ended.
pub const RESULTS_DIR: &str = "/results";
/// The tested commit's files.
pub const WORKSPACE_DIR: &str = "/workspace";

/// Patterns of specs to leave out, one a line.
pub const SKIP: &str = "PORTCULLIS_SKIP";
/// Patterns of specs to run only, one a line.
pub const FOCUS: &str = "PORTCULLIS_FOCUS";
/// How often a spec may be tried.
pub const FLAKE_ATTEMPTS: &str = "PORTCULLIS_FLAKE_ATTEMPTS";

/// Variables that are ours to set, for every kind of suite.
pub const RESERVED: [&str; 7] =
    ["KUBECONFIG", "RESULTS_DIR", "HOME", "TINI_KILL_PROCESS_GROUP", SKIP, FOCUS, FLAKE_ATTEMPTS];

/// The container's variables. Whatever else it gets comes before the contract's own, so that nothing points them elsewhere.
pub fn variables(mut all: BTreeMap<String, String>) -> BTreeMap<String, String> {
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

    #[test]
    fn nobody_else_may_set_what_the_contract_sets() {
        let set = variables(BTreeMap::new());
        assert!(set.keys().all(|name| RESERVED.contains(&name.as_str())), "{set:?}");
    }
}
