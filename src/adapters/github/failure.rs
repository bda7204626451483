//! GitHub's refusals, named by what the caller does next. Says what GitHub said, briefly and without secrets.

use std::error::Error;
use std::time::Duration;

use anyhow::anyhow;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;

use super::traffic::number;
use crate::ports::ForgeError;

/// Characters of GitHub's own words that are kept.
const MAX_MESSAGE: usize = 200;

/// How long to wait when GitHub says "later" without saying when; its documentation asks for at least a minute.
const UNTOLD_WAIT: Duration = Duration::from_secs(60);

/// GitHub's windows are an hour long. A longer wait is a mistake of somebody's clock.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What an answer other than success means. `what` was asked for.
pub(super) fn refused(what: &str, status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> ForgeError {
    let message = message(status, body);
    if let Some(wait) = rate_limit(status, headers, &message, now) {
        return ForgeError::RateLimited { until: now + wait };
    }
    let said = format!("{what}: {message}");
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ForgeError::Forbidden(said),
        StatusCode::NOT_FOUND | StatusCode::GONE => ForgeError::NotFound(said),
        // So GitHub says it where a commit is asked for or told something.
        StatusCode::UNPROCESSABLE_ENTITY if message.starts_with("No commit found for") => ForgeError::NotFound(said),
        StatusCode::REQUEST_TIMEOUT => ForgeError::Transient(anyhow!(said)),
        _ if status.is_server_error() => ForgeError::Transient(anyhow!("{said} ({})", status.as_u16())),
        _ => ForgeError::Rejected(said),
    }
}

/// Network trouble: nothing is known of what GitHub did. Only the causes' words are kept: their types are the library's.
pub(super) fn unreachable(what: &str, error: &(dyn Error + 'static)) -> ForgeError {
    let causes: Vec<String> = anyhow::Chain::new(error).skip(1).map(ToString::to_string).collect();
    let told = if causes.is_empty() { error.to_string() } else { causes.join(": ") };
    ForgeError::Transient(anyhow!("{what}: the connection failed: {}", clean(&told)))
}

/// GitHub took longer than it may.
pub(super) fn too_slow(what: &str, limit: Duration) -> ForgeError {
    ForgeError::Transient(anyhow!("{what}: no complete answer within {} s", limit.as_secs_f32()))
}

/// How long to stay away, where the answer is GitHub's primary or secondary rate limit.
fn rate_limit(status: StatusCode, headers: &HeaderMap, message: &str, now: Timestamp) -> Option<Duration> {
    let is_limit = match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => {
            headers.contains_key("retry-after")
                || number(headers, "x-ratelimit-remaining") == Some(0)
                || message.to_ascii_lowercase().contains("rate limit")
        }
        _ => false,
    };
    is_limit.then(|| told_wait(headers, now).unwrap_or(UNTOLD_WAIT).clamp(Duration::from_secs(1), LONGEST_WAIT))
}

fn told_wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if headers.contains_key("retry-after") {
        return number(headers, "retry-after").map(Duration::from_secs);
    }
    if number(headers, "x-ratelimit-remaining") != Some(0) {
        return None;
    }
    let reset = Timestamp::from_second(number(headers, "x-ratelimit-reset")?.try_into().ok()?).ok()?;
    Some(reset.duration_since(now).try_into().unwrap_or_default())
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    errors: serde_json::Value,
}

/// GitHub's own words where it said any; whatever else answered is named by its status alone.
fn message(status: StatusCode, body: &[u8]) -> String {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        return status.canonical_reason().unwrap_or("an unknown status").to_owned();
    };
    let details: Vec<String> = refusal.errors.as_array().into_iter().flatten().take(5).filter_map(detail).collect();
    let whole =
        if details.is_empty() { refusal.message } else { format!("{}: {}", refusal.message, details.join(", ")) };
    clean(&whole)
}

