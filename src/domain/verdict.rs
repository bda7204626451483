//! What a suite came to. Placeholder until the full rules land with the report readers.

use serde::{Deserialize, Serialize};

/// The three outcomes a status can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Success,
    Failure,
    Error,
}

/// Everything an attempt showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {}
