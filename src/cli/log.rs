//! Sends the service's log lines to standard error, in the shape and with the filter the configuration asks for.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::server::{Log, LogFormat};

/// The Docker client's more talkative levels show what it sends: secrets among the variables of suites.
const QUIET: &str = "bollard=info";

/// Call once, before anything is logged.
pub(super) fn install(log: &Log) {
    let filter = EnvFilter::try_new(without_the_client(&log.filter)).expect("checked when the configuration was read");
    let filter = filter.add_directive(QUIET.parse().expect("a constant directive"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// A directive about a part of the client would outweigh the one about all of it.
fn without_the_client(filter: &str) -> String {
    filter.split(',').filter(|directive| !directive.trim_start().starts_with("bollard")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn nobody_can_make_the_docker_client_talk() {
        let part = super::QUIET.replace("=info", "::docker=debug");
        let heard = super::without_the_client(&format!("info, bollard=trace,{part},portcullis=debug"));
        assert_eq!(heard, "info,portcullis=debug");
    }
}
