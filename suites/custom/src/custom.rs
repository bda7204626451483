//! The `custom` suite: an example of what a platform team tests on its own cluster. The list of its specs, in
//! the order of the report; each room under `custom/` holds one subject.

mod endpoints;
mod manifests;
mod security;
mod service;
mod statefulset;
mod workspace;

use crate::spec::Spec;

pub(crate) fn specs() -> Vec<Spec> {
    vec![
        Spec::serial("workspace: applied manifests are rolled out", workspace::manifests_are_rolled_out),
        Spec::serial("workspace: declared endpoints answer", endpoints::declared_endpoints_answer),
        Spec::parallel("statefulset: a roll-out keeps the data of its volumes", statefulset::roll_out_keeps_data),
        Spec::parallel("service: answers by name from a pod", service::answers_by_name),
        Spec::parallel("service: a headless name resolves to its pods", service::headless_name_resolves),
        Spec::parallel("service: endpoints follow the pods", service::endpoints_follow_pods),
        Spec::parallel("pod security: restricted refuses a privileged pod", security::refuses_privileged),
        Spec::parallel("pod security: restricted admits a conforming pod", security::admits_conforming),
    ]
}
