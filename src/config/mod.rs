//! The two files people write: the repository's gate and the server's own. Text in, validated values or located problems out.
//! The only reader of the environment and of secret files; nothing here fetches, connects or starts.

pub mod builtin;
pub mod gate;
mod position;
mod problem;
pub mod server;
mod shape;
pub(crate) mod values;
mod yaml;

pub use builtin::Builtins;
pub use gate::{GateFiles, missing_paths, parse_gate, skips_path};
pub use problem::{ConfigError, report};
pub(crate) use problem::{did_you_mean, quoted};
pub use server::{ServerConfig, ServerSource};
