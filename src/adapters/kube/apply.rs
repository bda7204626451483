//! Applies manifests by server-side apply, wave after wave. Applying again changes nothing that is as it should be.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::discovery::{Scope, oneshot};
use kube::{Client, ResourceExt};

use super::objects::{Object, Wave, objects};
use super::{rollout, sorted};
use crate::ports::{KubernetesError, Manifest};

/// The name under which our fields are kept by the server.
const MANAGER: &str = "portcullis";

pub(super) async fn apply(client: &Client, manifests: &[Manifest]) -> Result<(), KubernetesError> {
    let objects = objects(manifests)?;
    let mut wave = Wave::Namespaces;
    for object in &objects {
        if object.wave() != wave {
            settled(client, &objects, wave).await?;
            wave = object.wave();
        }
        apply_one(client, object).await?;
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

async fn apply_one(client: &Client, object: &Object) -> Result<(), KubernetesError> {
    let (resource, capabilities) =
        oneshot::pinned_kind(client, &object.gvk).await.map_err(|error| kind(object, error))?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), object.namespace(), &resource),
    };
    let parameters = PatchParams::apply(MANAGER).force();
    let applied = api.patch(&object.object.name_any(), &parameters, &Patch::Apply(&object.object)).await;
    applied.map(drop).map_err(|error| sorted(&object.place, error))
}

fn kind(object: &Object, error: kube::Error) -> KubernetesError {
    let unknown = match &error {
        kube::Error::Discovery(_) => true,
        kube::Error::Api(status) => status.code == 404,
        _ => false,
    };
    if unknown {
        let (version, kind) = (object.gvk.api_version(), &object.gvk.kind);
        return KubernetesError::Rejected(format!("{}: the cluster knows no {version} {kind}", object.place));
    }
    sorted(&object.place, error)
}
