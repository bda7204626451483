//! Source archives: what `codeload` serves after the API's redirect, laid out like `git archive` does it.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use tar::{Builder, EntryType, Header};

use crate::git::{Commit, Mode, folders};
use crate::reply::{Refusal, Reply};
use crate::state::World;

/// Serves `owner/repo/legacy.tar.gz/<sha>?token=…` to the holder of a valid ticket.
pub(crate) fn serve(world: &World, path: &str, query: &str) -> Result<Reply, Refusal> {
    let gone = || Refusal::new(StatusCode::NOT_FOUND, "Not Found");
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token").ok_or_else(gone)?.1;
    let ticket = world.tickets.get(token.as_ref()).ok_or_else(gone)?;
    let right = path == format!("{}/legacy.tar.gz/{}", ticket.repository, ticket.sha);
    if !right || ticket.expires_at <= world.clock.now() {
        return Err(gone());
    }
    let repository = world.repository(&ticket.repository).ok_or_else(gone)?;
    let commit = repository.commits.get(&ticket.sha).ok_or_else(gone)?;
    let top = format!("{}-{}-{}", repository.owner, repository.name, &commit.sha[..7]);
    let bytes = match repository.archives.get(&commit.sha) {
        Some(forged) => forged.clone(),
        None => pack(commit, &top).map_err(|error| {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the stand-in cannot pack the commit: {error}"))
        })?,
    };
    let disposition = format!("attachment; filename={top}.tar.gz");
    Ok(Reply::raw("application/x-gzip", bytes).with("content-disposition", disposition))
}

/// Packs a commit: the commit's id as a global comment, then one folder with everything in it.
fn pack(commit: &Commit, top: &str) -> std::io::Result<Bytes> {
    let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let comment = format!("52 comment={}\n", commit.sha);
    let mut global = header(EntryType::XGlobalHeader, 0o666, commit, comment.len() as u64);
    archive.append_data(&mut global, "pax_global_header", comment.as_bytes())?;
    for folder in folders(&commit.tree).keys() {
        let path = if folder.is_empty() { format!("{top}/") } else { format!("{top}/{folder}/") };
        archive.append_data(&mut header(EntryType::Directory, 0o775, commit, 0), path, std::io::empty())?;
    }
    for (path, blob) in &commit.tree {
        let path = format!("{top}/{path}");
        match blob.mode {
            Mode::Symlink => {
                let target = String::from_utf8_lossy(&blob.bytes);
                archive.append_link(&mut header(EntryType::Symlink, 0o777, commit, 0), path, target.as_ref())?;
            }
            Mode::File | Mode::Executable => {
                let mode = if blob.mode == Mode::Executable { 0o775 } else { 0o664 };
                let mut header = header(EntryType::Regular, mode, commit, blob.bytes.len() as u64);
                archive.append_data(&mut header, path, blob.bytes.as_ref())?;
            }
        }
    }
    Ok(archive.into_inner()?.finish()?.into())
}

fn header(kind: EntryType, mode: u32, commit: &Commit, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(u64::try_from(commit.at.as_second()).unwrap_or_default());
    header.set_size(size);
    header.set_username("root").expect("a short name fits");
    header.set_groupname("root").expect("a short name fits");
    header
}
