//! Comments on pull requests, and reactions to pull requests and comments.

use jiff::Timestamp;

#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) issue: u64,
    pub(crate) author: String,
    pub(crate) body: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// A reaction. One account reacts to one thing with one content once.
#[derive(Debug, Clone)]
pub(crate) struct Reaction {
    pub(crate) id: u64,
    pub(crate) on: Subject,
    pub(crate) by: String,
    pub(crate) content: String,
    pub(crate) at: Timestamp,
}

/// What a reaction is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Issue(u64),
    Comment(u64),
}
