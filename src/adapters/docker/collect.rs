//! Copying a suite's results out of its container. They stream to the unpacker, which checks and caps everything.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt;

use super::engine::{Engine, bounded};
use super::error::EngineError;
use super::limits;
use crate::adapters::archive::{ArchiveError, byte_reader, extract_results};
use crate::domain::contract::RESULTS_DIR;
use crate::domain::mask::Masker;

impl Engine {
    /// Copies the results folder into `into`, masked. Returns what was left out and why.
    pub(super) async fn copy_results(
        &self,
        container: &str,
        into: &Path,
        max_bytes: u64,
        mask: &Arc<Masker>,
    ) -> Result<Vec<String>, EngineError> {
        let what = "copying results";
        let (to, reader) = byte_reader();
        let (folder, mask) = (into.to_owned(), Arc::clone(mask));
        let unpacking =
            tokio::task::spawn_blocking(move || extract_results(reader, &folder, limits::results(max_bytes), &mask));
        let options = DownloadFromContainerOptionsBuilder::new().path(RESULTS_DIR).build();
        let mut stream = self.api().await?.download_from_container(container, Some(options));
        let pass_on = async {
            while let Some(piece) = stream.next().await {
                // The unpacker stops reading when it has seen enough.
                if to.send(Ok(piece?)).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let passed = bounded(what, limits::DOWNLOAD, pass_on).await;
        if passed.is_err() {
            // Else the unpacker would take the part for the whole; a gone one needs no telling.
            let _gone = to.send(Err(io::Error::other("the engine broke off"))).await;
        }
        drop(to);
        let unpacked =
            unpacking.await.map_err(|error| EngineError::Failed { what: what.to_owned(), source: error.into() })?;
        match (passed, unpacked) {
            (Err(error), _) if error.is_missing() => Ok(vec![format!("the container has no folder {RESULTS_DIR}")]),
            (Err(error), _) => Err(error),
            (Ok(()), Ok(problems)) => Ok(problems),
            (Ok(()), Err(error @ (ArchiveError::Io(_) | ArchiveError::Refused(_)))) => {
                Err(EngineError::Failed { what: what.to_owned(), source: error.into() })
            }
        }
    }
}
