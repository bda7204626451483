//! Scalars with a meaning: durations, sizes, patterns, paths, image names. Each function reads one text and says,
//! when it cannot, what would have been right.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use regex::RegexBuilder;
use url::Url;

use super::problem::quoted;
use crate::domain::text::counted;

/// Longest time that one part of a run may be given.
const A_WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// A duration of at least a second, such as `90s`, `2h30m` or `7d`.
pub(crate) fn duration(text: &str, most: Duration) -> Result<Duration, String> {
    let wrong = || format!("{} is not a duration such as `90s`, `5m` or `2h30m`", quoted(text));
    let span: Span = text.parse().map_err(|_| wrong())?;
    let parsed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let parsed = Duration::try_from(parsed).map_err(|_| wrong())?;
    match parsed {
        _ if parsed < Duration::from_secs(1) => Err(format!("{} is shorter than a second", quoted(text))),
        _ if parsed > most => {
            Err(format!("{} is too long; at most {}", quoted(text), counted(most.as_secs() / 3600, "hour")))
        }
        _ => Ok(parsed),
    }
}

/// A duration of at most a week, in whole seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    duration(text, A_WEEK).map(|duration| duration.as_secs())
}

/// Bytes as Kubernetes writes them: `512Mi`, `2Gi`, `1.5G`, `1048576`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 8] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
    ];
    let (number, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor))).unwrap_or((text, 1.0));
    scaled(number, factor).ok_or_else(|| format!("{} is not a size such as `512Mi` or `2Gi`", quoted(text)))
}

/// Bytes, and not fewer than these, which are written alike.
pub(super) fn bytes_from(text: &str, least: &str) -> Result<u64, String> {
    let given = bytes(text)?;
    match given >= bytes(least)? {
        true => Ok(given),
        false => Err(format!("{} is too little for a suite; at least `{least}`", quoted(text))),
    }
}

/// Thousandths of a core as Kubernetes writes them: `2`, `0.5`, `500m`. No engine gives less than a hundredth.
pub(super) fn cpu_millis(text: &str) -> Result<u64, String> {
    let (number, factor) = text.strip_suffix('m').map_or((text, 1000.0), |number| (number, 1.0));
    match scaled(number, factor) {
        None => Err(format!("{} is not a number of cores such as `2` or `500m`", quoted(text))),
        Some(0..10) => Err(format!("{} is too little for a suite; at least `10m`", quoted(text))),
        Some(millis) => Ok(millis),
    }
}

/// A plain decimal number times a factor, at least 1 and exact to the bit below 2^53.
fn scaled(number: &str, factor: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let plain =
        number.bytes().all(|b| b.is_ascii_digit() || b == b'.') && number.starts_with(|c: char| c.is_ascii_digit());
    let product = plain.then(|| number.parse::<f64>().ok())?? * factor;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and below 2^53, as just checked"
    )]
    (1.0..EXACT).contains(&product).then_some(product as u64)
}

/// A regular expression that compiles and does not match everything.
pub(super) fn pattern(text: &str) -> Result<String, String> {
    const LONGEST: usize = 8 * 1024;
    const COMPILED: usize = 256 * 1024;
    if text.len() > LONGEST {
        return Err(format!("a pattern of {} bytes is too long; the limit is {LONGEST}", text.len()));
    }
    let compiled = RegexBuilder::new(text).size_limit(COMPILED).build();
    let regex = compiled.map_err(|error| format!("{} is not a regular expression: {}", quoted(text), cause(&error)))?;
    if regex.is_match("") {
        return Err(format!(
            "the pattern {} matches every spec: it is empty or has an empty alternative",
            quoted(text)
        ));
    }
    Ok(text.to_owned())
}

