//! Who may start what, how often, and what a moved base means: the part of a gate that is about people and events.

use serde::{Deserialize, Serialize};

/// The gate's rules, complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Whether a pull request without the label shows every context as pending.
    pub announce: bool,
    pub on_base_move: OnBaseMove,
    /// Teams whose members may do what writers may.
    pub run_teams: Vec<Team>,
    /// Teams whose members may override.
    pub override_teams: Vec<Team>,
    pub commenters: Commenters,
    /// How often one suite may be run on one commit because a comment asks for it.
    pub reruns: u32,
    /// Between two such runs of a suite, in seconds.
    pub cool_down_s: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            announce: true,
            on_base_move: OnBaseMove::Ignore,
            run_teams: vec![],
            override_teams: vec![],
            commenters: Commenters::Writers,
            reruns: 5,
            cool_down_s: 60,
        }
    }
}

/// What becomes of results when the base branch moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBaseMove {
    /// They stand.
    Ignore,
    /// Every labelled pull request is run again on the new base, after everything else that waits.
    RerunBeforeMerge,
}

/// Whose `/test`, `/retest` and `/cancel` count on an approved commit, beside writers'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Commenters {
    /// Nobody's.
    Writers,
    /// The pull request's author's.
    Author,
    /// Anybody's.
    Anyone,
}

/// A team of an organization, `org/team`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Team {
    pub org: String,
    pub slug: String,
}

impl std::str::FromStr for Team {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |s: &str| {
            (1..=100).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        match text.split_once('/') {
            Some((org, slug)) if part(org) && part(slug) => {
                Ok(Self { org: org.to_ascii_lowercase(), slug: slug.to_ascii_lowercase() })
            }
            _ => Err(format!("`{}` is not a team of the form org/team", text.chars().take(80).collect::<String>())),
        }
    }
}

impl TryFrom<String> for Team {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Team> for String {
    fn from(team: Team) -> Self {
        format!("{}/{}", team.org, team.slug)
    }
}
