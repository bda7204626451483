//! The server's file as people write it. Every key may also be given by the environment, so that each value carries an
//! origin; the JSON Schema and the list of known keys are made from these types.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

/// Configuration of the server: TOML, every key also as `PORTCULLIS_<SECTION>__<KEY>` in the environment.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Server")]
pub(super) struct ServerFile {
    pub(super) server: ServerSection,
    pub(super) github: GithubSection,
    pub(super) store: StoreSection,
    pub(super) docker: DockerSection,
    pub(super) capacity: CapacitySection,
    pub(super) repositories: RepositoriesSection,
    pub(super) limits: LimitsSection,
    pub(super) artifacts: ArtifactsSection,
    /// Secrets for suites, by name: `[secrets.NAME]`.
    pub(super) secrets: BTreeMap<String, SecretSection>,
    pub(super) log: LogSection,
}

/// Where the service listens and keeps its files.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct ServerSection {
    /// Address and port. Default `127.0.0.1:8080`.
    pub(super) listen: Option<Set<String>>,
    /// How browsers reach the service: the links in statuses start with it. Default: `http://` and the listening address.
    pub(super) public_url: Option<Set<String>>,
    /// Folder for logs, reports, checkouts and the SQLite database. Default `.portcullis`.
    pub(super) data_dir: Option<Set<String>>,
}

/// How to speak to GitHub. Either a token or a GitHub App.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct GithubSection {
    /// Address of the REST API. Default `https://api.github.com`.
    pub(super) api_url: Option<Set<String>>,
    /// The HTTP proxy that GitHub is reached through, such as `http://proxy.example.org:3128`. Default: `HTTPS_PROXY`.
    pub(super) proxy: Option<Set<String>>,
    /// Hosts that are reached without the proxy, separated by commas. Default: `NO_PROXY`.
    pub(super) no_proxy: Option<Set<String>>,
    /// File with certificates, in PEM, of authorities that are trusted beside those the machine trusts.
    pub(super) ca_file: Option<Set<String>>,
    /// A personal or installation access token.
    pub(super) token: Option<Set<String>>,
    /// File that holds the token.
    pub(super) token_file: Option<Set<String>>,
    /// Number of the GitHub App.
    pub(super) app_id: Option<Set<u64>>,
    /// The app's private key in PEM.
    pub(super) private_key: Option<Set<String>>,
    /// File that holds the app's private key.
    pub(super) private_key_file: Option<Set<String>>,
    /// Secrets that webhooks are signed with; several while one is being replaced by another.
    pub(super) webhook_secrets: Option<Set<Vec<String>>>,
    /// File that holds the webhook secrets, one a line.
    pub(super) webhook_secret_file: Option<Set<String>>,
    /// Repositories whose open pull requests and webhook deliveries are looked at, as `owner/name`. A GitHub App looks at all that it was let into.
    pub(super) repositories: Option<Set<Vec<String>>>,
    /// Between two looks for what webhooks missed. Default `5m`.
    pub(super) catch_up: Option<Set<String>>,
    /// What the names of commit statuses start with. Default `portcullis`, as in `portcullis/smoke`.
    pub(super) context_prefix: Option<Set<String>>,
}

/// The database.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct StoreSection {
    /// `sqlite:PATH` or `postgres://…`. Default: `portcullis.db` in the data folder.
    pub(super) url: Option<Set<String>>,
}

/// The Docker engine that clusters and suites run on.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct DockerSection {
    /// `unix://…` or `tcp://…`. Default: `DOCKER_HOST`, else the usual socket.
    pub(super) host: Option<Set<String>>,
    /// Node image of clusters whose gate names none. Default `portcullis/node:1.34.4`.
    pub(super) node_image: Option<Set<String>>,
    /// Whether nodes run with Docker's `--privileged`. `auto` (default) tries it and falls back to narrower flags.
    #[schemars(extend("enum" = ["auto", "always", "never"]))]
    pub(super) privileged: Option<Set<String>>,
    /// OCI runtime of the nodes, such as `sysbox-runc`. Default: the engine's.
    pub(super) runtime: Option<Set<String>>,
}

