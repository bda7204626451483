//! Where a run's files are found: in the data directory, and once they were moved, in the object store; the log of a machine that was
//! lost in pieces there. Pages need not know which.

use std::collections::HashSet;
use std::path::Path;

use axum::body::Body;
use axum::response::Response;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Room;
use super::errors::Trouble;
use super::files::{self, Listed, Shown};
use super::follow::{self, Tail};
use crate::artifacts::RUNS;
use crate::domain::ids::{AttemptId, RunId};
use crate::ports::{ArtifactStore, KeptFile, Part};

/// Files of one run that are asked for from the object store's list.
const MOST: usize = 5000;
/// Pieces of one log.
const MOST_PIECES: usize = 50_000;
/// Pieces that are fetched at once.
const AT_ONCE: usize = 8;

/// What of a run there is, by key.
#[derive(Debug, Default)]
pub(super) struct Shelf(HashSet<String>);

impl Shelf {
    /// Whether there is this file, or a folder with files in it.
    pub(super) fn has(&self, room: &Room, path: &Path) -> bool {
        self.0.contains(&room.web.artifacts.key(path))
    }

    /// Takes in a file and the folders around it.
    fn add(&mut self, key: &str) {
        let ends = key.match_indices('/').map(|(at, _)| at).chain([key.len()]);
        self.0.extend(ends.map(|end| key[..end].to_owned()));
    }
}

/// What there is of a run.
pub(super) async fn of(room: &Room, run: RunId) -> Result<Shelf, Trouble> {
    let mut shelf = Shelf::default();
    let folder = room.web.artifacts.run(run);
    let below = tokio::task::spawn_blocking(move || files::list(&folder)).await.map_err(std::io::Error::other)?;
    if let (true, Some(store)) = (below.is_empty(), &room.web.kept) {
        shelf = of_store(&**store, &format!("{RUNS}/{run}")).await?;
    }
    below.iter().for_each(|file| shelf.add(&format!("{RUNS}/{run}/{}", file.path)));
    Ok(shelf)
}

/// What there is of it in the object store. Pieces of a log stand for it and do not count.
async fn of_store(store: &dyn ArtifactStore, folder: &str) -> Result<Shelf, Trouble> {
    let (mut shelf, mut left) = (Shelf::default(), MOST);
    for file in store.list(folder, MOST + MOST_PIECES).await? {
        match file.key.split_once("/log.pieces/") {
            Some((attempt, _)) => shelf.add(&format!("{attempt}/log.txt")),
            None if left > 0 => {
                left -= 1;
                shelf.add(&file.key);
            }
            None => {}
        }
    }
    Ok(shelf)
}

/// A file of ours as a response.
pub(super) async fn serve(room: &Room, path: &Path, shown: Shown, name: &str) -> Result<Response, Trouble> {
    let missing = match files::serve(path, shown, name).await {
        Err(missing @ Trouble::Missing(_)) => missing,
        other => return other,
    };
    let Some(store) = &room.web.kept else { return Err(missing) };
    let kept = store.open(&room.web.artifacts.key(path), Part::All).await?.ok_or(missing)?;
    Ok(files::response(Body::from_stream(kept.bytes), kept.length, shown, name))
}

/// A log as text, of which there may be no more than pieces.
pub(super) async fn serve_log(room: &Room, run: RunId, attempt: AttemptId) -> Result<Response, Trouble> {
    let missing = match serve(room, &room.web.artifacts.log(run, attempt), Shown::Text, "log.txt").await {
        Err(missing @ Trouble::Missing(_)) => missing,
        other => return other,
    };
    let Some(store) = room.web.kept.clone() else { return Err(missing) };
    let pieces = pieces(room, run, attempt).await?;
    let length = pieces.iter().map(|piece| piece.bytes).sum();
    if length == 0 {
        return Err(missing);
    }
    let bytes = stream::iter(pieces).then(move |piece| {
        let store = store.clone();
        async move {
            let opened = store.open(&piece.key, Part::All).await.map_err(std::io::Error::other)?;
            opened.map(|kept| kept.bytes).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
        }
    });
    Ok(files::response(Body::from_stream(bytes.try_flatten()), length, Shown::Text, "log.txt"))
}

