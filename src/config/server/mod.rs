//! The server's own configuration: file, environment and secret files in, checked values out. Secrets stay wrapped and are
//! never part of a message.

mod artifacts;
mod file;
mod github;
mod layers;
mod resolve;
mod secrets;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use schemars::generate::SchemaSettings;
use secrecy::SecretString;
use url::Url;

use crate::domain::names::RepoName;

use super::problem::ConfigError;
use crate::domain::overrides::Overrides;
use crate::domain::secret::Secrets;
use crate::ports::{ArtifactPlace, Privileged, Route};
use file::ServerFile;
use layers::Layers;

/// Everything the composition root needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    /// Links in statuses start with it; without a trailing slash in its path.
    pub public_url: Url,
    pub data_dir: PathBuf,
    pub github: Github,
    /// `sqlite:PATH` or `postgres://…`; secret because it may hold a password.
    pub store_url: SecretString,
    pub docker: Docker,
    pub capacity: Capacity,
    /// What holds for single repositories.
    pub repositories: Overrides,
    pub limits: Limits,
    pub artifacts: Artifacts,
    /// What gates may ask for by name.
    pub secrets: Secrets,
    pub log: Log,
}

/// What commands beside the service need: nothing of GitHub.
#[derive(Debug, Clone)]
pub struct Local {
    pub docker: Docker,
    pub data_dir: PathBuf,
    pub store_url: SecretString,
}

/// How to speak to GitHub.
#[derive(Debug, Clone)]
pub struct Github {
    pub api_url: Url,
    pub route: Route,
    pub credentials: Credentials,
    /// At least one; a delivery signed with any of them is genuine.
    pub webhook_secrets: Vec<SecretString>,
    /// Repositories that are compared with what is stored, beside those an App was let into.
    pub repositories: Vec<RepoName>,
    /// Between two such comparisons.
    pub catch_up: SignedDuration,
    /// What status contexts start with, without the slash.
    pub context_prefix: String,
}

/// Who we are on GitHub.
#[derive(Debug, Clone)]
pub enum Credentials {
    Token(SecretString),
    App {
        id: u64,
        /// PEM.
        private_key: SecretString,
    },
}

/// Node images where none is configured: our own where it was built, else the public one of the same version.
pub const NODE_IMAGES: [&str; 2] = ["portcullis/node:1.34.4", "rancher/k3s:v1.34.4-k3s1"];

/// The Docker engine that clusters and suites run on.
#[derive(Debug, Clone)]
pub struct Docker {
    /// `unix://…` or `tcp://…`; the usual socket where absent.
    pub host: Option<String>,
    /// Node images for plans that name none: the first that the engine has, or else the last is pulled.
    pub node_images: Vec<String>,
    pub privileged: Privileged,
    /// OCI runtime of the nodes; the engine's default where absent.
    pub runtime: Option<String>,
}

/// How much may run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    pub clusters: u32,
    pub runs_per_repo: u32,
    pub broken_per_hour: u32,
}

/// Bounds on what a run may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A cluster is taken away after this, whatever happened.
    pub lease: SignedDuration,
    /// How long processed deliveries are kept.
    pub keep_deliveries: SignedDuration,
    /// How long what was seen of specs is kept.
    pub keep_statistics: SignedDuration,
    pub archive_bytes: u64,
    pub results_bytes: u64,
}

/// Where files of runs go when they are over, and for how long.
#[derive(Debug, Clone)]
pub struct Artifacts {
    /// The data folder where absent.
    pub store: Option<ArtifactPlace>,
    pub keep: SignedDuration,
}

/// The service's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// Directives of `tracing`'s `EnvFilter`, checked.
    pub filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// What a configuration is made of.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerSource<'a> {
    /// Name for messages, and text.
    pub file: Option<(&'a str, &'a str)>,
    /// Names and values; variables that are not ours are passed over.
    pub environment: &'a [(String, String)],
}

impl ServerSource<'_> {
    fn ambient(&self) -> Ambient {
        let ambient = |wanted: &[&str]| {
            let named = |(name, value): &&(String, String)| wanted.contains(&name.as_str()) && !value.is_empty();
            self.environment.iter().find(named).map(|(_, value)| value.clone())
        };
        Ambient {
            docker_host: ambient(&["DOCKER_HOST"]),
            https_proxy: ambient(&["HTTPS_PROXY", "https_proxy"]),
            no_proxy: ambient(&["NO_PROXY", "no_proxy"]),
        }
    }
}

impl ServerConfig {
    /// Reads the file, if one is given, and the process's environment.
    ///
    /// # Errors
    /// Everything that is wrong; never with a secret's text.
    pub fn load(file: Option<&Path>) -> Result<Self, Vec<ConfigError>> {
        let environment = environment()?;
        let (name, text) = read(file)?.unzip();
        Self::parse(ServerSource { file: name.as_deref().zip(text.as_deref()), environment: &environment })
    }

    /// What is on this machine alone, for commands that need no service. The rest is not looked at.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_local(file: Option<&Path>) -> Result<Local, Vec<ConfigError>> {
        let environment = environment()?;
        let (name, text) = read(file)?.unzip();
        let source = ServerSource { file: name.as_deref().zip(text.as_deref()), environment: &environment };
        resolve::resolve_local(Self::layers(&source), source.ambient().docker_host)
    }

    /// The way to GitHub alone (proxy, hosts that go without it, extra certificates), for commands that need no service.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_route(file: Option<&Path>) -> Result<Route, Vec<ConfigError>> {
        let environment = environment()?;
        let (name, text) = read(file)?.unzip();
        let source = ServerSource { file: name.as_deref().zip(text.as_deref()), environment: &environment };
        resolve::resolve_route(Self::layers(&source), source.ambient())
    }

    /// Makes a configuration of texts. Reads the secret files they name.
    ///
    /// # Errors
    /// Everything that is wrong; never with a secret's text.
    pub fn parse(source: ServerSource<'_>) -> Result<Self, Vec<ConfigError>> {
        let name = source.file.map(|(name, _)| name);
        resolve::resolve(name, Self::layers(&source), source.ambient())
    }

    fn layers(source: &ServerSource<'_>) -> Layers {
        let mut layers = Layers::new();
        if let Some((name, text)) = source.file {
            layers.add_file(name, text);
        }
        for (name, value) in source.environment {
            layers.add_variable(name, value);
        }
        layers
    }
}

/// The file's name for messages, and its text.
fn read(file: Option<&Path>) -> Result<Option<(String, String)>, Vec<ConfigError>> {
    let Some(path) = file else { return Ok(None) };
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((name, text))),
        Err(error) => Err(vec![ConfigError::whole(&name, format!("cannot be read: {error}"))]),
    }
}

/// Variables that everybody uses alike.
const AMBIENT: [&str; 5] = ["DOCKER_HOST", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"];

/// What they say, where they say anything.
struct Ambient {
    docker_host: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Option<String>,
}

/// The JSON Schema of the server's file.
pub fn schema() -> schemars::Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<ServerFile>()
}

/// The process's variables that could be ours. One of ours that is no text is a problem, anybody else's is not.
fn environment() -> Result<Vec<(String, String)>, Vec<ConfigError>> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let is_used = |name: &&str| name.starts_with("PORTCULLIS_") || AMBIENT.contains(name);
        let Some(name) = name.to_str().filter(is_used) else { continue };
        let value = value.into_string().map_err(|_| vec![ConfigError::whole(name, "is not UTF-8")])?;
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}
