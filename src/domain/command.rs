//! Commands in comments: Markdown in, meanings out. What stands in code, quotes, headings or links is talk, not a command.
//! Pure: who may, and which suites there are, is asked elsewhere.

use std::time::Duration;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What one comment may ask for at most.
pub const MOST_COMMANDS: usize = 10;

/// How long a cluster is kept when nobody says how long.
const HOLD: Duration = Duration::from_secs(2 * 3600);
const SHORTEST_HOLD: Duration = Duration::from_secs(60);
const LONGEST_HOLD: Duration = Duration::from_secs(24 * 3600);
/// Characters of somebody else's text that are shown back.
const MOST_SHOWN: usize = 80;
const MOST_REASON: usize = 500;

const NAMES: [&str; 8] = ["test", "retest", "cancel", "ok-to-test", "skip", "override", "hold", "release"];

/// What somebody asks for. Suites are names as written, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Test(Selection),
    /// `/test ?`
    List,
    Retest(Retest),
    /// Empty: everything.
    Cancel(Vec<String>),
    /// With the first digits of a commit id, if any are named.
    OkToTest(Option<String>),
    Skip {
        suite: String,
        reason: String,
    },
    Override {
        suite: String,
        reason: String,
    },
    Hold(Duration),
    Release,
}

/// Which suites `/test` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Those that are not green yet.
    Open,
    All,
    Named(Vec<String>),
}

/// How much of what failed is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retest {
    Suites,
    /// Only their failed specs.
    Specs,
}

/// A line that was meant as a command and is none: what to tell its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread(pub String);

/// The commands of a comment, in its order.
pub fn read(markdown: &str) -> Vec<Result<Command, Misread>> {
    if !may_hold_commands(markdown) {
        return vec![];
    }
    lines(markdown).iter().filter_map(|line| command(line)).take(MOST_COMMANDS).collect()
}

/// Whether it is worth reading at all: some line begins with a slash and a letter.
pub fn may_hold_commands(markdown: &str) -> bool {
    let begins = |line: &str| {
        line.trim_start().strip_prefix('/').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    markdown.lines().any(begins)
}

/// Lines of plain paragraphs that begin with a slash, as their reader sees them.
fn lines(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut line: Option<String> = None;
    // How deep inside anything but a plain paragraph.
    let (mut depth, mut in_paragraph, mut at_start) = (0_usize, false, false);
    for (event, range) in Parser::new_ext(markdown, Options::empty()).into_offset_iter() {
        match event {
            Event::Start(Tag::Paragraph) if depth == 0 && !in_paragraph => (in_paragraph, at_start) = (true, true),
            Event::End(TagEnd::Paragraph) if depth == 0 => {
                found.extend(line.take());
                in_paragraph = false;
            }
            Event::Start(_) => (depth, at_start) = (depth + 1, false),
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::SoftBreak | Event::HardBreak if in_paragraph => {
                found.extend(line.take());
                at_start = depth == 0;
            }
            Event::Text(text) if in_paragraph => {
                match &mut line {
                    Some(line) => line.push_str(&text),
                    None if at_start && depth == 0 && is_bare_slash(markdown, range.start) => {
                        line = Some(text.into_string());
                    }
                    None => {}
                }
                at_start = false;
            }
            Event::Code(text) if in_paragraph => {
                line.iter_mut().for_each(|line| line.push_str(&text));
                at_start = false;
            }
            _ => at_start = false,
        }
    }
    found
}

/// Neither escaped nor written as an entity.
fn is_bare_slash(markdown: &str, at: usize) -> bool {
    markdown[at..].starts_with('/') && !markdown[..at].ends_with('\\')
}

/// `None`: not meant for us.
fn command(line: &str) -> Option<Result<Command, Misread>> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = tidy(word.strip_prefix('/')?);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
        return None;
    }
    let (rest, arguments) = (rest.trim(), arguments(rest));
    Some(match name.as_str() {
        "test" => Ok(test(arguments)),
        "retest" => retest(&arguments),
        "cancel" => Ok(Command::Cancel(arguments)),
        "ok-to-test" => ok_to_test(&arguments),
        "skip" => with_reason("skip", rest).map(|(suite, reason)| Command::Skip { suite, reason }),
        "override" => with_reason("override", rest).map(|(suite, reason)| Command::Override { suite, reason }),
        "hold" => hold(&arguments),
        "release" => Ok(Command::Release),
        other => {
            let near = nearest(other, NAMES, other.chars().count() / 3)?;
            Err(Misread(format!("there is no command `/{}`. Did you mean `/{near}`?", shown(other))))
        }
    })
}

