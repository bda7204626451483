//! Archives arrive whole or not at all.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use portcullis::ports::{Forge, ForgeError};
use portcullis_github::{Fault, Files, Match};

use super::{REPO, repo, sha, short, start, token, with, with_token};

const ROOMY: u64 = 16 << 20;

fn unpacked(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()));
    let entries = archive.entries().unwrap().map(Result::unwrap).filter(|entry| entry.header().entry_type().is_file());
    entries
        .map(|mut entry| {
            let mut text = String::new();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            entry.read_to_string(&mut text).unwrap();
            (path.split_once('/').unwrap().1.to_owned(), text)
        })
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn an_archive_holds_the_commits_files() {
    let stand_in = start().await;
    let project = stand_in.repo(REPO);
    let old = project.commit("main", [("a.yaml", "kind: Pod\n")]);
    let new = project.commit("main", Files::new().file("b/c", "later\n"));
    let github = with_token(&stand_in);
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("source.tgz");
    github.archive(&repo(), &sha(&old), &into, ROOMY).await.unwrap();
    assert_eq!(unpacked(&into), BTreeMap::from([("a.yaml".to_owned(), "kind: Pod\n".to_owned())]));
    github.archive(&repo(), &sha(&new), &into, ROOMY).await.unwrap();
    assert_eq!(unpacked(&into).len(), 2);
    assert_eq!(names(folder.path()), ["source.tgz"]);
}

#[tokio::test]
async fn what_fails_leaves_the_old_file_and_nothing_else() {
    let stand_in = start().await;
    let project = stand_in.repo(REPO);
    let good = project.commit("main", [("a", "b")]);
    let bad = project.commit("main", [("a", "c")]);
    // Random-looking bytes after gzip's mark: it cannot be packed smaller and is never unpacked here.
    let noise: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    project.forge_archive(&bad, [&[0x1f, 0x8b][..], &noise].concat());
    let github = with(&stand_in, stand_in.url(), token(&stand_in.token("acme")), short());
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("source.tgz");
    github.archive(&repo(), &sha(&good), &into, ROOMY).await.unwrap();
    let before = std::fs::read(&into).unwrap();

    let too_large = github.archive(&repo(), &sha(&bad), &into, 1 << 20).await.unwrap_err();
    assert!(matches!(&too_large, ForgeError::Rejected(text) if text.contains("larger than 1048576")), "{too_large}");
    for fault in [Fault::Truncate(1_000_000), Fault::Disconnect, Fault::Status(502), Fault::Hang] {
        stand_in.fail_next(Match::path("/_codeload/*"), 1, fault.clone());
        let error = github.archive(&repo(), &sha(&bad), &into, ROOMY).await.unwrap_err();
        assert!(matches!(error, ForgeError::Transient(_)), "{fault:?}: {error}");
    }
    let missing = github.archive(&repo(), &sha(&"1".repeat(40)), &into, ROOMY).await.unwrap_err();
    assert!(matches!(missing, ForgeError::NotFound(_)), "{missing}");
    assert_eq!(std::fs::read(&into).unwrap(), before);
    assert_eq!(names(folder.path()), ["source.tgz"]);

    github.archive(&repo(), &sha(&bad), &into, ROOMY).await.unwrap();
    assert_eq!(std::fs::metadata(&into).unwrap().len(), 3_000_002);
}

#[tokio::test]
async fn what_is_no_archive_is_not_taken_for_one() {
    let stand_in = start().await;
    let project = stand_in.repo(REPO);
    let github = with_token(&stand_in);
    let folder = tempfile::tempdir().unwrap();
    for forged in ["<html>please log in</html>", ""] {
        let commit = project.commit("main", [("a", forged)]);
        project.forge_archive(&commit, forged);
        let into = folder.path().join("source.tgz");
        let error = github.archive(&repo(), &sha(&commit), &into, ROOMY).await.unwrap_err();
        assert!(matches!(error, ForgeError::Transient(_)), "{error}");
    }
    let nowhere = folder.path().join("no/such/folder/source.tgz");
    let commit = project.commit("main", [("a", "b")]);
    let error = github.archive(&repo(), &sha(&commit), &nowhere, ROOMY).await.unwrap_err();
    assert!(matches!(error, ForgeError::Transient(_)), "{error}");
    assert!(names(folder.path()).is_empty());
}
