//! What configuration files are taken for, and what is said about wrong ones. Nothing here starts a service.

mod docs;
mod gate;
mod gate_problems;
mod server;

use jiff::civil::{Date, date};
use portcullis::config::{Builtins, GateFiles, parse_gate, report};
use portcullis::domain::gate::Gate;

/// The day on which these tests take place.
const TODAY: Date = date(2026, 11, 21);

const LIST: &str = ".github/portcullis-skips.yaml";

/// The gate, or its problems as they are shown.
fn gate_with(gate: &str, list: Option<&str>) -> Result<Gate, String> {
    let files = GateFiles { gate, skips: list.map(|text| (LIST, text)) };
    parse_gate(files, &Builtins::embedded(), TODAY).map_err(|problems| report(&problems))
}

fn gate(text: &str) -> Result<Gate, String> {
    gate_with(text, None)
}
