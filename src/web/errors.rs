//! What goes wrong, told without internals: a page for people, JSON for programs, and an id that finds the log line.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

use crate::ports::ArtifactError;
use crate::store::StoreError;

/// Why a page or an answer of the API cannot be given.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// There is nothing under this address, or not any more.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// The address or its parameters make no sense.
    #[error("{0}")]
    Nonsense(String),
    /// Too many people want the same at once.
    #[error("{0}")]
    Busy(&'static str),
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("a file could not be read")]
    File(#[from] std::io::Error),
    #[error("the object store failed")]
    Artifacts(#[from] ArtifactError),
    #[error("a page could not be rendered")]
    Render(#[from] askama::Error),
}

/// Carried from where it went wrong to [`explain`], which knows who is asking.
#[derive(Clone)]
struct Explanation {
    status: StatusCode,
    text: String,
    /// Our own failure, for the log alone.
    cause: Option<Arc<Trouble>>,
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let text = self.to_string();
        let explanation = match self {
            Trouble::Missing(_) => Explanation { status: StatusCode::NOT_FOUND, text, cause: None },
            Trouble::Nonsense(_) => Explanation { status: StatusCode::BAD_REQUEST, text, cause: None },
            Trouble::Busy(_) => Explanation { status: StatusCode::SERVICE_UNAVAILABLE, text, cause: None },
            Trouble::Store(_) | Trouble::File(_) | Trouble::Artifacts(_) | Trouble::Render(_) => Explanation {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                text: "something went wrong on our side".to_owned(),
                cause: Some(Arc::new(self)),
            },
        };
        let mut response = explanation.status.into_response();
        response.extensions_mut().insert(explanation);
        response
    }
}

/// For addresses that lead nowhere.
pub(super) async fn no_such_page() -> Trouble {
    Trouble::Missing("page")
}

#[derive(Template)]
#[template(path = "error.html")]
struct Page<'a> {
    status: u16,
    text: &'a str,
    request: &'a str,
}

/// The API's errors.
#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    error: ErrorText<'a>,
}

#[derive(Debug, Serialize)]
struct ErrorText<'a> {
    /// A fixed word for programs.
    code: &'static str,
    /// A sentence for people.
    message: &'a str,
    /// Finds the request in the log.
    request: &'a str,
}

/// Gives every request an id, logs our own failures under it, and turns bare errors into a page or into JSON.
pub(super) async fn explain(request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let mut response = match response.extensions().get::<Explanation>().cloned().or_else(|| bare(&response)) {
        Some(explanation) => {
            if let Some(cause) = explanation.cause.as_deref() {
                tracing::error!(request.id = id, %method, path, error = cause as &dyn std::error::Error, "request failed");
            }
            explained(&explanation, &path, &id, response.headers().get(header::ALLOW).cloned())
        }
        None => response,
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// An error that the router itself gave, without a word.
fn bare(response: &Response) -> Option<Explanation> {
    let status = response.status();
    let text = match status {
        StatusCode::METHOD_NOT_ALLOWED => "this address does not answer to that method",
        StatusCode::BAD_REQUEST => "the address or its parameters make no sense",
        _ => return None,
    };
    Some(Explanation { status, text: text.to_owned(), cause: None })
}

fn explained(explanation: &Explanation, path: &str, id: &str, allow: Option<HeaderValue>) -> Response {
    let Explanation { status, text, cause: _ } = explanation;
    let mut response = if path.starts_with("/api/") {
        let code = match *status {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::BAD_REQUEST => "bad_request",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::SERVICE_UNAVAILABLE => "busy",
            _ => "internal",
        };
        (*status, Json(ErrorBody { error: ErrorText { code, message: text, request: id } })).into_response()
    } else {
        match (Page { status: status.as_u16(), text, request: id }).render() {
            Ok(page) => (*status, Html(page)).into_response(),
            Err(_) => (*status, text.clone()).into_response(),
        }
    };
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
