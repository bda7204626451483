//! The gate's policy as a base commit holds it. A policy that does not read speaks through a status and, once, a comment.

use sha2::{Digest, Sha256};

use super::desk::{Desk, Trouble};
use super::start::Subject;
use crate::config::{GateFiles, parse_gate, skips_path};
use crate::domain::effect::{Effect, NewRun, Replaces};
use crate::domain::gate::{GATE_PATH, Gate};
use crate::domain::message::Message;
use crate::domain::names::{RepoName, Sha};
use crate::domain::run::{Run, Trigger};
use crate::domain::status::CommitStatus;
use crate::domain::verdict::Verdict;
use crate::domain::wording;
use crate::ports::ForgeError;

/// What the base branch says.
pub(super) enum Policy {
    None,
    Broken(String),
    Gate(Box<Gate>),
}

impl Desk {
    pub(super) async fn policy(&self, repo: &RepoName, base: &Sha) -> Result<Policy, Trouble> {
        let Some(text) = self.text(repo, base, GATE_PATH).await? else { return Ok(Policy::None) };
        let text = match text {
            Ok(text) => text,
            Err(why) => return Ok(Policy::Broken(why)),
        };
        let skips = match skips_path(&text) {
            None => None,
            Some(path) => match self.text(repo, base, &path).await? {
                Some(Ok(skips)) => Some((path, skips)),
                Some(Err(why)) => return Ok(Policy::Broken(why)),
                None => return Ok(Policy::Broken(format!("{GATE_PATH}: skips: there is no file {path}"))),
            },
        };
        let files = GateFiles { gate: &text, skips: skips.as_ref().map(|(path, text)| (path.as_str(), text.as_str())) };
        let today = self.context.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        Ok(match parse_gate(files, &self.builtins, today) {
            Ok(gate) => match self.context.settings.overrides.apply(repo, gate) {
                Ok(gate) => match self.context.vault.check(repo, &gate) {
                    Ok(()) => Policy::Gate(Box::new(gate)),
                    Err(why) => Policy::Broken(format!("{GATE_PATH}: {why}")),
                },
                Err(why) => Policy::Broken(why),
            },
            Err(errors) => Policy::Broken(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        })
    }

    /// A file of the base commit: absent, text, or why it cannot be read.
    async fn text(&self, repo: &RepoName, sha: &Sha, path: &str) -> Result<Option<Result<String, String>>, Trouble> {
        match self.context.ports.forge.file(repo, sha, path).await {
            Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| format!("{path}: not UTF-8 text")))),
            Err(ForgeError::Rejected(why)) => Ok(Some(Err(format!("{path}: {why}")))),
            Err(ForgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(self.later(&error)),
        }
    }

    /// A broken policy cannot name suites, so it speaks through a context of its own, and once per text in a comment.
    pub(super) fn refuse(
        &self,
        subject: &Subject<'_>,
        trigger: Trigger,
        actor: &str,
        why: &str,
        replaces: Replaces,
    ) -> Vec<Effect> {
        let run = self.ended_run(subject, trigger, actor, Gate::empty(), why);
        let status = wording::policy(&run, Verdict::Error, why, &self.context.settings.links);
        let digest = hex::encode(&Sha256::digest(why.as_bytes())[..8]);
        let (repo, number) = (subject.repo, subject.number);
        let comment = Effect::Send {
            key: format!("policy:{repo}#{number}:{digest}"),
            repo: repo.clone(),
            pr: number,
            message: Message::Reply(wording::broken_policy(&subject.pr.base_ref, why)),
        };
        let why = "the policy of the base branch does not read".to_owned();
        let new = NewRun { run, concluded: vec![], statuses: vec![status], replaces, why };
        vec![Effect::Create(Box::new(new)), comment]
    }

    /// Once a policy that was broken on this commit reads well, its context says so.
    pub(super) async fn policy_mended(&self, run: &Run) -> Result<Option<CommitStatus>, Trouble> {
        let links = &self.context.settings.links;
        let broken =
            self.context.store.has_status(&run.repo, &run.head, &links.context(wording::POLICY_CONTEXT)).await?;
        Ok(broken.then(|| wording::policy(run, Verdict::Success, "the gate policy is valid", links)))
    }
}
