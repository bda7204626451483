//! The start tag of a `<testsuite>`: names, and counters as far as they are given and make sense.
//! Every tool has its own words and omissions; whatever is no number counts as not given.

use std::time::Duration;

use quick_xml::events::BytesStart;

use super::xmltext::Encoding;

/// A start tag, read.
#[derive(Debug, Default)]
pub(super) struct SuiteTag {
    pub(super) name: String,
    pub(super) package: String,
    pub(super) host: String,
    /// Source file.
    pub(super) source: String,
    pub(super) header: Header,
    /// Has the attributes that Ginkgo v1 writes and no others.
    pub(super) like_ginkgo_v1: bool,
}

/// Counters from the start tag, as far as they are given and make sense.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) tests: Option<u64>,
    pub(super) failures: u64,
    pub(super) errors: u64,
    /// All counters for cases that did not run, whatever the dialect calls them.
    pub(super) not_run: u64,
    /// PHPUnit counts warnings apart, and exits with an error for them.
    pub(super) counts_warnings: bool,
    /// Catch2's `hostname="tbd"`.
    pub(super) host_unknown: bool,
    /// doctest's attributes: `name`, `errors`, `failures`, `tests` and no others.
    pub(super) only_four: bool,
    pub(super) took: Option<Duration>,
}

impl SuiteTag {
    pub(super) fn read(tag: &BytesStart<'_>, encoding: Encoding) -> Self {
        let mut read = Self { like_ginkgo_v1: true, ..Self::default() };
        let mut value = String::new();
        let (mut all, mut of_doctest) = (0, 0);
        for attribute in tag.html_attributes().with_checks(false).flatten() {
            value.clear();
            encoding.unescape(&attribute.value, &mut value);
            let key = attribute.key.local_name();
            read.take(key.as_ref(), &value);
            let common = matches!(key.as_ref(), b"name" | b"tests" | b"failures" | b"errors");
            all += 1;
            of_doctest += u32::from(common);
            read.like_ginkgo_v1 &= common || key.as_ref() == b"time";
        }
        read.header.only_four = (all, of_doctest) == (4, 4);
        read.header.host_unknown = read.host == "tbd";
        read
    }

    fn take(&mut self, key: &[u8], value: &str) {
        let header = &mut self.header;
        match key {
            b"name" => self.name = value.to_owned(),
            b"package" => self.package = value.to_owned(),
            b"hostname" => self.host = value.to_owned(),
            b"file" => self.source = value.to_owned(),
            b"tests" => header.tests = counter(value),
            b"failures" => header.failures = counter(value).unwrap_or(0),
            b"errors" => header.errors = counter(value).unwrap_or(0),
            b"skipped" | b"skips" | b"skip" | b"disabled" | b"ignored" | b"notrun" | b"not-run" | b"inconclusive"
            | b"pending" => header.not_run = header.not_run.saturating_add(counter(value).unwrap_or(0)),
            b"warnings" => header.counts_warnings = true,
            b"time" => header.took = seconds(value),
            _ => {}
        }
    }
}

/// A counter; whatever is not a plain number counts as not given.
fn counter(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Seconds, with Surefire's thousands separators; nothing for nonsense.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let number: f64 = if text.contains(',') { text.replace(',', "").parse() } else { text.parse() }.ok()?;
    Duration::try_from_secs_f64(number).ok().filter(|took| took.as_secs() < 366 * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counters_are_read_or_left_out() {
        assert_eq!(seconds("1,234.5"), Some(Duration::from_millis(1_234_500)));
        assert_eq!(seconds("5.684e-06"), Some(Duration::from_nanos(5684)));
        for nonsense in ["", "-1", "NaN", "inf", "1e300", "abc"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
        assert_eq!(counter(" 12 "), Some(12));
        for nonsense in ["", "-1", "1.5", "many", "99999999999999999999999"] {
            assert_eq!(counter(nonsense), None, "{nonsense}");
        }
    }
}
