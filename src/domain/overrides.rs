//! What the operator of the service decides about single repositories, over what their gates say.

use super::gate::Gate;
use super::names::{RepoName, SuiteName};

/// Repositories by glob over `owner/name`, with what holds for them. The first that fits counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Only these are served; empty for all.
    pub only: Vec<Pattern>,
    /// Labels in place of the gate's.
    pub labels: Vec<(Pattern, String)>,
    /// The only suites that a gate may name.
    pub suites: Vec<(Pattern, Vec<SuiteName>)>,
    /// Their runs go before those of others.
    pub first: Vec<Pattern>,
}

/// A glob over `owner/name`; `*` does not cross the slash.
#[derive(Debug, Clone)]
pub struct Pattern(globset::GlobMatcher);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.glob() == other.0.glob()
    }
}

impl Eq for Pattern {}

impl std::str::FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = || text.chars().take(80).collect::<String>();
        if text.matches('/').count() != 1 {
            return Err(format!("`{}` is not `owner/name` or a glob such as `acme/*`", shown()));
        }
        let glob = super::suite::glob(&text.to_ascii_lowercase());
        glob.map(|glob| Self(glob.compile_matcher())).map_err(|error| format!("`{}`: {}", shown(), error.kind()))
    }
}

impl Pattern {
    /// Whether it covers the repository.
    pub fn fits(&self, repo: &RepoName) -> bool {
        self.0.is_match(repo.as_str())
    }
}

impl Overrides {
    /// The gate as it holds on this server.
    ///
    /// # Errors
    /// The repository is not served, or its gate names a suite that it may not.
    pub fn apply(&self, repo: &RepoName, gate: Gate) -> Result<Gate, String> {
        if !self.only.is_empty() && !self.only.iter().any(|pattern| pattern.fits(repo)) {
            return Err("this server does not serve the repository".into());
        }
        if let Some((_, allowed)) = self.suites.iter().find(|(pattern, _)| pattern.fits(repo))
            && let Some(other) = gate.suites.keys().find(|suite| !allowed.contains(suite))
        {
            let allowed: Vec<&str> = allowed.iter().map(SuiteName::as_str).collect();
            return Err(format!("this server lets the repository run {}, not {other}", allowed.join(", ")));
        }
        let label = self.labels.iter().find(|(pattern, _)| pattern.fits(repo)).map(|(_, label)| label.clone());
        Ok(Gate { label: label.unwrap_or_else(|| gate.label.clone()), ..gate })
    }

    /// Whether the repository's runs go before those of others.
    pub fn goes_first(&self, repo: &RepoName) -> bool {
        self.first.iter().any(|pattern| pattern.fits(repo))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::suite::Suite;

    #[test]
    fn the_operator_has_the_last_word_on_a_repository() {
        let pattern = |text: &str| text.parse::<Pattern>().unwrap();
        let overrides = Overrides {
            only: vec![pattern("Acme/*")],
            labels: vec![(pattern("acme/infra"), "run-ci".into()), (pattern("acme/*"), "test-me".into())],
            suites: vec![(pattern("acme/infra"), vec!["smoke".parse().unwrap()])],
            first: vec![pattern("acme/infra")],
        };
        let gate = |suite: &str| {
            let mut gate = Gate { label: "ready-to-test".into(), ..Gate::empty() };
            gate.suites.insert(suite.parse().unwrap(), Suite::plain("i"));
            gate
        };
        let (infra, other, foreign) =
            ("acme/infra".parse().unwrap(), "acme/other".parse().unwrap(), "evil/infra".parse().unwrap());
        assert_eq!(overrides.apply(&infra, gate("smoke")).unwrap().label, "run-ci");
        assert_eq!(overrides.apply(&other, gate("custom")).unwrap().label, "test-me");
        assert!(overrides.apply(&infra, gate("custom")).unwrap_err().contains("smoke, not custom"));
        assert!(overrides.apply(&foreign, gate("smoke")).is_err());
        assert!(overrides.goes_first(&infra) && !overrides.goes_first(&other));
        assert_eq!(Overrides::default().apply(&foreign, gate("smoke")).unwrap().label, "ready-to-test");
        for wrong in ["acme", "acme/in/fra", "a[/b"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
