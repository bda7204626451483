//! What a suite's container finds when it starts: paths and variables, the same for every executor.
//! A promise to whoever writes a suite's image; nothing here knows how containers are made.

use std::collections::BTreeMap;

/// The throwaway cluster's kubeconfig.
pub const KUBECONFIG: &str = "/run/portcullis/kubeconfig";
/// Where reports go. Writable by any user; copied out when the container has ended.
pub const RESULTS_DIR: &str = "/results";
/// The tested commit's files.
pub const WORKSPACE_DIR: &str = "/workspace";

/// The container's variables. Whatever else it gets comes before the contract's own, so that nothing points them elsewhere.
pub fn variables(mut all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    all.insert("KUBECONFIG".into(), KUBECONFIG.into());
    all.insert("RESULTS_DIR".into(), RESULTS_DIR.into());
    all.insert("HOME".into(), "/tmp".into());
    // The init hands an interrupt to the whole process group: Ginkgo swallows one sent to its command line alone.
    all.insert("TINI_KILL_PROCESS_GROUP".into(), "1".into());
    all
}
