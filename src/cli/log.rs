//! Sends the service's log lines to standard error, in the shape and with the filter the configuration asks for.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::server::{Log, LogFormat};

/// Call once, before anything is logged.
pub(super) fn install(log: &Log) {
    let filter = EnvFilter::try_new(&log.filter).expect("checked when the configuration was read");
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
