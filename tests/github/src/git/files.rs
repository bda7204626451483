//! Changes to a tree, as tests and the demo write them down.
//! Says what should change; applying it to a branch is the repository's business.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::{Blob, Mode, Tree};

/// Files to write and to delete. What it does not name stays as it is.
///
/// ```ignore
/// repo.commit("main", Files::new().file("a.yaml", "kind: Pod").executable("run.sh", "exit 0").delete("old"));
/// repo.commit("main", [("a.yaml", "kind: Pod")]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Files(BTreeMap<String, Change>);

#[derive(Debug, Clone)]
enum Change {
    Write(Blob),
    Delete,
}

impl Files {
    /// No change.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes an ordinary file.
    #[must_use]
    pub fn file(self, path: &str, contents: impl Into<Bytes>) -> Self {
        self.with(path, Change::Write(Blob::new(Mode::File, contents.into())))
    }

    /// Writes a file with the executable bit.
    #[must_use]
    pub fn executable(self, path: &str, contents: impl Into<Bytes>) -> Self {
        self.with(path, Change::Write(Blob::new(Mode::Executable, contents.into())))
    }

    /// Writes a symbolic link, hostile ones too: the target is not looked at.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.with(path, Change::Write(Blob::new(Mode::Symlink, Bytes::copy_from_slice(target.as_bytes()))))
    }

    /// Deletes a file, or every file of a folder.
    #[must_use]
    pub fn delete(self, path: &str) -> Self {
        self.with(path, Change::Delete)
    }

    /// Takes every file below a folder of this machine, symbolic links as links.
    ///
    /// # Errors
    /// Whatever reading the folder answers.
    pub fn folder(folder: &Path) -> std::io::Result<Self> {
        let mut files = Self::new();
        let mut open = vec![folder.to_owned()];
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(next)? {
                let entry = entry?;
                let path = entry.path();
                let inside = path.strip_prefix(folder).expect("read from below it");
                let name = inside.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    open.push(path);
                } else if kind.is_symlink() {
                    files = files.symlink(&name, &std::fs::read_link(&path)?.to_string_lossy());
                } else if is_executable(&entry.metadata()?) {
                    files = files.executable(&name, std::fs::read(&path)?);
                } else {
                    files = files.file(&name, std::fs::read(&path)?);
                }
            }
        }
        Ok(files)
    }

    fn with(mut self, path: &str, change: Change) -> Self {
        self.0.insert(path.trim_matches('/').to_owned(), change);
        self
    }

    /// The tree after the changes.
    pub(crate) fn applied_to(&self, tree: &Tree) -> Tree {
        let mut tree = tree.clone();
        for (path, change) in &self.0 {
            // A file in a folder's place takes the folder away, as `git add` of it would.
            let below = format!("{path}/");
            tree.retain(|name, _| name != path && !name.starts_with(&below));
            if let Change::Write(blob) = change {
                tree.insert(path.clone(), blob.clone());
            }
        }
        tree
    }
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    false
}

impl<P: AsRef<str>, C: Into<Bytes>, const N: usize> From<[(P, C); N]> for Files {
    fn from(files: [(P, C); N]) -> Self {
        files.into_iter().fold(Self::new(), |all, (path, contents)| all.file(path.as_ref(), contents))
    }
}

impl<P: AsRef<str>, C: Into<Bytes>> From<Vec<(P, C)>> for Files {
    fn from(files: Vec<(P, C)>) -> Self {
        files.into_iter().fold(Self::new(), |all, (path, contents)| all.file(path.as_ref(), contents))
    }
}