/// The pieces of a log, in order.
async fn pieces(room: &Room, run: RunId, attempt: AttemptId) -> Result<Vec<KeptFile>, Trouble> {
    let Some(store) = &room.web.kept else { return Ok(vec![]) };
    let folder = room.web.artifacts.key(&room.web.artifacts.log_pieces(run, attempt));
    let mut pieces = store.list(&folder, MOST_PIECES).await?;
    pieces.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(pieces)
}

/// The last lines of a log. A log that is not there yet is empty.
pub(super) async fn tail(
    room: &Room,
    (run, attempt): (RunId, AttemptId),
    max_bytes: u64,
    max_lines: usize,
) -> Result<Tail, Trouble> {
    let path = room.web.artifacts.log(run, attempt);
    let is_here = tokio::fs::try_exists(&path).await?;
    let Some(store) = room.web.kept.as_ref().filter(|_| !is_here) else {
        return Ok(follow::tail(&path, max_bytes, max_lines).await?);
    };
    let Some(kept) = store.open(&room.web.artifacts.key(&path), Part::Last(max_bytes)).await? else {
        return tail_of_pieces(&**store, pieces(room, run, attempt).await?, max_bytes, max_lines).await;
    };
    let from = kept.range.start;
    let pieces: Vec<_> = kept.bytes.try_collect().await?;
    Ok(follow::last_lines(&pieces.concat(), from, max_lines))
}

/// Each piece holds whole lines, so no more of them are asked for than lines are shown.
async fn tail_of_pieces(
    store: &dyn ArtifactStore,
    pieces: Vec<KeptFile>,
    max_bytes: u64,
    max_lines: usize,
) -> Result<Tail, Trouble> {
    let mut from = pieces.iter().map(|piece| piece.bytes).sum::<u64>();
    let fetch = async |piece: KeptFile| {
        let Some(kept) = store.open(&piece.key, Part::Last(max_bytes)).await? else { return Ok(None) };
        let bytes: Vec<_> = kept.bytes.try_collect().await?;
        Ok::<_, Trouble>(Some((kept.range, bytes.concat())))
    };
    let mut fetched = stream::iter(pieces.into_iter().rev()).map(fetch).buffered(AT_ONCE);
    let (mut got, mut bytes, mut lines) = (Vec::new(), 0, 0);
    while bytes < max_bytes && lines <= max_lines {
        let Some((range, piece)) = fetched.try_next().await?.flatten() else { break };
        bytes += range.end - range.start;
        lines += memchr::memchr_iter(b'\n', &piece).count();
        got.push(piece);
        if range.start > 0 {
            break;
        }
    }
    from -= bytes;
    got.reverse();
    Ok(follow::last_lines(&got.concat(), from, max_lines))
}

/// A file that a suite left in its results folder.
pub(super) async fn serve_result(room: &Room, root: &Path, path: &str) -> Result<Response, Trouble> {
    let name = path.rsplit('/').next().unwrap_or("result");
    let shown = files::shown(path);
    match files::within(root, path).await {
        Ok(file) => files::serve(&file, shown, name).await,
        // Not here: the name alone must be harmless, for in the store there is nothing but files of ours.
        Err(missing) if room.web.kept.is_none() || !files::is_plain(path) => Err(missing),
        Err(_) => serve(room, &root.join(path), shown, name).await,
    }
}

