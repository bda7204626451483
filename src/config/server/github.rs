//! Who we are on GitHub and what its webhooks are signed with: secrets by value or by file, exactly one way of each.
//! No secret is part of a message.

use std::time::Duration;

use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::file::{GithubSection, Set};
use super::resolve::{Resolver, period};
use super::{Ambient, Credentials, Github};
use crate::config::problem::quoted;
use crate::config::values;
use crate::domain::names::RepoName;
use crate::ports::Route;

/// Largest secret file that is read.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

const CREDENTIALS: [&str; 5] =
    ["github.token", "github.token_file", "github.app_id", "github.private_key", "github.private_key_file"];

/// Between two looks for what webhooks missed.
const CATCH_UP: SignedDuration = SignedDuration::from_mins(5);
const MAX_CATCH_UP: Duration = Duration::from_secs(24 * 3600);

impl Resolver<'_> {
    pub(super) fn github(&mut self, mut section: GithubSection, ambient: Ambient) -> Github {
        let route = self.route(&mut section, ambient);
        let api = Url::parse("https://api.github.com").expect("a constant address");
        let token = self.secret("github.token", section.token, section.token_file);
        let key = self.secret("github.private_key", section.private_key, section.private_key_file);
        Github {
            api_url: self.read(section.api_url, api, |text| values::web_address(text)),
            route,
            credentials: self.credentials(token, section.app_id, key),
            webhook_secrets: self.webhook_secrets(section.webhook_secrets, section.webhook_secret_file),
            repositories: self.read(section.repositories, vec![], |names| repositories(names)),
            catch_up: self.read(section.catch_up, CATCH_UP, |text| period(text, MAX_CATCH_UP)),
            context_prefix: self.read(section.context_prefix, "portcullis".into(), |text| context_prefix(text)),
        }
    }

    /// The way to GitHub.
    pub(super) fn route(&mut self, section: &mut GithubSection, ambient: Ambient) -> Route {
        let (own, own_no) = (section.proxy.take(), section.no_proxy.take());
        let proxy = self.read_some(own, |text| proxy(text)).or(ambient.https_proxy).map(SecretString::from);
        let no_proxy = self.read_some(own_no, |text| Ok(text.clone())).or(ambient.no_proxy).unwrap_or_default();
        let extra_ca = self.read_some(section.ca_file.take(), |path| certificates(path));
        Route { proxy, no_proxy, extra_ca }
    }

    /// Exactly one of token and app.
    fn credentials(&mut self, token: Secret, app_id: Option<Set<u64>>, private_key: Secret) -> Credentials {
        let nobody = Credentials::Token(SecretString::default());
        if self.is_misread(&CREDENTIALS) {
            return nobody;
        }
        match (token, app_id, private_key) {
            (Secret::Read(token, _), None, Secret::Absent) => Credentials::Token(token),
            (Secret::Absent, Some(id), Secret::Read(private_key, origin)) => {
                if !private_key.expose_secret().contains("PRIVATE KEY-----") {
                    self.add(origin, "this is no private key in PEM");
                }
                Credentials::App { id: id.value, private_key }
            }
            (Secret::Absent, Some(id), Secret::Absent) => {
                self.add(id.origin, "an app needs `github.private_key` or `github.private_key_file` as well");
                nobody
            }
            (Secret::Absent, None, Secret::Read(_, origin)) => {
                self.add(origin, "a private key needs `github.app_id` as well");
                nobody
            }
            (Secret::Absent, None, Secret::Absent) => {
                self.missing(
                    "`github.token`, `github.token_file`, or `github.app_id` with a private key",
                    "PORTCULLIS_GITHUB__TOKEN",
                );
                nobody
            }
            (Secret::Read(_, origin), Some(_), _) | (Secret::Read(_, origin), None, Secret::Read(..)) => {
                self.add(origin, "either a token or an app, not both");
                nobody
            }
            (Secret::Unreadable, _, _) | (_, _, Secret::Unreadable) => nobody,
        }
    }

    fn webhook_secrets(&mut self, given: Option<Set<Vec<String>>>, file: Option<Set<String>>) -> Vec<SecretString> {
        let (texts, origin) = match (given, file) {
            (None, None) if self.is_misread(&["github.webhook_secrets", "github.webhook_secret_file"]) => return vec![],
            (None, None) => {
                let what = "`github.webhook_secrets` or `github.webhook_secret_file`";
                self.missing(what, "PORTCULLIS_GITHUB__WEBHOOK_SECRETS");
                return vec![];
            }
            (Some(_), Some(file)) => {
                self.add(file.origin, "either `github.webhook_secrets` or `github.webhook_secret_file`, not both");
                return vec![];
            }
            (Some(given), None) => (given.value, given.origin),
            (None, Some(file)) => match read_secret_file(&file.value) {
                Ok(text) => (
                    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect(),
                    file.origin,
                ),
                Err(message) => {
                    self.add(file.origin, message);
                    return vec![];
                }
            },
        };
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            self.add(origin, "a webhook secret may not be empty, and there must be at least one");
        }
        texts.into_iter().map(SecretString::from).collect()
    }

    /// A secret by value or by file.
    pub(super) fn secret(&mut self, key: &str, value: Option<Set<String>>, file: Option<Set<String>>) -> Secret {
        let (text, origin) = match (value, file) {
            (None, None) => return Secret::Absent,
            (Some(_), Some(file)) => {
                self.add(file.origin, format!("either `{key}` or `{key}_file`, not both"));
                return Secret::Unreadable;
            }
            (Some(value), None) => (Ok(value.value), value.origin),
            (None, Some(file)) => (read_secret_file(&file.value), file.origin),
        };
        match text.map(|text| text.trim().to_owned()) {
            Ok(text) if text.is_empty() => {
                self.add(origin, format!("`{key}` is empty"));
                Secret::Unreadable
            }
            Ok(text) => Secret::Read(text.into(), origin),
            Err(message) => {
                self.add(origin, message);
                Secret::Unreadable
            }
        }
    }
}

