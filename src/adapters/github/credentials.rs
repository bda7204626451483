//! Who speaks for a repository: a personal token, or the App's installation on it with a token that is good for that
//! repository alone and renewed in time. Tokens live in memory only, and one at a time is asked for per repository.

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
use super::gauge::Gauge;
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
    Token(SecretString, Arc<Gauge>),
    App(Box<App>),
}

/// A GitHub App and where it was found installed.
pub(super) struct App {
    id: u64,
    key: EncodingKey,
    /// Of calls as the App itself.
    gauge: Arc<Gauge>,
    by_repo: RwLock<HashMap<RepoName, Arc<Seat>>>,
    /// What each installation is allowed, whatever repository it is used for. Held while an installation is looked for,
    /// so that each is looked for once.
    by_id: Mutex<HashMap<u64, Arc<Gauge>>>,
    /// Tokens that see no more of an installation than which repositories it has.
    listing: Mutex<HashMap<u64, Arc<Seat>>>,
}

/// The right to speak in one repository, or, without one, to ask an installation for its repositories.
struct Seat {
    installation: u64,
    repo: Option<RepoName>,
    gauge: Arc<Gauge>,
    /// Locked while a token is asked for, so that all who need one wait for the same.
    token: Mutex<Option<Token>>,
}

struct Token {
    secret: SecretString,
    expires_at: Timestamp,
}

/// As whom GitHub is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Speaker<'a> {
    /// Whoever may speak for the repository.
    For(&'a RepoName),
    /// The App itself; with a token, its owner.
    App,
    /// An installation of the App.
    Installation(u64),
}

/// An octocrab that may speak, and what GitHub allows it.
pub(super) struct Access {
    pub(super) octocrab: Octocrab,
    pub(super) gauge: Arc<Gauge>,
    /// Where its token came from, if it can be renewed.
    source: Option<(Arc<Seat>, SecretString)>,
}

impl Access {
    /// Forgets a token that GitHub refused. Says whether asking for another makes sense.
    pub(super) async fn discard(&self) -> bool {
        let Some((seat, refused)) = &self.source else { return false };
        let mut token = seat.token.lock().await;
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
            Auth::Token(token) => Credentials::Token(token, Arc::default()),
            Auth::App { app_id, private_key } => {
                let key = EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes());
                Credentials::App(Box::new(App {
                    id: app_id,
                    key: key.map_err(|_| BadSettings::PrivateKey)?,
                    gauge: Arc::default(),
                    by_repo: RwLock::default(),
                    by_id: Mutex::default(),
                    listing: Mutex::default(),
                }))
            }
        })
    }

    /// Access for a speaker, with a token that holds for a while.
    pub(super) async fn access(&self, api: &Api, speaker: Speaker<'_>) -> Result<Access, ForgeError> {
        match (self, speaker) {
            (Credentials::Token(token, gauge), _) => {
                Ok(Access { octocrab: bearer(api, token)?, gauge: Arc::clone(gauge), source: None })
            }
            (Credentials::App(app), Speaker::App) => {
                let octocrab = bearer(api, &app.jwt(api.clock.now())?)?;
                Ok(Access { octocrab, gauge: Arc::clone(&app.gauge), source: None })
            }
            (Credentials::App(app), Speaker::For(repo)) => app.token_for(api, repo).await,
            (Credentials::App(app), Speaker::Installation(id)) => {
                let seat = app.listing_seat(id).await;
                app.seated(api, seat).await
            }
        }
    }

    /// What GitHub allows whoever speaks for the repository; `None` where that is not known yet.
    pub(super) fn gauge(&self, repo: &RepoName) -> Option<Arc<Gauge>> {
        match self {
            Credentials::Token(_, gauge) => Some(Arc::clone(gauge)),
            Credentials::App(app) => app.known(repo).map(|seat| Arc::clone(&seat.gauge)),
        }
    }

    pub(super) fn is_app(&self) -> bool {
        match self {
            Credentials::Token(..) => false,
            Credentials::App(_) => true,
        }
    }
}