/// The last line of the parser's drawing says what is wrong.
fn cause(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

/// A path inside the checkout: relative, without a way out. `./` and doubled slashes are taken away.
pub(super) fn inside(text: &str) -> Result<String, String> {
    let wrong = |why: &str| Err(format!("{} {why}", quoted(text)));
    if text.is_empty() || text.len() > 1024 {
        return wrong("is not a path inside the repository");
    }
    if text.starts_with('/') || text.contains('\\') || text.contains(char::is_control) {
        return wrong("is not a relative path");
    }
    if text.split('/').any(|part| part == "..") {
        return wrong("leads out of the repository");
    }
    let parts: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// A container image reference; `{version}` stands for the cluster's Kubernetes version.
pub(super) fn image(text: &str) -> Result<String, String> {
    if text == "auto" {
        return Ok("registry.k8s.io/conformance:{version}".to_owned());
    }
    let filled = text.replace("{version}", "v1").replace("{release}", "v1");
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'@');
    let plain = filled.bytes().all(allowed) && filled.starts_with(|c: char| c.is_ascii_alphanumeric());
    match plain && filled.len() <= 255 && !filled.contains("//") {
        true => Ok(text.replace("{release}", env!("CARGO_PKG_VERSION"))),
        false => Err(format!("{} is not a container image", quoted(text))),
    }
}

/// A glob over the paths of result files.
pub(super) fn glob(text: &str) -> Result<String, String> {
    let plain = inside(text)?;
    crate::domain::suite::glob(&plain).map_err(|error| format!("{} is not a glob: {}", quoted(text), error.kind()))?;
    Ok(plain)
}

/// An address in the web: no user, no query.
pub(crate) fn web_address(text: &str) -> Result<Url, String> {
    let wrong = || format!("{} is not an address such as `https://ci.example.org`", quoted(text));
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| wrong())?;
    let plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    match matches!(url.scheme(), "http" | "https") && url.has_host() && plain {
        true => Ok(url),
        false => Err(wrong()),
    }
}

/// One line of text that people read: trimmed, neither empty nor endless.
pub(super) fn line(text: &str) -> Result<String, String> {
    let text = text.trim();
    match (1..=500).contains(&text.len()) && !text.contains(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err("must be one line of 1 to 500 characters".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_positive_and_bounded() {
        assert_eq!(duration("90s", A_WEEK), Ok(Duration::from_secs(90)));
        assert_eq!(seconds("2h30m"), Ok(9000));
        assert_eq!(seconds("2h 30m"), Ok(9000));
        assert_eq!(seconds("7d"), Ok(7 * 24 * 3600));
        for bad in ["", "90", "5 parsecs", "-5m", "5m ago", "200ms", "300h", "0s", "1 month"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_written_as_kubernetes_writes_them() {
        assert_eq!(bytes("2Gi"), Ok(2 << 30));
        assert_eq!(bytes("1.5k"), Ok(1500));
        assert_eq!(bytes("1048576"), Ok(1 << 20));
        assert_eq!((cpu_millis("2"), cpu_millis("500m"), cpu_millis("0.25")), (Ok(2000), Ok(500), Ok(250)));
        for bad in ["", "Gi", "2GB", "-1Gi", "1e3", "0", "inf", ".5", "9999999Ti", "1.2.3"] {
            assert!(bytes(bad).is_err(), "{bad}");
            assert!(cpu_millis(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_that_matches_everything_is_refused() {
        assert!(pattern(r"\[Serial\]").is_ok());
        for everything in ["", r"\[Serial\]|", "(a|)", ".*", "a*"] {
            assert!(pattern(everything).unwrap_err().contains("matches every spec"), "{everything}");
        }
        assert_eq!(pattern("[").unwrap_err(), "`[` is not a regular expression: unclosed character class");
        assert!(pattern("(a{1000}){1000}").unwrap_err().contains("size limit"));
    }

    #[test]
    fn paths_stay_inside() {
        assert_eq!(inside("./deploy//base/").as_deref(), Ok("deploy/base"));
        assert_eq!(inside("."), Ok(".".into()));
        for bad in ["", "/etc", "../x", "a/../../b", "a\\b", "a\0b"] {
            assert!(inside(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn images_carry_no_options_and_no_spaces() {
        assert_eq!(
            image("registry.k8s.io/conformance:{version}").as_deref(),
            Ok("registry.k8s.io/conformance:{version}")
        );
        assert_eq!(
            image("portcullis/suite:{release}").unwrap(),
            format!("portcullis/suite:{}", env!("CARGO_PKG_VERSION"))
        );
        for bad in ["", "--privileged", "a b", "a{x}", "a//b", "é"] {
            assert!(image(bad).is_err(), "{bad}");
        }
    }
}
