//! Gives the server's values their meaning and their defaults. Every value is looked at even when another is wrong.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::file::{CapacitySection, DockerSection, GithubSection, LimitsSection, LogSection, ServerSection, Set};
use super::layers::{Layers, Origin};
use super::{Capacity, Credentials, Docker, Github, Limits, Log, LogFormat, Privileged, ServerConfig};
use crate::config::problem::{ConfigError, quoted};
use crate::config::values;

const DAY: Duration = Duration::from_secs(24 * 3600);
const MIB: u64 = 1 << 20;
/// Largest secret file that is read.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The configuration, or everything that is wrong. `docker_host` is the engine's address where no setting names one.
pub(super) fn resolve(layers: Layers, docker_host: Option<String>) -> Result<ServerConfig, Vec<ConfigError>> {
    let (file, origins, problems) = layers.merged();
    let mut resolver = Resolver { origins, problems };
    let (listen, public_url, data_dir) = resolver.server(file.server);
    let config = ServerConfig {
        github: resolver.github(file.github),
        store_url: resolver.store(file.store.url, &data_dir),
        docker: resolver.docker(file.docker, docker_host),
        capacity: resolver.capacity(file.capacity),
        limits: resolver.limits(file.limits),
        log: resolver.log(file.log),
        listen,
        public_url,
        data_dir,
    };
    match resolver.problems.is_empty() {
        true => Ok(config),
        false => Err(resolver.problems),
    }
}

struct Resolver {
    origins: Vec<Origin>,
    problems: Vec<ConfigError>,
}

impl Resolver {
    /// What `parse` makes of the value; the default where there is none or, after noting a problem, where it is wrong.
    fn read<V, T>(&mut self, set: Option<Set<V>>, default: T, parse: impl Fn(&V) -> Result<T, String>) -> T {
        self.read_some(set, parse).unwrap_or(default)
    }

    fn read_some<V, T>(&mut self, set: Option<Set<V>>, parse: impl Fn(&V) -> Result<T, String>) -> Option<T> {
        let set = set?;
        let parsed = parse(&set.value);
        parsed.map_err(|message| self.add(set.origin, message)).ok()
    }

    fn add(&mut self, origin: usize, message: impl Into<String>) {
        self.problems.push(self.origins[origin].problem(message));
    }

    fn server(&mut self, section: ServerSection) -> (SocketAddr, Url, PathBuf) {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        let listen = self.read(section.listen, default, |text| {
            text.parse().map_err(|_| format!("{} is not an address such as `127.0.0.1:8080`", quoted(text)))
        });
        let public_url = self.read(section.public_url, local_url(listen), |text| web_address(text));
        let data_dir = self.read(section.data_dir, PathBuf::from(".portcullis"), |text| path(text));
        (listen, public_url, data_dir)
    }

    fn github(&mut self, section: GithubSection) -> Github {
        let api = Url::parse("https://api.github.com").expect("a constant address");
        let token = self.secret("github.token", section.token, section.token_file);
        let key = self.secret("github.private_key", section.private_key, section.private_key_file);
        Github {
            api_url: self.read(section.api_url, api, |text| web_address(text)),
            credentials: self.credentials(token, section.app_id, key),
            webhook_secrets: self.webhook_secrets(section.webhook_secrets, section.webhook_secret_file),
            context_prefix: self.read(section.context_prefix, "portcullis".into(), |text| context_prefix(text)),
        }
    }