/// In lower case and without what ends a sentence.
fn tidy(word: &str) -> String {
    word.trim_end_matches(['.', ',', ';', ':', '!']).to_ascii_lowercase()
}

/// Split at blanks and commas.
fn arguments(rest: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in rest.split(|c: char| c.is_whitespace() || c == ',').map(tidy).filter(|word| !word.is_empty()) {
        if !found.contains(&word) {
            found.push(word);
        }
    }
    found
}

fn test(arguments: Vec<String>) -> Command {
    if arguments.iter().any(|argument| argument == "?") {
        return Command::List;
    }
    Command::Test(match () {
        () if arguments.is_empty() => Selection::Open,
        () if arguments.iter().any(|argument| argument == "all") => Selection::All,
        () => Selection::Named(arguments),
    })
}

fn retest(arguments: &[String]) -> Result<Command, Misread> {
    match arguments {
        [] => Ok(Command::Retest(Retest::Suites)),
        [only] if only == "specs" => Ok(Command::Retest(Retest::Specs)),
        names => Err(Misread(format!(
            "`/retest` runs what failed, `/retest specs` only its failed specs. To run suites by name: `/test {}`.",
            shown(&names.join(" "))
        ))),
    }
}

fn ok_to_test(arguments: &[String]) -> Result<Command, Misread> {
    let is_id = |text: &str| (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    match arguments {
        [] => Ok(Command::OkToTest(None)),
        [sha] if is_id(sha) => Ok(Command::OkToTest(Some(sha.clone()))),
        _ => Err(Misread("`/ok-to-test` takes nothing or a commit id of at least 7 digits.".into())),
    }
}

fn with_reason(name: &str, rest: &str) -> Result<(String, String), Misread> {
    let (suite, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let reason = super::text::cut(super::text::plain_line(reason.trim()).trim(), MOST_REASON);
    match (tidy(suite), reason) {
        (suite, _) if suite.is_empty() => Err(Misread(format!("say which suite and why: `/{name} <suite> <reason>`."))),
        (suite, reason) if reason.is_empty() => Err(Misread(format!("say why: `/{name} {} <reason>`.", shown(&suite)))),
        found => Ok(found),
    }
}

fn hold(arguments: &[String]) -> Result<Command, Misread> {
    let wrong = || Misread("`/hold` takes a time from `1m` to `24h`, such as `/hold 2h`. `/release` ends it.".into());
    match arguments {
        [] => Ok(Command::Hold(HOLD)),
        [text] => {
            let span: jiff::Span = text.parse().map_err(|_| wrong())?;
            let time = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
            let time = Duration::try_from(time).map_err(|_| wrong())?;
            (SHORTEST_HOLD..=LONGEST_HOLD).contains(&time).then_some(Command::Hold(time)).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// The known word that was probably meant: at most `far` letters away, and at least one is forgiven.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, far: usize) -> Option<&'a str> {
    let distances = known.into_iter().map(|name| (strsim::damerau_levenshtein(word, name), name));
    distances
        .filter(|(distance, _)| *distance <= far.max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Somebody else's text, fit to stand between backticks.
pub fn shown(text: &str) -> String {
    super::text::cut(&super::text::plain_line(text).replace('`', "'"), MOST_SHOWN)
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
