//! Which specs run: focus and skip patterns against names. Pure; knows nothing of how specs run.

use regex::Regex;

/// A name or a regular expression, told apart by nobody: it matches a spec whose name contains it
/// literally, or which it matches as a regular expression. So a name with brackets can be given as it is.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: String,
    regex: Option<Regex>,
}

impl Pattern {
    /// Refuses what matches the empty text (`a|`, `.*`): such a slip would skip a whole suite unseen.
    pub(crate) fn parse(text: String) -> Result<Self, String> {
        let regex = Regex::new(&text).ok();
        if regex.as_ref().is_some_and(|regex| regex.is_match("")) {
            return Err(format!("the pattern `{text}` matches every spec"));
        }
        Ok(Self { text, regex })
    }

    fn matches(&self, name: &str) -> bool {
        name.contains(&self.text) || self.regex.as_ref().is_some_and(|regex| regex.is_match(name))
    }
}

/// Runs what any focus pattern matches (everything without one) and no skip pattern does.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) focus: Vec<Pattern>,
    pub(crate) skip: Vec<Pattern>,
}

/// What becomes of one spec.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice<'a> {
    Run,
    /// Reported as skipped, with the pattern that asked for it.
    Skip(&'a str),
    /// Not part of this execution, hence not in its report.
    OutOfFocus,
}

impl Selection {
    pub(crate) fn choose(&self, name: &str) -> Choice<'_> {
        if !self.focus.is_empty() && !self.focus.iter().any(|pattern| pattern.matches(name)) {
            return Choice::OutOfFocus;
        }
        match self.skip.iter().find(|pattern| pattern.matches(name)) {
            Some(pattern) => Choice::Skip(&pattern.text),
            None => Choice::Run,
        }
    }

    /// Patterns that match none of `names`: most often a spec that was renamed.
    pub(crate) fn unmatched(&self, names: &[&str]) -> Vec<&str> {
        let idle = |pattern: &&Pattern| !names.iter().any(|name| pattern.matches(name));
        self.focus.iter().chain(&self.skip).filter(idle).map(|pattern| pattern.text.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(focus: &[&str], skip: &[&str]) -> Selection {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::parse((*text).to_owned()).unwrap()).collect();
        Selection { focus: patterns(focus), skip: patterns(skip) }
    }

    #[test]
    fn a_pattern_is_text_or_expression() {
        for (pattern, name, expected) in [
            ("rolled out", "manifests are rolled out", true),
            ("^manifests .* out$", "manifests are rolled out", true),
            ("^rolled", "manifests are rolled out", false),
            ("volumes [slow]", "volumes [slow]", true),
            ("volumes (", "volumes (two)", true),
            ("volumes (", "volumes", false),
        ] {
            assert_eq!(Pattern::parse(pattern.into()).unwrap().matches(name), expected, "{pattern} ~ {name}");
        }
    }

    #[test]
    fn skip_wins_over_focus_and_names_its_pattern() {
        let selection = selection(&["service", "dns"], &["head.*less"]);
        assert_eq!(selection.choose("service: answers"), Choice::Run);
        assert_eq!(selection.choose("service: headless"), Choice::Skip("head.*less"));
        assert_eq!(selection.choose("statefulset"), Choice::OutOfFocus);
    }

    #[test]
    fn patterns_without_a_spec_are_named() {
        let selection = selection(&["dns"], &["gone", "service"]);
        assert_eq!(selection.unmatched(&["dns: answers", "service: answers"]), ["gone"]);
    }

    #[test]
    fn patterns_that_match_everything_are_refused() {
        for text in ["", "a|", ".*", "x*"] {
            assert!(Pattern::parse(text.into()).is_err(), "{text}");
        }
    }
}
