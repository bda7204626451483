//! Applies manifests by server-side apply, wave after wave. Applying again changes nothing that is as it should be.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::Status;
use kube::discovery::{Scope, oneshot};
use kube::{Client, ResourceExt};

use super::objects::{Object, Wave, objects};
use super::{rollout, sorted};
use crate::ports::{KubernetesError, Manifest};

/// The name under which our fields are kept by the server.
const MANAGER: &str = "portcullis";

/// How the server words a field of a wrong type, with a status of 500.
const WRONG_TYPE: &str = "failed to create typed patch object";

pub(super) async fn apply(client: &Client, manifests: &[Manifest]) -> Result<(), KubernetesError> {
    let objects = objects(manifests)?;
    let mut wave = Wave::Namespaces;
    for object in &objects {
        if object.wave() != wave {
            settled(client, &objects, wave).await?;
            wave = object.wave();
        }
        apply_one(client, object, &objects).await?;
    }
    Ok(())
}

/// Definitions must be established before their resources; the whole is applied again a moment later if they are not.
async fn settled(client: &Client, objects: &[Object], wave: Wave) -> Result<(), KubernetesError> {
    if wave != Wave::Definitions {
        return Ok(());
    }
    for object in objects.iter().filter(|object| object.wave() == wave) {
        if let Some(waits) = rollout::waits_for(client, object).await? {
            return Err(KubernetesError::Failed { what: waits, source: anyhow::anyhow!("it is asked again") });
        }
    }
    Ok(())
}

async fn apply_one(client: &Client, object: &Object, all: &[Object]) -> Result<(), KubernetesError> {
    let found = oneshot::pinned_kind(client, &object.gvk).await;
    let (resource, capabilities) = found.map_err(|error| kind(object, all, error))?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), object.namespace(), &resource),
    };
    let parameters = PatchParams::apply(MANAGER).force();
    let applied = api.patch(&object.object.name_any(), &parameters, &Patch::Apply(&object.object)).await;
    applied.map(drop).map_err(|error| match error {
        kube::Error::Api(status) if may_pass(&status) => {
            KubernetesError::Failed { what: object.place.clone(), source: kube::Error::Api(status).into() }
        }
        kube::Error::Api(status) if status.message.contains(WRONG_TYPE) => {
            KubernetesError::Rejected(format!("{}: {}", object.place, status.message))
        }
        error => sorted(&object.place, error),
    })
}

/// Refusals that are over in a moment: the service account of a new namespace is made shortly after it, and what is being
/// deleted can be made again when it is gone.
fn may_pass(status: &Status) -> bool {
    status.code == 409 || (status.code == 403 && status.message.contains("service account"))
}

fn kind(object: &Object, all: &[Object], error: kube::Error) -> KubernetesError {
    let unknown = match &error {
        kube::Error::Discovery(_) => true,
        kube::Error::Api(status) => status.code == 404,
        _ => false,
    };
    if unknown && all.iter().any(|definition| definition.defines(&object.gvk)) {
        // Established a moment ago; the server lists new kinds a little later.
        let what = format!("{}: its definition is new to the cluster; looking it up", object.place);
        return KubernetesError::Failed { what, source: error.into() };
    }
    if unknown {
        let (version, kind) = (object.gvk.api_version(), &object.gvk.kind);
        return KubernetesError::Rejected(format!("{}: the cluster knows no {version} {kind}", object.place));
    }
    sorted(&object.place, error)
}
