//! Where files of runs go: a bucket or a folder, with what is needed to get in. No secret is part of a message.

use jiff::SignedDuration;

use super::Artifacts;
use super::file::ArtifactsSection;
use super::github::Secret;
use super::resolve::{DAY, Resolver, period};
use crate::config::problem::quoted;
use crate::config::values;
use crate::ports::{ArtifactPlace, Bucket};

/// What `artifacts.store` names.
enum Named {
    Folder(String),
    Bucket { name: String, prefix: String },
}

impl Resolver<'_> {
    pub(super) fn artifacts(&mut self, section: ArtifactsSection) -> Artifacts {
        let keep = self.read(section.keep_files, SignedDuration::from_hours(90 * 24), |text| period(text, 3660 * DAY));
        let endpoint = self.read_some(section.endpoint, |text| values::web_address(text));
        let region = self.read(section.region, "us-east-1".into(), |text| values::line(text));
        let secret = self.secret("artifacts.secret_key", section.secret_key, section.secret_key_file);
        let is_misread =
            self.is_misread(&["artifacts.access_key", "artifacts.secret_key", "artifacts.secret_key_file"]);
        let credentials = match (section.access_key, secret) {
            _ if is_misread => None,
            (Some(id), Secret::Read(secret, _)) => Some((id.value, secret)),
            (Some(id), Secret::Absent) => {
                self.add(
                    id.origin,
                    "an access key needs `artifacts.secret_key` or `artifacts.secret_key_file` as well",
                );
                None
            }
            (None, Secret::Read(_, origin)) => {
                self.add(origin, "a secret key needs `artifacts.access_key` as well");
                None
            }
            (None, Secret::Absent) | (_, Secret::Unreadable) => None,
        };
        let store = self.read_some(section.store, |text| named(text)).map(|named| match named {
            Named::Folder(path) => ArtifactPlace::Folder(path.into()),
            Named::Bucket { name, prefix } => ArtifactPlace::S3(Bucket { name, prefix, endpoint, region, credentials }),
        });
        Artifacts { store, keep }
    }
}

fn named(text: &str) -> Result<Named, String> {
    let Some(address) = text.strip_prefix("s3://") else {
        return match text.contains("://") {
            true => Err(format!("{} is neither `s3://BUCKET/PREFIX` nor a folder", quoted(text))),
            false => values::line(text).map(Named::Folder).map_err(|why| format!("a path {why}")),
        };
    };
    let (name, prefix) = address.split_once('/').unwrap_or((address, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
    match !name.is_empty() && address.chars().all(plain) && !address.contains("..") {
        true => Ok(Named::Bucket { name: name.to_owned(), prefix: prefix.trim_matches('/').to_owned() }),
        false => Err(format!("{} names no bucket: letters, digits, `-`, `.`, `_` and `/`", quoted(text))),
    }
}
