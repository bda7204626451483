//! The server's file and the environment over it.

use std::path::Path;

use portcullis::config::server::{Credentials, LogFormat, NODE_IMAGES};
use portcullis::config::{ServerConfig, ServerSource, report};
use portcullis::ports::Privileged;
use secrecy::ExposeSecret;

const MINIMAL: &str = "[github]\ntoken = 'ghp_secret'\nwebhook_secrets = ['hook-secret']\n";

fn load(text: &str, environment: &[(&str, &str)]) -> Result<ServerConfig, String> {
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let source = ServerSource { file: Some(("server.toml", text)), environment: &environment };
    ServerConfig::parse(source).map_err(|problems| report(&problems))
}

fn environment_alone(environment: &[(&str, &str)]) -> Result<ServerConfig, String> {
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ServerConfig::parse(ServerSource { file: None, environment: &environment }).map_err(|problems| report(&problems))
}

#[test]
fn the_shortest_file_has_every_default() {
    let config = load(MINIMAL, &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(config.data_dir, Path::new(".portcullis"));
    assert_eq!(config.store_url.expose_secret(), "sqlite:.portcullis/portcullis.db");
    assert_eq!(config.github.api_url.as_str(), "https://api.github.com/");
    assert_eq!(config.github.context_prefix, "portcullis");
    assert_eq!((config.docker.host, config.docker.runtime), (None, None));
    assert_eq!(
        (&config.docker.node_images[..], config.docker.privileged),
        (&NODE_IMAGES.map(str::to_owned)[..], Privileged::Auto)
    );
    assert_eq!((config.capacity.clusters, config.capacity.runs_per_repo), (2, 2));
    assert_eq!((config.limits.lease.as_hours(), config.limits.keep_deliveries.as_hours()), (6, 168));
    assert_eq!((config.log.format, config.log.filter.as_str()), (LogFormat::Text, "info"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = format!("{MINIMAL}[server]\nlisten = '0.0.0.0:80'\n[capacity]\nclusters = 3\n");
    let environment = [
        ("PORTCULLIS_CAPACITY__CLUSTERS", "5"),
        ("PORTCULLIS_GITHUB__TOKEN", "ghp_other"),
        ("PORTCULLIS_GITHUB__WEBHOOK_SECRETS", "new, old"),
        ("PORTCULLIS_LOG__FORMAT", ""),
        ("PORTCULLIS_TEST_POSTGRES", "belongs to others"),
        ("PATH", "/bin"),
    ];
    let config = load(&file, &environment).unwrap();
    assert_eq!((config.capacity.clusters, config.capacity.runs_per_repo), (5, 5));
    let Credentials::Token(token) = &config.github.credentials else { panic!("a token") };
    assert_eq!(token.expose_secret(), "ghp_other");
    let secrets: Vec<_> = config.github.webhook_secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["new", "old"]);
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1/", "a listener on every address is reached on this host");
}

#[test]
fn the_environment_alone_is_enough() {
    let config = environment_alone(&[
        ("PORTCULLIS_GITHUB__TOKEN", "t"),
        ("PORTCULLIS_GITHUB__WEBHOOK_SECRETS", "s"),
        ("PORTCULLIS_STORE__URL", "postgres://u:p@localhost/db"),
        ("DOCKER_HOST", "unix:///run/user/1000/docker.sock"),
    ]);
    let config = config.unwrap();
    assert_eq!(config.docker.host.as_deref(), Some("unix:///run/user/1000/docker.sock"));
    assert_eq!(config.store_url.expose_secret(), "postgres://u:p@localhost/db");
}

#[test]
fn secrets_come_from_files_and_several_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    let hooks = folder.path().join("hooks");
    std::fs::write(&key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    std::fs::write(&hooks, "new\n\nold\n").unwrap();
    let text = format!(
        "[github]\napp_id = 7\nprivate_key_file = '{}'\nwebhook_secret_file = '{}'\n",
        key.display(),
        hooks.display()
    );
    let config = load(&text, &[]).unwrap();
    let Credentials::App { id, private_key } = &config.github.credentials else { panic!("an app") };
    assert_eq!(*id, 7);
    assert!(private_key.expose_secret().ends_with("-----END PRIVATE KEY-----"));
    assert_eq!(config.github.webhook_secrets.len(), 2);
}

#[test]
fn secrets_for_suites_come_from_the_file_files_and_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "  line one\nline two  \n\n").unwrap();
    let file = format!(
        "{MINIMAL}[secrets.plain]\nvalue = 'hunter2'\nrepositories = ['acme/a']\n\n[secrets.key]\nvalue_file = '{}'\n",
        key.display()
    );
    let environment = [
        ("PORTCULLIS_SECRETS__PLAIN__VALUE", "hunter3"),
        ("PORTCULLIS_SECRETS__OF_THE_CLOUD__VALUE", "hunter4"),
        ("PORTCULLIS_SECRETS__OF_THE_CLOUD__REPOSITORIES", "acme/a, acme/b"),
    ];
    let secrets = load(&file, &environment).unwrap().secrets.0;
    let shown: Vec<_> = secrets
        .iter()
        .map(|(name, secret)| (name.as_str(), secret.value.expose_secret(), secret.repositories.len()))
        .collect();
    let expected = [("key", "  line one\nline two  ", 0), ("of_the_cloud", "hunter4", 2), ("plain", "hunter3", 1)];
    assert_eq!(shown, expected);
    let shown = load(MINIMAL, &[("PORTCULLIS_SECRETS__PLAIN", "hunter2")]).unwrap_err();
    assert_eq!(shown, "PORTCULLIS_SECRETS__PLAIN: must be `PORTCULLIS_SECRETS__<NAME>__<KEY>`");
}