/// The files that a suite left, by name.
pub(super) async fn results(room: &Room, root: &Path) -> Result<Vec<Listed>, Trouble> {
    let folder = root.to_owned();
    let here = tokio::task::spawn_blocking(move || files::list(&folder)).await.map_err(std::io::Error::other)?;
    let Some(store) = room.web.kept.as_ref().filter(|_| here.is_empty()) else { return Ok(here) };
    let folder = room.web.artifacts.key(root);
    let kept = store.list(&folder, MOST).await?;
    let listed = |file: &crate::ports::KeptFile| {
        let path = file.key.strip_prefix(&folder)?.strip_prefix('/')?.to_owned();
        Some(Listed { path, bytes: file.bytes })
    };
    let mut listed: Vec<_> = kept.iter().filter_map(listed).collect();
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::ports::{ArtifactError, Kept};

    /// Objects in memory, and how many of them were asked for.
    #[derive(Default)]
    struct Objects(BTreeMap<String, Bytes>, AtomicUsize);

    #[async_trait::async_trait]
    impl ArtifactStore for Objects {
        async fn keep(&self, _: &str, _: &Path) -> Result<(), ArtifactError> {
            unreachable!("pages only read")
        }

        async fn put(&self, _: &str, _: Bytes) -> Result<(), ArtifactError> {
            unreachable!("pages only read")
        }

        async fn open(&self, key: &str, part: Part) -> Result<Option<Kept>, ArtifactError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let Some(bytes) = self.0.get(key).cloned() else { return Ok(None) };
            let length = bytes.len() as u64;
            let start = if let Part::Last(most) = part { length.saturating_sub(most) } else { 0 };
            let bytes = bytes.slice(usize::try_from(start).unwrap()..);
            Ok(Some(Kept { length, range: start..length, bytes: stream::iter([Ok(bytes)]).boxed() }))
        }

        async fn list(&self, folder: &str, limit: usize) -> Result<Vec<KeptFile>, ArtifactError> {
            let below = self.0.iter().filter(|(key, _)| key.starts_with(&format!("{folder}/")));
            let file = |(key, bytes): (&String, &Bytes)| KeptFile { key: key.clone(), bytes: bytes.len() as u64 };
            Ok(below.map(file).take(limit).collect())
        }

        async fn folders(&self, _: &str) -> Result<Vec<String>, ArtifactError> {
            unreachable!("pages know their folders")
        }

        async fn forget(&self, _: &str) -> Result<(), ArtifactError> {
            unreachable!("pages only read")
        }
    }

    /// The log of a quiet suite: a line in each piece.
    fn quiet(lines: usize) -> Objects {
        let piece = |n: usize| (format!("runs/r/a/log.pieces/{n:012}"), Bytes::from(format!("line {n}\n")));
        Objects((0..lines).map(piece).collect(), AtomicUsize::default())
    }

    #[tokio::test]
    async fn a_quiet_log_costs_no_more_requests_than_lines_that_are_shown() {
        let store = quiet(1000);
        let pieces = store.list("runs/r/a/log.pieces", MOST_PIECES).await.unwrap();
        let whole: usize = store.0.values().map(Bytes::len).sum();
        let tail = tail_of_pieces(&store, pieces.clone(), 1 << 20, 20).await.unwrap();
        let shown: Vec<_> = tail.lines.iter().map(|line| line.text.clone()).collect();
        assert_eq!(shown, (980..1000).map(|n| format!("line {n}")).collect::<Vec<_>>());
        assert!(tail.is_cut && tail.end == whole as u64);
        let asked = store.1.load(Ordering::Relaxed);
        assert!(asked <= 21 + AT_ONCE, "{asked} requests");
        let all = tail_of_pieces(&store, pieces, 1 << 20, 2000).await.unwrap();
        assert!(all.lines.len() == 1000 && !all.is_cut);
    }

    #[tokio::test]
    async fn pieces_of_a_log_push_no_other_file_out() {
        let mut store = quiet(MOST + 1);
        store.0.insert("runs/r/a/results/junit.xml".into(), Bytes::new());
        let Shelf(keys) = of_store(&store, "runs/r").await.unwrap();
        for key in ["runs/r/a/log.txt", "runs/r/a/results", "runs/r/a/results/junit.xml"] {
            assert!(keys.contains(key), "{key}");
        }
        assert!(keys.len() < 10, "a piece is no file of its own");
    }
}