/// The API with this token, over the connections that are there.
fn bearer(api: &Api, token: &SecretString) -> Result<Octocrab, ForgeError> {
    api.octocrab.user_access_token(token.clone()).map_err(|error| failure::unreachable("the token", &error))
}

impl App {
    async fn token_for(&self, api: &Api, repo: &RepoName) -> Result<Access, ForgeError> {
        let seat = self.seat(api, repo).await?;
        match self.seated(api, Arc::clone(&seat)).await {
            // The App was taken off and perhaps installed again under another id, or for other repositories.
            Err(ForgeError::NotFound(_) | ForgeError::Rejected(_)) => {
                self.forget(&seat).await;
                let seat = self.seat(api, repo).await?;
                match self.seated(api, seat).await {
                    Err(ForgeError::Rejected(why)) => Err(ForgeError::NotFound(why)),
                    access => access,
                }
            }
            access => access,
        }
    }

    async fn seated(&self, api: &Api, seat: Arc<Seat>) -> Result<Access, ForgeError> {
        let token = self.token(api, &seat).await?;
        Ok(Access { octocrab: bearer(api, &token)?, gauge: Arc::clone(&seat.gauge), source: Some((seat, token)) })
    }

    async fn seat(&self, api: &Api, repo: &RepoName) -> Result<Arc<Seat>, ForgeError> {
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
        let gauge = Arc::clone(by_id.entry(found.id).or_default());
        let seat = Seat { installation: found.id, repo: Some(repo.clone()), gauge, token: Mutex::default() };
        let seat = Arc::new(seat);
        let mut by_repo = self.by_repo.write().unwrap_or_else(PoisonError::into_inner);
        by_repo.insert(repo.clone(), Arc::clone(&seat));
        Ok(seat)
    }

    async fn listing_seat(&self, installation: u64) -> Arc<Seat> {
        let gauge = Arc::clone(self.by_id.lock().await.entry(installation).or_default());
        let new = || Arc::new(Seat { installation, repo: None, gauge, token: Mutex::default() });
        Arc::clone(self.listing.lock().await.entry(installation).or_insert_with(new))
    }

    fn known(&self, repo: &RepoName) -> Option<Arc<Seat>> {
        self.by_repo.read().unwrap_or_else(PoisonError::into_inner).get(repo).cloned()
    }

    async fn forget(&self, gone: &Seat) {
        self.by_id.lock().await.remove(&gone.installation);
        let mut by_repo = self.by_repo.write().unwrap_or_else(PoisonError::into_inner);
        by_repo.retain(|_, seat| seat.installation != gone.installation);
    }

    /// A token that is good for this one seat and nothing else of the installation.
    async fn token(&self, api: &Api, seat: &Seat) -> Result<SecretString, ForgeError> {
        let mut slot = seat.token.lock().await;
        if let Some(token) = &*slot
            && token.expires_at > api.clock.now() + MARGIN
        {
            return Ok(token.secret.clone());
        }
        let what = "a token of the GitHub App's installation".to_owned();
        let path = format!("/app/installations/{}/access_tokens", seat.installation);
        let narrowed = match &seat.repo {
            Some(repo) => serde_json::json!({ "repositories": [repo.name()] }),
            None => serde_json::json!({ "permissions": { "metadata": "read" } }),
        };
        let minted: answers::InstallationToken =
            self.ask(api, &Call::post(CallKind::Token, what, path, narrowed.to_string())).await?;
        *slot = Some(Token { secret: minted.token.clone(), expires_at: minted.expires_at });
        Ok(minted.token)
    }

    /// A call as the App itself.
    async fn ask<T: serde::de::DeserializeOwned>(&self, api: &Api, call: &Call) -> Result<T, ForgeError> {
        self.gauge.admit(api.clock.now())?;
        let octocrab = bearer(api, &self.jwt(api.clock.now())?)?;
        let response = api.exchange(&octocrab, call).await?;
        self.gauge.note(response.headers());
        let answer = api.read(call, response).await;
        if let Err(ForgeError::RateLimited { until }) = &answer {
            self.gauge.close(*until);
        }
        answer?.json()
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
