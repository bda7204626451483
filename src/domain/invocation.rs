//! How a suite's container is called: its command and its variables, for a phase, for some specs again, or for a list of specs.
//! Pure, and the same for every executor.

use std::collections::BTreeMap;

use super::attempt::{Part, Spec};
use super::contract;
use super::ginkgo::{self, Call, Generation, Mode};
use super::suite::{Entry, Ginkgo, RerunWith, Suite};

/// Linux takes 2 MiB of arguments and variables with the usual stack; this leaves room for the container's own.
const MOST_BYTES: usize = 1_500_000;
/// And no single one of 128 KiB.
const LONGEST: usize = 131_000;

/// What a container runs.
#[derive(Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Program and arguments; empty means the image's entry point.
    pub command: Vec<String>,
    /// Every variable, the contract's included.
    pub env: BTreeMap<String, String>,
}

/// How an attempt's container is called. `skips` are patterns of the skip list.
///
/// # Errors
/// Says why the suite cannot be called so.
pub fn of_attempt(suite: &Suite, part: &Part, skips: &[String], kubernetes: &str) -> Result<Invocation, String> {
    let mut env: BTreeMap<String, String> = suite.env.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let command = match (&suite.entry, part) {
        (Entry::Command(command), part) => of_command(suite, command, part, skips, &mut env),
        (Entry::Ginkgo(_) | Entry::GoRunner(_), part) => {
            let chosen = chosen(suite, part)?;
            // What is run again was chosen by name: nothing is to be left out of it, and it gets one try.
            let (skips, flake_attempts) = match part {
                Part::Phase(_) => (skips, suite.flake_attempts),
                Part::Specs(_) => (&[][..], 1),
            };
            let call = Call {
                generation: Generation::of(kubernetes),
                ginkgo: &chosen,
                skips,
                flake_attempts,
                timeout_s: suite.timeouts.suite_s,
                mode: Mode::Run,
            };
            of_ginkgo(&suite.entry, &call, &mut env)?
        }
    };
    checked(Invocation { command, env: contract::variables(env) })
}

/// How a suite is asked for the names of a phase's specs, without a cluster. `None`: it cannot be asked.
pub fn of_list(suite: &Suite, phase: u32, kubernetes: &str) -> Option<Invocation> {
    let env: BTreeMap<String, String> = suite.env.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let command = match suite.ginkgo(phase) {
        Some(ginkgo) => {
            let call = Call {
                generation: Generation::of(kubernetes),
                ginkgo: &ginkgo,
                skips: &[],
                flake_attempts: 1,
                timeout_s: 0,
                mode: Mode::List,
            };
            std::iter::once(ginkgo::PROGRAM.to_owned()).chain(ginkgo::arguments(&call)).collect()
        }
        None if suite.list.is_empty() => return None,
        None => suite.list.clone(),
    };
    Some(Invocation { command, env: contract::variables(env) })
}

fn chosen(suite: &Suite, part: &Part) -> Result<Ginkgo, String> {
    let phase = |number| suite.ginkgo(number).ok_or_else(|| "a Ginkgo suite is called by its phases".to_owned());
    match part {
        Part::Phase(number) => phase(*number),
        // Serial: what failed among many may pass alone, and that is what is asked.
        Part::Specs(specs) => Ok(Ginkgo {
            focus: ginkgo::exactly(specs.iter().map(|spec| spec.name.as_str())),
            skip: vec![],
            label_filter: String::new(),
            procs: 1,
            ..phase(0)?
        }),
    }
}

fn of_ginkgo(entry: &Entry, call: &Call<'_>, env: &mut BTreeMap<String, String>) -> Result<Vec<String>, String> {
    if call.generation == Generation::One && call.ginkgo.focus.len() > 1 {
        let bytes: usize = call.ginkgo.focus.iter().map(String::len).sum();
        if bytes > LONGEST {
            return Err("too many specs for one command line of Ginkgo's first generation".into());
        }
    }
    if matches!(entry, Entry::GoRunner(_)) {
        env.extend(ginkgo::go_runner(call).into_iter().map(|(name, value)| (name.to_owned(), value)));
        return Ok(vec![]);
    }
    Ok(std::iter::once(ginkgo::PROGRAM.to_owned()).chain(ginkgo::arguments(call)).collect())
}

