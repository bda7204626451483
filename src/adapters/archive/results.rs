//! A results folder's tar, unpacked onto our own disk. The suite wrote it, so every entry is checked, everything is capped,
//! and what is left out is named instead of failing the whole: the report may be the one entry that was fine.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::{ArchiveError, Entry, Go, MeteredTar, plain};
use crate::domain::mask::Masker;

/// What may be taken of a results folder.
#[derive(Debug, Clone, Copy)]
pub struct ResultLimits {
    /// Bytes that are kept.
    pub bytes: u64,
    /// Entries that are looked at.
    pub entries: u64,
}

/// Problems that are named one by one; the rest is counted.
const NAMED_PROBLEMS: usize = 20;
/// Bytes that may pass by unkept, as a multiple of those that are kept: sparse files cost a suite nothing and us time.
const READ_FACTOR: u64 = 4;

/// Bytes that are masked at once.
const PIECE: usize = 64 << 10;

/// Unpacks a tar with one top folder into `into`, masked, replacing what was there only once all is written. Returns what was left out and why.
///
/// # Errors
/// [`ArchiveError::Io`] when our own disk or the stream fails.
pub fn extract_results(
    archive: impl Read,
    into: &Path,
    limits: ResultLimits,
    mask: &Masker,
) -> Result<Vec<String>, ArchiveError> {
    let partial = partial_path(into);
    remove_if_there(&partial)?;
    fs::create_dir_all(&partial)?;
    let mut extraction =
        Extraction { root: &partial, limits, mask, kept: 0, read: 0, entries: 0, problems: Problems::default() };
    MeteredTar::new(archive).for_each(|entry| extraction.take(entry))?;
    let problems = extraction.problems.finish();
    remove_if_there(into)?;
    fs::rename(&partial, into)?;
    Ok(problems)
}

/// Beside the target, on the same file system, under a name that a crash leaves recognisable.
fn partial_path(into: &Path) -> PathBuf {
    let mut name = into.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    into.with_file_name(name)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

struct Extraction<'a> {
    root: &'a Path,
    limits: ResultLimits,
    mask: &'a Masker,
    kept: u64,
    read: u64,
    entries: u64,
    problems: Problems,
}

impl Extraction<'_> {
    fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<Go, ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            self.problems.note(format!("more than {} result files: the rest was left out", self.limits.entries));
            return Ok(Go::Stop);
        }
        self.read = self.read.saturating_add(entry.size());
        if self.read > self.limits.bytes.saturating_mul(READ_FACTOR) {
            self.problems.note(format!("more than {} bytes of results: the rest was not read", self.read));
            return Ok(Go::Stop);
        }
        let path = self.masked(&entry.path()?);
        let Some(path) = plain(&path) else {
            self.problems.note(format!("result `{}` leaves the results folder: left out", path.display()));
            return Ok(Go::On);
        };
        let path: PathBuf = path.components().skip(1).collect();
        if path.as_os_str().is_empty() {
            return Ok(Go::On);
        }
        match entry.header().entry_type() {
            EntryType::Directory => self.folder(&path)?,
            EntryType::Regular | EntryType::Continuous => self.file(&path, entry)?,
            _ => self.problems.note(format!("result `{}` is a link or a special file: left out", path.display())),
        }
        Ok(Go::On)
    }

    /// A name may tell a secret just as well, and need not be text.
    fn masked(&self, path: &Path) -> PathBuf {
        let (mut stream, mut name) = (self.mask.stream(), Vec::new());
        stream.push(path.as_os_str().as_bytes(), &mut name);
        stream.finish(&mut name);
        OsString::from_vec(name).into()
    }

    fn folder(&mut self, path: &Path) -> Result<(), ArchiveError> {
        match fs::create_dir_all(self.root.join(path)) {
            Ok(()) => Ok(()),
            Err(error) => self.excuse(path, error),
        }
    }

    fn file<R: Read>(&mut self, path: &Path, entry: &mut Entry<'_, R>) -> Result<(), ArchiveError> {
        if entry.size() > self.limits.bytes.saturating_sub(self.kept) {
            let (size, most) = (entry.size(), self.limits.bytes);
            self.problems.note(format!(
                "result `{}` of {size} bytes left out: results are kept up to {most} bytes",
                path.display()
            ));
            return Ok(());
        }
        match self.create(path) {
            Ok(mut file) => {
                self.kept += copy(entry, &mut file, self.mask)?;
                Ok(())
            }
            Err(error) => self.excuse(path, error),
        }
    }

    /// No link is ever created below the root, so a checked path cannot lead out of it.
    fn create(&self, path: &Path) -> io::Result<File> {
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    /// A name that cannot be made is the suite's doing and is noted; anything else is ours and is an error.
    fn excuse(&mut self, path: &Path, error: io::Error) -> Result<(), ArchiveError> {
        use io::ErrorKind::{AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory};
        match error.kind() {
            AlreadyExists | InvalidFilename | InvalidInput | IsADirectory | NotADirectory => {
                self.problems.note(format!("result `{}` left out: {error}", path.display()));
                Ok(())
            }
            _ => Err(error.into()),
        }
    }
}

/// Bytes read. Nothing unmasked ever is on the disk.
fn copy(mut from: impl Read, into: &mut File, mask: &Masker) -> io::Result<u64> {
    if mask.is_empty() {
        return io::copy(&mut from, into);
    }
    let (mut stream, mut piece, mut masked, mut read) = (mask.stream(), vec![0; PIECE], Vec::new(), 0);
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            stream.finish(&mut masked);
            into.write_all(&masked)?;
            return Ok(read);
        }
        read += length as u64;
        stream.push(&piece[..length], &mut masked);
        into.write_all(&masked)?;
        masked.clear();
    }
}

