//! Secrets for suites: each by value or by file, and only for the repositories that are listed. No secret is part of a message.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::file::{SecretSection, Set};
use super::github::read_secret_file;
use super::resolve::Resolver;
use crate::config::problem::quoted;
use crate::domain::names::SecretName;
use crate::domain::secret::{self, Secret, Secrets};

impl Resolver<'_> {
    pub(super) fn secrets(&mut self, sections: BTreeMap<String, SecretSection>) -> Secrets {
        let read = sections.into_iter().filter_map(|(name, section)| self.suite_secret(&name, section));
        Secrets(read.collect())
    }

    fn suite_secret(&mut self, name: &str, section: SecretSection) -> Option<(SecretName, Secret)> {
        let (value, file) = (section.value, section.value_file);
        let first = [value.as_ref(), file.as_ref()].into_iter().flatten().map(|set| set.origin).next();
        let origin = first.or(section.repositories.as_ref().map(|set| set.origin));
        let repositories =
            self.read_some(section.repositories, |texts| texts.iter().map(|text| text.parse()).collect());
        let named = name.parse::<SecretName>();
        // A section without any key was refused before.
        let origin = origin?;
        let name = named.map_err(|bad| self.add(origin, bad.to_string())).ok()?;
        let value = self.value(name.as_str(), value, file, origin)?;
        Some((name, Secret { value, repositories: repositories.unwrap_or_default() }))
    }

    /// Kept as it is but for line ends after it, which editors add.
    fn value(
        &mut self,
        name: &str,
        value: Option<Set<String>>,
        file: Option<Set<String>>,
        origin: usize,
    ) -> Option<SecretString> {
        let text = match (value, file) {
            (Some(_), Some(_)) => Err(format!("either `secrets.{name}.value` or `value_file`, not both")),
            (None, None) if self.is_misread(&["value", "value_file"].map(|key| format!("secrets.{name}.{key}"))) => {
                return None;
            }
            (None, None) => Err(format!("the secret {} has neither `value` nor `value_file`", quoted(name))),
            (Some(value), None) => Ok(value.value),
            (None, Some(file)) => read_secret_file(&file.value),
        };
        let text = text.map(|text| text.trim_end_matches(['\n', '\r']).to_owned());
        let checked = text.and_then(|text| match secret::checked(&text) {
            Ok(()) => Ok(text.into()),
            Err(why) => Err(format!("the secret {} {why}", quoted(name))),
        });
        checked.map_err(|message| self.add(origin, message)).ok()
    }
}
