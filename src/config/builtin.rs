//! The suites that come with the product, as data: `suites/<name>/suite.yaml` in the same words as a gate file's entry.

use indexmap::IndexMap;

use super::gate::{SuiteFile, resolve_builtin};
use super::yaml;
use crate::domain::suite::Suite;

const EMBEDDED: [(&str, &str); 4] = [
    ("smoke", include_str!("../../suites/smoke/suite.yaml")),
    ("conformance", include_str!("../../suites/conformance/suite.yaml")),
    ("statefulset", include_str!("../../suites/statefulset/suite.yaml")),
    ("custom", include_str!("../../suites/custom/suite.yaml")),
];

/// The built-in suites by name.
#[derive(Debug, Clone)]
pub struct Builtins {
    suites: IndexMap<&'static str, Builtin>,
}

/// One built-in suite.
#[derive(Debug, Clone)]
struct Builtin {
    description: String,
    suite: Suite,
}

impl Builtins {
    /// The suites of this release.
    pub fn embedded() -> Self {
        Self { suites: EMBEDDED.into_iter().map(|(name, text)| (name, read(name, text))).collect() }
    }

    /// A suite's file as it was written.
    pub fn source(name: &str) -> Option<&'static str> {
        EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// A suite by its name.
    pub fn get(&self, name: &str) -> Option<&Suite> {
        self.suites.get(name).map(|builtin| &builtin.suite)
    }

    /// Their names, from the quickest to the dearest.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.suites.keys().copied()
    }

    /// Name, one sentence, and the suite itself.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, &Suite)> {
        self.suites.iter().map(|(name, builtin)| (*name, builtin.description.as_str(), &builtin.suite))
    }
}

fn read(name: &str, text: &str) -> Builtin {
    let path = format!("suites/{name}/suite.yaml");
    let file: SuiteFile =
        yaml::read(&path, text).expect("the embedded suites can be read: every one is read by a test");
    let description = file.description.as_deref().cloned().unwrap_or_default();
    let suite = resolve_builtin(&path, file).expect("the embedded suites are complete: every one is read by a test");
    Builtin { description, suite }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::suite::Entry;

    #[test]
    fn every_embedded_suite_is_complete() {
        let builtins = Builtins::embedded();
        assert_eq!(builtins.names().collect::<Vec<_>>(), ["smoke", "conformance", "statefulset", "custom"]);
        for (name, description, suite) in builtins.iter() {
            assert!(description.len() > 20, "{name} says what it is");
            assert!(!suite.image.contains("{release}"), "{name}: {}", suite.image);
        }
        let Entry::Ginkgo(conformance) = &builtins.get("conformance").unwrap().entry else { panic!("Ginkgo") };
        assert_eq!((conformance.procs, conformance.focus.as_slice()), (4, [r"\[Conformance\]".to_owned()].as_slice()));
    }
}
