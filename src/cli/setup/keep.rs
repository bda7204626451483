//! Where a new App's credentials go: files that only their owner reads, whole or not at all, and never over others unasked.
//! What GitHub gave is held until it is written, because GitHub gives it once.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;
use url::Url;

use super::Args;
use super::addresses;
use crate::adapters::github::{RegisteredApp, Registrar};
use crate::ports::ForgeError;
use crate::ports::registration::{Registered, Registration, Unregistered};

/// Which files will be written.
pub(super) struct Files {
    key: PathBuf,
    secret: PathBuf,
    config: PathBuf,
    /// The file was there before: it is somebody's own and stays as it is.
    config_exists: bool,
    overwrite: bool,
    public_url: Url,
    github_url: Url,
}

impl Files {
    /// Checked before GitHub is asked for anything.
    pub(super) fn planned(args: &Args) -> anyhow::Result<Self> {
        let config = std::path::absolute(&args.config).context("the server's file has no place")?;
        let folder = match &args.directory {
            Some(folder) => std::path::absolute(folder).context("the folder has no place")?,
            None => config.parent().map(Path::to_owned).unwrap_or_default(),
        };
        let files = Self {
            key: folder.join("github-app.pem"),
            secret: folder.join("github-webhook-secret"),
            config_exists: config.exists(),
            config,
            overwrite: args.overwrite,
            public_url: args.url.clone(),
            github_url: args.github_url.clone(),
        };
        for file in [&files.key, &files.secret] {
            if file.exists() && !files.overwrite {
                bail!("{} is there already; `--overwrite` writes over it", file.display());
            }
            let folder = file.parent().unwrap_or(Path::new("/"));
            NamedTempFile::new_in(folder).with_context(|| format!("cannot write to {}", folder.display()))?;
        }
        Ok(files)
    }

    /// The section that uses the files.
    fn section(&self, app: u64) -> String {
        let quoted = |path: &Path| toml::Value::String(path.display().to_string());
        let own = self.github_url.as_str().trim_end_matches('/') != addresses::GITHUB;
        let api = addresses::api(&self.github_url);
        let api =
            own.then(|| format!("api_url = {}\n", toml::Value::String(api.as_str().trim_end_matches('/').to_owned())));
        format!(
            "[github]\n{}app_id = {app}\nprivate_key_file = {}\nwebhook_secret_file = {}\n",
            api.unwrap_or_default(),
            quoted(&self.key),
            quoted(&self.secret)
        )
    }

    /// Writes what is not written yet. Stopped in between, the rest can be written later.
    fn write(&self, held: &mut Held) -> anyhow::Result<()> {
        if !held.has_key {
            self.put(&self.key, held.app.private_key.expose_secret())?;
            held.has_key = true;
        }
        if let (Some(secret), false) = (&held.app.webhook_secret, held.has_secret) {
            self.put(&self.secret, &format!("{}\n", secret.expose_secret()))?;
            held.has_secret = true;
        }
        if !self.config_exists && !held.has_config {
            let server = format!("[server]\npublic_url = {}\n", toml::Value::String(self.service()));
            fresh(&self.config, &format!("{server}\n{}", self.section(held.app.id)))?;
            held.has_config = true;
        }
        Ok(())
    }

    fn put(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        match self.overwrite {
            true => {
                whole(path, text)?.persist(path).map(drop).with_context(|| format!("cannot write {}", path.display()))
            }
            false => fresh(path, text),
        }
    }

    fn service(&self) -> String {
        self.public_url.as_str().trim_end_matches('/').to_owned()
    }

    /// What is where, and what remains to be done.
    fn told(&self, held: &Held, install: &str, settings: &str) -> Vec<String> {
        let mut lines = vec![format!("its private key: {}", self.key.display())];
        lines.push(match held.has_secret {
            true => format!("its webhook secret: {}", self.secret.display()),
            false => format!(
                "GitHub made no webhook secret: set one at {settings} and write it to {}",
                self.secret.display()
            ),
        });
        if held.has_config {
            lines.push(format!("the server's file: {}", self.config.display()));
        } else {
            lines.push(format!("\nPut this into {}:\n", self.config.display()));
            lines.extend(self.section(held.app.id).lines().map(|line| format!("    {line}")));
        }
        lines.push(format!("\nNext: install the App in your repositories: {install}"));
        lines.push(format!("then: portcullis serve --config {}", self.config.display()));
        lines
    }
}

