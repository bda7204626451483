//! Answers and refusals in GitHub's shapes.
//! Chooses words and status codes; the server adds the headers every answer has.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::contract::Operation;
use crate::contract::check::Violation;

/// What an operation answers.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Body,
    /// Headers beyond those of every answer.
    pub(crate) headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(crate) enum Body {
    Empty,
    Json(Value),
    Raw { media_type: &'static str, bytes: Bytes },
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Body::Json(body), headers: Vec::new() }
    }

    pub(crate) fn created(body: Value) -> Self {
        let location = body["url"].as_str().map(|url| ("location", url.to_owned()));
        Self { status: StatusCode::CREATED, body: Body::Json(body), headers: location.into_iter().collect() }
    }

    pub(crate) fn accepted(body: Value) -> Self {
        Self { status: StatusCode::ACCEPTED, body: Body::Json(body), headers: Vec::new() }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Body::Empty, headers: Vec::new() }
    }

    pub(crate) fn found(location: String) -> Self {
        Self { status: StatusCode::FOUND, body: Body::Empty, headers: vec![("location", location)] }
    }

    pub(crate) fn raw(media_type: &'static str, bytes: Bytes) -> Self {
        Self { status: StatusCode::OK, body: Body::Raw { media_type, bytes }, headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// Why GitHub does not do as asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) errors: Vec<Value>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), errors: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// GitHub's 422 with one rule that a field breaks.
    pub(crate) fn invalid(resource: &str, field: &str, message: &str) -> Self {
        Self::errors(vec![json!({ "resource": resource, "code": "custom", "field": field, "message": message })])
    }

    /// GitHub's 422 with a rule that no single field breaks.
    pub(crate) fn custom(resource: &str, message: &str) -> Self {
        Self::errors(vec![json!({ "resource": resource, "code": "custom", "message": message })])
    }

    pub(crate) fn errors(errors: Vec<Value>) -> Self {
        Self { errors, ..Self::unprocessable("Validation Failed") }
    }

    /// What GitHub says to a request that breaks its description.
    pub(crate) fn of(operation: &Operation, violations: &[Violation]) -> Self {
        let resource = operation.resource();
        let mut errors = Vec::new();
        for violation in violations {
            match violation {
                Violation::NoSuchPage => return Self::not_found(),
                Violation::Field { name, code, message } => {
                    errors.push(json!({ "resource": resource, "field": name, "code": code, "message": message }));
                }
            }
        }
        Self::errors(errors)
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn into_reply(self, documentation: &str) -> Reply {
        let mut body = json!({
            "message": self.message,
            "documentation_url": documentation,
            "status": self.status.as_str(),
        });
        if !self.errors.is_empty() {
            body["errors"] = Value::Array(self.errors);
        }
        Reply { status: self.status, body: Body::Json(body), headers: self.headers }
    }
}

impl Operation {
    /// GitHub's name for what the operation is about, as its errors give it.
    fn resource(&self) -> &'static str {
        const NAMES: [(&str, &str); 9] = [
            ("/statuses/", "Status"),
            ("/check-runs", "CheckRun"),
            ("/check-suites", "CheckSuite"),
            ("/reactions", "Reaction"),
            ("/comments", "IssueComment"),
            ("/labels", "Label"),
            ("/pulls", "PullRequest"),
            ("/hooks", "Hook"),
            ("/access_tokens", "Integration"),
        ];
        NAMES.iter().find(|(part, _)| self.template.contains(part)).map_or("Request", |(_, name)| name)
    }
}
