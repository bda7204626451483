//! The operator's secrets for suites: which there are, and which repositories may have them. A gate asks for them by name.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use secrecy::{ExposeSecret, SecretString};

use super::gate::Gate;
use super::mask::Masker;
use super::names::{RepoName, SecretName, SuiteName};
use super::overrides::Pattern;
use super::suite::{SecretsFor, Suite};

/// Fewer characters are no secret, and masking them would take everything else along.
pub const SHORTEST: usize = 4;
/// Bytes of the longest: a suite's secrets are variables, and the kernel bounds those.
pub const LONGEST: usize = 32 * 1024;

/// The secrets by name.
#[derive(Debug, Clone, Default)]
pub struct Secrets(pub BTreeMap<SecretName, Secret>);

/// A secret and who may have it.
#[derive(Debug, Clone)]
pub struct Secret {
    pub value: SecretString,
    /// Nobody where empty.
    pub repositories: Vec<Pattern>,
}

impl Secrets {
    /// Whether the repository may have every secret that its gate asks for.
    ///
    /// # Errors
    /// Names one that it may not. Whether there is one of that name for somebody else is not said.
    pub fn check(&self, repo: &RepoName, gate: &Gate) -> Result<(), String> {
        gate.suites.iter().try_for_each(|(name, suite)| match self.of_suite(repo, suite) {
            Ok(_) => Ok(()),
            Err(why) => Err(format!("suites.{name}.secrets: {why}")),
        })
    }

    /// What the suite's variables hold.
    ///
    /// # Errors
    /// Names a secret that there is not, or that is not for this repository.
    pub fn of_suite(&self, repo: &RepoName, suite: &Suite) -> Result<Vec<(String, SecretString)>, String> {
        let held = |(variable, name): (&String, &SecretName)| match self.value(repo, name) {
            Some(value) => Ok((variable.clone(), value.clone())),
            None => Err(format!("this server has no secret `{name}` for {repo}")),
        };
        suite.secrets.iter().map(held).collect()
    }

    /// What hides everything that suites of the gate may hold: a cluster that they share carries it from one to another.
    pub fn masker<'a>(&'a self, repo: &RepoName, gate: &'a Gate, more: impl IntoIterator<Item = &'a str>) -> Masker {
        Masker::of(self.asked(repo, gate).chain(more))
    }

    /// Whether this is the value of one that the gate asks for.
    pub fn holds(&self, repo: &RepoName, gate: &Gate, value: &str) -> bool {
        self.asked(repo, gate).any(|asked| asked == value)
    }

    fn asked<'a>(&'a self, repo: &RepoName, gate: &'a Gate) -> impl Iterator<Item = &'a str> {
        let names = gate.suites.values().flat_map(|suite| suite.secrets.values());
        names.filter_map(|name| Some(self.value(repo, name)?.expose_secret()))
    }

    fn value(&self, repo: &RepoName, name: &SecretName) -> Option<&SecretString> {
        let secret = self.0.get(name)?;
        secret.repositories.iter().any(|pattern| pattern.fits(repo)).then_some(&secret.value)
    }
}

/// Whether a text may be a secret.
///
/// # Errors
/// Says why it may not, without any of it.
pub fn checked(text: &str) -> Result<(), String> {
    let shortest = text.lines().map(|line| line.trim().chars().count()).max().unwrap_or(0);
    match text {
        _ if shortest < SHORTEST => {
            Err(format!("is shorter than {SHORTEST} characters on every line: it could not be hidden in a log"))
        }
        _ if text.len() > LONGEST => Err(format!("is longer than {LONGEST} bytes")),
        _ if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) => {
            Err("holds control characters".into())
        }
        _ => Ok(()),
    }
}

/// Suites that are not for the changes of people who may not start runs.
pub fn withheld(suites: &IndexMap<SuiteName, Suite>) -> impl Iterator<Item = &SuiteName> {
    suites
        .iter()
        .filter(|(_, suite)| !suite.secrets.is_empty() && suite.secrets_for == SecretsFor::Trusted)
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let of = |value: &str, repositories: &[&str]| Secret {
            value: value.into(),
            repositories: repositories.iter().map(|pattern| pattern.parse().unwrap()).collect(),
        };
        let all = [
            ("registry", of("hunter2-registry", &["acme/*"])),
            ("cloud", of("hunter2-cloud", &["acme/infra"])),
            ("unused", of("hunter2-unused", &[])),
        ];
        Secrets(all.into_iter().map(|(name, secret)| (name.parse().unwrap(), secret)).collect())
    }

    fn gate(asked: &[(&str, &str)]) -> Gate {
        let mut suite = Suite::plain("i");
        suite.secrets = asked.iter().map(|(variable, name)| ((*variable).to_owned(), name.parse().unwrap())).collect();
        let mut gate = Gate::empty();
        gate.suites.insert("acceptance".parse().unwrap(), suite);
        gate
    }

    #[test]
    fn a_repository_has_what_it_is_listed_for_and_nothing_else() {
        let (secrets, infra, other) = (secrets(), "acme/infra".parse().unwrap(), "acme/other".parse().unwrap());
        let both = gate(&[("TOKEN", "registry"), ("CLOUD", "cloud")]);
        assert_eq!(secrets.check(&infra, &both), Ok(()));
        let held = secrets.of_suite(&infra, &both.suites[0]).unwrap();
        let held: Vec<_> = held.iter().map(|(variable, value)| (variable.as_str(), value.expose_secret())).collect();
        assert_eq!(held, [("TOKEN", "hunter2-registry"), ("CLOUD", "hunter2-cloud")]);
        let refused = secrets.check(&other, &both).unwrap_err();
        assert_eq!(refused, "suites.acceptance.secrets: this server has no secret `cloud` for acme/other");
        for name in ["unused", "nothing_of_the_kind"] {
            let refused = secrets.check(&infra, &gate(&[("X", name)])).unwrap_err();
            assert!(refused.ends_with(&format!("no secret `{name}` for acme/infra")), "{refused}");
        }
    }

    #[test]
    fn what_a_gate_may_not_have_is_not_masked_either() {
        let (secrets, other) = (secrets(), "acme/other".parse().unwrap());
        let masker = secrets.masker(&other, &gate(&[("TOKEN", "registry"), ("CLOUD", "cloud")]), ["from-elsewhere"]);
        let text = "hunter2-registry hunter2-cloud hunter2-unused from-elsewhere";
        assert_eq!(masker.text(text.into()), "*** hunter2-cloud hunter2-unused ***", "guesses are not confirmed");
    }

    #[test]
    fn what_could_not_be_hidden_is_no_secret() {
        assert_eq!(checked("abcd"), Ok(()));
        assert_eq!(checked("{\n  \"key\": 1\n}"), Ok(()));
        for (wrong, why) in [
            ("", "shorter than 4"),
            ("abc", "shorter than 4"),
            ("  abc  ", "shorter than 4"),
            ("abc\ndef\n", "shorter than 4"),
            ("abcd\u{0}", "control characters"),
            ("abcd\u{1b}[0m", "control characters"),
        ] {
            let said = checked(wrong).unwrap_err();
            assert!(said.contains(why), "{wrong:?}: {said}");
        }
        assert!(checked(&"x".repeat(LONGEST + 1)).unwrap_err().contains("longer than 32768"));
    }
}