/// What became of a secret that may be given in two ways.
pub(super) enum Secret {
    Absent,
    /// Given, but wrong; the problem is noted already.
    Unreadable,
    /// With the number of its origin.
    Read(SecretString, usize),
}

pub(super) fn read_secret_file(path: &str) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", quoted(path));
    let length = std::fs::metadata(path).map_err(cannot)?.len();
    match length > MAX_SECRET_BYTES {
        true => Err(format!("{} is longer than a file of secrets may be ({MAX_SECRET_BYTES} bytes)", quoted(path))),
        false => std::fs::read_to_string(path).map_err(cannot),
    }
}

/// Not quoted when wrong: it may hold a password.
fn proxy(text: &str) -> Result<String, String> {
    match Url::parse(text).is_ok_and(|url| url.scheme() == "http" && url.has_host()) {
        true => Ok(text.to_owned()),
        false => Err("`github.proxy` must be `http://HOST:PORT` or `http://USER:PASSWORD@HOST:PORT`".into()),
    }
}

fn certificates(path: &str) -> Result<Vec<u8>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", quoted(path)))?;
    match pem.windows(CERTIFICATE.len()).any(|bytes| bytes == CERTIFICATE) {
        true => Ok(pem),
        false => Err(format!("{} holds no certificate in PEM", quoted(path))),
    }
}

fn repositories(names: &[String]) -> Result<Vec<RepoName>, String> {
    names.iter().map(|name| name.parse::<RepoName>().map_err(|bad| bad.to_string())).collect()
}

/// Room must be left for `/<suite>`: GitHub cuts nothing, people read it in a narrow column.
fn context_prefix(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'));
    match plain && (1..=60).contains(&text.len()) && !text.starts_with('/') && !text.ends_with('/') {
        true => Ok(text.to_owned()),
        false => Err(format!("{} is not a prefix: 1 to 60 of letters, digits, `-`, `_`, `.` and `/`", quoted(text))),
    }
}