    /// Exactly one of token and app.
    fn credentials(
        &mut self,
        token: Secret,
        app_id: Option<Set<u64>>,
        private_key: Secret,
    ) -> Credentials {
        let nobody = Credentials::Token(SecretString::default());
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
                self.missing("`github.token`, `github.token_file`, or `github.app_id` with a private key");
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
            (None, None) => {
                self.missing("`github.webhook_secrets` or `github.webhook_secret_file`");
                return vec![];
            }
            (Some(_), Some(file)) => {
                self.add(file.origin, "either `github.webhook_secrets` or `github.webhook_secret_file`, not both");
                return vec![];
            }
            (Some(given), None) => (given.value, given.origin),
            (None, Some(file)) => match read_secret_file(&file.value) {
                Ok(text) => (text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect(), file.origin),
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
    fn secret(&mut self, key: &str, value: Option<Set<String>>, file: Option<Set<String>>) -> Secret {
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

    fn missing(&mut self, what: &str) {
        let file = self.origins.iter().find_map(|origin| match origin {
            Origin::File { name, .. } => Some(name.clone()),
            Origin::Variable(_) => None,
        });
        self.problems.push(ConfigError::whole(file.as_deref().unwrap_or("configuration"), format!("{what} is missing")));
    }

    fn store(&mut self, url: Option<Set<String>>, data_dir: &Path) -> SecretString {
        let default = format!("sqlite:{}", data_dir.join("portcullis.db").display());
        self.read(url, default, |text| store_url(text)).into()
    }

    fn docker(&mut self, section: DockerSection, docker_host: Option<String>) -> Docker {
        Docker {
            host: self.read_some(section.host, |text| engine(text)).or(docker_host),
            node_image: self.read(section.node_image, "portcullis/node:1.34.4".into(), |text| values::image(text)),
            privileged: self.read(section.privileged, Privileged::Auto, |text| match text.as_str() {
                "auto" => Ok(Privileged::Auto),
                "always" => Ok(Privileged::Always),
                "never" => Ok(Privileged::Never),
                other => Err(format!("{} is not one of `auto`, `always`, `never`", quoted(other))),
            }),
            runtime: self.read_some(section.runtime, |text| values::line(text)),
        }
    }

    fn capacity(&mut self, section: CapacitySection) -> Capacity {
        let clusters = self.read(section.clusters, 2, |n| within("capacity.clusters", *n, 1000));
        let runs_per_repo = self.read(section.runs_per_repo, clusters, |n| within("capacity.runs_per_repo", *n, 1000));
        Capacity { clusters, runs_per_repo }
    }

    fn limits(&mut self, section: LimitsSection) -> Limits {
        Limits {
            lease: self.read(section.lease, SignedDuration::from_hours(6), |text| period(text, 7 * DAY)),
            keep_deliveries: self
                .read(section.keep_deliveries, SignedDuration::from_hours(7 * 24), |text| period(text, 3660 * DAY)),
            archive_bytes: self.read(section.archive, 256 * MIB, |text| values::bytes(text)),
            results_bytes: self.read(section.results, 1024 * MIB, |text| values::bytes(text)),
        }
    }

    fn log(&mut self, section: LogSection) -> Log {
        Log {
            format: self.read(section.format, LogFormat::Text, |text| match text.as_str() {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                other => Err(format!("{} is not one of `text`, `json`", quoted(other))),
            }),
            filter: self.read(section.filter, "info".into(), |text| match EnvFilter::try_new(text) {
                Ok(_) => Ok(text.clone()),
                Err(error) => Err(format!("{} is not a log filter: {error}", quoted(text))),
            }),
        }
    }
}

/// What became of a secret that may be given in two ways.
enum Secret {
    Absent,
    /// Given, but wrong; the problem is noted already.
    Unreadable,
    /// With the number of its origin.
    Read(SecretString, usize),
}

fn read_secret_file(path: &str) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", quoted(path));
    let length = std::fs::metadata(path).map_err(cannot)?.len();
    match length > MAX_SECRET_BYTES {
        true => Err(format!("{} is longer than a file of secrets may be ({MAX_SECRET_BYTES} bytes)", quoted(path))),
        false => std::fs::read_to_string(path).map_err(cannot),
    }
}

fn local_url(listen: SocketAddr) -> Url {
    let mut reachable = listen;
    if listen.ip().is_unspecified() {
        reachable.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Url::parse(&format!("http://{reachable}")).expect("an IP address and a port make an address")
}

fn web_address(text: &str) -> Result<Url, String> {
    let wrong = || format!("{} is not an address such as `https://ci.example.org`", quoted(text));
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| wrong())?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    match matches!(url.scheme(), "http" | "https") && url.has_host() && plain {
        true => Ok(url),
        false => Err(wrong()),
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    values::line(text).map(PathBuf::from).map_err(|why| format!("a path {why}"))
}

/// Not quoted when wrong: it may hold a password.
fn store_url(text: &str) -> Result<String, String> {
    let is_sqlite = text.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty() && !path.contains(":memory:"));
    let is_postgres = (text.starts_with("postgres://") || text.starts_with("postgresql://")) && Url::parse(text).is_ok();
    match is_sqlite || is_postgres {
        true => Ok(text.to_owned()),
        false => Err("`store.url` must be `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`".into()),
    }
}

fn engine(text: &str) -> Result<String, String> {
    match ["unix://", "tcp://", "http://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme)) {
        true => Ok(text.to_owned()),
        false => Err(format!("{} is not an engine's address such as `unix:///var/run/docker.sock`", quoted(text))),
    }
}

/// Room must be left for `/<suite>`: GitHub cuts nothing, people read it in a narrow column.
fn context_prefix(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'));
    match plain && (1..=60).contains(&text.len()) && !text.starts_with('/') && !text.ends_with('/') {
        true => Ok(text.to_owned()),
        false => Err(format!("{} is not a prefix: 1 to 60 of letters, digits, `-`, `_`, `.` and `/`", quoted(text))),
    }
}

fn within(key: &str, number: u64, most: u32) -> Result<u32, String> {
    let fits = u32::try_from(number).ok().filter(|number| (1..=most).contains(number));
    fits.ok_or_else(|| format!("`{key}` must be 1 to {most}, not {number}"))
}

fn period(text: &str, most: Duration) -> Result<SignedDuration, String> {
    let duration = values::duration(text, most)?;
    Ok(SignedDuration::try_from(duration).expect("bounded by some years"))
}
