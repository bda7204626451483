//! Pull requests as they are, compared with what we know of them: which webhook must have been missed.
//! What follows from it is decided where every webhook is; here is only which one to make up for.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::names::{RepoName, Sha};
use super::run::{CancelReason, Run, Trigger};

/// An open pull request as GitHub lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPull {
    pub number: u64,
    pub author: String,
    pub is_draft: bool,
    pub head: Sha,
    pub head_ref: String,
    pub base: Sha,
    pub base_ref: String,
    pub labels: Vec<String>,
    pub updated_at: Timestamp,
}

/// What we know of it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Runs of it that are neither finished nor being cancelled.
    pub live: &'a [&'a Run],
    /// How the last run of every suite of its head ended, where one did.
    pub last: Option<&'a Ended>,
    /// Whether its head carries any status of ours.
    pub is_heard_of: bool,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub cancel: Option<CancelReason>,
    /// The branch it was tested for.
    pub base_ref: String,
    pub at: Timestamp,
}

/// The webhook that must have been missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    Opened,
    Synchronize,
    BaseEdited,
    Unlabeled(String),
    /// Some label, if it was put on after this. Who did it must be asked for.
    Labeled {
        after: Option<Timestamp>,
    },
    Reopened,
    ReadyForReview,
    Closed,
}

/// What was missed of a pull request; `None` where it is as we know it.
pub fn missed(pull: &OpenPull, known: Known<'_>) -> Option<Missed> {
    if let Some(run) = known.live.last() {
        return outdated(pull, run);
    }
    match known.last {
        Some(Ended { cancel: Some(reason), at, .. }) => resumed(pull, *reason, *at),
        Some(Ended { cancel: None, base_ref, .. }) => (*base_ref != pull.base_ref).then_some(Missed::BaseEdited),
        None if known.is_heard_of => (!pull.labels.is_empty()).then_some(Missed::Labeled { after: None }),
        None if pull.labels.is_empty() => Some(Missed::Opened),
        // Whether somebody approved this very commit cannot be known: it counts as pushed after the label was put on.
        None => Some(Missed::Synchronize),
    }
}

/// Why a live run no longer belongs to what the pull request is.
fn outdated(pull: &OpenPull, run: &Run) -> Option<Missed> {
    if run.head != pull.head {
        return Some(Missed::Synchronize);
    }
    if run.base_ref != pull.base_ref {
        return Some(Missed::BaseEdited);
    }
    let by_label = matches!(run.trigger, Trigger::Label | Trigger::Push | Trigger::Base);
    (by_label && !pull.labels.contains(&run.gate.label)).then(|| Missed::Unlabeled(run.gate.label.clone()))
}

/// Why a run that was cancelled may have to be made up for.
fn resumed(pull: &OpenPull, reason: CancelReason, at: Timestamp) -> Option<Missed> {
    match reason {
        CancelReason::Unlabelled => (!pull.labels.is_empty()).then_some(Missed::Labeled { after: Some(at) }),
        CancelReason::Drafted => (!pull.is_draft).then_some(Missed::ReadyForReview),
        CancelReason::Closed => Some(Missed::Reopened),
        // What was out of reach is open to us again, or we would not see it.
        CancelReason::Superseded | CancelReason::Uninstalled => Some(Missed::Synchronize),
        CancelReason::Commanded | CancelReason::Rebased | CancelReason::Replaced | CancelReason::Dequeued => None,
    }
}

/// A webhook made up for one that was missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeUp {
    /// The same for the same state of the pull request, so that it is made up for once.
    pub guid: String,
    /// The body of a `pull_request` event, as far as anybody here reads it.
    pub body: Vec<u8>,
}

/// The webhook in GitHub's form. `sender`: who is taken to have caused it; `label`: which one it is about.
pub fn make_up(
    repo: &RepoName,
    pull: &OpenPull,
    missed: &Missed,
    sender: &str,
    label: Option<&str>,
    after: Option<&str>,
) -> MadeUp {
    let (action, state) = match missed {
        Missed::Opened => ("opened", "open"),
        Missed::Synchronize => ("synchronize", "open"),
        Missed::BaseEdited => ("edited", "open"),
        Missed::Unlabeled(_) => ("unlabeled", "open"),
        Missed::Labeled { .. } => ("labeled", "open"),
        Missed::Reopened => ("reopened", "open"),
        Missed::ReadyForReview => ("ready_for_review", "open"),
        Missed::Closed => ("closed", "closed"),
    };
    let labels: Vec<Value> = pull.labels.iter().map(|name| json!({ "name": name })).collect();
    let mut body = json!({
        "action": action,
        "number": pull.number,
        "pull_request": {
            "number": pull.number, "state": state, "draft": pull.is_draft, "user": { "login": pull.author },
            "head": { "sha": pull.head, "ref": pull.head_ref }, "base": { "sha": pull.base, "ref": pull.base_ref },
            "labels": labels, "updated_at": pull.updated_at.to_string(),
        },
        "repository": { "full_name": repo },
        "sender": { "login": sender },
    });
    if let Some(name) = label {
        body["label"] = json!({ "name": name });
    }
    if *missed == Missed::BaseEdited {
        body["changes"] = json!({ "base": {} });
    }
    let mut labels = pull.labels.clone();
    labels.sort();
    let marks = json!([repo, pull.number, action, pull.head, pull.base_ref, pull.is_draft, labels, label, after]);
    let digest = hex::encode(Sha256::digest(marks.to_string()));
    MadeUp { guid: format!("missed-{}", &digest[..40]), body: body.to_string().into_bytes() }
}

