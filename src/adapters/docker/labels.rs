//! The labels of everything we make, and the filters that find it again. They are the only memory that survives a lost database.

use std::collections::HashMap;

use super::DockerSettings;
use crate::ports::{ClusterSpec, Execution};

pub(super) const INSTANCE: &str = "dev.portcullis.instance";
pub(super) const CLUSTER: &str = "dev.portcullis.cluster";
pub(super) const RUN: &str = "dev.portcullis.run";
pub(super) const ATTEMPT: &str = "dev.portcullis.attempt";
pub(super) const SUITE: &str = "dev.portcullis.suite";
/// Unix seconds after which the object has no right to exist.
pub(super) const EXPIRES: &str = "dev.portcullis.expires";
pub(super) const ROLE: &str = "dev.portcullis.role";
/// On the server node: how many nodes the cluster should have.
pub(super) const NODES: &str = "dev.portcullis.nodes";

pub(super) type Labels = HashMap<String, String>;
pub(super) type Filters = HashMap<String, Vec<String>>;

/// What an object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Agent,
    Network,
    Volume,
    Suite,
    Question,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Role::Server => "server",
            Role::Agent => "agent",
            Role::Network => "network",
            Role::Volume => "volume",
            Role::Suite => "suite",
            Role::Question => "question",
        }
    }
}

/// Labels of a cluster's part.
pub(super) fn of_cluster(settings: &DockerSettings, cluster: &ClusterSpec, role: Role) -> Labels {
    labels(&[
        (INSTANCE, settings.instance.clone()),
        (CLUSTER, cluster.id.to_string()),
        (RUN, cluster.run.to_string()),
        (EXPIRES, cluster.expires_at.as_second().to_string()),
        (ROLE, role.as_str().to_owned()),
    ])
}

/// Labels of a suite's container. It has no expiry of its own: it goes with its cluster.
pub(super) fn of_execution(settings: &DockerSettings, execution: &Execution) -> Labels {
    labels(&[
        (INSTANCE, settings.instance.clone()),
        (CLUSTER, execution.cluster.to_string()),
        (RUN, execution.run.to_string()),
        (ATTEMPT, execution.attempt.to_string()),
        (SUITE, execution.name.to_string()),
        (ROLE, Role::Suite.as_str().to_owned()),
    ])
}

/// Labels of a container that only answers a question.
pub(super) fn of_question(settings: &DockerSettings, expires_at: jiff::Timestamp) -> Labels {
    labels(&[
        (INSTANCE, settings.instance.clone()),
        (EXPIRES, expires_at.as_second().to_string()),
        (ROLE, Role::Question.as_str().to_owned()),
    ])
}

/// A filter for our instance's objects that carry all the given labels; an empty value stands for any.
pub(super) fn filter(settings: &DockerSettings, wanted: &[(&str, &str)]) -> Filters {
    let own = format!("{INSTANCE}={}", settings.instance);
    let rest = wanted.iter().map(|(key, value)| match *value {
        "" => (*key).to_owned(),
        value => format!("{key}={value}"),
    });
    HashMap::from([("label".to_owned(), std::iter::once(own).chain(rest).collect())])
}

fn labels(pairs: &[(&str, String)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}
