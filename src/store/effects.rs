//! Applies what a delivery comes to: every effect and the delivery's own end in one transaction.

use jiff::Timestamp;

use super::audit::{entry, note};
use super::deliveries::SETTLE;
use super::rows::{Columns, millis, name_of, to_json};
use super::runs::{INSERT, conclude_one, scope};
use super::statuses::{DESIRE, LEAVE, REPAIR, desire, desire_all};
use super::{Result, Store, execute, summaries, transaction};
use crate::domain::audit::Deed;
use crate::domain::effect::{Effect, Effects, NewRun, Over, Replaces, Whose};
use crate::domain::ids::RunId;
use crate::domain::run::CancelReason;
use crate::domain::status::GivenUp;

/// What became of a run that was to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    Run(RunId),
    /// A run of the same commit and suites is alive.
    Existing,
}

/// `$1` is a repository, or an account with its slash; absent parts match everything. The commit `$4` and the run `$5` are spared.
/// Written to before they are looked at: from here on nobody moves them until the transaction ends.
const LIVE: &str = "UPDATE runs SET generation = generation + 1 WHERE state <> 'finished' \
     AND (repo = $1 OR ($1 LIKE '%/' AND substr(repo, 1, length($1)) = $1)) \
     AND ($2 IS NULL OR pr = $2) AND ($3 IS NULL OR (head = $3 AND pr IS NULL)) \
     AND ($4 IS NULL OR head <> $4) AND id <> $5 RETURNING id, head, cancel";
const CANCEL: &str = "UPDATE runs SET cancel = $1 WHERE id = $2";
const SILENCE: &str = "INSERT INTO statuses (repo, sha, context, run, state, description, target_url, report) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
const PENDING: &str = "INSERT INTO statuses (repo, sha, context, run, state, description, target_url, report) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (repo, sha, context) DO UPDATE SET run = excluded.run, \
     state = excluded.state, description = excluded.description, target_url = excluded.target_url, \
     report = excluded.report, desired_gen = statuses.desired_gen + 1, next_try_at = 0, tries = 0, given_up = NULL, \
     in_both = CASE WHEN excluded.report <> statuses.report AND statuses.published_gen > 0 THEN 1 ELSE statuses.in_both END \
     WHERE statuses.state = 'pending' AND excluded.description <> statuses.description \
     AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = statuses.run AND runs.state <> 'finished')";

/// Cancels what lives; a stronger reason replaces a weaker one. The reason may depend on the run's head.
macro_rules! cancel_live {
    ($tx:expr, $which:expr, $except:expr, $by:expr, $now:expr, $reason:expr) => {{
        let Which { repo, pr, head, but } = $which;
        let except: String = $except;
        let live = sqlx::query(LIVE).bind(repo).bind(pr).bind(head).bind(but).bind(except);
        for row in &live.fetch_all(&mut *$tx).await? {
            let reason: CancelReason = ($reason)(&row.text("head")?);
            let earlier: Option<CancelReason> = row.one_of_opt("cancel", "reason to cancel")?;
            if earlier.is_some_and(|earlier| earlier >= reason) {
                continue;
            }
            execute!(&mut *$tx, CANCEL, name_of(&reason), row.text("id")?);
            if earlier.is_none() {
                const NOTE: &str = "INSERT INTO audit (at, repo, pr, sha, run, action, actor, reason) \
                     SELECT $1, repo, pr, head, id, $2, $3, $4 FROM runs WHERE id = $5";
                let (deed, text) = (name_of(&Deed::Cancelled), reason.text());
                execute!(&mut *$tx, NOTE, millis($now), deed, $by, text, row.text("id")?);
            }
        }
    }};
}

