//! The words and rules of the product as plain values: no IO, no clock, no vendor types.
//! Everything that decides lives here; everything that acts lives elsewhere and asks.

pub mod attempt;
pub mod audit;
pub mod case;
pub mod cause;
pub mod cluster;
pub mod combine;
pub mod command;
pub mod contract;
pub mod course;
pub mod effect;
pub mod event;
pub mod flake;
pub mod gate;
pub mod ginkgo;
pub mod ids;
pub mod invocation;
pub mod lint;
pub mod message;
pub mod missed;
pub mod names;
pub mod notice;
pub mod overrides;
pub mod plan;
pub mod progress;
pub mod report;
pub mod rules;
pub mod run;
pub mod skip;
pub mod status;
pub mod suite;
pub mod text;
pub mod verdict;
pub mod versions;
pub mod wording;
