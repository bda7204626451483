//! Where files of a run lie in the data directory, and under which key once they were moved to an object store. Paths only: whoever
//! reads or writes them does so itself.

use std::path::{Path, PathBuf};

use crate::domain::ids::{AttemptId, ClusterId, RunId};
use crate::domain::names::{Sha, SuiteName};

/// The folder of all runs' files.
pub const RUNS: &str = "runs";

/// The layout of the data directory:
/// `runs/<run>/<attempt>/log.txt`, `runs/<run>/<attempt>/results/…`, `runs/<run>/<attempt>/junit.xml`,
/// `runs/<run>/<attempt>/summary.json`, `runs/<run>/<attempt>/diagnostics.tar.gz`, `runs/<run>/<suite>.junit.xml`,
/// `runs/<run>/cluster-<cluster>.log`, `runs/<run>/cluster-<cluster>.tar.gz` and, only while the run lasts,
/// `work/<run>/<commit>.tar.gz`; `specs/` is a cache.
#[derive(Debug, Clone)]
pub struct Artifacts {
    root: PathBuf,
}

impl Artifacts {
    /// Uses `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The data directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a file is called in an object store: its path below the data directory, with slashes.
    pub fn key(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
    }

    /// Runs that have files here, the oldest first.
    ///
    /// # Errors
    /// The folder cannot be read; one that is not there holds nothing.
    pub async fn runs(&self) -> std::io::Result<Vec<RunId>> {
        let mut found = Vec::new();
        let mut folders = match tokio::fs::read_dir(self.root.join(RUNS)).await {
            Ok(folders) => folders,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        while let Some(folder) = folders.next_entry().await? {
            found.extend(folder.file_name().to_str().and_then(|name| name.parse::<RunId>().ok()));
        }
        found.sort();
        Ok(found)
    }

    /// Everything that is kept of a run.
    pub fn run(&self, run: RunId) -> PathBuf {
        self.root.join(RUNS).join(run.to_string())
    }

    /// Everything that is kept of an attempt.
    pub fn attempt(&self, run: RunId, attempt: AttemptId) -> PathBuf {
        self.run(run).join(attempt.to_string())
    }

    /// The attempt's log, each line after its time.
    pub fn log(&self, run: RunId, attempt: AttemptId) -> PathBuf {
        self.attempt(run, attempt).join("log.txt")
    }

    /// Pieces of the attempt's log while it grows, in the object store alone: each named by the byte it begins with.
    pub fn log_pieces(&self, run: RunId, attempt: AttemptId) -> PathBuf {
        self.attempt(run, attempt).join("log.pieces")
    }

    /// The attempt's results folder as the suite wrote it.
    pub fn results(&self, run: RunId, attempt: AttemptId) -> PathBuf {
        self.attempt(run, attempt).join("results")
    }

    /// The attempt's JUnit report, merged from whatever the suite wrote.
    pub fn junit(&self, run: RunId, attempt: AttemptId) -> PathBuf {
        self.attempt(run, attempt).join("junit.xml")
    }

    /// The attempt in numbers and names, as JSON.
    pub fn summary(&self, run: RunId, attempt: AttemptId) -> PathBuf {
        self.attempt(run, attempt).join("summary.json")
    }

    /// What the cluster looked like when the attempt failed.
    pub fn diagnostics(&self, run: RunId, attempt: AttemptId) -> PathBuf {
        self.attempt(run, attempt).join("diagnostics.tar.gz")
    }

    /// What a cluster looked like when it could not be made ready or set up.
    pub fn cluster_diagnostics(&self, run: RunId, cluster: ClusterId) -> PathBuf {
        self.run(run).join(format!("cluster-{cluster}.tar.gz"))
    }

    /// The JUnit report of all attempts of a suite that took more than one.
    pub fn suite_junit(&self, run: RunId, suite: &SuiteName) -> PathBuf {
        self.run(run).join(format!("{suite}.junit.xml"))
    }

    /// What the nodes logged before a broken cluster was taken away.
    pub fn cluster_log(&self, run: RunId, cluster: ClusterId) -> PathBuf {
        self.run(run).join(format!("cluster-{cluster}.log"))
    }

    /// Lists of specs, by image and arguments.
    pub fn specs(&self) -> PathBuf {
        self.root.join("specs")
    }

    /// Folder of all checkouts.
    pub fn all_work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// The checkouts of a run, gone when it is finished.
    pub fn work(&self, run: RunId) -> PathBuf {
        self.all_work().join(run.to_string())
    }

    /// One commit as GitHub packs it.
    pub fn archive(&self, run: RunId, sha: &Sha) -> PathBuf {
        self.work(run).join(format!("{sha}.tar.gz"))
    }
}