/// Whatever is not Ginkgo is told by variables, and by its own template which specs to run again.
fn of_command(
    suite: &Suite,
    command: &[String],
    part: &Part,
    skips: &[String],
    env: &mut BTreeMap<String, String>,
) -> Vec<String> {
    let (skips, attempts, command) = match part {
        Part::Phase(_) => (skips.join("\n"), suite.flake_attempts, command.to_vec()),
        Part::Specs(specs) => {
            let again = again(&suite.rerun.with, command, specs);
            // The whole suite again leaves out what it left out before.
            let skips = if again.is_some() { String::new() } else { skips.join("\n") };
            (skips, 1, again.unwrap_or_else(|| command.to_vec()))
        }
    };
    env.insert(contract::SKIP.into(), skips);
    env.insert(contract::FLAKE_ATTEMPTS.into(), attempts.to_string());
    command
}

/// The command that runs just these specs; `None` where there is none.
fn again(with: &RerunWith, command: &[String], specs: &[Spec]) -> Option<Vec<String>> {
    let added: Vec<String> = match with {
        RerunWith::Focus | RerunWith::Whole => return None,
        RerunWith::Pytest => specs.iter().map(pytest_node).collect(),
        RerunWith::GoTest => {
            // Subtests run with the test they are part of.
            let mut tests: Vec<&str> = specs.iter().filter_map(|spec| spec.name.split('/').next()).collect();
            tests.dedup();
            vec!["-run".to_owned(), format!("^({})$", tests.join("|"))]
        }
        RerunWith::Nextest => {
            let names: Vec<_> = specs.iter().map(|spec| format!("test(={})", spec.name)).collect();
            vec!["-E".to_owned(), names.join(" | ")]
        }
        RerunWith::Command(template) => return Some(filled(template, specs)),
    };
    Some(command.iter().cloned().chain(added).collect())
}

fn filled(template: &[String], specs: &[Spec]) -> Vec<String> {
    let names = || specs.iter().map(|spec| spec.name.clone());
    let fill = |argument: &String| -> Vec<String> {
        match argument.as_str() {
            "{cases}" => names().collect(),
            each if each.contains("{case}") => names().map(|name| each.replace("{case}", &name)).collect(),
            plain => vec![plain.to_owned()],
        }
    };
    template.iter().flat_map(fill).collect()
}

/// pytest's JUnit names the module and class with dots; its command line wants the file.
fn pytest_node(spec: &Spec) -> String {
    let parts: Vec<&str> = spec.class.split('.').filter(|part| !part.is_empty()).collect();
    let is_module = |part: &&str| part.starts_with("test_") || part.ends_with("_test");
    let file = parts.iter().rposition(is_module).unwrap_or(parts.len().saturating_sub(1));
    let path = parts.get(..=file).map(|module| format!("{}.py", module.join("/"))).unwrap_or_default();
    let classes = parts.get(file + 1..).unwrap_or_default();
    [path.as_str()]
        .into_iter()
        .chain(classes.iter().copied())
        .chain([spec.name.as_str()])
        .collect::<Vec<_>>()
        .join("::")
}

