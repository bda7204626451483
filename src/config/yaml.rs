//! Reads YAML from people who may mean harm: bounded in size, depth, nodes and aliases, strict about keys.

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::problem::{ConfigError, Problems, quoted, unknown_key};
use super::shape;

/// Longest file that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// Reads one document. `file` is what problems are reported against: everything that is wrong with the document's shape.
pub(super) fn read<T: DeserializeOwned + JsonSchema>(file: &str, text: &str) -> Result<T, Vec<ConfigError>> {
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes are too many; the limit is {MAX_BYTES}", text.len());
        return Err(vec![ConfigError::whole(file, message)]);
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| refused::<T>(file, text, &error))
}

/// The reader's own problem, which is the first that it met, with all that the schema shows.
fn refused<T: JsonSchema>(file: &str, text: &str, error: &Error) -> Vec<ConfigError> {
    let first = located(file, error);
    let mut problems = Problems::new(file);
    if let Ok(node) = serde_saphyr::from_str_with_options(text, options()) {
        let schema = SchemaGenerator::default().into_root_schema_for::<T>();
        shape::compare(&node, schema.as_value(), &mut problems);
    }
    let mut found = problems.finish(()).err().unwrap_or_default();
    let is_known = |known: &ConfigError| (known.line, known.column) == (first.line, first.column);
    if !found.iter().any(|known| is_known(known) || known.message == first.message) {
        found.push(first);
    }
    found
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 60_000,
            max_nodes: 30_000,
            max_depth: 16,
            max_documents: 1,
            max_aliases: 200,
            max_anchors: 100,
            max_merge_keys: 100,
            max_total_scalar_bytes: 2 * MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 60_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        emit_comments: false,
        with_snippet: false,
    }
}

fn located(file: &str, error: &Error) -> ConfigError {
    let error = error.without_snippet();
    let message = wording(error);
    match error.location() {
        Some(location) => ConfigError::at(file, location.into(), message),
        None => ConfigError::whole(file, message),
    }
}

/// The commonest mistakes in our own words, the others in the parser's.
fn wording(error: &Error) -> String {
    match error {
        Error::Eof { .. } => "the text ends too early, or there is none".into(),
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => "a second document: the file holds one".into(),
        Error::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected.iter().copied()),
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{} is not one of {}", quoted(variant), expected.join(", "))
        }
        Error::SerdeInvalidType { expected, .. } => format!("expected {expected} here"),
        Error::SerdeMissingField { field, .. } => format!("`{field}` is missing"),
        Error::Unexpected { expected: "mapping start", .. } => "expected keys with values here".into(),
        Error::Unexpected { expected: "sequence start", .. } => "expected a list here".into(),
        Error::Unexpected { expected: "string scalar", .. } => "expected a text here".into(),
        other => clean(&UserMessageFormatter.format_message(other)),
    }
}

/// The parser's text quotes the file: on one line, without control characters, and not for pages.
fn clean(message: &str) -> String {
    const MOST: usize = 300;
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect()
}
