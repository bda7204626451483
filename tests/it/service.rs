//! The whole service before a stand-in GitHub: a process of its own with a real database, judged by what GitHub, browsers
//! and operators see of it. Docker is out of reach, so runs are announced and wait, except where bad suites and clusters are the point.

mod again;
mod announcing;
mod catching_up;
mod checks;
mod cluster;
mod commands;
mod crashes;
mod deliveries;
mod disk;
mod ending;
mod holding;
mod installations;
mod kept;
mod labels;
mod merging;
mod outage;
mod overwritten;
mod policy;
mod process;
mod results;
mod rotation;
mod routes;
mod rules;
mod secrets;
mod table;
mod trouble;
