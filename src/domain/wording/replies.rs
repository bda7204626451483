//! What comments say: answers to commands, and what is wrong with a policy. Other people's text stands between backticks, so that
//! it mentions nobody and draws nothing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Links;
use crate::domain::command::shown;
use crate::domain::ids::ClusterId;
use crate::domain::names::{Sha, SuiteName};
use crate::domain::plan::RunView;
use crate::domain::rules::Commenters;
use crate::domain::status::StatusState;
use crate::domain::text::{counted, human_duration, plain};

/// Characters of a policy's complaints that a comment holds.
const MOST_COMPLAINTS: usize = 4000;

/// A reply to somebody's commands, a paragraph each.
pub fn reply(author: &str, lines: &[String]) -> String {
    format!("@{author}: {}", lines.join("\n\n"))
}

/// The policy of a base branch does not read.
pub fn broken_policy(branch: &str, why: &str) -> String {
    let why = crate::domain::text::cut(&plain(why).replace("```", "'''"), MOST_COMPLAINTS);
    format!(
        "nothing can be tested: the gate policy of `{}` does not read.\n\n```\n{}\n```",
        shown(branch),
        why.replace("; ", "\n")
    )
}

/// The suites are running already.
pub fn already_running(suites: &[SuiteName]) -> String {
    format!("{} on this commit already; `/cancel` stops what runs.", are(suites, "running"))
}

fn are(suites: &[SuiteName], what: &str) -> String {
    let names: Vec<String> = suites.iter().map(|suite| format!("`{suite}`")).collect();
    format!("{} {} {what}", names.join(", "), if suites.len() == 1 { "is" } else { "are" })
}

/// A suite was asked for too often on one commit; `failing` are specs that failed each time.
pub fn budget_spent(suite: &SuiteName, times: usize, failing: &[String]) -> String {
    let again = format!(
        "`{suite}` was run again {} on this commit; that is all there is.",
        counted(u64::try_from(times).unwrap_or(u64::MAX), "time")
    );
    if failing.is_empty() {
        return format!("{again} Push a commit to go on.");
    }
    let specs: String = failing.iter().map(|name| format!("\n- `{}`", shown(name))).collect();
    format!(
        "{again} Each time the same failed:\n{specs}\n\nRunning it again will not mend that; push a commit to go on."
    )
}

/// A suite was asked for too soon.
pub fn too_soon(suite: &SuiteName, pause: SignedDuration) -> String {
    let pause = human_duration(Duration::from_secs(pause.unsigned_abs().as_secs().max(1)));
    format!("`{suite}` was asked for a moment ago; ask again in {pause}.")
}

/// A required suite cannot be skipped.
pub fn is_required(suite: &SuiteName) -> String {
    format!(
        "`{suite}` is required and cannot be skipped. `/override {suite} <reason>` lets it pass; administrators may."
    )
}

/// What somebody may not who is no writer.
pub fn only_writers(approved: bool, commenters: Commenters) -> String {
    let others = match (commenters, approved) {
        (Commenters::Writers, _) => "",
        (Commenters::Author, true) => ", or the pull request's author,",
        (Commenters::Author | Commenters::Anyone, false) => ", or others once this commit is approved,",
        (Commenters::Anyone, true) => "",
    };
    format!("that takes write permission{others} in this repository.")
}

/// What somebody may not who is no administrator.
pub fn only_admins(or_team: bool) -> String {
    let team = if or_team { " or a place in a team that may override" } else { "" };
    format!("that takes admin permission{team} in this repository.")
}

/// The head is not the one its approver saw, or it is not known to be.
pub fn head_moved(head: &Sha) -> String {
    format!(
        "the head is `{}` now, and nothing tells that it was when you wrote: this may not be what you saw. \
         If it is, say `/ok-to-test {head}`.",
        head.short()
    )
}

/// A run's cluster will be kept.
pub fn will_hold(view: &RunView, time: Duration, links: &Links) -> String {
    let time = human_duration(time);
    let page = links.run(view.run.id);
    match view.cluster() {
        Some(cluster) => {
            format!("The cluster of [this run]({page}) is kept for {time} once the run is over. {}", access(cluster.id))
        }
        None => format!(
            "The cluster of [this run]({page}) is kept for {time} once the run is over. The page names it; \
             `portcullis clusters kubeconfig <cluster> --config portcullis.toml` on the machine that runs Portcullis then prints its kubeconfig."
        ),
    }
}

/// A cluster is kept longer.
pub fn holds(cluster: ClusterId, until: Timestamp) -> String {
    format!("The cluster is kept until {}. {}", until.strftime("%Y-%m-%d %H:%M UTC"), access(cluster))
}

fn access(cluster: ClusterId) -> String {
    format!(
        "On the machine that runs Portcullis:\n\n```\nportcullis clusters kubeconfig {cluster} --config portcullis.toml > kubeconfig\n\
         kubectl --kubeconfig kubeconfig get pods -A\n```\n\n`/release` lets it go."
    )
}

/// A suite as `/test ?` lists it.
pub fn suite_line(name: &SuiteName, required: bool, said: Option<(StatusState, String)>) -> String {
    let need = if required { "required" } else { "optional" };
    let (state, text) = match &said {
        Some((state, text)) => (state.as_str(), shown(text).replace('|', "/")),
        None => ("–", String::new()),
    };
    format!("| `{name}` | {need} | {state} | {text} |")
}

/// What `/test ?` answers.
pub fn suite_table(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    format!("the suites of this pull request:\n\n| suite | | state | |\n|---|---|---|---|\n{}", lines.join("\n"))
}
