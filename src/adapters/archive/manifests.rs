//! The Kubernetes manifests of a repository's archive, as text with their paths. It does not parse them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use tar::EntryType;

use super::{ArchiveError, Go, MeteredTar, below_top, plain};
use crate::ports::Manifest;

/// All manifests of one set-up together. They are held in memory.
const MAX_BYTES: u64 = 10 << 20;

/// The manifests under each wanted file or folder, in the order asked for and sorted within a folder. Each file comes once.
/// A folder gives its `.yaml`, `.yml` and `.json` files at any depth; a file is taken whatever its name.
///
/// # Errors
/// [`ArchiveError::Refused`] when a wanted path does not exist (unless such are skipped) or climbs, when a manifest is not text, or beyond 10 MiB.
pub fn manifests(archive: &Path, wanted: &[String], missing: Missing) -> Result<Vec<Manifest>, ArchiveError> {
    read(File::open(archive)?, wanted, missing)
}

/// What a wanted path that the commit does not have means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: there is less to apply.
    Skip,
    /// A mistake.
    Refuse,
}

fn read(archive: impl Read, wanted: &[String], missing: Missing) -> Result<Vec<Manifest>, ArchiveError> {
    let mut wishes = wanted.iter().map(|path| Wish::new(path)).collect::<Result<Vec<_>, _>>()?;
    let mut found = BTreeMap::new();
    let mut bytes = 0_u64;
    MeteredTar::new(GzDecoder::new(archive)).for_each(|entry| {
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            return Ok(Go::On);
        }
        let path = below_top(entry)?;
        let is_folder = entry.header().entry_type() == EntryType::Directory;
        let mut takes = false;
        for wish in &mut wishes {
            takes |= wish.meets(&path, is_folder);
        }
        if !takes {
            return Ok(Go::On);
        }
        if !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
            // Following it could lead anywhere, leaving it out would apply less than the commit says.
            return Err(ArchiveError::Refused(format!("{}: is a link; name the file itself", path.display())));
        }
        bytes = bytes.saturating_add(entry.size());
        if bytes > MAX_BYTES {
            return Err(ArchiveError::Refused(format!("manifests refused: together more than {MAX_BYTES} bytes")));
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => ArchiveError::Refused(format!("{}: is not UTF-8 text", path.display())),
            _ => error.into(),
        })?;
        found.insert(path, text);
        Ok(Go::On)
    })?;
    collect(&wishes, found, missing)
}

/// Puts the files into the order of the wishes. What no wish met is the gate's mistake and is named.
fn collect(
    wishes: &[Wish],
    mut found: BTreeMap<PathBuf, String>,
    missing: Missing,
) -> Result<Vec<Manifest>, ArchiveError> {
    let mut manifests = Vec::new();
    for wish in wishes {
        if !wish.exists && missing == Missing::Refuse {
            return Err(ArchiveError::Refused(format!("`{}` does not exist in the commit", wish.path.display())));
        }
        let mine: Vec<PathBuf> = found.keys().filter(|path| path.starts_with(&wish.path)).cloned().collect();
        for path in mine {
            if let Some(text) = found.remove(&path) {
                manifests.push(Manifest { path, text });
            }
        }
    }
    Ok(manifests)
}

/// One path of the gate.
struct Wish {
    path: PathBuf,
    exists: bool,
}

impl Wish {
    fn new(text: &str) -> Result<Self, ArchiveError> {
        let path = plain(Path::new(text))
            .ok_or_else(|| ArchiveError::Refused(format!("`{text}` is not a path inside the repository")))?;
        Ok(Wish { exists: path.as_os_str().is_empty(), path })
    }

    /// Notes that the path exists; says whether the entry is a manifest of it.
    fn meets(&mut self, path: &Path, is_folder: bool) -> bool {
        if !path.starts_with(&self.path) {
            return false;
        }
        self.exists = true;
        let extension = path.extension().and_then(|extension| extension.to_str());
        !is_folder && (path == self.path || matches!(extension, Some("yaml" | "yml" | "json")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::hostile;
    use super::*;

    fn names(wanted: &[&str]) -> Result<Vec<String>, ArchiveError> {
        let file = EntryType::Regular;
        let bytes = hostile::gzip(&hostile::tar(&[
            (EntryType::XGlobalHeader, "pax_global_header", "", b"13 comment=a\n"),
            (EntryType::Directory, "r/", "", b""),
            (file, "r/deploy/z.yaml", "", b"z"),
            (file, "r/deploy/crd/a.yml", "", b"a"),
            (file, "r/deploy/README.md", "", b"no"),
            (file, "r/deploy-more/x.json", "", b"{}"),
            (file, "r/odd.tmpl", "", b"o"),
            (EntryType::Directory, "r/empty/", "", b""),
            (file, "r/bin/junk.yaml", "", b"\xff\xfe"),
            (EntryType::Symlink, "r/linked/a.yaml", "../deploy/z.yaml", b""),
        ]));
        let wanted: Vec<String> = wanted.iter().map(|&path| path.to_owned()).collect();
        Ok(read(&bytes[..], &wanted, Missing::Refuse)?
            .into_iter()
            .map(|manifest| manifest.path.display().to_string())
            .collect())
    }

    #[test]
    fn folders_give_manifests_in_order_and_each_once() {
        assert_eq!(names(&["deploy/"]).unwrap(), ["deploy/crd/a.yml", "deploy/z.yaml"]);
        assert_eq!(
            names(&["./odd.tmpl", "deploy/z.yaml", "deploy"]).unwrap(),
            ["odd.tmpl", "deploy/z.yaml", "deploy/crd/a.yml"]
        );
        assert!(names(&["empty"]).unwrap().is_empty());
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(names(&["deploi"]).unwrap_err().to_string(), "`deploi` does not exist in the commit");
        assert!(names(&["../etc"]).unwrap_err().to_string().contains("not a path inside"));
        assert!(names(&["/etc"]).unwrap_err().to_string().contains("not a path inside"));
        assert_eq!(names(&["linked"]).unwrap_err().to_string(), "linked/a.yaml: is a link; name the file itself");
        assert_eq!(names(&["bin"]).unwrap_err().to_string(), "bin/junk.yaml: is not UTF-8 text");
    }

    #[test]
    fn what_the_commit_lacks_is_skipped_where_that_is_no_mistake() {
        let bytes = hostile::gzip(&hostile::tar(&[(EntryType::Regular, "r/deploy/a.yaml", "", b"a: 1")]));
        let wanted = ["new".to_owned(), "deploy".to_owned()];
        assert_eq!(read(&bytes[..], &wanted, Missing::Skip).unwrap().len(), 1);
    }

    #[test]
    fn too_much_is_refused_before_it_is_read() {
        let big = vec![b'#'; usize::try_from(MAX_BYTES).unwrap() + 1];
        let bytes = hostile::gzip(&hostile::tar(&[(EntryType::Regular, "r/big.yaml", "", &big)]));
        let error = read(&bytes[..], &["big.yaml".to_owned()], Missing::Refuse).unwrap_err().to_string();
        assert!(error.contains("more than 10485760 bytes"), "{error}");
        assert!(
            read(&bytes[..], &["other".to_owned()], Missing::Refuse)
                .unwrap_err()
                .to_string()
                .contains("does not exist")
        );
    }
}
