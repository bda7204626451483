//! What the readers need of the domain.

#[path = "../../src/domain/attempt.rs"]
pub mod attempt;
#[path = "../../src/domain/case.rs"]
pub mod case;
#[path = "../../src/domain/cause.rs"]
pub mod cause;
#[path = "../../src/domain/flake.rs"]
pub mod flake;
#[path = "../../src/domain/ids.rs"]
pub mod ids;
#[path = "../../src/domain/names.rs"]
pub mod names;
#[path = "../../src/domain/progress.rs"]
pub mod progress;
#[path = "../../src/domain/report.rs"]
pub mod report;
#[path = "../../src/domain/status.rs"]
pub mod status;
#[path = "../../src/domain/suite.rs"]
pub mod suite;
#[path = "../../src/domain/text.rs"]
pub mod text;
#[path = "../../src/domain/verdict.rs"]
pub mod verdict;
