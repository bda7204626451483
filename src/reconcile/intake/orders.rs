//! Commands that start nothing: what runs is stopped, suites are waived, clusters are held and let go.

use super::choice::{Choice, open_suites};
use super::comments::{Answer, Talk, deed};
use super::desk::{Desk, Trouble};
use crate::domain::audit::{AuditEntry, Deed};
use crate::domain::effect::{Effect, Over, Waiver, WaiverKind, Whose};
use crate::domain::run::{CancelReason, Conclusion};
use crate::domain::verdict::Verdict;
use crate::domain::wording;

impl Desk {
    pub(super) fn cancel(&self, talk: &Talk<'_>, choice: &mut Choice<'_>, names: &[String], answer: &mut Answer) {
        if choice.live.is_empty() {
            return answer.lines.push("Nothing is running.".into());
        }
        let suites = match choice.named(names) {
            Ok(suites) => suites,
            Err(why) => return answer.refuse(why),
        };
        choice.ended(&suites);
        if suites.is_empty() {
            let whose = Whose::Pull(talk.event.repo.clone(), talk.event.number);
            let by = talk.event.author.clone();
            return answer.effects.push(Effect::Cancel { whose, reason: CancelReason::Commanded, by });
        }
        let description = format!("cancelled by {}", talk.event.author);
        let conclusion = Conclusion { verdict: Verdict::Error, description };
        for suite in &suites {
            let Some(view) = choice.live.iter().find(|view| open_suites(view).contains(suite)) else {
                answer.lines.push(format!("`{suite}` is not running."));
                continue;
            };
            let status = wording::concluded(&view.run, suite, &conclusion, &self.context.settings.links);
            let (run, suite) = (view.run.id, suite.clone());
            let note = AuditEntry { run: Some(run), suite: Some(suite.clone()), ..deed(talk, Deed::Cancelled, "") };
            answer.effects.extend([
                Effect::Conclude { run, suite, conclusion: conclusion.clone() },
                Effect::Say { voice: run, over: Over::Anything, statuses: vec![status] },
                Effect::Note(note),
            ]);
        }
    }

    pub(super) fn waive(
        &self,
        talk: &Talk<'_>,
        choice: &mut Choice<'_>,
        kind: WaiverKind,
        name: &str,
        reason: &str,
        answer: &mut Answer,
    ) {
        let suite = match choice.named(&[name.to_owned()]) {
            Ok(mut found) => found.remove(0),
            Err(why) => return answer.refuse(why),
        };
        let required = talk.gate.suites.get(&suite).is_some_and(|suite| suite.required);
        if kind == WaiverKind::Skip && required {
            return answer.refuse(wording::is_required(&suite));
        }
        let waiver = Waiver {
            repo: talk.event.repo.clone(),
            sha: talk.pr.head.clone(),
            suite: suite.clone(),
            kind,
            actor: talk.event.author.clone(),
            reason: reason.to_owned(),
        };
        let conclusion = Conclusion { verdict: Verdict::Success, description: waiver.text() };
        let running =
            choice.live.iter().find(|view| view.run.head == talk.pr.head && open_suites(view).contains(&suite));
        // A live run speaks for itself, so that its own words are no younger.
        let voice = running.map_or_else(|| self.next_id(), |view| view.run.id);
        answer.effects.extend(running.map(|view| Effect::Conclude {
            run: view.run.id,
            suite: suite.clone(),
            conclusion: conclusion.clone(),
        }));
        let status = wording::waived(&waiver, talk.event.number, talk.gate.report, &self.context.settings.links);
        let what = match kind {
            WaiverKind::Skip => Deed::Skipped,
            WaiverKind::Override => Deed::Overrode,
        };
        let note = AuditEntry { suite: Some(suite.clone()), ..deed(talk, what, reason) };
        let say = Effect::Say { voice, over: Over::Anything, statuses: vec![status] };
        answer.effects.extend([Effect::Waive(waiver), say, Effect::Note(note)]);
        choice.ended(&[suite]);
    }

    pub(super) async fn hold(
        &self,
        talk: &Talk<'_>,
        choice: &Choice<'_>,
        seconds: u64,
        answer: &mut Answer,
    ) -> Result<(), Trouble> {
        let (repo, number) = (&talk.event.repo, talk.event.number);
        let held = self.context.store.held_clusters(repo, number).await?;
        if choice.live.is_empty() && held.is_empty() {
            answer.refuse("there is no cluster to keep: say `/hold` while a run is on its way.");
            return Ok(());
        }
        let time = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let until = self.context.now().saturating_add(time).unwrap_or(self.context.now());
        answer.effects.extend(choice.live.iter().map(|view| Effect::HoldRun { run: view.run.id, seconds }));
        answer.effects.extend(held.iter().map(|cluster| Effect::HoldCluster { cluster: cluster.id, until }));
        let shown = std::time::Duration::from_secs(seconds);
        let reason = format!("for {}", crate::domain::text::human_duration(shown));
        answer.effects.push(Effect::Note(deed(talk, Deed::Held, &reason)));
        let links = &self.context.settings.links;
        answer.lines.extend(choice.live.iter().map(|view| wording::will_hold(view, shown, links)));
        answer.lines.extend(held.iter().map(|cluster| wording::holds(cluster.id, until)));
        Ok(())
    }

    pub(super) async fn release(
        &self,
        talk: &Talk<'_>,
        choice: &Choice<'_>,
        answer: &mut Answer,
    ) -> Result<(), Trouble> {
        let (repo, number) = (&talk.event.repo, talk.event.number);
        let held = self.context.store.held_clusters(repo, number).await?;
        if held.is_empty() && choice.live.iter().all(|view| view.run.hold_s.is_none()) {
            answer.lines.push("No cluster is being kept.".into());
            return Ok(());
        }
        answer.effects.push(Effect::Release { repo: repo.clone(), pr: number });
        answer.effects.push(Effect::Note(deed(talk, Deed::Released, "")));
        Ok(())
    }
}