/// The webhook that tells of a repository out of our reach. `after`: the last of its runs.
pub fn out_of_reach(repo: &RepoName, after: &str) -> MadeUp {
    let body = json!({
        "action": "removed", "installation": { "id": 0 }, "repositories_added": [],
        "repositories_removed": [{ "full_name": repo }],
    });
    let digest = hex::encode(Sha256::digest(json!([repo, "removed", after]).to_string()));
    MadeUp { guid: format!("missed-{}", &digest[..40]), body: body.to_string().into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Event, PullRequestAction};

    fn pull(labels: &[&str]) -> OpenPull {
        OpenPull {
            number: 7,
            author: "alice".into(),
            is_draft: false,
            head: "a".repeat(40).parse().unwrap(),
            head_ref: "feature".into(),
            base: "b".repeat(40).parse().unwrap(),
            base_ref: "main".into(),
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            updated_at: Timestamp::from_second(1_790_000_000).unwrap(),
        }
    }

    fn known(last: Option<&Ended>, is_heard_of: bool) -> Known<'_> {
        Known { live: &[], last, is_heard_of }
    }

    #[test]
    fn a_pull_request_nobody_told_us_of_was_opened_or_pushed_to() {
        assert_eq!(missed(&pull(&[]), known(None, false)), Some(Missed::Opened));
        assert_eq!(missed(&pull(&["x"]), known(None, false)), Some(Missed::Synchronize));
        assert_eq!(missed(&pull(&[]), known(None, true)), None);
        assert_eq!(missed(&pull(&["x"]), known(None, true)), Some(Missed::Labeled { after: None }));
    }

    #[test]
    fn what_ended_is_made_up_for_only_where_its_reason_is_gone() {
        let at = Timestamp::from_second(5).unwrap();
        let ended = |cancel| Ended { cancel, base_ref: "main".into(), at };
        let missed = |pull: &OpenPull, last: Option<CancelReason>| missed(pull, known(Some(&ended(last)), true));
        assert_eq!(missed(&pull(&["x"]), None), None);
        let elsewhere = OpenPull { base_ref: "release".into(), ..pull(&["x"]) };
        assert_eq!(missed(&elsewhere, None), Some(Missed::BaseEdited), "what was tested was tested for main");
        assert_eq!(missed(&pull(&["x"]), Some(CancelReason::Commanded)), None);
        let labelled = Some(Missed::Labeled { after: Some(at) });
        assert_eq!(missed(&pull(&["x"]), Some(CancelReason::Unlabelled)), labelled);
        assert_eq!(missed(&pull(&[]), Some(CancelReason::Unlabelled)), None);
        assert_eq!(missed(&pull(&[]), Some(CancelReason::Closed)), Some(Missed::Reopened));
        assert_eq!(missed(&pull(&[]), Some(CancelReason::Drafted)), Some(Missed::ReadyForReview));
        assert_eq!(missed(&pull(&["x"]), Some(CancelReason::Uninstalled)), Some(Missed::Synchronize));
        let draft = OpenPull { is_draft: true, ..pull(&[]) };
        assert_eq!(missed(&draft, Some(CancelReason::Drafted)), None);
    }

    #[test]
    fn what_is_made_up_reads_as_the_event_it_stands_for() {
        let repo: RepoName = "acme/infra".parse().unwrap();
        let read = |missed: &Missed, label| {
            let made = make_up(&repo, &pull(&["go"]), missed, "bob", label, None);
            match Event::parse("pull_request", &made.body).unwrap() {
                Event::PullRequest(event) => {
                    assert_eq!((event.number, event.sender.as_str(), event.author.as_str()), (7, "bob", "alice"));
                    assert_eq!(event.labels, ["go"]);
                    event.action
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(read(&Missed::Opened, None), PullRequestAction::Opened);
        assert_eq!(read(&Missed::Synchronize, None), PullRequestAction::Synchronize);
        assert_eq!(read(&Missed::BaseEdited, None), PullRequestAction::Edited { base_changed: true });
        let label = Some("go");
        assert_eq!(read(&Missed::Labeled { after: None }, label), PullRequestAction::Labeled("go".into()));
        assert_eq!(read(&Missed::Unlabeled("go".into()), label), PullRequestAction::Unlabeled("go".into()));
        assert_eq!(read(&Missed::Reopened, None), PullRequestAction::Reopened);
        assert_eq!(read(&Missed::ReadyForReview, None), PullRequestAction::ReadyForReview);
        assert_eq!(read(&Missed::Closed, None), PullRequestAction::Closed);
    }

    #[test]
    fn the_same_state_is_made_up_for_once() {
        let repo: RepoName = "acme/infra".parse().unwrap();
        let guid = |pull: &OpenPull, after| make_up(&repo, pull, &Missed::Synchronize, "bob", None, after).guid;
        let later = OpenPull { updated_at: Timestamp::from_second(1_790_000_999).unwrap(), ..pull(&["a", "b"]) };
        assert_eq!(guid(&pull(&["b", "a"]), None), guid(&later, None));
        assert_ne!(guid(&pull(&["a"]), None), guid(&pull(&["b"]), None));
        assert_ne!(guid(&pull(&["a"]), None), guid(&pull(&["a"]), Some("run")));
        assert!(guid(&later, None).len() <= 64);
    }
}
