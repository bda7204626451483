//! Pod Security: a namespace that enforces `restricted` refuses what the level forbids and admits the rest.

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::json;

use crate::cluster::{Fixture, typed};
use crate::pods;
use crate::spec::{NotPassed, SpecResult, api_error};

const ENFORCE: (&str, &str) = ("pod-security.kubernetes.io/enforce", "restricted");
/// How the admission plugin's refusal reads; the rest of the message lists what is violated.
const REFUSAL: &str = "violates PodSecurity \"restricted";

pub(super) async fn refuses_privileged(fixture: Fixture) -> SpecResult {
    let namespace = fixture.namespace_labelled(&[ENFORCE]).await?;
    let mut pod = pods::one_shot("privileged", &fixture.cluster.images.busybox, &["true"]);
    pod["spec"]["containers"][0]["securityContext"] = json!({ "privileged": true });
    let pod: Pod = typed(pod);
    match fixture.api::<Pod>(&namespace).create(&PostParams::default(), &pod).await {
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let names_it = status.message.contains(REFUSAL) && status.message.contains("privileged");
            if names_it {
                return Ok(());
            }
            Err(NotPassed::failed(format!("refused with 403, but not for being privileged: {}", status.message)))
        }
        Err(other) => Err(NotPassed::Errored(format!("while creating a privileged pod: {}", api_error(&other)))),
        Ok(_) => Err(NotPassed::failed("a privileged pod was admitted to a namespace that enforces `restricted`")),
    }
}

pub(super) async fn admits_conforming(fixture: Fixture) -> SpecResult {
    let namespace = fixture.namespace_labelled(&[ENFORCE]).await?;
    let log = pods::script(&fixture, &namespace, "conforming", "id -u", &[]).await?;
    match log.trim() {
        "0" => Err(NotPassed::failed("the pod ran as root in a namespace that enforces `restricted`")),
        _ => Ok(()),
    }
}
