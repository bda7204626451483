//! Reads YAML from people who may mean harm: bounded in size, depth, nodes and aliases, strict about keys.

use serde::de::DeserializeOwned;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::problem::{ConfigError, did_you_mean, quoted};

/// Longest file that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// Reads one document. `file` is what problems are reported against.
pub(super) fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigError> {
    if text.len() > MAX_BYTES {
        return Err(ConfigError::whole(file, format!("{} bytes are too many; the limit is {MAX_BYTES}", text.len())));
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| located(file, &error))
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
        Error::SerdeUnknownField { field, expected, .. } => match did_you_mean(field, expected.iter().copied()) {
            hint if hint.is_empty() => format!("there is no key {}; known are {}", quoted(field), expected.join(", ")),
            hint => format!("there is no key {}{hint}", quoted(field)),
        },
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{} is not one of {}", quoted(variant), expected.join(", "))
        }
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
