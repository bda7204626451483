//! The GitHub App, seen from a test.

use std::time::Duration;

use anyhow::Context;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use jsonwebtoken::DecodingKey;

use super::Github;
use super::hook::Hook;
use crate::state::access::{App, Installation, Level};
use crate::state::hook::HookOwner;
use crate::state::user::Kind;

/// Bytes of PKCS#8 before an RSA key of 2048 bits.
const PKCS8_HEAD: usize = 26;

/// What an App is made of.
#[derive(Debug, Clone)]
pub struct AppSpec {
    pub slug: String,
    pub owner: String,
    /// By GitHub's names.
    pub permissions: Vec<(String, Level)>,
    /// The public half of the App's key, PEM. `None`: a key is made.
    pub public_key_pem: Option<String>,
}

impl Default for AppSpec {
    fn default() -> Self {
        let permissions = [
            ("checks", Level::Write),
            ("contents", Level::Read),
            ("issues", Level::Write),
            ("members", Level::Read),
            ("metadata", Level::Read),
            ("pull_requests", Level::Write),
            ("statuses", Level::Write),
        ];
        Self {
            slug: "portcullis".to_owned(),
            owner: "acme".to_owned(),
            permissions: permissions.map(|(name, level)| (name.to_owned(), level)).to_vec(),
            public_key_pem: None,
        }
    }
}

/// What the App's operator gets.
#[derive(Debug, Clone)]
pub struct AppCredentials {
    pub app_id: u64,
    /// PKCS#1, PEM, as GitHub gives it. Empty when the spec brought its own public key.
    pub private_key_pem: String,
}

impl Github {
    /// Registers the App, in place of an earlier one.
    ///
    /// # Errors
    /// When the spec's public key is none.
    pub fn register_app(&self, spec: AppSpec) -> anyhow::Result<AppCredentials> {
        let (private_key_pem, public_key_pem) = match spec.public_key_pem {
            Some(public) => (String::new(), public),
            None => new_key()?,
        };
        DecodingKey::from_rsa_pem(public_key_pem.as_bytes()).context("the App's public key cannot be read")?;
        let mut world = self.shared.world();
        world.ensure_account(&spec.owner, Kind::Organization);
        world.ensure_account(&format!("{}[bot]", spec.slug), Kind::Bot);
        let (app_id, created_at) = (world.next_id(), world.clock.now());
        world.app = Some(App {
            id: app_id,
            slug: spec.slug,
            owner: spec.owner,
            public_key_pem: public_key_pem.into_bytes(),
            permissions: spec.permissions.into_iter().collect(),
            events: vec!["pull_request".to_owned(), "issue_comment".to_owned(), "check_run".to_owned()],
            created_at,
            installations: Vec::new(),
        });
        Ok(AppCredentials { app_id, private_key_pem })
    }

    /// Installs the App in an account, for these repositories or, without any, for all. Gives the installation.
    ///
    /// # Panics
    /// Without an App.
    pub fn install_app(&self, account: &str, repositories: &[&str]) -> u64 {
        let mut world = self.shared.world();
        world.ensure_account(account, Kind::Organization);
        let (id, created_at) = (world.next_id(), world.clock.now());
        let selected: Vec<String> = repositories.iter().map(|name| name.to_ascii_lowercase()).collect();
        world.app.as_mut().expect("register the App first").installations.push(Installation {
            id,
            account: account.to_owned(),
            repositories: (!selected.is_empty()).then_some(selected),
            suspended_at: None,
            created_at,
        });
        id
    }

    /// Suspends an installation or lifts the suspension.
    pub fn suspend_installation(&self, id: u64, suspended: bool) {
        let mut world = self.shared.world();
        let now = world.clock.now();
        let installations = world.app.iter_mut().flat_map(|app| &mut app.installations);
        for installation in installations.filter(|installation| installation.id == id) {
            installation.suspended_at = suspended.then_some(now);
        }
    }

    /// Takes an installation away: its tokens are worthless and its repositories out of the App's sight.
    pub fn uninstall_app(&self, id: u64) {
        let mut world = self.shared.world();
        if let Some(app) = &mut world.app {
            app.installations.retain(|installation| installation.id != id);
        }
    }

    /// Sends the App's events, of every repository it is installed in, to `url`.
    pub fn app_webhook(&self, url: &str, secret: &str) -> Hook {
        Hook::add(self, HookOwner::App, url, secret)
    }

    /// The hook that the App gets its events through, where it has one.
    #[must_use]
    pub fn app_hook(&self) -> Option<Hook> {
        let world = self.shared.world();
        let found = world.hooks.all.iter().rfind(|hook| hook.owner == HookOwner::App)?;
        Some(Hook::of(self, found.id))
    }

    /// Makes every installation token expire after this much more time, instead of waiting for its hour.
    pub fn expire_installation_tokens(&self) {
        self.skip_time(Duration::from_secs(3_600));
    }
}

/// A fresh pair of private and public key, PEM. GitHub's private keys are RSA's own format (PKCS#1).
pub(crate) fn new_key() -> anyhow::Result<(String, String)> {
    let pair = KeyPair::generate(KeySize::Rsa2048).context("no key could be made")?;
    let private: Pkcs8V1Der<'_> = pair.as_der().context("the private key has no encoding")?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().context("the public key has no encoding")?;
    // PKCS#8 puts a head of fixed length before the key itself.
    let bare = private.as_ref().get(PKCS8_HEAD..).context("the private key is too short")?;
    Ok((pem("RSA PRIVATE KEY", bare), pem("PUBLIC KEY", public.as_ref())))
}

fn pem(name: &str, der: &[u8]) -> String {
    let flat = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        flat.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
    format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", lines.join("\n"))
}
