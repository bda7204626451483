//! The pull requests that the demo can show, and what the gate must say of each.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{ToSpan, Zoned};
use portcullis_github::{Files, PrSpec};

use crate::Final;

/// What the demo shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Healthy,
    Broken,
    Flaky,
    Crash,
    Conformance,
}

impl Scenario {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "healthy" => Some(Self::Healthy),
            "broken" => Some(Self::Broken),
            "flaky" => Some(Self::Flaky),
            "crash" => Some(Self::Crash),
            "conformance" => Some(Self::Conformance),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Broken => "broken",
            Self::Flaky => "flaky",
            Self::Crash => "crash",
            Self::Conformance => "conformance",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Healthy => "Greet customers by another text: everything passes",
            Self::Broken => "Rename a setting that a service still reads: a suite fails and names the spec",
            Self::Flaky => "Add a cache that is cold at first: a spec fails once and passes when tried again",
            Self::Crash => {
                "Greet customers by another text, while the service is killed over and over: nothing is lost"
            }
            Self::Conformance => "Greet customers by another text: the whole of upstream's conformance set must pass",
        }
    }

    /// A demo that takes longer than this has failed.
    pub(crate) fn patience(self) -> Duration {
        match self {
            Self::Healthy | Self::Broken | Self::Flaky | Self::Crash => Duration::from_secs(20 * 60),
            Self::Conformance => Duration::from_secs(90 * 60),
        }
    }

    /// The folder under `suites/custom/examples` whose manifests the pull request brings.
    fn example(self) -> &'static str {
        match self {
            Self::Healthy | Self::Crash | Self::Conformance => "ok",
            Self::Broken => "broken",
            Self::Flaky => "flaky",
        }
    }

    pub(crate) fn pull(self, root: &Path) -> Result<PrSpec> {
        let mut files = folder(&root.join("suites/custom/examples").join(self.example()).join("deploy"), "deploy")?;
        if self.example() == "ok" {
            let settings = std::fs::read_to_string(root.join("suites/custom/examples/ok/deploy/10-settings.yaml"))?;
            files = files.file("deploy/10-settings.yaml", settings.replace("Welcome to the shop", "Good to see you"));
        }
        Ok(PrSpec { title: self.title().into(), author: "alice".into(), files, ..PrSpec::default() })
    }

    /// Whether the final statuses show what the scenario is about.
    pub(crate) fn is_shown_by(self, finals: &[Final]) -> bool {
        if self == Self::Conformance {
            return !finals.is_empty() && finals.iter().all(|(_, state, _)| state == "success");
        }
        let custom = finals.iter().find(|(context, ..)| context == "portcullis/custom");
        let others_pass =
            finals.iter().filter(|(context, ..)| context != "portcullis/custom").all(|(_, s, _)| s == "success");
        others_pass
            && custom.is_some_and(|(_, state, description)| match self {
                Self::Healthy | Self::Crash | Self::Conformance => state == "success" && !description.contains("flaky"),
                Self::Broken => state == "failure",
                Self::Flaky => state == "success" && description.contains("flaky"),
            })
    }
}

/// The base branch: the gate policy and the platform as it is in use.
pub(crate) fn base_files(root: &Path, scenario: Scenario) -> Result<Files> {
    let gate = match scenario {
        Scenario::Healthy => "demo/gates/full.yaml",
        Scenario::Conformance => "demo/gates/conformance.yaml",
        Scenario::Broken | Scenario::Flaky | Scenario::Crash => "demo/gates/quick.yaml",
    };
    let in_30_days = (Zoned::now().date() + 30.days()).to_string();
    let gate = std::fs::read_to_string(root.join(gate))?.replace("IN_30_DAYS", &in_30_days);
    let platform = folder(&root.join("suites/custom/examples/ok/deploy"), "deploy")?;
    Ok(platform.file(".github/portcullis.yaml", gate).file("README.md", "# The shop's platform\n"))
}

fn folder(from: &Path, to: &str) -> Result<Files> {
    let mut files = Files::new();
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = format!("{to}/{}", entry.file_name().to_string_lossy());
        files = files.file(&name, std::fs::read(entry.path())?);
    }
    Ok(files)
}
