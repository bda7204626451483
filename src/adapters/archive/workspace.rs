//! A repository's gzipped tar, rewritten as the tar of `/workspace`: one top folder taken off, every mode readable and writable by
//! whatever user the suite's image runs as. It streams; it keeps no file in memory and none on disk.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{EntryType, Header};

use super::{ArchiveError, Entry, Go, MeteredTar, below_top, refused};

/// What a workspace may hold when unpacked.
const MAX_BYTES: u64 = 1 << 30;
const MAX_ENTRIES: u64 = 100_000;

/// Reads the repository's archive and writes the workspace's, with every path below `top`.
///
/// # Errors
/// [`ArchiveError::Refused`] for an entry that leaves the tree, is neither file, folder nor link, or goes beyond the limits.
pub fn repack_workspace(archive: impl Read, top: &Path, into: impl Write) -> Result<(), ArchiveError> {
    repack(archive, top, into, MAX_BYTES, MAX_ENTRIES)
}

fn repack(
    archive: impl Read,
    top: &Path,
    into: impl Write,
    max_bytes: u64,
    max_entries: u64,
) -> Result<(), ArchiveError> {
    let mut tar = MeteredTar::new(GzDecoder::new(archive));
    let mut workspace = Workspace { builder: tar::Builder::new(into), top, links: HashSet::new() };
    workspace.folder(Path::new(""))?;
    let (mut bytes, mut entries) = (0_u64, 0_u64);
    tar.for_each(|entry| {
        entries += 1;
        bytes = bytes.saturating_add(entry.size());
        if entries > max_entries {
            return Err(ArchiveError::Refused(format!("archive refused: more than {max_entries} entries")));
        }
        if bytes > max_bytes {
            return Err(ArchiveError::Refused(format!("archive refused: more than {max_bytes} bytes when unpacked")));
        }
        workspace.add(entry)?;
        Ok(Go::On)
    })?;
    workspace.builder.into_inner()?.flush()?;
    Ok(())
}

struct Workspace<'a, W: Write> {
    builder: tar::Builder<W>,
    top: &'a Path,
    /// Links so far: nothing may be put behind one.
    links: HashSet<PathBuf>,
}

impl<W: Write> Workspace<'_, W> {
    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), ArchiveError> {
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            return Ok(()); // `git archive` notes the commit there.
        }
        let path = below_top(entry)?;
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        if path.ancestors().skip(1).any(|above| self.links.contains(above)) {
            return Err(refused(&path, "lies behind a link"));
        }
        match entry.header().entry_type() {
            EntryType::Directory => self.folder(&path),
            EntryType::Regular | EntryType::Continuous => self.file(&path, entry),
            EntryType::Symlink => {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                self.link(&path, &target)
            }
            _ => Err(refused(&path, "is neither file, folder nor symbolic link")),
        }
    }

    fn folder(&mut self, path: &Path) -> Result<(), ArchiveError> {
        let mut header = header(EntryType::Directory, 0o777);
        Ok(self.builder.append_data(&mut header, self.top.join(path), std::io::empty())?)
    }

    fn file<R: Read>(&mut self, path: &Path, entry: &mut Entry<'_, R>) -> Result<(), ArchiveError> {
        let mode = if entry.header().mode()? & 0o111 == 0 { 0o666 } else { 0o777 };
        let mut header = header(EntryType::Regular, mode);
        header.set_size(entry.size());
        Ok(self.builder.append_data(&mut header, self.top.join(path), entry)?)
    }

    fn link(&mut self, path: &Path, target: &Path) -> Result<(), ArchiveError> {
        if !stays_inside(path, target) {
            return Err(refused(path, &format!("links to `{}`, out of the tree", target.display())));
        }
        self.links.insert(path.to_owned());
        let mut header = header(EntryType::Symlink, 0o777);
        Ok(self.builder.append_link(&mut header, self.top.join(path), target)?)
    }
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(0);
    header
}

