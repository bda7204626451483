//! Moves the files of runs that are over to the object store, if there is one; logs go there in pieces as they arrive. Until then,
//! and without one, files lie in the data directory. If we stop anywhere in here, everything is kept once more, which changes nothing.

mod pieces;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use self::pieces::Pieces;
use super::{Activity, Context, Reconciler, chain};
use crate::artifacts::Artifacts;
use crate::domain::cluster::ClusterState;
use crate::domain::ids::RunId;
use crate::domain::plan::RunView;
use crate::domain::run::RunState;
use crate::ports::ArtifactStore;

/// Between two looks.
const PERIOD: SignedDuration = SignedDuration::from_secs(30);
/// Whoever follows a log to its end gets this long to reach it.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);
/// Runs moved in one look.
const BATCH: usize = 20;
/// A look that takes longer moves no further run: logs that grow are sent between looks.
const LONGEST_LOOK: SignedDuration = SignedDuration::from_secs(60);
/// Files of one run that may fail before the rest of it has to wait: the store may be away.
const MOST_FAILURES: usize = 3;
/// A run whose files were not all taken rests so long, then twice as long each time, up to the longest.
const REST: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(1);

pub(super) struct Keep {
    context: Context,
    pieces: Pieces,
    /// Runs whose files were not all taken.
    resting: HashMap<RunId, Resting>,
    next: Option<Timestamp>,
}

/// How far a run came.
struct Resting {
    tries: u32,
    until: Timestamp,
    /// What was taken and need not be sent again.
    kept: HashSet<PathBuf>,
}

impl Keep {
    pub(super) fn new(context: Context) -> Self {
        Self { pieces: Pieces::new(context.clone()), context, resting: HashMap::new(), next: None }
    }

    /// Runs that have files in the data directory, are over and do not rest.
    async fn over(&mut self, now: Timestamp) -> anyhow::Result<Vec<RunId>> {
        let runs = self.context.artifacts.runs().await?;
        self.resting.retain(|run, _| runs.binary_search(run).is_ok());
        let mut over = Vec::new();
        for run in runs {
            if over.len() == BATCH {
                break;
            }
            if self.resting.get(&run).is_some_and(|resting| resting.until > now) {
                continue;
            }
            let view = self.context.store.run_view(run).await?;
            if view.is_some_and(|view| is_over(&view, now)) {
                over.push(run);
            }
        }
        Ok(over)
    }

    async fn keep(&mut self, store: &dyn ArtifactStore, run: RunId) {
        let (tries, mut kept) =
            self.resting.remove(&run).map_or((0, HashSet::new()), |rested| (rested.tries, rested.kept));
        match keep_all(store, &self.context.artifacts, run, &mut kept).await {
            Ok(files) => tracing::info!(run.id = %run, files, "files moved to the object store"),
            Err(error) => {
                let error = chain(error.as_ref());
                tracing::warn!(run.id = %run, error, "files were not all moved; they stay here until they are");
                let rest = REST.saturating_mul(1 << tries.min(6)).min(LONGEST_REST);
                let until = self.context.now().saturating_add(rest).unwrap_or(Timestamp::MAX);
                self.resting.insert(run, Resting { tries: tries + 1, until, kept });
            }
        }
    }
}

/// Keeps every file of a run that is not among the kept ones; then they are here no more. Gives how many there were.
async fn keep_all(
    store: &dyn ArtifactStore,
    artifacts: &Artifacts,
    run: RunId,
    kept: &mut HashSet<PathBuf>,
) -> anyhow::Result<usize> {
    let folder = artifacts.run(run);
    let listing = folder.clone();
    let files = tokio::task::spawn_blocking(move || files_below(&listing)).await??;
    let mut failures = Vec::new();
    for path in &files {
        if failures.len() == MOST_FAILURES {
            break;
        }
        if kept.contains(path) {
            continue;
        }
        match store.keep(&artifacts.key(path), path).await {
            Ok(()) => {
                kept.insert(path.clone());
            }
            Err(error) => failures.push(anyhow::Error::new(error).context(artifacts.key(path))),
        }
    }
    if let Some(error) = failures.into_iter().next() {
        return Err(error);
    }
    // Their logs are there as a whole now.
    for log in files.iter().filter(|path| path.file_name().is_some_and(|name| name == "log.txt")) {
        store.forget(&artifacts.key(&log.with_file_name("log.pieces"))).await?;
    }
    tokio::fs::remove_dir_all(folder).await?;
    Ok(files.len())
}

/// Finished a while ago, and nothing of it is left that could still write.
fn is_over(view: &RunView, now: Timestamp) -> bool {
    let settled = view.run.finished_at.is_some_and(|at| now.duration_since(at) > SETTLED);
    let gone = view.clusters.iter().all(|cluster| cluster.state == ClusterState::Destroyed);
    view.run.state == RunState::Finished && settled && gone
}

/// Every plain file; links are none of ours. Blocking. What cannot be listed fails: it must not be taken for an empty folder.
fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