#[test]
fn no_secret_is_ever_shown() {
    let environment = [("PORTCULLIS_STORE__URL", "postgres://u:hunter2@localhost/db")];
    let file = format!("{MINIMAL}[secrets.x]\nvalue = 'hunter2'\nrepositories = ['acme/*']\n");
    let shown = format!("{:?}", load(&file, &environment).unwrap());
    for secret in ["ghp_secret", "hook-secret", "hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let wrong = "[github]\ntoken = ['hunter2']\nwebhook_secrets = 'hunter2'\nprivate_key = 'hunter2'\napp_id = 1\n[store]\nurl = 'mysql://u:hunter2@h'\n";
    for text in [
        wrong,
        "[secrets]\nx = 'hunter2'\n",
        "[secrets.x]\nvalue = ['hunter2']\n",
        "[github]\ntoken = hunter2\n",
        "[github]\ntoken = 'hunter2\n",
        "[github]\ntoken = \"\\hunter2\"\n",
    ] {
        let shown = load(text, &[]).unwrap_err();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// Text of a file and how its problems are shown, one a line.
const WRONG: &[(&str, &str)] = &[
    ("[github\n", "server.toml:1:8: "),
    ("[githup]\ntoken = 't'\n", "server.toml:1:2: there is no section `githup`; did you mean `github`?"),
    ("github = 3\n", "server.toml:1:1: `github` is a section: `[github]`"),
    ("[server]\nlisten = 'here'\n", "server.toml:2:10: `here` is not an address such as `127.0.0.1:8080`"),
    ("[server]\nlisten = 8080\n", "server.toml:2:10: `server.listen` must be a text in quotes"),
    ("[server]\nlissten = 'x'\n", "server.toml:2:1: `[server]` has no key `lissten`; did you mean `listen`?"),
    (
        "[server]\npublic_url = 'ftp://x'\n",
        "server.toml:2:14: `ftp://x` is not an address such as `https://ci.example.org`",
    ),
    ("[github]\ncontext_prefix = 'a b'\n", "server.toml:2:18: `a b` is not a prefix"),
    ("[github]\ntoken_file = '/nowhere/at/all'\n", "server.toml:2:14: `/nowhere/at/all` cannot be read: No such file"),
    ("[github]\ntoken = ''\n", "server.toml:2:9: `github.token` is empty"),
    ("[github]\napp_id = 5\n", "server.toml:2:10: an app needs `github.private_key`"),
    ("[github]\ntoken = 't'\napp_id = 5\n", "server.toml:2:9: either a token or an app, not both"),
    (
        "[github]\ntoken = 't'\ntoken_file = 'f'\n",
        "server.toml:3:14: either `github.token` or `github.token_file`, not both",
    ),
    ("[github]\napp_id = 5\nprivate_key = 'x'\n", "server.toml:3:15: this is no private key in PEM"),
    (
        "[github]\nwebhook_secrets = []\n",
        "server.toml:2:19: a webhook secret may not be empty, and there must be at least one",
    ),
    ("[store]\nurl = 'sqlite::memory:'\n", "server.toml:2:7: `store.url` must be `sqlite:PATH` or `postgres://"),
    ("[docker]\nprivileged = 'sometimes'\n", "server.toml:2:14: `sometimes` is not one of `auto`, `always`, `never`"),
    ("[docker]\nhost = 'localhost'\n", "server.toml:2:8: `localhost` is not an engine's address"),
    ("[capacity]\nclusters = 0\n", "server.toml:2:12: `capacity.clusters` must be 1 to 1000, not 0"),
    ("[capacity]\nclusters = -1\n", "server.toml:2:12: `capacity.clusters` must be a whole number"),
    ("[limits]\nlease = '8d'\n", "server.toml:2:9: `8d` is too long; at most 168 hours"),
    ("[limits]\narchive = 'big'\n", "server.toml:2:11: `big` is not a size such as `512Mi` or `2Gi`"),
    ("[secrets]\nx = 'hunter2'\n", "server.toml:2:1: this is a section: `[secrets.NAME]`"),
    ("[secrets.x]\nvalue = 'abc'\n", "server.toml:2:9: the secret `x` is shorter than 4 characters on every line"),
    (
        "[secrets.x]\nvalue_file = '/nowhere/at/all'\n",
        "server.toml:2:14: `/nowhere/at/all` cannot be read: No such file",
    ),
    (
        "[secrets.x]\nvalue = 'a'\nvalue_file = 'b'\n",
        "server.toml:2:9: either `secrets.x.value` or `value_file`, not both",
    ),
    (
        "[secrets.x]\nrepositories = ['acme/*']\n",
        "server.toml:2:16: the secret `x` has neither `value` nor `value_file`",
    ),
    ("[secrets.x]\n", "server.toml:1:10: `[secrets.x]` is empty"),
    ("[secrets.Up]\nvalue = 'hunter2'\n", "server.toml:2:9: `Up` is not a secret's name (a-z, 0-9 and single '_'"),
    (
        "[secrets.x]\nvalue = 'hunter2'\nrepositories = ['acme']\n",
        "server.toml:3:16: `acme` is not `owner/name` or a glob",
    ),
    ("[secrets.x]\nvlue = 'hunter2'\n", "server.toml:2:1: `[secrets.x]` has no key `vlue`; did you mean `value`?"),
    ("[log]\nfilter = 'a=b=c'\n", "server.toml:2:10: `a=b=c` is not a log filter"),
];

#[test]
fn each_mistake_is_named_at_its_place() {
    for (text, expected) in WRONG {
        let shown = load(text, &[]).expect_err(text);
        assert!(shown.lines().any(|line| line.starts_with(expected)), "{text}\n{shown}");
    }
}

#[test]
fn a_mistake_in_a_variable_is_named_by_the_variable() {
    let shown = load(
        MINIMAL,
        &[
            ("PORTCULLIS_CAPACITY__CLUSTERS", "two"),
            ("PORTCULLIS_CAPACITY__CLUSTER", "2"),
            ("PORTCULLIS_LOGS__FORMAT", "json"),
            ("PORTCULLIS_LIMITS__LEASE", "soon"),
        ],
    );
    let expected = [
        "PORTCULLIS_CAPACITY__CLUSTERS: `capacity.clusters` must be a whole number",
        "PORTCULLIS_CAPACITY__CLUSTER: `[capacity]` has no key `cluster`; did you mean `clusters`?",
        "PORTCULLIS_LOGS__FORMAT: there is no section `logs`; did you mean `log`?",
        "PORTCULLIS_LIMITS__LEASE: `soon` is not a duration such as `90s`, `5m` or `2h30m`",
    ];
    assert_eq!(shown.unwrap_err().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_missing_is_said_in_one_go() {
    let shown = environment_alone(&[]).unwrap_err();
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        [
            "configuration: `github.token`, `github.token_file`, or `github.app_id` with a private key is missing: \
             give the server's file with `--config FILE`, or set `PORTCULLIS_GITHUB__TOKEN`",
            "configuration: `github.webhook_secrets` or `github.webhook_secret_file` is missing: \
             give the server's file with `--config FILE`, or set `PORTCULLIS_GITHUB__WEBHOOK_SECRETS`",
        ]
    );
}

/// What cannot be read, or has a wrong kind or a misspelled name, was given: only that is said.
#[test]
fn what_was_not_understood_is_not_called_missing() {
    let secrets = "webhook_secrets = ['hook-secret']\n";
    for (text, expected) in [
        ("[github\ntoken = 't'\n".to_owned(), "server.toml:1:8: "),
        (format!("[githbu]\ntoken = 't'\n{secrets}"), "server.toml:1:2: there is no section `githbu`"),
        ("github = 'x'\n".to_owned(), "server.toml:1:1: `github` is a section"),
        (format!("[github]\napp_id = '5'\nprivate_key = 'x'\n{secrets}"), "server.toml:2:10: `github.app_id` must be"),
        (format!("[github]\ntokne = 't'\n{secrets}"), "server.toml:2:1: `[github]` has no key `tokne`"),
        (
            "[github]\ntoken = 't'\nwebhook_secrets = 's'\n".to_owned(),
            "server.toml:3:19: `github.webhook_secrets` must be",
        ),
        (
            format!("{MINIMAL}[artifacts]\naccess_key = 1\nsecret_key = 's'\n"),
            "server.toml:5:14: `artifacts.access_key`",
        ),
        (format!("{MINIMAL}[secrets.x]\nvalue = 1\nrepositories = []\n"), "server.toml:5:9: `secrets.x.value` must be"),
    ] {
        let shown = load(&text, &[]).unwrap_err();
        assert!(shown.starts_with(expected) && shown.lines().count() == 1, "{text}\n{shown}");
    }
}

#[test]
fn problems_of_the_file_come_from_top_to_bottom() {
    let shown =
        load("[server]\nlisten = 'here'\nlissten = 'x'\n[log]\nformat = 1\nfilter = 'a=b=c'\n", &[]).unwrap_err();
    let lines: Vec<_> = shown.lines().map(|line| line.split(':').nth(1).unwrap().trim()).collect();
    assert_eq!(lines[..4], ["2", "3", "5", "6"], "{shown}");
    assert!(lines[4..].iter().all(|line| line.starts_with("`github.")), "{shown}");
}

/// A variable that is passed over without a word would be looked for for hours. What others call alike is theirs.
#[test]
fn one_underscore_too_few_is_said() {
    let slips = [
        ("PORTCULLIS_GITHUB_TOKEN", "PORTCULLIS_GITHUB__TOKEN"),
        ("PORTCULLIS_GITHUB_TOKNE", "PORTCULLIS_GITHUB__TOKEN"),
        ("PORTCULLIS_CAPACITY_RUNS_PER_REPO", "PORTCULLIS_CAPACITY__RUNS_PER_REPO"),
        ("PORTCULLIS_SECRETS_REGISTRY_VALUE", "PORTCULLIS_SECRETS__<NAME>__<KEY>"),
    ];
    for (slip, right) in slips {
        let shown = load(MINIMAL, &[(slip, "hunter2")]).unwrap_err();
        assert_eq!(shown, format!("{slip}: two underscores separate section and key: `{right}`"));
    }
    let webhooks = ("PORTCULLIS_GITHUB__WEBHOOK_SECRETS", "s");
    let shown = environment_alone(&[("PORTCULLIS_GITHUB_TOKEN", "t"), webhooks]).unwrap_err();
    assert_eq!(shown.lines().count(), 1, "it is not called missing as well: {shown}");
    // Of tests, of suites, and of Kubernetes for Services of such names.
    let others = [
        "PORTCULLIS_IMAGES",
        "PORTCULLIS_UPDATE_DOCS",
        "PORTCULLIS_TEST_DOCKER",
        "PORTCULLIS_FOCUS",
        "PORTCULLIS_SERVICE_HOST",
        "PORTCULLIS_PORT_8080_TCP_ADDR",
        "PORTCULLIS_STORE_SERVICE_HOST",
        "PORTCULLIS_STORE_PORT",
    ];
    load(MINIMAL, &others.map(|name| (name, "1"))).unwrap();
}