/// One run with all that announces it.
macro_rules! create {
    ($tx:expr, $new:expr, $now:expr) => {{
        let new: &NewRun = $new;
        let run = &new.run;
        let (id, pr) = (run.id.to_string(), run.pr.map(|pr| i64::try_from(pr).unwrap_or(i64::MAX)));
        let repo = run.repo.as_str();
        if let (Replaces::Everything, Some(pr)) = (new.replaces, pr) {
            let reason = |_: &str| CancelReason::Rebased;
            cancel_live!($tx, Which::of_pull(repo, pr), id.clone(), run.actor.as_str(), $now, reason);
        }
        let inserted = execute!(
            &mut *$tx,
            INSERT,
            id.as_str(),
            repo,
            pr,
            run.head.as_str(),
            run.base.as_str(),
            run.base_ref.as_str(),
            run.tested.as_str(),
            scope(run),
            run.retry_of.map(|id| id.to_string()),
            name_of(&run.trigger),
            run.actor.as_str(),
            name_of(&run.state),
            to_json(&run.gate),
            run.verdict.as_ref().map(name_of),
            run.message.as_deref(),
            millis(run.created_at),
            run.finished_at.map(millis),
        );
        if inserted == 1 {
            if let (Replaces::Others, Some(pr)) = (new.replaces, pr) {
                let same = |head: &str| head == run.head.as_str();
                let reason = |head: &str| if same(head) { CancelReason::Replaced } else { CancelReason::Superseded };
                cancel_live!($tx, Which::of_pull(repo, pr), id.clone(), run.actor.as_str(), $now, reason);
            }
            for (suite, conclusion) in &new.concluded {
                conclude_one!($tx, run.id, suite, conclusion, $now);
            }
            desire_all!($tx, run.id, &new.statuses);
            if let (true, Some(pr)) = (run.gate.comment, pr) {
                let mark = summaries::mark(run.id, $now);
                execute!(&mut *$tx, summaries::WANT, run.repo.as_str(), pr, id.as_str(), mark);
            }
            let started = entry(run, Deed::Started, &run.actor, &new.why, $now);
            note!($tx, started);
            Created::Run(run.id)
        } else {
            Created::Existing
        }
    }};
}

macro_rules! say {
    ($tx:expr, $voice:expr, $over:expr, $statuses:expr) => {{
        let sql = match $over {
            Over::Silence => SILENCE,
            Over::Pending => PENDING,
            Over::Anything => DESIRE,
        };
        for status in $statuses {
            execute!(
                &mut *$tx,
                sql,
                status.repo.as_str(),
                status.sha.as_str(),
                status.context.as_str(),
                $voice.to_string(),
                name_of(&status.state),
                status.description.as_str(),
                status.target_url.as_str(),
                name_of(&status.report),
            );
        }
    }};
}

/// Who asks for the commit itself says more than who stands behind the pull request.
const APPROVE: &str = "INSERT INTO approvals (repo, pr, sha, actor, basis, at) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (repo, pr, sha) DO UPDATE SET actor = excluded.actor, basis = excluded.basis, at = excluded.at \
     WHERE approvals.basis = 'pull' AND excluded.basis = 'commit'";
const WITHDRAW: &str = "DELETE FROM approvals WHERE repo = $1 AND pr = $2 AND sha = $3";
const WAIVE: &str = "INSERT INTO waivers (repo, sha, suite, kind, actor, reason, at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (repo, sha, suite) DO UPDATE SET kind = excluded.kind, actor = excluded.actor, \
     reason = excluded.reason, at = excluded.at";
const UNWAIVE: &str = "DELETE FROM waivers WHERE repo = $1 AND sha = $2 AND suite = $3";
/// Seen again at an older time than before, it is an older sight.
const SEE: &str = "INSERT INTO pulls (repo, number, head, head_since, draft_labelled, labelled_at, pusher) \
     VALUES ($1, $2, $3, $4, COALESCE($5, 0), $6, $7) \
     ON CONFLICT (repo, number) DO UPDATE SET \
     pusher = CASE WHEN pulls.head = excluded.head THEN COALESCE(pulls.pusher, excluded.pusher) \
         WHEN excluded.head_since < pulls.head_since THEN pulls.pusher ELSE excluded.pusher END, \
     head_since = CASE WHEN pulls.head = excluded.head OR excluded.head_since < pulls.head_since THEN pulls.head_since \
         ELSE excluded.head_since END, \
     head = CASE WHEN excluded.head_since < pulls.head_since THEN pulls.head ELSE excluded.head END, \
     draft_labelled = COALESCE($5, pulls.draft_labelled), \
     labelled_at = CASE WHEN excluded.labelled_at < pulls.labelled_at THEN pulls.labelled_at \
         ELSE COALESCE(excluded.labelled_at, pulls.labelled_at) END";