fn checked(invocation: Invocation) -> Result<Invocation, String> {
    let texts = || invocation.command.iter().chain(invocation.env.values());
    let all: usize = texts().map(|text| text.len() + 64).sum();
    match texts().any(|text| text.len() > LONGEST) || all > MOST_BYTES {
        true => Err("its command line is too long for Linux: fewer or shorter patterns are needed".into()),
        false => Ok(invocation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(all: &[(&str, &str)]) -> Part {
        Part::Specs(all.iter().map(|(class, name)| Spec { class: (*class).into(), name: (*name).into() }).collect())
    }

    fn called(suite: &Suite, part: &Part) -> Invocation {
        of_attempt(suite, part, &["a|b".into(), "c".into()], "v1.34.4").ok().unwrap()
    }

    fn command(with: RerunWith) -> Suite {
        let mut suite = Suite::plain("i");
        suite.entry = Entry::Command(vec!["run".into()]);
        suite.env = [("KUBECONFIG", "/elsewhere"), ("MODE", "full")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        (suite.flake_attempts, suite.rerun.with) = (2, with);
        suite
    }

    #[test]
    fn a_suite_cannot_move_what_the_contract_fixes() {
        let Invocation { command, env } = called(&command(RerunWith::Whole), &Part::Phase(0));
        assert_eq!(command, ["run"]);
        assert_eq!((env["KUBECONFIG"].as_str(), env["MODE"].as_str()), (contract::KUBECONFIG, "full"));
        assert_eq!((env["PORTCULLIS_SKIP"].as_str(), env["PORTCULLIS_FLAKE_ATTEMPTS"].as_str()), ("a|b\nc", "2"));
    }

    #[test]
    fn each_runner_is_told_in_its_own_words_what_to_run_again() {
        let failed = specs(&[("tests.e2e.test_dns.TestZone", "test_ttl[30]"), ("tests.test_web", "test_get")]);
        let again = |with| called(&command(with), &failed).command;
        assert_eq!(
            again(RerunWith::Pytest),
            ["run", "tests/e2e/test_dns.py::TestZone::test_ttl[30]", "tests/test_web.py::test_get"]
        );
        assert_eq!(again(RerunWith::Nextest), ["run", "-E", "test(=test_ttl[30]) | test(=test_get)"]);
        assert_eq!(again(RerunWith::Whole), ["run"]);
        let own = RerunWith::Command(["only", "--focus={case}", "--", "{cases}"].map(str::to_owned).into());
        assert_eq!(again(own), ["only", "--focus=test_ttl[30]", "--focus=test_get", "--", "test_ttl[30]", "test_get"]);
        let go = specs(&[("pkg", "TestA/sub"), ("pkg", "TestA/other"), ("pkg", "TestB")]);
        assert_eq!(called(&command(RerunWith::GoTest), &go).command, ["run", "-run", "^(TestA|TestB)$"]);
    }

    #[test]
    fn what_is_chosen_by_name_is_not_skipped_and_gets_one_try() {
        let env = called(&command(RerunWith::Pytest), &specs(&[("a", "b")])).env;
        assert_eq!((env["PORTCULLIS_SKIP"].as_str(), env["PORTCULLIS_FLAKE_ATTEMPTS"].as_str()), ("", "1"));
        let mut suite = Suite::plain("i");
        suite.entry =
            Entry::Ginkgo(Ginkgo { skip: vec!["x".into()], procs: 8, label_filter: "L".into(), ..Ginkgo::default() });
        suite.flake_attempts = 3;
        let Invocation { command, env } = called(&suite, &specs(&[("", "[sig-apps] Foo (bar)")]));
        assert!(command.contains(&r" (?:\[sig\-apps\] Foo \(bar\))$".replacen(' ', "--focus= ", 1)), "{command:?}");
        for gone in ["--skip", "--label-filter", "--procs=8", "--flake-attempts=3"] {
            assert!(!command.iter().any(|arg| arg.starts_with(gone)), "{gone}");
        }
        assert!(!env.contains_key("PORTCULLIS_SKIP"));
    }

    #[test]
    fn a_command_line_that_linux_would_refuse_is_refused_in_words() {
        let long = vec!["x".repeat(LONGEST + 1)];
        let refused = of_attempt(&command(RerunWith::Whole), &Part::Phase(0), &long, "v1.34.4");
        assert!(refused.err().unwrap().contains("too long"));
    }

    #[test]
    fn a_list_needs_ginkgo_or_a_command() {
        let mut suite = command(RerunWith::Whole);
        assert!(of_list(&suite, 0, "v1.34.4").is_none());
        suite.list = vec!["run".into(), "--list".into()];
        assert_eq!(of_list(&suite, 0, "v1.34.4").unwrap().command, ["run", "--list"]);
        suite.entry = Entry::GoRunner(Ginkgo::default());
        assert!(of_list(&suite, 0, "v1.34.4").unwrap().command.contains(&"--dry-run".to_owned()));
    }
}
