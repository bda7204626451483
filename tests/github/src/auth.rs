//! Who asks, and whether they may. Refuses as GitHub does: 401 for unknown tokens, 404 for what a caller may not
//! see, 403 for what it may see but not do.

use base64::Engine;
use http::{HeaderMap, StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::reply::Refusal;
use crate::state::World;
use crate::state::access::{Grant, InstallationToken, Level, Permissions, Token};
use crate::state::user::Permission;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    Anonymous,
    Person {
        login: String,
        grant: Grant,
    },
    /// The App itself, by a signed token.
    App,
    Installation(InstallationToken),
}

impl Caller {
    /// For logs and for counting requests; empty for nobody.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Anonymous => String::new(),
            Self::Person { login, .. } => login.clone(),
            Self::App => "app".to_owned(),
            Self::Installation(token) => format!("installation {}", token.installation),
        }
    }
}

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs {
    Nothing,
    /// Any valid personal or installation token.
    Token,
    /// The App's own signed token.
    App,
    /// Something in the repository the path names.
    Repository {
        permission: &'static str,
        level: Level,
        role: Permission,
    },
    /// As `Repository`, but only GitHub Apps may: check runs.
    RepositoryApp {
        permission: &'static str,
        level: Level,
    },
}

impl World {
    /// Reads the caller from the `Authorization` header.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let Some(header) = headers.get(header::AUTHORIZATION) else { return Ok(Caller::Anonymous) };
        let bad = || Refusal::new(StatusCode::UNAUTHORIZED, "Bad credentials");
        let (scheme, secret) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(bad)?;
        let secret = match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "token" => secret.trim().to_owned(),
            "basic" => basic_password(secret).ok_or_else(bad)?,
            _ => return Err(bad()),
        };
        match self.tokens.get(&secret) {
            Some(Token::Personal { login, grant }) => Ok(Caller::Person { login: login.clone(), grant: grant.clone() }),
            Some(Token::Installation(token)) if token.expires_at > self.clock.now() => {
                Ok(Caller::Installation(token.clone()))
            }
            Some(Token::Installation(_)) => Err(bad()),
            None if secret.matches('.').count() == 2 => self.identify_app(&secret),
            None => Err(bad()),
        }
    }

    /// Checks a JWT by GitHub's rules: RS256, issued by the App, valid now, for at most ten minutes.
    fn identify_app(&self, jwt: &str) -> Result<Caller, Refusal> {
        let refuse = |message: &str| Refusal::new(StatusCode::UNAUTHORIZED, message);
        let undecodable = || refuse("A JSON web token could not be decoded");
        let app = self.app.as_ref().ok_or_else(undecodable)?;
        let key = DecodingKey::from_rsa_pem(&app.public_key_pem).expect("the key was read when the App was made");
        let mut rules = Validation::new(Algorithm::RS256);
        // Times are checked below against the stand-in's own clock.
        rules.validate_exp = false;
        rules.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(jwt, &key, &rules).map_err(|_| undecodable())?.claims;
        let now = self.clock.now().as_second();
        if claims.issuer() != app.id.to_string() {
            return Err(refuse("'Issuer' claim ('iss') must be an Integer"));
        }
        if claims.exp <= now {
            return Err(refuse(
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
            ));
        }
        if claims.exp > now + 600 + 60 {
            return Err(refuse("'Expiration time' claim ('exp') is too far in the future"));
        }
        if claims.iat > now + 60 {
            return Err(refuse(
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
        Ok(Caller::App)
    }

    /// Whether the caller may do what the operation needs. `repository` is the one the path names.
    pub(crate) fn authorize(&self, caller: &Caller, needs: Needs, repository: Option<&str>) -> Result<(), Refusal> {
        let unauthenticated = || Refusal::new(StatusCode::UNAUTHORIZED, "Requires authentication");
        match (needs, caller) {
            (Needs::Nothing, _) | (Needs::Token, Caller::Person { .. } | Caller::Installation(_)) => Ok(()),
            (Needs::Token | Needs::App, Caller::Anonymous) => Err(unauthenticated()),
            (Needs::App, Caller::App) => Ok(()),
            (Needs::App, Caller::Person { .. } | Caller::Installation(_)) => {
                Err(Refusal::new(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded"))
            }
            (Needs::Token, Caller::App) => Err(Refusal::forbidden("Resource not accessible by integration")),
            (Needs::Repository { permission, level, role }, _) => {
                self.authorize_in(caller, repository.unwrap_or_default(), permission, level, role)
            }
            (Needs::RepositoryApp { .. }, Caller::Anonymous) => Err(unauthenticated()),
            (Needs::RepositoryApp { level: Level::Write, .. }, Caller::Person { .. }) => {
                Err(Refusal::forbidden("You must authenticate via a GitHub App."))
            }
            (Needs::RepositoryApp { permission, level }, _) => {
                self.authorize_in(caller, repository.unwrap_or_default(), permission, level, Permission::Read)
            }
        }
    }

    fn authorize_in(
        &self,
        caller: &Caller,
        full_name: &str,
        permission: &str,
        level: Level,
        role: Permission,
    ) -> Result<(), Refusal> {
        let repository = self.repository(full_name).ok_or_else(Refusal::not_found)?;
        match caller {
            Caller::Anonymous if repository.private => Err(Refusal::not_found()),
            Caller::Anonymous if level == Level::Read && role <= Permission::Read => Ok(()),
            Caller::Anonymous => Err(Refusal::new(StatusCode::UNAUTHORIZED, "Requires authentication")),
            Caller::App => Err(Refusal::forbidden("Resource not accessible by integration")),
            Caller::Person { login, grant } => {
                let has = repository.permission_of(login);
                if has == Permission::None {
                    return Err(Refusal::not_found());
                }
                if has < role {
                    return Err(too_weak(role));
                }
                match grant {
                    Grant::Classic => Ok(()),
                    Grant::Only(permissions) if allows(permissions, permission, level) => Ok(()),
                    Grant::Only(_) => Err(Refusal::forbidden("Resource not accessible by personal access token")),
                }
            }
            Caller::Installation(token) => self.authorize_installation(token, full_name, permission, level),
        }
    }

    fn authorize_installation(
        &self,
        token: &InstallationToken,
        full_name: &str,
        permission: &str,
        level: Level,
    ) -> Result<(), Refusal> {
        let installation = self.app.as_ref().and_then(|app| app.installation(token.installation));
        let Some(installation) = installation else {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Bad credentials"));
        };
        if installation.suspended_at.is_some() {
            return Err(Refusal::forbidden("This installation has been suspended"));
        }
        let name = full_name.to_ascii_lowercase();
        let covered =
            installation.covers(&name) && token.repositories.as_ref().is_none_or(|selected| selected.contains(&name));
        let public = !self.known(full_name).private;
        match (covered, allows(&token.permissions, permission, level)) {
            (true, true) => Ok(()),
            (false, _) if public && level == Level::Read => Ok(()),
            (false, _) if !public => Err(Refusal::not_found()),
            (true | false, _) => Err(Refusal::forbidden("Resource not accessible by integration")),
        }
    }
}

/// GitHub words its refusals by what is missing.
fn too_weak(role: Permission) -> Refusal {
    Refusal::forbidden(match role {
        Permission::Admin => "Must have admin rights to Repository.",
        Permission::None | Permission::Read | Permission::Triage | Permission::Write | Permission::Maintain => {
            "Must have push access to repository"
        }
    })
}

fn allows(permissions: &Permissions, permission: &str, level: Level) -> bool {
    // Comments and labels of pull requests are open to either permission; metadata comes with any token.
    let either: &[&str] = if permission == "issues" { &["issues", "pull_requests"] } else { &[permission] };
    (permission == "metadata" && level == Level::Read)
        || either.iter().any(|name| permissions.get(*name).is_some_and(|has| *has >= level))
}

fn basic_password(encoded: &str) -> Option<String> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: serde_json::Value,
}

impl Claims {
    /// Clients write the App's id as a number or as text.
    fn issuer(&self) -> String {
        self.iss.as_str().map_or_else(|| self.iss.to_string(), str::to_owned)
    }
}
