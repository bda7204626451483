//! `portcullis report`: reads result files just as the service does and says what it makes of them.
//! Writes to the given output only; the caller turns the returned status into the process's own.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::domain::case::{Case, CaseOutcome};
use crate::domain::report::{Counts, Report};
use crate::domain::text::{counted, cut, headline};
use crate::domain::verdict::{Evidence, Exit, Judgement, Policy, Verdict, judge};
use crate::reports::{Limits, read_paths};

/// Failures and problems shown as text; `--json` holds all of them.
const SHOWN: usize = 50;

/// Arguments of `portcullis report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 success, 1 failure (tests failed), 2 error (no verdict on the tests), \
                        64 arguments that are not understood, 74 output that cannot be written.")]
pub(super) struct ReportArgs {
    /// Result files, or folders that are searched for them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Exit status of the suite, where it is known
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub exit_code: Option<i64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads the reports, prints what they say to `out` and returns the exit status: 0 success, 1 failure, 2 error.
///
/// # Errors
/// Those of the output.
pub(super) fn run(args: &ReportArgs, out: &mut impl Write) -> io::Result<u8> {
    let report = read_paths(&args.paths, &Limits::default());
    let exit = args.exit_code.map_or(Exit::Unknown, Exit::Code);
    let evidence = Evidence { exit, digest: report.digest(), announced: None, took_ms: None };
    let mut judgement = judge(&evidence, &Policy::default());
    judgement.problems.extend(searched(args, &report));
    if args.json {
        write_json(&report, &judgement, out)?;
    } else {
        write_text(&report, &judgement, out)?;
    }
    out.flush()?;
    Ok(match judgement.verdict {
        Verdict::Success => 0,
        Verdict::Failure => 1,
        Verdict::Error => 2,
    })
}

/// Which folders were searched in vain, and for what.
fn searched(args: &ReportArgs, report: &Report) -> Vec<String> {
    let folders = args.paths.iter().filter(|path| report.files == 0 && path.is_dir());
    let text =
        |folder: &PathBuf| format!("{}: no report in it among `*.xml` and `*.json` (also `.gz`)", folder.display());
    folders.map(text).collect()
}

/// The JSON that scripts rely on; described in docs/suites.md.
#[derive(Serialize)]
struct Output<'a> {
    verdict: Verdict,
    description: &'a str,
    cases: Counts,
    failures: Vec<Failure<'a>>,
    problems: &'a [String],
}

#[derive(Serialize)]
struct Failure<'a> {
    name: &'a str,
    message: &'a str,
}

fn write_json(report: &Report, judgement: &Judgement, out: &mut impl Write) -> io::Result<()> {
    let failures = report.failures().map(|case| Failure { name: &case.id.name, message: case.message().unwrap_or("") });
    let output = Output {
        verdict: judgement.verdict,
        description: &judgement.description,
        cases: report.counts(),
        failures: failures.collect(),
        problems: &judgement.problems,
    };
    serde_json::to_writer(&mut *out, &output)?;
    writeln!(out)
}

fn write_text(report: &Report, judgement: &Judgement, out: &mut impl Write) -> io::Result<()> {
    let word = match judgement.verdict {
        Verdict::Success => "success",
        Verdict::Failure => "failure",
        Verdict::Error => "error",
    };
    let counts = report.counts();
    writeln!(out, "{word}: {}", judgement.description)?;
    writeln!(
        out,
        "{}: {} passed, {} failed, {} errored, {} skipped, {} flaky",
        counted(counts.total, "case"),
        counts.passed,
        counts.failed,
        counts.errored,
        counts.skipped,
        counts.flaky
    )?;
    write_cases("failed", report.failures(), out)?;
    write_cases("flaky", report.cases.iter().filter(|case| case.outcome() == CaseOutcome::Flaky), out)?;
    if !judgement.problems.is_empty() {
        writeln!(out, "\nproblems:")?;
        for problem in judgement.problems.iter().take(SHOWN) {
            writeln!(out, "  {problem}")?;
        }
    }
    Ok(())
}

fn write_cases<'a>(title: &str, mut cases: impl Iterator<Item = &'a Case>, out: &mut impl Write) -> io::Result<()> {
    for (at, case) in cases.by_ref().take(SHOWN).enumerate() {
        if at == 0 {
            writeln!(out, "\n{title}:")?;
        }
        let class = if case.id.class.is_empty() || case.id.class == case.id.suite {
            String::new()
        } else {
            format!(" ({})", case.id.class)
        };
        writeln!(out, "  {}{class}", case.id.name)?;
        let line = headline(case.message().unwrap_or(""));
        if !line.is_empty() {
            writeln!(out, "      {}", cut(line, 200))?;
        }
    }
    let more = cases.count();
    if more > 0 {
        writeln!(out, "  … and {more} more")?;
    }
    Ok(())
}
