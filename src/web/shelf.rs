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
        let kept = store.list(&format!("{RUNS}/{run}"), MOST).await?;
        for file in &kept {
            shelf.add(&file.key);
            if let Some((attempt, _)) = file.key.split_once("/log.pieces/") {
                shelf.add(&format!("{attempt}/log.txt"));
            }
        }
    }
    below.iter().for_each(|file| shelf.add(&format!("{RUNS}/{run}/{}", file.path)));
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

async fn tail_of_pieces(
    store: &dyn ArtifactStore,
    mut pieces: Vec<KeptFile>,
    max_bytes: u64,
    max_lines: usize,
) -> Result<Tail, Trouble> {
    let (mut from, mut bytes) = (pieces.iter().map(|piece| piece.bytes).sum::<u64>(), Vec::new());
    while let Some(piece) = pieces.pop().filter(|_| (bytes.len() as u64) < max_bytes) {
        let Some(kept) = store.open(&piece.key, Part::Last(max_bytes)).await? else { break };
        let got: Vec<_> = kept.bytes.try_collect().await?;
        from -= kept.range.end - kept.range.start;
        bytes = [got.concat(), bytes].concat();
        if kept.range.start > 0 {
            break;
        }
    }
    Ok(follow::last_lines(&bytes, from, max_lines))
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
