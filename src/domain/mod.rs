//! The words and rules of the product as plain values: no IO, no clock, no vendor types.
//! Everything that decides lives here; everything that acts lives elsewhere and asks.

pub mod attempt;
pub mod cluster;
pub mod gate;
pub mod ids;
pub mod names;
pub mod progress;
pub mod run;
pub mod skip;
pub mod status;
pub mod suite;
pub mod verdict;