#[async_trait]
impl Reconciler for Keep {
    fn name(&self) -> &'static str {
        "keep"
    }

    async fn activate(&mut self) -> anyhow::Result<Activity> {
        let Some(store) = self.context.ports.artifacts.clone() else { return Ok(Activity::default()) };
        let now = self.context.now();
        let sooner = self.pieces.send(&store, now).await?;
        if let Some(pause) = self.next.map(|next| next.duration_since(now)).filter(SignedDuration::is_positive) {
            return Ok(Activity::default().again(pause.min(sooner)));
        }
        for run in self.over(now).await? {
            if self.context.now().duration_since(now) > LONGEST_LOOK {
                break;
            }
            self.keep(&*store, run).await;
        }
        self.next = now.saturating_add(PERIOD).ok();
        Ok(Activity::default().again(PERIOD.min(sooner)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::sync::Mutex;

    use bytes::Bytes;

    use super::*;
    use crate::adapters::artifacts::ObjectArtifacts;
    use crate::ports::{ArtifactError, ArtifactPlace, Kept, KeptFile, Part};

    /// A folder elsewhere that refuses some keys, and counts what it is asked to keep.
    struct Choosy {
        store: ObjectArtifacts,
        refused: &'static str,
        asked: Mutex<BTreeMap<String, usize>>,
    }

    #[async_trait]
    impl ArtifactStore for Choosy {
        async fn keep(&self, key: &str, file: &Path) -> Result<(), ArtifactError> {
            *self.asked.lock().unwrap().entry(key.to_owned()).or_default() += 1;
            if key.contains(self.refused) {
                return Err(ArtifactError { what: "keeping a file", source: anyhow::anyhow!("400 Bad Request") });
            }
            self.store.keep(key, file).await
        }

        async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ArtifactError> {
            self.store.put(key, bytes).await
        }

        async fn open(&self, key: &str, part: Part) -> Result<Option<Kept>, ArtifactError> {
            self.store.open(key, part).await
        }

        async fn list(&self, folder: &str, limit: usize) -> Result<Vec<KeptFile>, ArtifactError> {
            self.store.list(folder, limit).await
        }

        async fn folders(&self, folder: &str) -> Result<Vec<String>, ArtifactError> {
            self.store.folders(folder).await
        }

        async fn forget(&self, folder: &str) -> Result<(), ArtifactError> {
            self.store.forget(folder).await
        }
    }

    /// A run with these files, and a store elsewhere.
    fn run_with(names: &[&str], refused: &'static str) -> (tempfile::TempDir, Artifacts, RunId, Choosy) {
        let home = tempfile::tempdir().unwrap();
        let (artifacts, run) = (Artifacts::new(home.path().join("data")), RunId::new(Timestamp::UNIX_EPOCH));
        for name in names {
            let file = artifacts.run(run).join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, name).unwrap();
        }
        let store = ObjectArtifacts::new(&ArtifactPlace::Folder(home.path().join("elsewhere"))).unwrap();
        (home, artifacts, run, Choosy { store, refused, asked: Mutex::default() })
    }

    #[tokio::test]
    async fn what_the_store_refuses_stays_and_nothing_is_sent_twice_for_it() {
        let (_home, artifacts, run, mut store) = run_with(&["a/log.txt", "a/results/odd", "a/results/z.xml"], "odd");
        let mut kept = HashSet::new();
        for _ in 0..2 {
            let error = keep_all(&store, &artifacts, run, &mut kept).await.unwrap_err();
            assert!(format!("{error:#}").contains("a/results/odd"), "{error:#}");
            assert!(artifacts.run(run).join("a/results/odd").exists());
        }
        let asked = |store: &Choosy| store.asked.lock().unwrap().values().copied().collect::<Vec<_>>();
        assert_eq!(asked(&store), [1, 2, 1]);
        store.refused = "nothing";
        assert_eq!(keep_all(&store, &artifacts, run, &mut kept).await.unwrap(), 3);
        assert!(!artifacts.run(run).exists());
        assert_eq!((store.list("runs", 9).await.unwrap().len(), asked(&store)), (3, vec![1, 3, 1]));
    }

    #[tokio::test]
    async fn names_of_any_length_are_kept() {
        let (long, deep) = ("ü".repeat(120), format!("{}/end.xml", vec!["d".repeat(250); 12].join("/")));
        let (_home, artifacts, run, store) = run_with(&["log.txt", &long, &deep], "nothing");
        assert_eq!(keep_all(&store, &artifacts, run, &mut HashSet::new()).await.unwrap(), 3);
        let listed = store.list("runs", 9).await.unwrap();
        let keys: Vec<&str> = listed.iter().map(|file| file.key.as_str()).collect();
        assert!(keys.iter().all(|key| key.len() <= 1024 && key.split('/').all(|part| part.len() <= 255)), "{keys:#?}");
        assert!(keys.iter().any(|key| key.ends_with("end.xml")), "{keys:#?}");
        assert!(keys.contains(&format!("runs/{run}/log.txt").as_str()), "{keys:#?}");
        for key in [artifacts.key(&artifacts.run(run).join(&long)), artifacts.key(&artifacts.run(run).join(&deep))] {
            assert!(store.open(&key, Part::All).await.unwrap().is_some(), "by the name that it had here");
        }
        for key in keys {
            assert!(store.open(key, Part::All).await.unwrap().is_some(), "by the name that it has there");
        }
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one() {
        let chain = |name: &str| vec![name.repeat(200); 12].join("/");
        let (outer, inner) = (chain("o"), chain("i"));
        let (_home, artifacts, run, store) =
            run_with(&[&format!("{inner}/a.xml"), &format!("{outer}/b.xml")], "nothing");
        let folder = artifacts.run(run);
        // Its path is longer than the kernel takes.
        let first = inner.split('/').next().unwrap();
        fs::rename(folder.join(first), folder.join(&outer).join(first)).unwrap();
        assert!(keep_all(&store, &artifacts, run, &mut HashSet::new()).await.is_err());
        assert!(folder.join(&outer).join("b.xml").exists(), "what is in there would be lost");
    }
}
