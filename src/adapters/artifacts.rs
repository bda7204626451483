//! Files of runs in an object store: S3 and what speaks like it, or a folder elsewhere. Translates keys and errors, decides nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};
use secrecy::ExposeSecret;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::ports::{ArtifactError, ArtifactPlace, ArtifactStore, Bucket, Kept, KeptFile, Part};

/// Bytes sent at once; a larger file goes in parts of this size.
const PIECE: usize = 8 << 20;
/// A request that has not answered by then is tried again, and given up after all tries.
const ANSWER: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
const TRIES: usize = 3;
const ALL_TRIES: Duration = Duration::from_secs(90);
/// Objects that are deleted side by side.
const AT_ONCE: usize = 8;
/// Bytes of a key that every store takes, 1,024 in all: the rest is for what all keys of a bucket start with.
const MOST_OF_KEY: usize = 900;
/// Bytes of a name between two slashes: file systems take 255, and need some for what is half written.
const MOST_OF_NAME: usize = 240;
/// Digits of a digest that stand for what was cut off.
const DIGITS: usize = 16;

/// The port to an object store.
pub struct ObjectArtifacts {
    store: Arc<dyn ObjectStore>,
}

impl ObjectArtifacts {
    /// Does not talk to the store yet; a folder is made.
    ///
    /// # Errors
    /// The folder cannot be made, or the settings contradict each other.
    pub fn new(place: &ArtifactPlace) -> anyhow::Result<Self> {
        let store: Arc<dyn ObjectStore> = match place {
            ArtifactPlace::Folder(folder) => {
                std::fs::create_dir_all(folder)?;
                Arc::new(LocalFileSystem::new_with_prefix(folder)?)
            }
            ArtifactPlace::S3(bucket) => Arc::new(PrefixStore::new(s3(bucket)?, bucket.prefix.as_str())),
        };
        Ok(Self { store })
    }
}

fn s3(bucket: &Bucket) -> object_store::Result<object_store::aws::AmazonS3> {
    let options = ClientOptions::new().with_timeout(ANSWER).with_connect_timeout(CONNECT);
    let retry = RetryConfig { max_retries: TRIES, retry_timeout: ALL_TRIES, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_client_options(options)
        .with_retry(retry)
        // Deleting many at once is a thing of Amazon's; one by one works everywhere.
        .with_disable_bulk_delete(true);
    if let Some(endpoint) = &bucket.endpoint {
        let address = endpoint.as_str().trim_end_matches('/');
        builder = builder.with_endpoint(address).with_allow_http(endpoint.scheme() == "http");
    }
    if let Some((id, secret)) = &bucket.credentials {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose_secret());
    }
    builder.build()
}

#[async_trait]
impl ArtifactStore for ObjectArtifacts {
    async fn keep(&self, key: &str, file: &Path) -> Result<(), ArtifactError> {
        let mut from = File::open(file).await.map_err(|error| broken("reading what is to be kept", error))?;
        let mut to = BufWriter::with_capacity(Arc::clone(&self.store), written(key), PIECE);
        let copied = async {
            tokio::io::copy(&mut from, &mut to).await?;
            to.shutdown().await
        };
        copied.await.map_err(|error| broken("keeping a file", error))
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ArtifactError> {
        let put = self.store.put(&written(key), bytes.into()).await;
        put.map(drop).map_err(|error| broken("keeping a piece", error))
    }

    async fn open(&self, key: &str, part: Part) -> Result<Option<Kept>, ArtifactError> {
        let range = match part {
            Part::All => None,
            Part::Last(bytes) => Some(GetRange::Suffix(bytes)),
        };
        let options = GetOptions { range, ..GetOptions::default() };
        let found = match self.store.get_opts(&listed(key), options).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(broken("fetching a file", error)),
        };
        let (length, range) = (found.meta.size, found.range.clone());
        let bytes = found.into_stream().map_err(std::io::Error::other).boxed();
        Ok(Some(Kept { length, range, bytes }))
    }

    async fn list(&self, folder: &str, limit: usize) -> Result<Vec<KeptFile>, ArtifactError> {
        let objects = self.store.list(Some(&listed(folder))).take(limit);
        let objects: Vec<_> = objects.try_collect().await.map_err(|error| broken("listing files", error))?;
        Ok(objects.into_iter().map(|found| KeptFile { key: found.location.into(), bytes: found.size }).collect())
    }

    async fn folders(&self, folder: &str) -> Result<Vec<String>, ArtifactError> {
        let found = self.store.list_with_delimiter(Some(&listed(folder))).await;
        let found = found.map_err(|error| broken("listing folders", error))?.common_prefixes;
        Ok(found.iter().filter_map(|key| Some(key.parts().next_back()?.as_ref().to_owned())).collect())
    }

    async fn forget(&self, folder: &str) -> Result<(), ArtifactError> {
        let objects = self.store.list(Some(&listed(folder)));
        let deleted =
            objects.try_for_each_concurrent(AT_ONCE, async |found| match self.store.delete(&found.location).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                other => other,
            });
        deleted.await.map_err(|error| broken("deleting files", error))
    }
}

/// The key of a file's own name: whatever a store cannot take is escaped, and what is too long for it is shortened.
fn written(key: &str) -> Key {
    shortened(Key::from(key))
}

/// A key as a list gave it: escaped already. Also a file's own name, where nothing of it needs to be.
fn listed(key: &str) -> Key {
    match Key::parse(key) {
        Ok(parsed) if key.is_ascii() => shortened(parsed),
        Ok(_) | Err(_) => written(key),
    }
}

/// Suites name their files as they like. What is cut off of a name is told by its digest, so that none takes another's place.
fn shortened(key: Key) -> Key {
    let parts: Vec<String> = key.parts().map(|part| within(part.as_ref(), MOST_OF_NAME)).collect();
    let mut whole = parts.join("/");
    if whole.len() > MOST_OF_KEY {
        let (folders, name) = whole.rsplit_once('/').unwrap_or_default();
        let first = &folders[..folders.floor_char_boundary(MOST_OF_KEY - name.len() - DIGITS - 2)];
        let first = first.rsplit_once('/').unwrap_or_default().0;
        whole = format!("{first}/{}/{name}", digest(folders));
    }
    Key::parse(&whole).unwrap_or(key)
}

/// The text itself, or its beginning and its digest.
fn within(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let first = &text[..text.floor_char_boundary(most - 1 - DIGITS)];
    // An escape is three characters.
    let end = first.rfind('%').filter(|at| at + 3 > first.len()).unwrap_or(first.len());
    format!("{}_{}", &first[..end], digest(text))
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))[..DIGITS].to_owned()
}

fn broken(what: &'static str, error: impl Into<anyhow::Error>) -> ArtifactError {
    ArtifactError { what, source: error.into() }
}
