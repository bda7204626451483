//! Files of runs in an object store: a folder, and a stand-in for S3 on loopback that checks every signature itself.

use std::fs;
use std::path::Path;

use futures_util::TryStreamExt;
use portcullis::adapters::artifacts::ObjectArtifacts;
use portcullis::ports::{ArtifactPlace, ArtifactStore, Bucket, Part};

use crate::support::s3::{ACCESS_KEY, S3, SECRET_KEY};

fn bucket(s3: &S3, secret: &str) -> ArtifactPlace {
    ArtifactPlace::S3(Bucket {
        name: "ci".into(),
        prefix: "portcullis/one".into(),
        endpoint: Some(s3.url()),
        region: "eu-central-1".into(),
        credentials: Some((ACCESS_KEY.into(), secret.into())),
    })
}

async fn text(store: &dyn ArtifactStore, key: &str, part: Part) -> Option<String> {
    let kept = store.open(key, part).await.unwrap()?;
    let bytes: Vec<_> = kept.bytes.try_collect().await.unwrap();
    let bytes = bytes.concat();
    assert_eq!(kept.range.end - kept.range.start, bytes.len() as u64);
    Some(String::from_utf8(bytes).unwrap())
}

/// What holds for every place.
async fn keeps_finds_and_forgets(place: ArtifactPlace, home: &Path) {
    let store = ObjectArtifacts::new(&place).unwrap();
    let file = home.join("file");
    let put = async |key: &str, content: &str| {
        fs::write(&file, content).unwrap();
        store.keep(key, &file).await.unwrap();
    };
    put("runs/a/1/log.txt", "first\nsecond\n").await;
    put("runs/a/1/log.txt", "first\nsecond\nthird\n").await;
    put("runs/a/1/results/odd {name} ü.xml", "<x/>").await;
    put("runs/b/1/junit.xml", "").await;
    // In parts, for it is larger than what is sent at once.
    let large = "0123456789abcdef".repeat(20 << 16);
    put("runs/b/1/large", &large).await;

    assert_eq!(text(&store, "runs/a/1/log.txt", Part::All).await.as_deref(), Some("first\nsecond\nthird\n"));
    assert_eq!(text(&store, "runs/a/1/log.txt", Part::Last(6)).await.as_deref(), Some("third\n"));
    assert_eq!(text(&store, "runs/b/1/large", Part::All).await, Some(large));
    assert_eq!(text(&store, "runs/a/1/none", Part::All).await, None);
    assert_eq!(text(&store, "runs/a/1", Part::All).await, None, "a folder is no file");

    let listed = store.list("runs/a", 100).await.unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let odd = listed.iter().find(|file| file.key.contains("odd")).unwrap();
    assert_eq!((text(&store, &odd.key, Part::All).await.as_deref(), odd.bytes), (Some("<x/>"), 4));
    assert_eq!(store.list("runs", 3).await.unwrap().len(), 3);
    assert!(store.list("runs/c", 9).await.unwrap().is_empty());
    let mut folders = store.folders("runs").await.unwrap();
    folders.sort();
    assert_eq!(folders, ["a", "b"]);

    store.forget("runs/b").await.unwrap();
    store.forget("runs/b").await.unwrap();
    assert!(store.list("runs/b", 9).await.unwrap().is_empty());
    assert_eq!(store.list("runs", 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_folder_keeps_finds_and_forgets() {
    let home = tempfile::tempdir().unwrap();
    keeps_finds_and_forgets(ArtifactPlace::Folder(home.path().join("elsewhere")), home.path()).await;
}

#[tokio::test]
async fn a_bucket_keeps_finds_and_forgets() {
    let (home, s3) = (tempfile::tempdir().unwrap(), S3::start("ci").await);
    keeps_finds_and_forgets(bucket(&s3, SECRET_KEY), home.path()).await;
    assert!(s3.keys().iter().all(|key| key.starts_with("portcullis/one/runs/")), "{:?}", s3.keys());
    assert!(s3.uploads_in_parts() > 0 && s3.refused() == 0);
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_said_so() {
    let (home, s3) = (tempfile::tempdir().unwrap(), S3::start("ci").await);
    let store = ObjectArtifacts::new(&bucket(&s3, "not the secret")).unwrap();
    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(store.keep("runs/a/log.txt", &file).await.is_err());
    assert!(store.open("runs/a/log.txt", Part::All).await.is_err(), "refused is not the same as absent");
    assert!(s3.keys().is_empty() && s3.refused() > 0);
}
