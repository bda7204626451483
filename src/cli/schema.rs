//! `portcullis schema`: JSON Schemas for editors and for whoever writes configuration by program.

use std::process::ExitCode;

use super::out;
use crate::config::{gate, server};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which file.
    file: File,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum File {
    /// `.github/portcullis.yaml`.
    Gate,
    /// A suite: an entry of a gate's `suites`.
    Suite,
    /// A skip list that a gate names.
    Skips,
    /// The server's configuration.
    Server,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let schema = match args.file {
        File::Gate => gate::schema(),
        File::Suite => gate::suite_schema(),
        File::Skips => gate::skips_schema(),
        File::Server => server::schema(),
    };
    out::json(schema.as_value());
    ExitCode::SUCCESS
}
