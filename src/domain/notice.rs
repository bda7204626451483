//! What check runs and the comment on a pull request say: Markdown for people. Names and messages come from hostile
//! reports; they stand in code spans, which neither mention anybody nor load anything.

use super::gate::GATE_PATH;
use super::ids::RunId;
use super::names::{RepoName, Sha, SuiteName};
use super::run::CancelReason;
use super::status::{CommitStatus, StatusState};
use super::text::{counted, cut, headline, plain_line};

/// GitHub takes at most so many annotations in one request.
pub const BATCH: usize = 50;
/// Failed specs that are annotated; the run's page has all.
pub const MAX_ANNOTATIONS: usize = 200;
/// Failed specs that a text lists per suite.
const MAX_LISTED: usize = 20;
const MAX_NAME: usize = 200;
const MAX_MESSAGE: usize = 4000;

/// A check run as it should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub repo: RepoName,
    pub sha: Sha,
    pub name: String,
    pub run: RunId,
    pub details_url: String,
    pub state: CheckState,
    pub title: String,
    /// Markdown.
    pub summary: String,
}

/// How far a check run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    Running,
    Success,
    Failure,
    Cancelled,
    /// It came to nothing, and somebody must look why.
    ActionRequired,
}

/// A remark at a line of a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    pub path: String,
    pub line: u32,
    pub title: String,
    pub message: String,
}

/// A spec that failed and did not pass when it was run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    pub class: String,
    pub name: String,
    pub message: String,
}

/// The check run for a suite's status.
pub fn check(status: &CommitStatus, run: RunId, cancel: Option<CancelReason>, failing: &[Failing]) -> Check {
    let state = match (status.state, cancel) {
        (StatusState::Pending, _) => CheckState::Running,
        (StatusState::Success, _) => CheckState::Success,
        (StatusState::Failure, _) => CheckState::Failure,
        (StatusState::Error, Some(_)) => CheckState::Cancelled,
        (StatusState::Error, None) => CheckState::ActionRequired,
    };
    let mut summary = format!("{}\n\n", code(&status.description, MAX_MESSAGE));
    list(failing, &mut summary);
    summary.push_str(&format!("[Logs, all specs and artifacts]({})\n", status.target_url));
    Check {
        repo: status.repo.clone(),
        sha: status.sha.clone(),
        name: status.context.clone(),
        run,
        details_url: status.target_url.clone(),
        state,
        title: status.description.clone(),
        summary,
    }
}

/// Remarks for a check run, one per failed spec, at the policy that asks for it: reports know no file of the repository.
pub fn annotations(failing: &[Failing]) -> Vec<Annotation> {
    let remark = |case: &Failing| Annotation {
        path: GATE_PATH.to_owned(),
        line: 1,
        title: cut(&plain_line(&case.name), 255),
        message: cut(if case.message.trim().is_empty() { "no message" } else { &case.message }, MAX_MESSAGE),
    };
    failing.iter().take(MAX_ANNOTATIONS).map(remark).collect()
}

/// The comment: every context of the commit, and what failed in the run's suites.
pub fn comment(
    mark: &str,
    sha: &Sha,
    url: &str,
    contexts: &[CommitStatus],
    failed: &[(SuiteName, Vec<Failing>)],
) -> String {
    let mut text = format!(
        "{mark}\n### {}\n\nCommit `{}` · [the run]({url})\n\n| | suite | |\n|---|---|---|\n",
        verdict(contexts),
        sha.short()
    );
    for status in contexts {
        let (sign, said) = match status.state {
            StatusState::Pending => ("⏳", "in progress"),
            StatusState::Success => ("✅", status.description.as_str()),
            StatusState::Failure => ("❌", status.description.as_str()),
            StatusState::Error => ("⚠️", status.description.as_str()),
        };
        text.push_str(&format!(
            "| {sign} | [{}]({}) | {} |\n",
            code(&status.context, MAX_NAME),
            status.target_url,
            code(said, MAX_NAME)
        ));
    }
    for (suite, failing) in failed.iter().filter(|(_, failing)| !failing.is_empty()) {
        text.push_str(&format!(
            "\n<details><summary>{} of <code>{suite}</code></summary>\n\n",
            counted_failed(failing)
        ));
        list(failing, &mut text);
        text.push_str("</details>\n");
    }
    text
}

fn verdict(contexts: &[CommitStatus]) -> &'static str {
    let any = |state| contexts.iter().any(|status| status.state == state);
    match (any(StatusState::Pending), any(StatusState::Failure), any(StatusState::Error)) {
        (true, _, _) => "Tests are running",
        (false, true, _) => "Tests failed",
        (false, false, true) => "Not everything could be tested",
        (false, false, false) => "All tests passed",
    }
}

fn counted_failed(failing: &[Failing]) -> String {
    format!("{} failed", counted(failing.len() as u64, "spec"))
}

fn list(failing: &[Failing], into: &mut String) {
    if failing.is_empty() {
        return;
    }
    into.push_str(&format!("{}:\n\n", counted_failed(failing)));
    for case in failing.iter().take(MAX_LISTED) {
        let said = headline(&case.message);
        let said = if said.is_empty() { String::new() } else { format!(": {}", code(said, MAX_NAME)) };
        into.push_str(&format!("- {}{said}\n", code(&case.name, MAX_NAME)));
    }
    if failing.len() > MAX_LISTED {
        into.push_str(&format!("- and {} more on the run's page\n", failing.len() - MAX_LISTED));
    }
    into.push('\n');
}

/// One line in a code span that nothing in it can end, in a table or outside.
fn code(text: &str, max: usize) -> String {
    let line = cut(&plain_line(text), max).replace('`', "'").replace('|', "¦");
    if line.trim().is_empty() { "` `".to_owned() } else { format!("`{line}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str) -> Failing {
        Failing { class: String::new(), name: name.to_owned(), message: format!("{name} broke\nsecond line") }
    }

    #[test]
    fn nothing_in_a_report_gets_out_of_its_code_span() {
        let evil = Failing {
            class: String::new(),
            name: "`</details>|\n@everyone ![x](http://evil)".into(),
            message: "``` @team | <script>".into(),
        };
        let mut text = String::new();
        list(&[evil], &mut text);
        let line = text.lines().find(|line| line.starts_with("- ")).unwrap();
        assert_eq!(line.matches('`').count(), 4, "{line}");
        assert!(!line.contains('|'), "{line}");
    }

    #[test]
    fn a_long_list_is_cut_and_stays_within_what_github_takes() {
        let many: Vec<Failing> = (0..3000).map(|n| case(&format!("{n}{}", "x".repeat(500)))).collect();
        let mut text = String::new();
        list(&many, &mut text);
        assert!(text.contains("and 2980 more") && text.len() < 20_000, "{}", text.len());
    }
}
