//! What tests share: databases of their own, plain values to start from.

pub mod databases;
pub mod engine;
pub mod gate;
pub mod http;
pub mod s3;
pub mod setup;
pub mod tls;
pub mod values;
pub mod wire;
