//! The platform that the change under test sets up: what its manifests declare is rolled out in the cluster.
//! Portcullis has applied the manifests before; nothing is applied here.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use tokio::time::Instant;

use super::manifests::{self, Declared};
use crate::cluster::Fixture;
use crate::rollout::await_rollout;
use crate::spec::{NotPassed, SpecResult};

/// For all workloads together: they start at the same time.
const LIMIT: Duration = Duration::from_secs(90);
/// The least that a workload gets when those before it have used the time up.
const LEAST: Duration = Duration::from_secs(1);

pub(super) async fn manifests_are_rolled_out(fixture: Fixture) -> SpecResult {
    let start = Instant::now();
    let workloads: Vec<_> = declared(&fixture)?.into_iter().filter_map(with_kind).collect();
    if workloads.is_empty() {
        return Err(NotPassed::Skipped("no manifest declares a workload".into()));
    }
    let mut failures = Vec::new();
    for (kind, workload) in workloads {
        let limit = LIMIT.saturating_sub(start.elapsed()).max(LEAST);
        match await_kind(&fixture, kind, &workload, limit).await {
            Ok(()) => {}
            Err(NotPassed::Failed(text)) => failures.push(format!("{text}\ndeclared in {}", workload.file)),
            Err(other) => return Err(other),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(NotPassed::Failed(failures.join("\n"))) }
}

/// What the workspace declares, or why the spec does not apply.
pub(super) fn declared(fixture: &Fixture) -> SpecResult<Vec<Declared>> {
    let workspace = &fixture.cluster.workspace;
    match manifests::read(workspace) {
        Ok(Some(declared)) => Ok(declared),
        Ok(None) => Err(NotPassed::Skipped(format!("{} has no folder `deploy`", workspace.display()))),
        Err(text) => Err(NotPassed::Failed(text)),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

fn with_kind(declared: Declared) -> Option<(Kind, Declared)> {
    let kind = match declared.kind.as_str() {
        "Deployment" => Kind::Deployment,
        "StatefulSet" => Kind::StatefulSet,
        "DaemonSet" => Kind::DaemonSet,
        _ => return None,
    };
    Some((kind, declared))
}

async fn await_kind(fixture: &Fixture, kind: Kind, workload: &Declared, limit: Duration) -> SpecResult {
    let (client, namespace, name) = (&fixture.cluster.client, &workload.namespace, &workload.name);
    match kind {
        Kind::Deployment => await_rollout::<Deployment>(client, namespace, name, limit).await.map(drop),
        Kind::StatefulSet => await_rollout::<StatefulSet>(client, namespace, name, limit).await.map(drop),
        Kind::DaemonSet => await_rollout::<DaemonSet>(client, namespace, name, limit).await.map(drop),
    }
}
