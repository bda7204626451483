//! Gives the server's values their meaning and their defaults. Every value is looked at even when another is wrong.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::file::{
    CapacitySection, DockerSection, LimitsSection, LogSection, RepositoriesSection, ServerFile, ServerSection, Set,
};
use super::layers::{Layers, Merged, Misread, Origin};
use super::{Ambient, Capacity, Docker, Limits, Local, Log, LogFormat, NODE_IMAGES, ServerConfig};
use crate::config::problem::{ConfigError, quoted};
use crate::config::values;
use crate::domain::names::{BadName, SuiteName};
use crate::domain::overrides::{Overrides, Pattern};
use crate::ports::{Privileged, Route};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
const MIB: u64 = 1 << 20;

/// The configuration, or everything that is wrong. `name` is the file's, where there is one; `ambient` holds where no setting does.
pub(super) fn resolve(
    name: Option<&str>,
    layers: Layers,
    mut ambient: Ambient,
) -> Result<ServerConfig, Vec<ConfigError>> {
    let (file, mut resolver) = Resolver::of(name, layers);
    let (listen, public_url, data_dir) = resolver.server(file.server);
    let docker_host = ambient.docker_host.take();
    let config = ServerConfig {
        github: resolver.github(file.github, ambient),
        store_url: resolver.store(file.store.url, &data_dir),
        docker: resolver.docker(file.docker, docker_host),
        capacity: resolver.capacity(file.capacity),
        repositories: resolver.repositories(file.repositories),
        limits: resolver.limits(file.limits),
        artifacts: resolver.artifacts(file.artifacts),
        secrets: resolver.secrets(file.secrets),
        log: resolver.log(file.log),
        listen,
        public_url,
        data_dir,
    };
    resolver.finish(config)
}

/// What is on this machine, whatever else is missing.
pub(super) fn resolve_local(layers: Layers, docker_host: Option<String>) -> Result<Local, Vec<ConfigError>> {
    let (file, mut resolver) = Resolver::of(None, layers);
    let (_, _, data_dir) = resolver.server(file.server);
    let store_url = resolver.store(file.store.url, &data_dir);
    let docker = resolver.docker(file.docker, docker_host);
    resolver.finish(Local { docker, data_dir, store_url })
}

/// The way to GitHub, whatever else is missing.
pub(super) fn resolve_route(layers: Layers, ambient: Ambient) -> Result<Route, Vec<ConfigError>> {
    let (mut file, mut resolver) = Resolver::of(None, layers);
    let route = resolver.route(&mut file.github, ambient);
    resolver.finish(route)
}

pub(super) struct Resolver<'a> {
    /// The file, where there is one.
    name: Option<&'a str>,
    origins: Vec<Origin>,
    problems: Vec<ConfigError>,
    misread: Misread,
}

impl<'a> Resolver<'a> {
    fn of(name: Option<&'a str>, layers: Layers) -> (ServerFile, Self) {
        let Merged { file, origins, problems, misread } = layers.merged();
        (file, Self { name, origins, problems, misread })
    }

    /// The value, if nothing was wrong; otherwise what was: of the file from top to bottom, then of the rest.
    fn finish<T>(mut self, value: T) -> Result<T, Vec<ConfigError>> {
        if self.problems.is_empty() {
            return Ok(value);
        }
        self.problems.sort_by_key(|problem| (problem.line.is_none(), problem.line, problem.column));
        Err(self.problems)
    }
}