/// One entry of a validation error: text, or an object with a message or a field and a code.
fn detail(error: &serde_json::Value) -> Option<String> {
    let text = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
    let told = error.as_str().or_else(|| text("message")).map(str::to_owned);
    told.or_else(|| Some(format!("{} {}", text("field")?, text("code")?)))
}

/// One line, short, with anything that looks like a credential blotted out.
fn clean(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let shown: Vec<&str> = words.map(|word| if is_secret(word) { "***" } else { word }).collect();
    shown.join(" ").chars().take(MAX_MESSAGE).collect()
}

fn is_secret(word: &str) -> bool {
    ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "eyJ", "token="].iter().any(|mark| word.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn refuse(status: u16, headers: &[(&'static str, &str)], body: &str) -> ForgeError {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        refused("the thing", StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), now())
    }

    fn wait(error: ForgeError) -> i64 {
        match error {
            ForgeError::RateLimited { until } => until.as_second() - now().as_second(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_status_says_what_to_do_next() {
        let body = r#"{"message":"No"}"#;
        for status in [401, 403] {
            assert!(matches!(refuse(status, &[], body), ForgeError::Forbidden(text) if text == "the thing: No"));
        }
        for status in [404, 410] {
            assert!(matches!(refuse(status, &[], body), ForgeError::NotFound(_)));
        }
        for status in [301, 400, 405, 409, 415, 422, 451] {
            assert!(matches!(refuse(status, &[], body), ForgeError::Rejected(_)));
        }
        for status in [408, 500, 502, 503, 504] {
            assert!(matches!(refuse(status, &[], body), ForgeError::Transient(_)));
        }
    }

    #[test]
    fn a_commit_that_github_does_not_know_is_not_found() {
        let body = r#"{"message":"No commit found for SHA: 1111111111111111111111111111111111111111","status":"422"}"#;
        assert!(matches!(refuse(422, &[], body), ForgeError::NotFound(_)));
    }

    #[test]
    fn limits_say_until_when() {
        let spent = |reset: &'static str| [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)];
        for status in [403, 429] {
            assert_eq!(wait(refuse(status, &[("retry-after", "30")], "{}")), 30);
            assert_eq!(wait(refuse(status, &spent("1700000120"), "{}")), 120);
            assert_eq!(wait(refuse(status, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#)), 60);
        }
        assert_eq!(wait(refuse(429, &[], "")), 60);
        assert_eq!(wait(refuse(403, &spent("1600000000"), "{}")), 1, "a reset in the past");
        assert_eq!(wait(refuse(403, &[("retry-after", "99999999999999")], "{}")), 3600, "an absurd wait");
        assert_eq!(wait(refuse(429, &[("retry-after", "soon")], "{}")), 60, "an unreadable wait");
        let left = [("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1700000120")];
        assert!(matches!(refuse(403, &left, "{}"), ForgeError::Forbidden(_)));
    }

    #[test]
    fn validation_errors_name_their_field() {
        let body = r#"{"message":"Validation Failed","errors":[{"resource":"Status","field":"state","code":"invalid"},
            {"code":"custom","message":"too many"},"plain",7]}"#;
        let text = refuse(422, &[], body).to_string();
        assert_eq!(text, "rejected: the thing: Validation Failed: state invalid, too many, plain");
    }

    #[test]
    fn words_are_few_and_hold_no_secret() {
        let long = format!(r#"{{"message":"{}"}}"#, "é ".repeat(500));
        assert!(refuse(422, &[], &long).to_string().chars().count() < 240);
        let leak = r#"{"message":"bad token ghp_abcdef\nfor ghs_123, github_pat_x and Bearer eyJhbGci"}"#;
        assert_eq!(
            refuse(403, &[], leak).to_string(),
            "forbidden: the thing: bad token *** for *** *** and Bearer ***"
        );
        let page = "<html>your header was Authorization: Bearer ghp_abcdef</html>";
        assert_eq!(refuse(403, &[], page).to_string(), "forbidden: the thing: Forbidden");
    }
}
