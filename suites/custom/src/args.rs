//! Command line and environment → settings. The only reader of either; touches neither cluster nor disk.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::select::{Pattern, Selection};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
usage: portcullis-suite smoke|custom [options]

  --list               print the names of the selected specs, run nothing
  --focus PATTERN      run only specs whose name contains PATTERN or matches it as a regular expression;
                       may be repeated       (PORTCULLIS_FOCUS, one pattern a line)
  --skip PATTERN       report such specs as skipped; may be repeated
                                             (PORTCULLIS_SKIP, one pattern a line)
  --flake-attempts N   try a failing spec up to N times, 1 to 10 (PORTCULLIS_FLAKE_ATTEMPTS; default 1)

environment:
  KUBECONFIG                  the cluster under test
  RESULTS_DIR                 folder for junit.xml; without it no report is written
  PORTCULLIS_WORKSPACE        checkout of the change under test (default /workspace)
  PORTCULLIS_AGNHOST_IMAGE    images of the pods that specs start
  PORTCULLIS_BUSYBOX_IMAGE

exit code: 0 all passed, 1 tests failed or none ran, 2 usage";

const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.56";
const BUSYBOX: &str = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1";
const MOST_ATTEMPTS: u32 = 10;

/// What the user asked for.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    List(Settings),
    Run(Settings),
}

/// Everything that one execution of a suite depends on.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) suite: SuiteName,
    pub(crate) selection: Selection,
    /// Tries per spec in all, the first one included.
    pub(crate) flake_attempts: NonZeroU32,
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) results: Option<PathBuf>,
    pub(crate) workspace: PathBuf,
    pub(crate) images: Images,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuiteName {
    Smoke,
    Custom,
}

impl SuiteName {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Custom => "custom",
        }
    }

    fn parse(word: &str) -> Result<Self, Usage> {
        match word {
            "smoke" => Ok(Self::Smoke),
            "custom" => Ok(Self::Custom),
            other => Err(Usage(format!("`{other}` is neither a suite nor an option"))),
        }
    }
}

/// Images of the pods that specs start.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    pub(crate) agnhost: String,
    pub(crate) busybox: String,
}

/// Why the arguments cannot be followed, for the user to read.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the arguments (without the program's name) and the environment. Patterns of both add up; the
/// number of attempts on the command line wins.
pub(crate) fn parse(
    args: impl IntoIterator<Item = String>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Command, Usage> {
    let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    let words = Words::read(args)?;
    if words.help {
        return Ok(Command::Help);
    }
    let suite = words.suite.ok_or_else(|| Usage("name a suite: smoke or custom".into()))?;
    let attempts = words.flake_attempts.or_else(|| env("PORTCULLIS_FLAKE_ATTEMPTS"));
    let settings = Settings {
        suite,
        selection: Selection {
            focus: patterns(words.focus, env("PORTCULLIS_FOCUS"))?,
            skip: patterns(words.skip, env("PORTCULLIS_SKIP"))?,
        },
        flake_attempts: attempts.map_or(Ok(NonZeroU32::MIN), |text| flake_attempts(&text))?,
        kubeconfig: env("KUBECONFIG").map(PathBuf::from),
        results: env("RESULTS_DIR").map(PathBuf::from),
        workspace: env("PORTCULLIS_WORKSPACE").unwrap_or_else(|| "/workspace".into()).into(),
        images: Images {
            agnhost: env("PORTCULLIS_AGNHOST_IMAGE").unwrap_or_else(|| AGNHOST.into()),
            busybox: env("PORTCULLIS_BUSYBOX_IMAGE").unwrap_or_else(|| BUSYBOX.into()),
        },
    };
    Ok(if words.list { Command::List(settings) } else { Command::Run(settings) })
}

#[derive(Default)]
struct Words {
    suite: Option<SuiteName>,
    list: bool,
    help: bool,
    focus: Vec<String>,
    skip: Vec<String>,
    flake_attempts: Option<String>,
}

impl Words {
    fn read(args: impl IntoIterator<Item = String>) -> Result<Self, Usage> {
        let mut words = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (option, inline) = match arg.split_once('=') {
                Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
                Some(_) | None => (arg.as_str(), None),
            };
            let mut value =
                || inline.clone().or_else(|| args.next()).ok_or_else(|| Usage(format!("{option} needs a value")));
            match option {
                "--focus" => words.focus.push(value()?),
                "--skip" => words.skip.push(value()?),
                "--flake-attempts" => words.flake_attempts = Some(value()?),
                "--list" => words.list = true,
                "--help" | "-h" => words.help = true,
                word if words.suite.is_none() => words.suite = Some(SuiteName::parse(word)?),
                word => return Err(Usage(format!("unexpected argument `{word}`"))),
            }
        }
        Ok(words)
    }
}

