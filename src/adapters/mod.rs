//! The outside world in its own words, translated into the ports'. No type of a vendor's library leaves its folder.

pub mod archive;
pub mod artifacts;
pub mod clock;
pub mod docker;
pub mod github;
pub mod kube;