/// Whether a link's target lies in the tree. `..` may only lead: after a name it could climb out through another link.
fn stays_inside(link: &Path, target: &Path) -> bool {
    let mut depth = link.components().count() - 1;
    let mut named = false;
    for component in target.components() {
        match component {
            Component::ParentDir if named || depth == 0 => return false,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => named = true,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::hostile;
    use super::*;

    fn repacked(entries: &[(EntryType, &str, &str, &[u8])]) -> Result<Vec<(String, u32, Vec<u8>)>, ArchiveError> {
        let mut out = Vec::new();
        repack(&hostile::gzip(&hostile::tar(entries))[..], Path::new("workspace"), &mut out, 4096, 8)?;
        let mut archive = tar::Archive::new(&out[..]);
        let mut files = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.push((entry.path()?.display().to_string(), entry.header().mode()?, content));
        }
        Ok(files)
    }

    fn why(entries: &[(EntryType, &str, &str, &[u8])]) -> String {
        repacked(entries).unwrap_err().to_string()
    }

    #[test]
    fn the_top_folder_goes_and_modes_suit_any_user() {
        let files = repacked(&[
            (EntryType::XGlobalHeader, "pax_global_header", "", b"13 comment=a\n"),
            (EntryType::Directory, "acme-infra-1234/", "", b""),
            (EntryType::Directory, "acme-infra-1234/deploy/", "", b""),
            (EntryType::Regular, "acme-infra-1234/deploy/a.yaml", "", b"kind: A\n"),
            (EntryType::Symlink, "acme-infra-1234/deploy/b.yaml", "../deploy/a.yaml", b""),
        ])
        .unwrap();
        let names: Vec<_> = files.iter().map(|(name, mode, _)| (name.trim_end_matches('/'), *mode)).collect();
        let expected = [
            ("workspace", 0o777),
            ("workspace/deploy", 0o777),
            ("workspace/deploy/a.yaml", 0o666),
            ("workspace/deploy/b.yaml", 0o777),
        ];
        assert_eq!(names, expected);
        assert_eq!(files[2].2, b"kind: A\n");
    }

    #[test]
    fn whatever_leaves_the_tree_is_refused_by_name() {
        let file = EntryType::Regular;
        assert!(why(&[(file, "/etc/passwd", "", b"x")]).contains("`/etc/passwd` leaves"));
        assert!(why(&[(file, "top/../../etc/passwd", "", b"x")]).contains("leaves"));
        assert!(why(&[(EntryType::Symlink, "top/l", "/etc", b"")]).contains("out of the tree"));
        assert!(why(&[(EntryType::Symlink, "top/l", "../etc", b"")]).contains("out of the tree"));
        assert!(why(&[(EntryType::Symlink, "top/a/l", "b/../../../x", b"")]).contains("out of the tree"));
        let behind = [(EntryType::Symlink, "top/l", "d", &b""[..]), (file, "top/l/x", "", b"x")];
        assert!(why(&behind).contains("behind a link"));
        for kind in [EntryType::Link, EntryType::Block, EntryType::Char, EntryType::Fifo] {
            assert!(why(&[(kind, "top/d", "top/x", b"")]).contains("neither file"), "{kind:?}");
        }
    }

    #[test]
    fn bombs_are_an_error_text() {
        let big = vec![0; 5000];
        assert!(why(&[(EntryType::Regular, "top/big", "", &big)]).contains("more than 4096 bytes"));
        let many: Vec<_> = (0..9).map(|_| (EntryType::Regular, "top/x", "", &b""[..])).collect();
        assert!(why(&many).contains("more than 8 entries"));
        let long_name = vec![b'a'; 2 << 20];
        let error = repacked(&[(EntryType::GNULongName, "x", "", &long_name)]).unwrap_err();
        assert!(format!("{error:?}").contains("larger than 1 MiB"), "{error:?}");
        assert!(repacked(&[]).is_ok());
        assert!(matches!(repack(&b"not gzip"[..], Path::new("w"), Vec::new(), 1, 1), Err(ArchiveError::Io(_))));
    }
}
