//! What configuration files are taken for, and what is said about wrong ones.

#[test]
fn placeholder() {}