/// What holds for single repositories, named as `owner/name` or by a glob such as `acme/*`. The first that fits counts.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct RepositoriesSection {
    /// Only these are served. Default: all.
    pub(super) only: Option<Set<Vec<String>>>,
    /// Labels in place of the gate's, such as `acme/infra=run-ci`.
    pub(super) labels: Option<Set<Vec<String>>>,
    /// The only suites that a gate may name, such as `acme/*=smoke+custom`.
    pub(super) suites: Option<Set<Vec<String>>>,
    /// Repositories whose runs go before those of others.
    pub(super) first: Option<Set<Vec<String>>>,
}

/// How much may run at once.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct CapacitySection {
    /// Clusters that may exist at once. Default 2.
    pub(super) clusters: Option<Set<u64>>,
    /// Runs of one repository that may be active at once. Default: as many as there are clusters.
    pub(super) runs_per_repo: Option<Set<u64>>,
    /// Clusters of one repository that may break within an hour before the next has to wait. Default 6.
    pub(super) broken_per_hour: Option<Set<u64>>,
}

/// Bounds on what a run may take.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct LimitsSection {
    /// A cluster is taken away after this, whatever happened. Default `6h`.
    pub(super) lease: Option<Set<String>>,
    /// How long processed webhooks are kept. Default `7d`.
    pub(super) keep_deliveries: Option<Set<String>>,
    /// How long it is kept how specs came out, for telling what flakes. Default `180d`.
    pub(super) keep_statistics: Option<Set<String>>,
    /// Largest repository archive that is fetched. Default `256Mi`.
    pub(super) archive: Option<Set<String>>,
    /// How much of a suite's results folder is kept. Default `1Gi`.
    pub(super) results: Option<Set<String>>,
}

/// Where logs, reports and diagnostics of runs go when they are over. Without `store` they stay in the data folder.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct ArtifactsSection {
    /// `s3://BUCKET`, `s3://BUCKET/PREFIX`, or a folder elsewhere.
    pub(super) store: Option<Set<String>>,
    /// Address of a service that speaks like S3. Default: Amazon's own.
    pub(super) endpoint: Option<Set<String>>,
    /// Default `us-east-1`.
    pub(super) region: Option<Set<String>>,
    /// Id of the access key. Without one the role of the machine is used.
    pub(super) access_key: Option<Set<String>>,
    /// The access key's secret.
    pub(super) secret_key: Option<Set<String>>,
    /// File that holds the access key's secret.
    pub(super) secret_key_file: Option<Set<String>>,
    /// How long files of runs are kept, and how each spec of theirs came out. Default `90d`.
    pub(super) keep_files: Option<Set<String>>,
}

/// A secret that gates may ask for by its name: lower-case letters, digits and `_`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct SecretSection {
    /// The secret itself.
    pub(super) value: Option<Set<String>>,
    /// File that holds it, in place of `value`.
    pub(super) value_file: Option<Set<String>>,
    /// Repositories whose gates may ask for it, as `owner/name` or by a glob such as `acme/*`. Default: none.
    pub(super) repositories: Option<Set<Vec<String>>>,
}

/// The service's own log.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(super) struct LogSection {
    /// `text` (default) or `json`.
    #[schemars(extend("enum" = ["text", "json"]))]
    pub(super) format: Option<Set<String>>,
    /// What is logged, such as `info` (default) or `portcullis=debug,info`.
    pub(super) filter: Option<Set<String>>,
}

/// A value with the number of its origin. No `Debug`: some of them are secrets.
#[derive(Clone, Deserialize)]
pub(super) struct Set<T> {
    pub(super) value: T,
    pub(super) origin: usize,
}

/// The origin is no part of what people write.
impl<T: JsonSchema> JsonSchema for Set<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }
}
