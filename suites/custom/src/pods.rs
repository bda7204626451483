//! Pods that specs start to look at the cluster from inside: run a command, end, leave their log.
//! They run as Pod Security's strictest level demands, so that they run on hardened clusters too.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use serde_json::{Value, json};

use crate::cluster::Fixture;
use crate::describe;
use crate::spec::{NotPassed, SpecResult, While};
use crate::wait::{Seen, until};

const POD_LIMIT: Duration = Duration::from_secs(90);
const LOG_BYTES: i64 = 64 * 1024;
/// `nobody` in most images; any number but 0 would do.
const USER: i64 = 65534;

/// Security context of a pod that the `restricted` level admits.
pub(crate) fn restricted_pod() -> Value {
    let seccomp = json!({ "type": "RuntimeDefault" });
    json!({ "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER, "seccompProfile": seccomp })
}

/// Security context of a container that the `restricted` level admits.
pub(crate) fn restricted_container() -> Value {
    json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } })
}

/// A pod that runs `command` once.
pub(crate) fn one_shot(name: &str, image: &str, command: &[&str]) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "securityContext": restricted_pod(),
            "containers": [{
                "name": "main",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": command,
                "securityContext": restricted_container(),
            }],
        },
    })
}

/// Runs a shell script in a busybox pod until it ends with exit code 0 and returns its log. `args` are the
/// script's `$1`, `$2` …; text that is not ours goes there, never into the script.
pub(crate) async fn script(
    fixture: &Fixture,
    namespace: &str,
    name: &str,
    script: &str,
    args: &[&str],
) -> SpecResult<String> {
    let command: Vec<_> = ["sh", "-c", script, name].into_iter().chain(args.iter().copied()).collect();
    let pod = one_shot(name, &fixture.cluster.images.busybox, &command);
    let _: Pod = fixture.create(namespace, pod).await?;
    succeeded(fixture, namespace, name).await?;
    log(fixture, namespace, name).await
}

/// Waits until the pod has ended well.
pub(crate) async fn succeeded(fixture: &Fixture, namespace: &str, name: &str) -> SpecResult {
    let pods = fixture.api::<Pod>(namespace);
    let ended = until(format!("pod {name}"), POD_LIMIT, async || {
        let Some(pod) = pods.get_opt(name).await? else {
            return Ok(Seen::Never("it was deleted".into()));
        };
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        Ok(match phase {
            Some("Succeeded") => Seen::Ready(()),
            Some("Failed") => Seen::Never("expected exit code 0".into()),
            Some(_) | None => Seen::NotYet("it has not ended".into()),
        })
    })
    .await;
    match ended {
        Err(NotPassed::Failed(text)) => {
            let this = ListParams::default().fields(&format!("metadata.name={name}"));
            let why = describe::pods(&fixture.cluster.client, namespace, &this).await;
            Err(NotPassed::Failed(format!("{text}\n{why}")))
        }
        other => other,
    }
}

/// What the pod's only container has printed, at most 64 KiB of it.
pub(crate) async fn log(fixture: &Fixture, namespace: &str, name: &str) -> SpecResult<String> {
    let asked = LogParams { limit_bytes: Some(LOG_BYTES), ..LogParams::default() };
    fixture.api::<Pod>(namespace).logs(name, &asked).await.while_(&format!("reading the log of pod {name}"))
}

/// The addresses that busybox's `nslookup` has printed for a name, in the order of the answer.
///
/// It names the server first (`Address: 10.43.0.10:53`), then each answer as `Name:` and `Address:`.
pub(crate) fn looked_up(log: &str) -> Vec<String> {
    let answers = log.lines().skip_while(|line| !line.starts_with("Name:"));
    answers.filter_map(|line| line.strip_prefix("Address:")).map(|address| address.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_without_the_servers() {
        let log = "Server:\t\t10.43.0.10\nAddress:\t10.43.0.10:53\n\n\
                   Name:\tweb.ns.svc.cluster.local\nAddress: 10.42.0.7\n\
                   Name:\tweb.ns.svc.cluster.local\nAddress: 10.42.0.8\n\n";
        assert_eq!(looked_up(log), ["10.42.0.7", "10.42.0.8"]);
    }

    #[test]
    fn an_answer_without_a_name_has_no_address() {
        let log = "Server:\t\t10.43.0.10\nAddress:\t10.43.0.10:53\n\n** server can't find web: NXDOMAIN\n";
        assert_eq!(looked_up(log), Vec::<String>::new());
    }
}