/// Blank lines are no patterns: read as such they would match every spec.
fn patterns(from_args: Vec<String>, from_env: Option<String>) -> Result<Vec<Pattern>, Usage> {
    let lines = from_env.unwrap_or_default();
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
    from_args.into_iter().chain(lines).map(|text| Pattern::parse(text).map_err(Usage)).collect()
}

fn flake_attempts(text: &str) -> Result<NonZeroU32, Usage> {
    match text.trim().parse::<NonZeroU32>() {
        Ok(number) if number.get() <= MOST_ATTEMPTS => Ok(number),
        Ok(_) | Err(_) => Err(Usage(format!("flake attempts must be 1 to {MOST_ATTEMPTS}, not `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Choice;

    fn settings(args: &[&str], env: &[(&str, &str)]) -> Result<Settings, String> {
        let found = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        match parse(args.iter().map(|arg| (*arg).to_owned()), found) {
            Ok(Command::Run(settings)) => Ok(settings),
            Ok(other) => Err(format!("{other:?}")),
            Err(usage) => Err(usage.to_string()),
        }
    }

    #[test]
    fn a_suite_alone_runs_everything_once() {
        let settings = settings(&["smoke"], &[]).unwrap();
        assert_eq!(settings.suite, SuiteName::Smoke);
        assert_eq!(settings.flake_attempts.get(), 1);
        assert_eq!(settings.workspace, PathBuf::from("/workspace"));
        assert_eq!((settings.kubeconfig, settings.results), (None, None));
        assert_eq!(settings.selection.choose("anything"), Choice::Run);
        assert_eq!(settings.images.agnhost, AGNHOST);
    }

    #[test]
    fn patterns_of_arguments_and_environment_add_up() {
        let env = [("PORTCULLIS_SKIP", "\n second \n\n third\n"), ("PORTCULLIS_FLAKE_ATTEMPTS", "3")];
        let settings = settings(&["custom", "--skip=first", "--flake-attempts", "2"], &env).unwrap();
        for name in ["the first", "the second", "the third"] {
            assert!(matches!(settings.selection.choose(name), Choice::Skip(_)), "{name}");
        }
        assert_eq!(settings.selection.choose("the fourth"), Choice::Run);
        assert_eq!(settings.flake_attempts.get(), 2, "the command line wins");
    }

    #[test]
    fn environment_alone_is_enough() {
        let env = [
            ("PORTCULLIS_FOCUS", "dns"),
            ("PORTCULLIS_FLAKE_ATTEMPTS", "3"),
            ("KUBECONFIG", "/kubeconfig"),
            ("RESULTS_DIR", "/results"),
            ("PORTCULLIS_WORKSPACE", "/elsewhere"),
            ("PORTCULLIS_BUSYBOX_IMAGE", "example/busybox"),
        ];
        let settings = settings(&["smoke"], &env).unwrap();
        assert_eq!(settings.selection.choose("dns: answers"), Choice::Run);
        assert_eq!(settings.selection.choose("nodes"), Choice::OutOfFocus);
        assert_eq!(settings.flake_attempts.get(), 3);
        assert_eq!(settings.kubeconfig, Some("/kubeconfig".into()));
        assert_eq!(settings.results, Some("/results".into()));
        assert_eq!(settings.workspace, PathBuf::from("/elsewhere"));
        assert_eq!(settings.images.busybox, "example/busybox");
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_the_reason() {
        for (args, reason) in [
            (&[][..], "name a suite"),
            (&["smok"], "`smok` is neither"),
            (&["smoke", "custom"], "unexpected argument `custom`"),
            (&["smoke", "--fast"], "unexpected argument `--fast`"),
            (&["smoke", "--focus"], "--focus needs a value"),
            (&["smoke", "--flake-attempts", "0"], "1 to 10, not `0`"),
            (&["smoke", "--flake-attempts=11"], "1 to 10, not `11`"),
            (&["smoke", "--skip", "a|"], "matches every spec"),
        ] {
            let error = settings(args, &[]).unwrap_err();
            assert!(error.contains(reason), "{args:?}: {error}");
        }
    }

    #[test]
    fn list_and_help_are_commands_of_their_own() {
        let parsed = |args: &[&str]| parse(args.iter().map(|arg| (*arg).to_owned()), |_| None);
        assert!(matches!(parsed(&["custom", "--list"]), Ok(Command::List(_))));
        assert!(matches!(parsed(&["--help"]), Ok(Command::Help)));
    }
}
