//! Archives: followed to where GitHub keeps them, without a token, and written to disk as they come.
//! The file appears under its name only when it is complete.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use http::{Request, header};
use http_body_util::BodyExt;
use octocrab::OctoBody;
use tokio::fs::{self, File};
use tokio::io::{AsyncWriteExt, BufWriter};
use url::Url;
use uuid::Uuid;

use super::api::{Api, Call, MAX_REDIRECTS, Response, location, within};
use super::credentials::Speaker;
use super::failure;
use super::traffic::number;
use crate::domain::names::RepoName;
use crate::ports::ForgeError;

/// The first byte of every gzip file.
const GZIP: u8 = 0x1f;

const BUFFER: usize = 256 * 1024;

impl Api {
    /// Writes the archive that the call leads to into a file.
    pub(super) async fn download(
        &self,
        repo: &RepoName,
        call: &Call,
        into: &Path,
        max_bytes: u64,
    ) -> Result<(), ForgeError> {
        within(self.timeouts.archive, &call.what, async {
            let response = within(self.timeouts.call, &call.what, self.lead(repo, call)).await?;
            if !response.status().is_success() {
                return self.read(call, response).await.map(drop);
            }
            let now = self.clock.now().as_second().try_into().unwrap_or_default();
            let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, now, 0));
            let incoming = Incoming { what: &call.what, max_bytes, idle: self.timeouts.idle };
            incoming.save(response, into, Partial::beside(into, id)).await
        })
        .await
    }

    /// Asks the API, then follows it without credentials: the address it hands out is the permission.
    async fn lead(&self, repo: &RepoName, call: &Call) -> Result<Response, ForgeError> {
        let (mut response, _) = self.authorized(Speaker::For(repo), call).await?;
        let mut from =
            self.base.locate("/").ok_or_else(|| ForgeError::Rejected(format!("{}: no address", call.what)))?;
        for _ in 0..MAX_REDIRECTS {
            let Some(next) = location(&from, &response) else { return Ok(response) };
            response = self.fetch(call, &next).await?;
            from = next;
        }
        Err(ForgeError::Rejected(format!("{}: redirected too often", call.what)))
    }

    async fn fetch(&self, call: &Call, url: &Url) -> Result<Response, ForgeError> {
        if !self.base.may_lead_to(url) {
            return Err(ForgeError::Rejected(format!("{}: redirected away from https", call.what)));
        }
        let request = Request::get(url.as_str()).body(OctoBody::empty());
        let request = request.map_err(|_| ForgeError::Rejected(format!("{}: redirected to nowhere", call.what)))?;
        // `self.octocrab` holds no credentials.
        self.octocrab.execute(request).await.map_err(|error| failure::unreachable(&call.what, &error))
    }
}

/// An archive on its way in.
struct Incoming<'a> {
    what: &'a str,
    max_bytes: u64,
    idle: Duration,
}

impl Incoming<'_> {
    async fn save(&self, response: Response, into: &Path, partial: Partial) -> Result<(), ForgeError> {
        if number(response.headers(), header::CONTENT_LENGTH.as_str()).is_some_and(|length| length > self.max_bytes) {
            return Err(self.too_large());
        }
        let file = File::create_new(&partial.path).await.map_err(|error| self.unwritable(error))?;
        self.receive(response, file).await?;
        // Stopping before this line leaves a partial file under a name nobody reads; after it, a complete one.
        fs::rename(&partial.path, into).await.map_err(|error| self.unwritable(error))?;
        partial.keep();
        Ok(())
    }

    async fn receive(&self, response: Response, file: File) -> Result<(), ForgeError> {
        let mut body = response.into_body();
        let mut file = BufWriter::with_capacity(BUFFER, file);
        let mut received = 0;
        while let Some(frame) = self.next(body.frame()).await? {
            let piece = frame.map_err(|error| failure::unreachable(self.what, &error))?.into_data().unwrap_or_default();
            if received == 0 && piece.first().is_some_and(|first| *first != GZIP) {
                return Err(ForgeError::Transient(anyhow!("{} is no gzip file", self.what)));
            }
            received += piece.len() as u64;
            if received > self.max_bytes {
                return Err(self.too_large());
            }
            file.write_all(&piece).await.map_err(|error| self.unwritable(error))?;
        }
        if received == 0 {
            return Err(ForgeError::Transient(anyhow!("{} is empty", self.what)));
        }
        file.flush().await.map_err(|error| self.unwritable(error))?;
        file.into_inner().sync_all().await.map_err(|error| self.unwritable(error))
    }

    async fn next<T>(&self, frame: impl Future<Output = T>) -> Result<T, ForgeError> {
        tokio::time::timeout(self.idle, frame).await.map_err(|_| failure::too_slow(self.what, self.idle))
    }

    fn too_large(&self) -> ForgeError {
        ForgeError::Rejected(format!("{} is larger than {} bytes", self.what, self.max_bytes))
    }

    fn unwritable(&self, error: std::io::Error) -> ForgeError {
        ForgeError::Transient(anyhow::Error::new(error).context(format!("{} cannot be written", self.what)))
    }
}

/// An unfinished file; it goes away unless it is kept.
struct Partial {
    path: PathBuf,
    is_kept: bool,
}

impl Partial {
    fn beside(into: &Path, id: Uuid) -> Self {
        let mut name = into.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", id.simple()));
        Self { path: into.with_file_name(name), is_kept: false }
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_kept {
            // It may never have been created.
            drop(std::fs::remove_file(&self.path));
        }
    }
}
