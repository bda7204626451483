//! The skip list: every entry compiles, explains itself, belongs to somebody and ends soon. Whether an entry has ended is the
//! domain's question; an ended one is kept here so that it can be shown.

use indexmap::IndexMap;
use jiff::Span;
use jiff::civil::Date;

use super::file::{SkipFile, SkipListFile, SkipsFile};
use crate::config::position::{At, Position};
use crate::config::problem::{Problems, did_you_mean, quoted};
use crate::config::{values, yaml};
use crate::domain::names::SuiteName;
use crate::domain::skip::{Action, MatchBy, SkipEntry};
use crate::domain::suite::Suite;

/// Longest time a spec may be skipped, in days from today.
const MOST_DAYS: i64 = 90;
const MOST_ENTRIES: usize = 500;

type Suites = IndexMap<SuiteName, Suite>;

/// The entries, from the gate file itself or from the list it names.
pub(super) fn resolve(
    written: Option<At<SkipsFile>>,
    fetched: Option<(&str, &str)>,
    suites: &Suites,
    today: Date,
    problems: &mut Problems<'_>,
) -> Vec<SkipEntry> {
    let Some(written) = written else { return vec![] };
    let position = written.position;
    match written.into_inner() {
        SkipsFile::Entries(files) => entries(&files, suites, today, problems),
        SkipsFile::Path(path) => {
            let Some(path) = problems.check(position, values::inside(&path)) else { return vec![] };
            let Some((_, text)) = fetched.filter(|(fetched, _)| *fetched == path) else {
                problems.add(position, format!("there is no file {}", quoted(&path)));
                return vec![];
            };
            list(&path, text, suites, today, problems)
        }
    }
}

fn list(path: &str, text: &str, suites: &Suites, today: Date, problems: &mut Problems<'_>) -> Vec<SkipEntry> {
    let list: SkipListFile = match yaml::read(path, text) {
        Ok(list) => list,
        Err(found) => {
            problems.extend(found);
            return vec![];
        }
    };
    let mut of_list = Problems::new(path);
    let entries = entries(&list.entries, suites, today, &mut of_list);
    of_list.finish(entries).unwrap_or_else(|found| {
        problems.extend(found);
        vec![]
    })
}

fn entries(files: &[SkipFile], suites: &Suites, today: Date, problems: &mut Problems<'_>) -> Vec<SkipEntry> {
    let mut entries: Vec<SkipEntry> = Vec::new();
    for (n, file) in files.iter().enumerate() {
        if n == MOST_ENTRIES {
            problems.add(place(file), format!("more than {MOST_ENTRIES} entries"));
            break;
        }
        let Some(entry) = entry(file, suites, today, problems) else { continue };
        if entries.iter().any(|earlier| covers(earlier, &entry)) {
            problems.add(place(file), format!("{} is on the list already", quoted(&entry.pattern)));
        }
        entries.push(entry);
    }
    entries
}

/// Whether both entries would skip the same specs of some suite.
fn covers(earlier: &SkipEntry, entry: &SkipEntry) -> bool {
    let same_suite = earlier.suites.is_empty()
        || entry.suites.is_empty()
        || earlier.suites.iter().any(|suite| entry.suites.contains(suite));
    earlier.pattern == entry.pattern && earlier.by == entry.by && earlier.kubernetes == entry.kubernetes && same_suite
}

/// Where an entry stands.
fn place(file: &SkipFile) -> Position {
    file.pattern.as_ref().or(file.exact.as_ref()).map_or(file.reason.position, |text| text.position)
}

/// Each part is checked even when another is wrong, so that all problems show at once.
fn entry(file: &SkipFile, suites: &Suites, today: Date, problems: &mut Problems<'_>) -> Option<SkipEntry> {
    let when = file.when.as_ref();
    let named = file.suites.iter().flatten().chain(when.and_then(|when| when.suites.as_ref()).into_iter().flatten());
    let mut about: Vec<SuiteName> = Vec::new();
    for name in named {
        about.extend(known(name, suites, problems));
    }
    let pattern = spec(file, problems);
    let line = |name: &'static str| move |text: &str| values::line(text).map_err(|why| format!("`{name}` {why}"));
    let reason = problems.parse(&file.reason, line("reason"));
    let owner = problems.parse(&file.owner, line("owner"));
    let issue = file.issue.as_ref().map(|issue| problems.parse(issue, values::line));
    let expires = problems.parse(&file.expires, |text| expiry(text, today));
    let kubernetes = when.and_then(|when| problems.parse_some(when.kubernetes.as_ref(), str::parse));
    let providers = when.and_then(|when| when.provider.as_ref()).into_iter().flatten();
    let providers = providers.filter_map(|provider| problems.parse(provider, values::line)).collect();
    let (pattern, by) = pattern?;
    Some(SkipEntry {
        pattern,
        by,
        action: file.action.unwrap_or(Action::Skip),
        reason: reason?,
        owner: owner?,
        issue: issue.flatten(),
        expires: expires?,
        suites: about,
        kubernetes,
        providers,
    })
}

/// One of `match` and `exact`.
fn spec(file: &SkipFile, problems: &mut Problems<'_>) -> Option<(String, MatchBy)> {
    match (&file.pattern, &file.exact) {
        (Some(pattern), None) => Some((problems.parse(pattern, values::pattern)?, MatchBy::Pattern)),
        (None, Some(name)) => Some((problems.parse(name, values::line)?, MatchBy::Name)),
        (Some(_), Some(name)) => {
            problems.add(name.position, "`match` and `exact` both say which specs: one is enough");
            None
        }
        (None, None) => {
            problems.add(file.reason.position, "the entry says by neither `match` nor `exact` which specs it means");
            None
        }
    }
}

fn known(name: &At<String>, suites: &Suites, problems: &mut Problems<'_>) -> Option<SuiteName> {
    let found = suites.keys().find(|suite| suite.as_str() == name.as_str());
    if found.is_none() {
        let hint = did_you_mean(name, suites.keys().map(SuiteName::as_str));
        problems.add(name.position, format!("the gate has no suite {}{hint}", quoted(name)));
    }
    found.cloned()
}

fn expiry(text: &str, today: Date) -> Result<Date, String> {
    let expires: Date = text.parse().map_err(|_| format!("{} is not a day such as `2027-01-30`", quoted(text)))?;
    let latest = today.saturating_add(Span::new().days(MOST_DAYS));
    if expires > latest {
        return Err(format!("{expires} is more than {MOST_DAYS} days ahead; the latest is {latest}"));
    }
    Ok(expires)
}
