//! The program: sets up what a process has only one of, then hands over to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .expect("the provider is installed once, before any connection");
    portcullis::cli::run()
}