const SEND: &str =
    "INSERT INTO messages (key, repo, pr, message, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
const TOUCH: &str = "UPDATE runs SET generation = generation + 1 WHERE id = $1 AND state <> 'finished'";
const HOLD_RUN: &str = "UPDATE runs SET hold_s = $1, generation = generation + 1 WHERE id = $2 AND state <> 'finished'";
const HOLD_CLUSTER: &str = "UPDATE clusters SET held_until = $1, generation = generation + 1, \
     expires_at = CASE WHEN expires_at < $1 THEN $1 ELSE expires_at END WHERE id = $2 AND released_at IS NULL";
const RELEASE: &str = "UPDATE clusters SET released_at = $1, generation = generation + 1 WHERE held_until IS NOT NULL \
     AND released_at IS NULL AND run IN (SELECT id FROM runs WHERE repo = $2 AND pr = $3)";
const UNHOLD: &str = "UPDATE runs SET hold_s = NULL, generation = generation + 1 \
     WHERE repo = $1 AND pr = $2 AND hold_s IS NOT NULL AND state <> 'finished'";

/// What is known and allowed beside runs.
macro_rules! keep {
    ($tx:expr, $effect:expr, $now:expr) => {
        match $effect {
            Effect::Approve { repo, pr, sha, by, basis, why } => {
                let (number, basis, by) = (i64::try_from(*pr).unwrap_or(i64::MAX), name_of(basis), by.as_str());
                if execute!(&mut *$tx, APPROVE, repo.as_str(), number, sha.as_str(), by, basis, millis($now)) == 1 {
                    note!($tx, super::audit::about(repo, *pr, sha, Deed::Approved, by, why, $now));
                }
            }
            Effect::Withdraw { repo, pr, sha, by, why } => {
                let number = i64::try_from(*pr).unwrap_or(i64::MAX);
                if execute!(&mut *$tx, WITHDRAW, repo.as_str(), number, sha.as_str()) == 1 {
                    note!($tx, super::audit::about(repo, *pr, sha, Deed::Withdrew, by, why, $now));
                }
            }
            Effect::Waive(waiver) => {
                execute!(
                    &mut *$tx,
                    WAIVE,
                    waiver.repo.as_str(),
                    waiver.sha.as_str(),
                    waiver.suite.as_str(),
                    name_of(&waiver.kind),
                    waiver.actor.as_str(),
                    waiver.reason.as_str(),
                    millis($now),
                );
            }
            Effect::Unwaive { repo, sha, suite } => {
                execute!(&mut *$tx, UNWAIVE, repo.as_str(), sha.as_str(), suite.as_str());
            }
            Effect::See(seen) => {
                let number = i64::try_from(seen.number).unwrap_or(i64::MAX);
                let draft = seen.draft_labelled.map(i64::from);
                let labelled = seen.labelled_at.map(millis);
                let (repo, head) = (seen.repo.as_str(), seen.head.as_str());
                execute!(&mut *$tx, SEE, repo, number, head, millis(seen.at), draft, labelled, seen.pusher.as_deref());
            }
            Effect::Send { key, repo, pr, message } => {
                let number = i64::try_from(*pr).unwrap_or(i64::MAX);
                execute!(&mut *$tx, SEND, key.as_str(), repo.as_str(), number, to_json(message), millis($now));
            }
            Effect::HoldRun { run, seconds } => {
                execute!(&mut *$tx, HOLD_RUN, i64::try_from(*seconds).unwrap_or(i64::MAX), run.to_string());
            }
            Effect::HoldCluster { cluster, until } => {
                execute!(&mut *$tx, HOLD_CLUSTER, millis(*until), cluster.to_string());
            }
            Effect::Release { repo, pr } => {
                let number = i64::try_from(*pr).unwrap_or(i64::MAX);
                execute!(&mut *$tx, RELEASE, millis($now), repo.as_str(), number);
                execute!(&mut *$tx, UNHOLD, repo.as_str(), number);
            }
            Effect::Repair { repo, sha, context } => {
                execute!(&mut *$tx, REPAIR, repo.as_str(), sha.as_str(), context.as_str());
            }
            Effect::Leave { repo, sha, context } => {
                let why = name_of(&GivenUp::Contested);
                execute!(&mut *$tx, LEAVE, why, repo.as_str(), sha.as_str(), context.as_str());
            }
            Effect::Note(deed) => note!($tx, deed),
            Effect::Create(_) | Effect::Cancel { .. } | Effect::Conclude { .. } | Effect::Say { .. } => {
                unreachable!("a run's own effects are applied before")
            }
        }
    };
}

