//! Who speaks for a repository: a personal token, or the App's installation on it with a token that is renewed in time.
//! Tokens live in memory only, and one at a time is asked for per installation.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use octocrab::Octocrab;
use octocrab::jsonwebtoken::{self, Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::sync::Mutex;

use super::answers;
use super::api::{Api, Call};
use super::failure;
use super::traffic::CallKind;
use super::{Auth, BadSettings};
use crate::domain::names::RepoName;
use crate::ports::ForgeError;

/// A token this close to its end is not used any more.
const MARGIN: Duration = Duration::from_secs(120);

/// GitHub takes App tokens of at most ten minutes; a minute before now allows for its clock being behind.
const JWT_BEFORE: i64 = 60;
const JWT_AFTER: i64 = 9 * 60;

/// What we hold.
pub(super) enum Credentials {
    Token(SecretString),
    App(Box<App>),
}

/// A GitHub App and where it was found installed.
pub(super) struct App {
    id: u64,
    key: EncodingKey,
    by_repo: RwLock<HashMap<RepoName, Arc<Installation>>>,
    /// Held while an installation is looked for, so that each is looked for once.
    by_id: Mutex<HashMap<u64, Arc<Installation>>>,
}

struct Installation {
    id: u64,
    /// Locked while a token is asked for, so that all who need one wait for the same.
    token: Mutex<Option<Token>>,
}

struct Token {
    secret: SecretString,
    expires_at: Timestamp,
}

/// An octocrab that may speak for a repository.
pub(super) struct Access {
    pub(super) octocrab: Octocrab,
    /// Where its token came from, if it can be renewed.
    source: Option<(Arc<Installation>, SecretString)>,
}

impl Access {
    /// Forgets a token that GitHub refused. Says whether asking for another makes sense.
    pub(super) async fn discard(&self) -> bool {
        let Some((installation, refused)) = &self.source else { return false };
        let mut token = installation.token.lock().await;
        // Somebody else may have renewed it meanwhile.
        if token.as_ref().is_some_and(|token| token.secret.expose_secret() == refused.expose_secret()) {
            *token = None;
        }
        true
    }
}

impl Credentials {
    pub(super) fn new(auth: Auth) -> Result<Self, BadSettings> {
        Ok(match auth {
            Auth::Token(token) => Credentials::Token(token),
            Auth::App { app_id, private_key } => {
                let key = EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes());
                Credentials::App(Box::new(App {
                    id: app_id,
                    key: key.map_err(|_| BadSettings::PrivateKey)?,
                    by_repo: RwLock::default(),
                    by_id: Mutex::default(),
                }))
            }
        })
    }

    /// Access to a repository, with a token that holds for a while.
    pub(super) async fn access(&self, api: &Api, repo: &RepoName) -> Result<Access, ForgeError> {
        match self {
            Credentials::Token(token) => Ok(Access { octocrab: bearer(api, token)?, source: None }),
            Credentials::App(app) => {
                let (installation, token) = app.token_for(api, repo).await?;
                Ok(Access { octocrab: bearer(api, &token)?, source: Some((installation, token)) })
            }
        }
    }
}

/// The API with this token, over the connections that are there.
fn bearer(api: &Api, token: &SecretString) -> Result<Octocrab, ForgeError> {
    api.octocrab.user_access_token(token.clone()).map_err(|error| failure::unreachable("the token", &error))
}

impl App {
    async fn token_for(&self, api: &Api, repo: &RepoName) -> Result<(Arc<Installation>, SecretString), ForgeError> {
        let installation = self.installation(api, repo).await?;
        match self.token(api, &installation).await {
            // The App was taken off and perhaps installed again under another id.
            Err(ForgeError::NotFound(_)) => {
                self.forget(&installation).await;
                let installation = self.installation(api, repo).await?;
                let token = self.token(api, &installation).await?;
                Ok((installation, token))
            }
            token => token.map(|token| (installation, token)),
        }
    }

    async fn installation(&self, api: &Api, repo: &RepoName) -> Result<Arc<Installation>, ForgeError> {
        if let Some(known) = self.known(repo) {
            return Ok(known);
        }
        let mut by_id = self.by_id.lock().await;
        if let Some(known) = self.known(repo) {
            return Ok(known);
        }
        let what = format!("the GitHub App's installation on {repo}");
        let call = Call::get(CallKind::Installation, what, format!("/repos/{repo}/installation"));
        let found: answers::Installation = self.ask(api, &call).await?;
        let new = || Arc::new(Installation { id: found.id, token: Mutex::default() });
        let installation = Arc::clone(by_id.entry(found.id).or_insert_with(new));
        let mut by_repo = self.by_repo.write().unwrap_or_else(PoisonError::into_inner);
        by_repo.insert(repo.clone(), Arc::clone(&installation));
        Ok(installation)
    }

    fn known(&self, repo: &RepoName) -> Option<Arc<Installation>> {
        self.by_repo.read().unwrap_or_else(PoisonError::into_inner).get(repo).cloned()
    }

    async fn forget(&self, gone: &Installation) {
        self.by_id.lock().await.remove(&gone.id);
        let mut by_repo = self.by_repo.write().unwrap_or_else(PoisonError::into_inner);
        by_repo.retain(|_, installation| installation.id != gone.id);
    }

    async fn token(&self, api: &Api, installation: &Installation) -> Result<SecretString, ForgeError> {
        let mut slot = installation.token.lock().await;
        if let Some(token) = &*slot
            && token.expires_at > api.clock.now() + MARGIN
        {
            return Ok(token.secret.clone());
        }
        let what = "a token of the GitHub App's installation".to_owned();
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        let minted: answers::InstallationToken =
            self.ask(api, &Call::post(CallKind::Token, what, path, "{}".to_owned())).await?;
        *slot = Some(Token { secret: minted.token.clone(), expires_at: minted.expires_at });
        Ok(minted.token)
    }

    /// A call as the App itself.
    async fn ask<T: serde::de::DeserializeOwned>(&self, api: &Api, call: &Call) -> Result<T, ForgeError> {
        let octocrab = bearer(api, &self.jwt(api.clock.now())?)?;
        let response = api.exchange(&octocrab, call).await?;
        api.read(call, response).await?.json()
    }

    fn jwt(&self, now: Timestamp) -> Result<SecretString, ForgeError> {
        #[derive(Serialize)]
        struct Claims {
            iat: i64,
            exp: i64,
            iss: String,
        }
        let now = now.as_second();
        let claims = Claims { iat: now - JWT_BEFORE, exp: now + JWT_AFTER, iss: self.id.to_string() };
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key);
        signed
            .map(SecretString::from)
            .map_err(|error| ForgeError::Forbidden(format!("the App's key does not sign: {error}")))
    }
}