/// A file beside where it will be, for its owner alone, on the disk for good.
fn whole(path: &Path, text: &str) -> anyhow::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let written = NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    });
    written.with_context(|| format!("cannot write to {}", folder.display()))
}

/// A file that was not there before.
fn fresh(path: &Path, text: &str) -> anyhow::Result<()> {
    whole(path, text)?.persist_noclobber(path).map(drop).with_context(|| format!("cannot write {}", path.display()))
}

/// What GitHub gave, and how much of it is written.
struct Held {
    code: SecretString,
    app: RegisteredApp,
    has_key: bool,
    has_secret: bool,
    has_config: bool,
    registered: Option<Registered>,
}

/// Fetches credentials and keeps them.
pub(super) struct Keeper {
    registrar: Registrar,
    files: Files,
    /// Where Apps' settings are on GitHub.
    apps: String,
    held: Mutex<Option<Held>>,
}

impl Keeper {
    pub(super) fn new(registrar: Registrar, files: Files, apps: String) -> Self {
        Self { registrar, files, apps, held: Mutex::default() }
    }

    /// The App whose credentials are kept.
    pub(super) async fn registered(&self) -> Option<Registered> {
        self.held.lock().await.as_ref()?.registered.clone()
    }

    /// How to come by what GitHub gave and nobody wrote.
    pub(super) async fn left_over(&self) -> String {
        match self.held.lock().await.as_ref() {
            None => "; no App was made, or its code was not taken: unused Apps can be deleted on GitHub".to_owned(),
            Some(held) => format!("; the App exists, its credentials were not written. {}", self.rescue(&held.app)),
        }
    }

    fn settings(&self, app: &RegisteredApp) -> String {
        format!("{}/{}", self.apps, app.slug)
    }

    fn rescue(&self, app: &RegisteredApp) -> String {
        format!("A new private key and another webhook secret can be made at {}", self.settings(app))
    }
}

#[async_trait]
impl Registration for Keeper {
    async fn complete(&self, code: &str) -> Result<Registered, Unregistered> {
        let mut place = self.held.lock().await;
        let known = place.as_ref().is_some_and(|held| held.code.expose_secret() == code);
        if !known {
            if let Some(held) = place.as_ref() {
                let why =
                    format!("The App {} is made already, and its credentials are to be written first.", held.app.slug);
                return Err(Unregistered::Refused(why));
            }
            let app = self.registrar.convert(code).await.map_err(|error| refusal(&error))?;
            let (has_key, has_secret, has_config) = (false, false, false);
            let code = SecretString::from(code.to_owned());
            *place = Some(Held { code, app, has_key, has_secret, has_config, registered: None });
        }
        let held = place.as_mut().expect("it was put there");
        if let Err(error) = self.files.write(held) {
            let why = format!(
                "{error:#}. Nothing is lost: mend it and load this page again. {} if this program ends before.",
                self.rescue(&held.app)
            );
            super::out::problem(&why);
            return Err(Unregistered::Later(why));
        }
        let install_url = format!("{}/installations/new", held.app.html_url.as_str().trim_end_matches('/'));
        let told = self.files.told(held, &install_url, &self.settings(&held.app));
        let registered = Registered { name: held.app.slug.clone(), install_url, told };
        held.registered = Some(registered.clone());
        Ok(registered)
    }
}

fn refusal(error: &ForgeError) -> Unregistered {
    match error {
        ForgeError::NotFound(_) | ForgeError::Rejected(_) | ForgeError::Forbidden(_) => Unregistered::Refused(
            "GitHub does not take the code it sent: it is older than an hour, was used before, or is none. \
             If an App was made, delete it on GitHub before you begin anew."
                .to_owned(),
        ),
        ForgeError::RateLimited { until } => {
            Unregistered::Later(format!("GitHub wants to hear nothing before {until:.0}: load this page again then."))
        }
        ForgeError::Transient(error) => {
            Unregistered::Later(format!("GitHub did not answer as it should ({error:#}): load this page again."))
        }
    }
}
