//! The page of `portcullis setup`: a form that asks GitHub for an App, and the address GitHub sends the browser back to.
//! For one person at one machine and never part of the service. Only who knows the page's address may use it.

use std::io;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::assets;
use crate::ports::registration::{Registered, Registration, Unregistered};

/// What the page asks GitHub for.
pub struct Form {
    /// Where GitHub takes manifests.
    pub action: String,
    /// JSON.
    pub manifest: String,
    /// What the manifest asks for, to be read before it is sent.
    pub permissions: Vec<(String, String)>,
    pub events: Vec<String>,
}

/// What cannot be guessed: the page's address and the `state` that GitHub hands back.
pub struct Secrets {
    page: String,
    key: [u8; 32],
}

impl Secrets {
    /// From the operating system's random numbers.
    pub fn draw() -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self { page: Uuid::new_v4().simple().to_string(), key }
    }

    /// The page's path.
    pub fn page(&self) -> String {
        format!("/{}", self.page)
    }

    /// The path that GitHub sends the browser back to.
    pub fn back(&self) -> String {
        format!("/{}/created", self.page)
    }

    fn mac(&self) -> Hmac<Sha256> {
        let keyed = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length will do");
        keyed.chain_update(self.page.as_bytes())
    }

    fn state(&self) -> String {
        hex::encode(self.mac().finalize().into_bytes())
    }

    /// Whether the state is ours, in constant time.
    fn is_ours(&self, state: &str) -> bool {
        hex::decode(state).is_ok_and(|bytes| self.mac().verify_slice(&bytes).is_ok())
    }
}

struct Room {
    form: Form,
    secrets: Secrets,
    registration: Arc<dyn Registration>,
    /// Ends the page once there is nothing left to do.
    done: CancellationToken,
}

/// Serves the page until `done`, which it cancels itself once the App's credentials are kept.
///
/// # Errors
/// The listener is broken.
pub async fn serve_setup(
    listener: TcpListener,
    form: Form,
    secrets: Secrets,
    registration: Arc<dyn Registration>,
    done: CancellationToken,
) -> io::Result<()> {
    let (page, back) = (secrets.page(), secrets.back());
    let room = Arc::new(Room { form, secrets, registration, done: done.clone() });
    let router = Router::new()
        .route(&page, get(ask))
        .route(&back, get(created))
        .merge(assets::routes())
        .layer(map_response(assets::harden))
        .with_state(room);
    axum::serve(listener, router).with_graceful_shutdown(done.cancelled_owned()).await
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Page<'a> {
    title: &'a str,
    /// What went wrong, if anything did.
    problem: Option<String>,
    /// What to ask GitHub for; absent once there is nothing to ask.
    form: Option<&'a Form>,
    state: String,
    registered: Option<&'a Registered>,
}

async fn ask(State(room): State<Arc<Room>>) -> Response {
    let page = Page {
        title: "Make a GitHub App for Portcullis",
        problem: None,
        form: Some(&room.form),
        state: room.secrets.state(),
        registered: None,
    };
    room.show(StatusCode::OK, &page)
}

/// What GitHub adds to the address it sends the browser back to.
#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
}

async fn created(State(room): State<Arc<Room>>, Query(back): Query<Back>) -> Response {
    if !room.secrets.is_ours(&back.state) {
        let why = "This did not begin here: its state is not the one that this page gave GitHub.";
        return room.sorry(StatusCode::BAD_REQUEST, why.to_owned());
    }
    if back.code.is_empty() {
        return room.sorry(StatusCode::BAD_REQUEST, "GitHub sent no code.".to_owned());
    }
    match room.registration.complete(&back.code).await {
        Ok(registered) => {
            let page = Page {
                title: "The GitHub App is made",
                problem: None,
                form: None,
                state: String::new(),
                registered: Some(&registered),
            };
            let response = room.show(StatusCode::OK, &page);
            room.done.cancel();
            response
        }
        Err(Unregistered::Refused(why)) => room.sorry(StatusCode::BAD_REQUEST, why),
        Err(Unregistered::Later(why)) => {
            let page =
                Page { title: "Not done yet", problem: Some(why), form: None, state: String::new(), registered: None };
            room.show(StatusCode::SERVICE_UNAVAILABLE, &page)
        }
    }
}

impl Room {
    /// What went wrong, and the form to begin anew.
    fn sorry(&self, status: StatusCode, why: String) -> Response {
        let page = Page {
            title: "That did not work",
            problem: Some(why),
            form: Some(&self.form),
            state: self.secrets.state(),
            registered: None,
        };
        self.show(status, &page)
    }

    fn show(&self, status: StatusCode, page: &Page<'_>) -> Response {
        let Ok(text) = page.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let mut response = (status, Html(text)).into_response();
        let target = self.form.action.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let policy = format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action {target}; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        if let Ok(value) = HeaderValue::from_str(&policy) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, value);
        }
        // The address is a secret: GitHub is not told it as where the form came from.
        response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_state_is_ours() {
        let (ours, theirs) = (Secrets::draw(), Secrets::draw());
        assert!(ours.is_ours(&ours.state()));
        for state in ["", "00", &theirs.state(), &ours.state()[2..], "not hexadecimal", &ours.page] {
            assert!(!ours.is_ours(state), "{state}");
        }
        assert_ne!(ours.page(), theirs.page());
    }
}
