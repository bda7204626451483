//! Where files of runs are kept.

use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use secrecy::SecretString;
use url::Url;

/// Keeps files of runs that are over. Keys are paths with slashes, such as `runs/<run>/<attempt>/log.txt`.
#[async_trait]
pub trait ArtifactStore: Send + Sync {
    /// Keeps a file under a key. Keeping it again replaces it.
    async fn keep(&self, key: &str, file: &Path) -> Result<(), ArtifactError>;

    /// Keeps these bytes under a key.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ArtifactError>;

    /// A file that is kept; `None` where there is none of this key.
    async fn open(&self, key: &str, part: Part) -> Result<Option<Kept>, ArtifactError>;

    /// Files below a folder, at most `limit` of them.
    async fn list(&self, folder: &str, limit: usize) -> Result<Vec<KeptFile>, ArtifactError>;

    /// Names of the folders right below a folder.
    async fn folders(&self, folder: &str) -> Result<Vec<String>, ArtifactError>;

    /// Deletes everything below a folder. "Already gone" is success.
    async fn forget(&self, folder: &str) -> Result<(), ArtifactError>;
}

/// Where a store keeps them.
#[derive(Debug, Clone)]
pub enum ArtifactPlace {
    Folder(PathBuf),
    S3(Bucket),
}

/// A bucket of S3 or of a service that speaks like it.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    /// What all keys start with; may be empty.
    pub prefix: String,
    /// Amazon's own where absent.
    pub endpoint: Option<Url>,
    pub region: String,
    /// Key id and secret; the role of the machine where absent.
    pub credentials: Option<(String, SecretString)>,
}

/// How much of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    All,
    /// So many bytes of its end.
    Last(u64),
}

/// A file that is kept, on its way.
pub struct Kept {
    /// Bytes of the whole file.
    pub length: u64,
    /// Which of them come.
    pub range: Range<u64>,
    pub bytes: BoxStream<'static, std::io::Result<Bytes>>,
}

/// A file that is kept, in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    pub key: String,
    pub bytes: u64,
}

/// The object store does not do as asked. Ask again later.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed")]
pub struct ArtifactError {
    pub what: &'static str,
    #[source]
    pub source: anyhow::Error,
}
