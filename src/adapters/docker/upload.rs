//! Putting the contract's files into a container that was not started yet. Uploading twice leaves the same files.

use std::path::{Path, PathBuf};

use bollard::query_parameters::UploadToContainerOptionsBuilder;
use bollard::{body_full, body_try_stream};
use tar::{EntryType, Header};

use super::engine::{Engine, bounded};
use super::error::EngineError;
use super::limits;
use crate::adapters::archive::{ArchiveError, ByteWriter, byte_writer, repack_workspace};
use crate::domain::contract::{KUBECONFIG, RESULTS_DIR, WORKSPACE_DIR};

impl Engine {
    /// The kubeconfig, readable by any user, and a results folder that any user may write.
    pub(super) async fn upload_contract(&self, container: &str, kubeconfig: &str) -> Result<(), EngineError> {
        let tar = contract_files(kubeconfig).map_err(|error| failed("packing the kubeconfig", error.into()))?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let call = self.api().await?.upload_to_container(container, Some(options), body_full(tar.into()));
        bounded("putting the kubeconfig into a container", limits::UPLOAD, call).await
    }

    /// The repository's files. They stream from the archive to the engine.
    pub(super) async fn upload_workspace(&self, container: &str, archive: PathBuf) -> Result<(), EngineError> {
        let what = "putting the workspace into a container";
        let (writer, stream) = byte_writer();
        let repacking = tokio::task::spawn_blocking(move || repack(&archive, writer));
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let call = self.api().await?.upload_to_container(container, Some(options), body_try_stream(stream));
        let uploaded = bounded(what, limits::UPLOAD, call).await;
        let repacked = repacking.await.map_err(|error| failed(what, error.into()))?;
        match (uploaded, repacked) {
            (_, Err(ArchiveError::Refused(text))) => Err(EngineError::Refused(text)),
            // The engine hung up first, and the pipe broke because of it.
            (Err(error), _) => Err(error),
            (Ok(()), Err(ArchiveError::Io(error))) => Err(failed(what, error.into())),
            (Ok(()), Ok(())) => Ok(()),
        }
    }
}

fn repack(archive: &Path, mut writer: ByteWriter) -> Result<(), ArchiveError> {
    let top = Path::new(WORKSPACE_DIR.trim_start_matches('/'));
    let repacked = std::fs::File::open(archive)
        .map_err(ArchiveError::from)
        .and_then(|file| repack_workspace(file, top, &mut writer));
    if let Err(error) = &repacked {
        // Else the engine would take the part for the whole.
        writer.abort(std::io::Error::other(error.to_string()));
    }
    repacked
}

fn contract_files(kubeconfig: &str) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let relative = |path: &'static str| Path::new(path.trim_start_matches('/'));
    let kubeconfig_path = relative(KUBECONFIG);
    // Every folder on the way is named: the engine makes missing ones for its own user alone.
    let mut above: Vec<&Path> =
        kubeconfig_path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
    above.reverse();
    for folder in above {
        tar.append_data(&mut header(EntryType::Directory, 0o755, 0), folder, std::io::empty())?;
    }
    let size = kubeconfig.len() as u64;
    tar.append_data(&mut header(EntryType::Regular, 0o644, size), kubeconfig_path, kubeconfig.as_bytes())?;
    tar.append_data(&mut header(EntryType::Directory, 0o777, 0), relative(RESULTS_DIR), std::io::empty())?;
    tar.into_inner()
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

fn failed(what: &str, source: anyhow::Error) -> EngineError {
    EngineError::Failed { what: what.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_files_suit_any_user() {
        let bytes = contract_files("secret").unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
            })
            .collect();
        let entries: Vec<_> = entries.iter().map(|(path, mode)| (path.trim_end_matches('/'), *mode)).collect();
        let expected =
            [("run", 0o755), ("run/portcullis", 0o755), ("run/portcullis/kubeconfig", 0o644), ("results", 0o777)];
        assert_eq!(entries, expected);
    }
}
