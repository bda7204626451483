//! Archives from outside: repositories and result folders. Each is hostile until read: absolute paths, `..`, links out of the tree,
//! devices and bombs become an error text or a named problem. Blocking code; nothing here talks to Docker or GitHub.

mod manifests;
mod pipe;
mod results;
mod workspace;

use std::cell::Cell;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

pub use manifests::{Missing, manifests};
pub use pipe::{ByteReader, ByteWriter, byte_reader, byte_writer};
pub use results::{ResultLimits, extract_results};
pub use workspace::repack_workspace;

/// Why an archive was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive is not what it must be. The text is for people and names the entry.
    #[error("{0}")]
    Refused(String),
    /// Reading or writing failed. It may pass.
    #[error("reading or writing an archive failed")]
    Io(#[from] io::Error),
}

/// Room for an entry's headers, long names and padding, in bytes. Whoever needs more is making us hold it in memory.
const HEADERS: u64 = 1 << 20;

/// A tar whose reader can be told how far it may go, so that no header can make the library read without end.
struct MeteredTar<R: Read> {
    archive: tar::Archive<Metered<R>>,
    left: Rc<Cell<u64>>,
}

impl<R: Read> MeteredTar<R> {
    fn new(reader: R) -> Self {
        let left = Rc::new(Cell::new(HEADERS));
        MeteredTar { archive: tar::Archive::new(Metered { reader, left: Rc::clone(&left) }), left }
    }

    /// Calls `visit` with each entry until it says stop.
    fn for_each(
        &mut self,
        mut visit: impl FnMut(&mut Entry<'_, R>) -> Result<Go, ArchiveError>,
    ) -> Result<(), ArchiveError> {
        for entry in self.archive.entries()? {
            let mut entry = entry?;
            // Content, padding, and the headers of the entry after this one.
            self.left.set(entry.size().saturating_add(HEADERS));
            match visit(&mut entry)? {
                Go::On => {}
                Go::Stop => break,
            }
        }
        Ok(())
    }
}

type Entry<'a, R> = tar::Entry<'a, Metered<R>>;

enum Go {
    On,
    Stop,
}

struct Metered<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a header of the archive is larger than 1 MiB"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.reader.read(&mut buffer[..most])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

/// The path with `.` taken out; `None` where it is absolute or climbs.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

/// An entry's path below the archive's single top folder; empty for that folder itself.
fn below_top<R: Read>(entry: &Entry<'_, R>) -> Result<PathBuf, ArchiveError> {
    let path = entry.path()?;
    let safe = plain(&path).ok_or_else(|| refused(&path, "leaves the archive's tree"))?;
    Ok(safe.components().skip(1).collect())
}

fn refused(path: &Path, why: &str) -> ArchiveError {
    let shown: String = path.display().to_string().chars().take(200).collect();
    ArchiveError::Refused(format!("archive refused: `{shown}` {why}"))
}

/// Archives that no honest tool would make, for the tests of this folder.
#[cfg(test)]
mod hostile {
    use std::io::Write;

    /// A tar of (type, raw name, link target, content), written without the library's own checks.
    pub(super) fn tar(entries: &[(tar::EntryType, &str, &str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, name, target, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            header.set_cksum();
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }

    pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }
}
