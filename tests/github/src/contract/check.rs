//! Requests and answers against the description's schemas.
//! Reports what is wrong; the wording of refusals is GitHub's and stands in `reply`.

use std::collections::BTreeMap;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use super::{CONTRACT, Operation, Parameter, Place};

/// A request that breaks the description.
#[derive(Debug)]
pub(crate) enum Violation {
    /// A path parameter of the wrong type: to GitHub such a page does not exist.
    NoSuchPage,
    /// The field and GitHub's code for what is wrong with it.
    Field { name: String, code: &'static str, message: String },
}

impl Operation {
    /// Checks parameters and body. `body` is `None` when the request carried none.
    pub(crate) fn violations(
        &self,
        path: &BTreeMap<String, String>,
        query: &BTreeMap<String, String>,
        body: Option<&Value>,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        for parameter in &self.parameters {
            let given = match parameter.place {
                Place::Path => path.get(&parameter.name),
                Place::Query => query.get(&parameter.name),
            };
            match given {
                Some(text) => violations.extend(parameter_violation(parameter, text)),
                None if parameter.required && parameter.place == Place::Query => {
                    violations.push(missing(&parameter.name));
                }
                None => {}
            }
        }
        violations.extend(self.body_violations(body));
        violations
    }

    fn body_violations(&self, body: Option<&Value>) -> Vec<Violation> {
        let Some(expected) = &self.body else { return Vec::new() };
        let empty = Value::Object(Map::new());
        let body = match body {
            Some(body) => body,
            // GitHub reads a missing body as an empty object: missing fields then speak for themselves.
            None if expected.required => &empty,
            None => return Vec::new(),
        };
        CONTRACT.validator(&expected.schema).iter_errors(body).map(|error| field(&error)).collect()
    }

    /// What is wrong with an answer, for the stand-in to confess instead of lying.
    pub(crate) fn answer_violations(&self, status: u16, body: Option<&Value>) -> Vec<String> {
        let Some(expected) = self.responses.get(&status) else {
            // The description leaves out most errors that any operation may give.
            return if status < 400 { vec![format!("{} never answers {status}", self.id)] } else { Vec::new() };
        };
        match (expected, body) {
            (None, None) => Vec::new(),
            // Where the description shows an error without a body, GitHub sends its usual message all the same.
            (None, Some(_)) if status >= 400 => Vec::new(),
            (None, Some(_)) => vec![format!("{} answers {status} without JSON", self.id)],
            (Some(_), None) => vec![format!("{} answers {status} with JSON", self.id)],
            (Some(pointer), Some(body)) => CONTRACT
                .validator(pointer)
                .iter_errors(body)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect(),
        }
    }
}

fn parameter_violation(parameter: &Parameter, text: &str) -> Option<Violation> {
    let value = match parameter.kind.as_str() {
        "integer" => text.parse::<i64>().map_or(Value::Null, Value::from),
        "boolean" => text.parse::<bool>().map_or(Value::Null, Value::from),
        _ => json!(text),
    };
    if CONTRACT.validator(&parameter.schema).is_valid(&value) {
        return None;
    }
    Some(match parameter.place {
        Place::Path => Violation::NoSuchPage,
        Place::Query => Violation::Field {
            name: parameter.name.clone(),
            code: "invalid",
            message: format!("{text} is not a valid {}", parameter.name),
        },
    })
}

fn missing(name: &str) -> Violation {
    Violation::Field { name: name.to_owned(), code: "missing_field", message: format!("\"{name}\" wasn't supplied.") }
}

fn field(error: &ValidationError<'_>) -> Violation {
    // Of alternatives that all fail, the one that fails least is the one that was meant.
    if let ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } = error.kind()
        && let Some(meant) = context.iter().filter(|errors| !errors.is_empty()).min_by_key(|errors| errors.len())
    {
        return field(&meant[0]);
    }
    let at = error.instance_path().to_string();
    let name = at.trim_start_matches('/').replace('/', ".");
    if let ValidationErrorKind::Required { property } = error.kind() {
        let property = property.as_str().unwrap_or_default();
        return missing(&if name.is_empty() { property.to_owned() } else { format!("{name}.{property}") });
    }
    Violation::Field { name, code: "invalid", message: error.to_string() }
}