impl Store {
    /// Applies all of it and settles the delivery, or nothing: neither where the delivery is settled already.
    pub async fn apply(&self, effects: &Effects, delivery: Option<&str>, now: Timestamp) -> Result<Vec<Created>> {
        Ok(transaction!(self, tx => {
            let mut created = Vec::new();
            for effect in &effects.list {
                match effect {
                    Effect::Create(new) => created.push(create!(tx, new, now)),
                    Effect::Cancel { whose, reason, by } => {
                        cancel_live!(tx, Which::of(whose), String::new(), by.as_str(), now, |_: &str| *reason);
                    }
                    Effect::Conclude { run, suite, conclusion } => {
                        // Touched, so that nobody finishes the run on an outdated sight of it.
                        if execute!(&mut *tx, TOUCH, run.to_string()) == 1 {
                            conclude_one!(tx, run, suite, conclusion, now);
                        }
                    }
                    Effect::Say { voice, over, statuses } => say!(tx, voice, over, statuses),
                    other => keep!(tx, other, now),
                }
            }
            if let Some(guid) = delivery
                && execute!(&mut *tx, SETTLE, millis(now), outcome(effects, &created), guid) == 0
            {
                // It was applied before and nobody heard of it. What was written just now goes with the transaction.
                return Ok(vec![]);
            }
            created
        }))
    }
}

/// Which live runs are meant, as columns.
struct Which {
    repo: String,
    pr: Option<i64>,
    /// Of a commit without a pull request.
    head: Option<String>,
    /// The commit whose runs are spared.
    but: Option<String>,
}

impl Which {
    fn of_pull(repo: &str, pr: i64) -> Self {
        Self { repo: repo.to_owned(), pr: Some(pr), head: None, but: None }
    }

    fn of(whose: &Whose) -> Self {
        let number = |pr: &u64| i64::try_from(*pr).unwrap_or(i64::MAX);
        let all_of = |repo: String| Self { repo, pr: None, head: None, but: None };
        match whose {
            Whose::Pull(repo, pr) => Self::of_pull(repo.as_str(), number(pr)),
            Whose::PullBut(repo, pr, sha) => {
                Self { but: Some(sha.to_string()), ..Self::of_pull(repo.as_str(), number(pr)) }
            }
            Whose::Commit(repo, sha) => Self { head: Some(sha.to_string()), ..all_of(repo.to_string()) },
            Whose::Repo(repo) => all_of(repo.to_string()),
            Whose::Account(account) => all_of(format!("{}/", account.to_ascii_lowercase())),
        }
    }
}

/// What the delivery's row says.
fn outcome(effects: &Effects, created: &[Created]) -> String {
    if created.is_empty() {
        return effects.outcome.clone();
    }
    let word = |created: &Created| match created {
        Created::Run(id) => format!("run {id}"),
        Created::Existing => "a run for it is alive".to_owned(),
    };
    created.iter().map(word).collect::<Vec<_>>().join(", ")
}
