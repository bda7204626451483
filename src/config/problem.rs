//! What is wrong with a configuration, for the person who wrote it: where, what, and what would be right.
//! Messages quote the file, so they are cut and cleaned here; they never quote a secret.

use std::fmt;
use std::ops::RangeInclusive;

use super::position::{At, Position};

/// One problem. Shown as `file:line:column: message`, without line and column where there are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file as the reader knows it, or the name of an environment variable.
    pub file: String,
    /// Counts from 1.
    pub line: Option<usize>,
    /// Counts from 1, in characters.
    pub column: Option<usize>,
    pub message: String,
}

impl ConfigError {
    /// A problem at a place in a file.
    pub(super) fn at(file: &str, position: Position, message: impl Into<String>) -> Self {
        let place = Some(position).filter(|position| position.line > 0);
        Self {
            file: file.into(),
            line: place.map(|position| position.line),
            column: place.map(|position| position.column),
            message: message.into(),
        }
    }

    /// A problem with a file as a whole, or with an environment variable.
    pub(super) fn whole(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, column: None, message: message.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All problems as text, one a line.
pub fn report(problems: &[ConfigError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Problems of one file while it is being read.
pub(super) struct Problems<'a> {
    file: &'a str,
    found: Vec<ConfigError>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, found: Vec::new() }
    }

    pub(super) fn add(&mut self, position: Position, message: impl Into<String>) {
        self.found.push(ConfigError::at(self.file, position, message));
    }

    /// What `parse` makes of the text; a problem at the text's place when it makes nothing of it.
    pub(super) fn parse<T>(&mut self, text: &At<String>, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.check(text.position, parse(text))
    }

    /// The same for a text that may be absent.
    pub(super) fn parse_some<T>(
        &mut self,
        text: Option<&At<String>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        text.and_then(|text| self.parse(text, parse))
    }

    /// The number if it lies within the bounds; `what` is named when it does not.
    pub(super) fn within<T>(&mut self, what: &str, number: &At<u64>, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<u64> + PartialOrd + fmt::Display,
    {
        let (least, most) = (bounds.start(), bounds.end());
        let within = T::try_from(**number).ok().filter(|number| bounds.contains(number));
        let checked = within.ok_or_else(|| format!("`{what}` must be {least} to {most}, not {}", **number));
        self.check(number.position, checked)
    }

    pub(super) fn check<T>(&mut self, position: Position, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|message| self.add(position, message)).ok()
    }

    pub(super) fn extend(&mut self, problems: Vec<ConfigError>) {
        self.found.extend(problems);
    }

    /// The value, if nothing was wrong; otherwise what was, from top to bottom, as much of it as anybody reads.
    pub(super) fn finish<T>(mut self, value: T) -> Result<T, Vec<ConfigError>> {
        const MOST: usize = 100;
        if self.found.is_empty() {
            return Ok(value);
        }
        let own = self.file;
        self.found.sort_by_key(|problem| (problem.file != own, problem.line, problem.column));
        if self.found.len() > MOST {
            let more = self.found.split_off(MOST).len();
            self.found.push(ConfigError::whole(own, format!("and {more} more problems")));
        }
        Err(self.found)
    }
}

/// A text in back quotes, cleaned of control characters and cut, for use in a message.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().count() > MOST {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The known word that is most like the given one, for "did you mean". A word of which more than a third is different is no help.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 100;
    if word.len() > LONGEST {
        return None;
    }
    let near = known.into_iter().map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate));
    let near = near.filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3));
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// `; did you mean …?` or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or(String::new(), |near| format!("; did you mean `{near}`?"))
}

/// What to say of a key that does not exist.
pub(super) fn unknown_key<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match did_you_mean(key, known.clone()) {
        hint if hint.is_empty() => {
            format!("there is no key {}; known are {}", quoted(key), known.collect::<Vec<_>>().join(", "))
        }
        hint => format!("there is no key {}{hint}", quoted(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_where_as_far_as_it_knows() {
        let position = Position { line: 3, column: 7 };
        assert_eq!(ConfigError::at("gate.yaml", position, "wrong").to_string(), "gate.yaml:3:7: wrong");
        assert_eq!(ConfigError::whole("PORTCULLIS_A__B", "wrong").to_string(), "PORTCULLIS_A__B: wrong");
        assert_eq!(ConfigError::at("f", Position::default(), "wrong").to_string(), "f: wrong");
    }

    #[test]
    fn quotes_neither_flood_nor_steer_a_terminal() {
        assert_eq!(quoted("a\u{1b}[2J"), r"`a\u{1b}[2J`");
        assert!(quoted(&"x".repeat(5000)).chars().count() < 70);
    }

    #[test]
    fn only_a_near_match_is_suggested() {
        assert_eq!(nearest("conformence", ["smoke", "conformance"]), Some("conformance"));
        assert_eq!(nearest("costum", ["smoke", "custom"]), Some("custom"));
        assert_eq!(nearest("zzz", ["smoke", "conformance"]), None);
    }
}
