//! A suite's status as a check run: posted once, then changed in place, its annotations added in batches. Stopping between a
//! batch and its note is found out at the next try by asking GitHub what is there.

use crate::domain::notice::{self, Annotation, Check, CheckState, Failing};
use crate::domain::plan::RunView;
use crate::ports::ForgeError;
use crate::reconcile::{Context, failed};
use crate::store::{CheckRun, StoreError, Taken, Unpublished};

/// Why a check run was not taken.
pub(super) enum Trouble {
    Forge(ForgeError),
    Store(StoreError),
}

impl From<ForgeError> for Trouble {
    fn from(error: ForgeError) -> Self {
        Trouble::Forge(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Store(error)
    }
}

/// `None`: something newer is to be told.
pub(super) async fn send(context: &Context, item: &Unpublished) -> Result<Option<Taken>, Trouble> {
    let view = context.store.run_view(item.run).await?;
    let cancel = view.as_ref().and_then(|view| view.run.cancel);
    let failed = match (&view, item.status.state.is_final()) {
        (Some(view), true) => of_context(context, view, &item.status.context).await?,
        (None, _) | (_, false) => vec![],
    };
    let check = notice::check(&item.status, item.run, cancel, &failed);
    let annotations = notice::annotations(&failed);
    let (id, told) = already(context, item, &check).await?;
    if !context.store.begin(item).await? {
        return Ok(None);
    }
    let (id, writes) = put(context, &check, id, annotations.get(told..).unwrap_or_default()).await?;
    Ok(Some(Taken { writes, check_run: Some(id) }))
}

/// The check run that is there, and how many of this status's annotations it has.
async fn already(context: &Context, item: &Unpublished, check: &Check) -> Result<(Option<u64>, usize), ForgeError> {
    let find = || context.ports.notices.find_check(&check.repo, &check.sha, &check.name);
    Ok(match item.check {
        CheckRun::None => (None, 0),
        CheckRun::Known(id) => (Some(id), 0),
        CheckRun::Begun(id) => {
            (Some(id), find().await?.filter(|found| found.id == id).map_or(0, |found| found.annotations))
        }
        CheckRun::Lost => {
            let ours = |external: &str, done: bool| external == item.run.to_string() || !done;
            let found = find().await?.filter(|found| ours(&found.external_id, found.is_completed));
            found.map_or((None, 0), |found| (Some(found.id), found.annotations))
        }
    })
}

/// All but the last batch go ahead while the check still runs: the end is told once, with everything there.
async fn put(
    context: &Context,
    check: &Check,
    mut id: Option<u64>,
    annotations: &[Annotation],
) -> Result<(u64, u32), ForgeError> {
    let (mut rest, mut writes) = (annotations, 0);
    let running = Check { state: CheckState::Running, ..check.clone() };
    loop {
        let (batch, later) = rest.split_at(rest.len().min(notice::BATCH));
        let state = if later.is_empty() { check } else { &running };
        let put = context.ports.notices.put_check(state, id, batch).await?;
        writes += 1;
        if later.is_empty() {
            return Ok((put, writes));
        }
        (id, rest) = (Some(put), later);
    }
}

async fn of_context(context: &Context, view: &RunView, name: &str) -> Result<Vec<Failing>, StoreError> {
    let suite = view.run.gate.suites.keys().find(|suite| context.settings.links.context(suite.as_str()) == name);
    match suite {
        Some(suite) => failed::with_messages(&context.store, view, suite).await,
        None => Ok(vec![]),
    }
}