#[derive(Default)]
struct Problems {
    named: Vec<String>,
    more: usize,
}

impl Problems {
    fn note(&mut self, text: String) {
        if self.named.len() < NAMED_PROBLEMS {
            self.named.push(text.chars().take(300).collect());
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.named.push(format!("{} more of the kind", self.more));
        }
        self.named
    }
}

#[cfg(test)]
mod tests {
    use super::super::hostile;
    use super::*;

    const LIMITS: ResultLimits = ResultLimits { bytes: 1000, entries: 30 };

    fn extracted(entries: &[(EntryType, &str, &str, &[u8])]) -> (tempfile::TempDir, Vec<String>) {
        let home = tempfile::tempdir().unwrap();
        let into = home.path().join("results");
        let problems = extract_results(&hostile::tar(entries)[..], &into, LIMITS, &Masker::default()).unwrap();
        (home, problems)
    }

    #[test]
    fn a_tree_is_copied_and_replaces_an_earlier_one() {
        let (home, problems) = extracted(&[
            (EntryType::Directory, "results/", "", b""),
            (EntryType::Regular, "results/junit_01.xml", "", b"<testsuite/>"),
            (EntryType::Regular, "results/ns/pod/logs.txt", "", b"log"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        let into = home.path().join("results");
        assert_eq!(fs::read(into.join("junit_01.xml")).unwrap(), b"<testsuite/>");
        assert_eq!(fs::read(into.join("ns/pod/logs.txt")).unwrap(), b"log");
        let again = hostile::tar(&[(EntryType::Regular, "results/only", "", b"x")]);
        extract_results(&again[..], &into, LIMITS, &Masker::default()).unwrap();
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "the partial folder is gone");
    }

    #[test]
    fn hostile_entries_are_left_out_and_named() {
        let (home, problems) = extracted(&[
            (EntryType::Regular, "/abs", "", b"x"),
            (EntryType::Regular, "results/../../climb", "", b"x"),
            (EntryType::Symlink, "results/link", "/etc", b""),
            (EntryType::Regular, "results/link/passwd", "", b"x"),
            (EntryType::Link, "results/hard", "/etc/passwd", b""),
            (EntryType::Char, "results/dev", "", b""),
            (EntryType::Regular, "results/file", "", b"first"),
            (EntryType::Regular, "results/file", "", b"second"),
            (EntryType::Regular, "results/file/below", "", b"x"),
        ]);
        assert_eq!(problems.len(), 7, "{problems:#?}");
        let into = home.path().join("results");
        assert_eq!(fs::read(into.join("file")).unwrap(), b"first");
        assert!(into.join("link").is_dir() && !home.path().join("climb").exists());
    }

    #[test]
    fn no_secret_reaches_the_disk() {
        let home = tempfile::tempdir().unwrap();
        let into = home.path().join("results");
        let across = [vec![b'x'; PIECE - 4], b"hunter2-token!".to_vec()].concat();
        let entries = hostile::tar(&[
            (EntryType::Regular, "results/junit.xml", "", b"<failure message=\"hunter2-token\"/>"),
            (EntryType::Regular, "results/hunter2-token/of-hunter2-token.txt", "", b"x"),
            (EntryType::Regular, "results/across", "", &across),
            (EntryType::Symlink, "results/link-hunter2-token", "/etc", b""),
        ]);
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..23].copy_from_slice(b"results/\xff-hunter2-token");
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_cksum();
        let entries = [header.as_bytes(), &entries[..]].concat();
        let limits = ResultLimits { bytes: 1 << 20, entries: 30 };
        let problems = extract_results(&entries[..], &into, limits, &Masker::of(["hunter2-token"])).unwrap();
        assert_eq!(problems, ["result `link-***` is a link or a special file: left out"]);
        assert_eq!(fs::read_to_string(into.join("junit.xml")).unwrap(), "<failure message=\"***\"/>");
        assert_eq!(fs::read(into.join("***/of-***.txt")).unwrap(), b"x");
        assert!(into.join(OsString::from_vec(b"\xff-***".to_vec())).exists());
        assert_eq!(fs::read(into.join("across")).unwrap(), [vec![b'x'; PIECE - 4], b"***!".to_vec()].concat());
    }

    #[test]
    fn a_huge_file_is_left_out_and_the_report_after_it_is_kept() {
        let huge = vec![0; 1001];
        let (home, problems) = extracted(&[
            (EntryType::Regular, "results/huge", "", &huge),
            (EntryType::Regular, "results/junit.xml", "", b"<a/>"),
        ]);
        assert_eq!(problems, ["result `huge` of 1001 bytes left out: results are kept up to 1000 bytes"]);
        assert!(home.path().join("results/junit.xml").exists());
    }

    #[test]
    fn endless_folders_end() {
        let sparse = vec![0; 1500];
        let (_home, problems) = extracted(&vec![(EntryType::Regular, "results/s", "", &sparse[..]); 5]);
        assert!(problems.last().unwrap().contains("was not read"), "{problems:?}");
        let (_home, problems) = extracted(&vec![(EntryType::Directory, "results/d", "", &b""[..]); 31]);
        assert_eq!(problems, ["more than 30 result files: the rest was left out"]);
    }
}
