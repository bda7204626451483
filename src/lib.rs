//! Portcullis: a CI gatekeeper for code that must prove itself on a real Kubernetes cluster.
//!
//! `domain ← ports ← {store, adapters} ← reconcile ← app ← cli`; `web` sees domain, ports and store.

pub mod adapters;
pub mod app;
pub mod artifacts;
pub mod cli;
pub mod config;
pub mod domain;
pub mod ports;
pub mod reconcile;
pub mod reports;
pub mod store;
pub mod web;