impl Resolver<'_> {
    /// Whether one of the keys may have been given, but was not understood: the problem is noted, and it is not missing.
    pub(super) fn is_misread(&self, keys: &[impl AsRef<str>]) -> bool {
        keys.iter().any(|key| self.misread.may_hold(key.as_ref()))
    }

    /// Notes that something is missing, with a way to give it.
    pub(super) fn missing(&mut self, what: &str, variable: &str) {
        let problem = match self.name {
            Some(file) => ConfigError::whole(file, format!("{what} is missing")),
            None => ConfigError::whole(
                "configuration",
                format!("{what} is missing: give the server's file with `--config FILE`, or set `{variable}`"),
            ),
        };
        self.problems.push(problem);
    }

    /// What `parse` makes of the value; the default where there is none or, after noting a problem, where it is wrong.
    pub(super) fn read<V, T>(&mut self, set: Option<Set<V>>, default: T, parse: impl Fn(&V) -> Result<T, String>) -> T {
        self.read_some(set, parse).unwrap_or(default)
    }

    pub(super) fn read_some<V, T>(
        &mut self,
        set: Option<Set<V>>,
        parse: impl Fn(&V) -> Result<T, String>,
    ) -> Option<T> {
        let set = set?;
        let parsed = parse(&set.value);
        parsed.map_err(|message| self.add(set.origin, message)).ok()
    }

    pub(super) fn add(&mut self, origin: usize, message: impl Into<String>) {
        self.problems.push(self.origins[origin].problem(message));
    }

    fn server(&mut self, section: ServerSection) -> (SocketAddr, Url, PathBuf) {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        let listen = self.read(section.listen, default, |text| {
            text.parse().map_err(|_| format!("{} is not an address such as `127.0.0.1:8080`", quoted(text)))
        });
        let public_url = self.read(section.public_url, local_url(listen), |text| values::web_address(text));
        let data_dir = self.read(section.data_dir, PathBuf::from(".portcullis"), |text| path(text));
        (listen, public_url, data_dir)
    }

    fn store(&mut self, url: Option<Set<String>>, data_dir: &Path) -> SecretString {
        let default = format!("sqlite:{}", data_dir.join("portcullis.db").display());
        self.read(url, default, |text| store_url(text)).into()
    }

    fn docker(&mut self, section: DockerSection, docker_host: Option<String>) -> Docker {
        Docker {
            host: self.read_some(section.host, |text| engine(text)).or(docker_host),
            node_images: self
                .read_some(section.node_image, |text| Ok(vec![values::image(text)?]))
                .unwrap_or_else(|| NODE_IMAGES.map(str::to_owned).to_vec()),
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
        let broken_per_hour = self.read(section.broken_per_hour, 6, |n| within("capacity.broken_per_hour", *n, 1000));
        Capacity { clusters, runs_per_repo, broken_per_hour }
    }

    fn repositories(&mut self, section: RepositoriesSection) -> Overrides {
        Overrides {
            only: self.each(section.only, str::parse),
            labels: self.each(section.labels, |text| pair(text, values::line)),
            suites: self.each(section.suites, |text| pair(text, |suites| suites.split('+').map(suite).collect())),
            first: self.each(section.first, str::parse),
        }
    }

    fn each<T>(&mut self, set: Option<Set<Vec<String>>>, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.read_some(set, |texts| texts.iter().map(|text| parse(text)).collect()).unwrap_or_default()
    }

    fn limits(&mut self, section: LimitsSection) -> Limits {
        Limits {
            lease: self.read(section.lease, SignedDuration::from_hours(6), |text| period(text, 7 * DAY)),
            keep_deliveries: self
                .read(section.keep_deliveries, SignedDuration::from_hours(7 * 24), |text| period(text, 3660 * DAY)),
            keep_statistics: self
                .read(section.keep_statistics, SignedDuration::from_hours(180 * 24), |text| period(text, 3660 * DAY)),
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

/// `owner/name=value`.
fn pair<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<(Pattern, T), String> {
    let (repo, value) =
        text.split_once('=').ok_or_else(|| format!("{} is not of the form `owner/name=value`", quoted(text)))?;
    Ok((repo.trim().parse()?, parse(value.trim())?))
}

fn suite(name: &str) -> Result<SuiteName, String> {
    name.trim().parse().map_err(|bad: BadName| bad.to_string())
}

fn local_url(listen: SocketAddr) -> Url {
    let mut reachable = listen;
    if listen.ip().is_unspecified() {
        reachable.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Url::parse(&format!("http://{reachable}")).expect("an IP address and a port make an address")
}

fn path(text: &str) -> Result<PathBuf, String> {
    values::line(text).map(PathBuf::from).map_err(|why| format!("a path {why}"))
}

/// Not quoted when wrong: it may hold a password.
fn store_url(text: &str) -> Result<String, String> {
    let is_sqlite = text.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty() && !path.contains(":memory:"));
    let is_postgres =
        (text.starts_with("postgres://") || text.starts_with("postgresql://")) && Url::parse(text).is_ok();
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

fn within(key: &str, number: u64, most: u32) -> Result<u32, String> {
    let fits = u32::try_from(number).ok().filter(|number| (1..=most).contains(number));
    fits.ok_or_else(|| format!("`{key}` must be 1 to {most}, not {number}"))
}

pub(super) fn period(text: &str, most: Duration) -> Result<SignedDuration, String> {
    let duration = values::duration(text, most)?;
    Ok(SignedDuration::try_from(duration).expect("bounded by some years"))
}
