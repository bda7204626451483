//! What the forge is told beside statuses: replies, reactions, labels taken off. Stored before it is sent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One thing to tell, about one pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// A comment; Markdown.
    Reply(String),
    /// A reaction to the comment of this number.
    React(u64, Reaction),
    /// The label goes, unless somebody other than `by` put it on after `since` (the forge's clock).
    Unlabel { label: String, by: String, since: Timestamp },
}

/// What a command's author sees at their comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// It is being run.
    Eyes,
    /// It is done.
    ThumbsUp,
    /// It was not understood or not allowed; a reply says why.
    Confused,
}

impl Reaction {
    /// GitHub's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Reaction::Eyes => "eyes",
            Reaction::ThumbsUp => "+1",
            Reaction::Confused => "confused",
        }
    }
}

/// What tells our own reply apart when it is looked for after a crash; invisible to people.
pub fn marker(key: &str) -> String {
    format!("<!-- portcullis:{} -->", key.replace("--", "-"))
}
