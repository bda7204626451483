//! What a run's page says of its clusters: words, tones and set-ups. No markup, no reads.

use super::views::Tone;
use crate::domain::cluster::{Cluster, ClusterState, SetupState};
use crate::domain::plan::RunView;

/// A cluster of a run.
pub(super) struct Machine {
    pub(super) id: String,
    pub(super) short: String,
    pub(super) tone: Tone,
    pub(super) word: &'static str,
    pub(super) nodes: u8,
    pub(super) message: Option<String>,
    pub(super) setups: Vec<String>,
    pub(super) left: Left,
}

/// What a cluster left behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub(super) log: bool,
    pub(super) diagnostics: bool,
}

impl Machine {
    pub(super) fn new(cluster: &Cluster, view: &RunView, left: Left) -> Self {
        let (tone, word) = match cluster.state {
            ClusterState::Requested => (Tone::Waiting, "requested"),
            ClusterState::Creating => (Tone::Live, "being created"),
            ClusterState::Ready => (Tone::Success, "ready"),
            ClusterState::Failing => (Tone::Error, "broken"),
            ClusterState::Destroying => (Tone::Live, "being destroyed"),
            ClusterState::Destroyed => (Tone::Waiting, "destroyed"),
        };
        let setups = view.setups.iter().filter(|setup| setup.cluster == cluster.id);
        let setups = setups.filter_map(|setup| {
            let message = setup.message.as_deref()?;
            let what = match setup.state {
                SetupState::Applying | SetupState::RollingOut => "set-up waits",
                SetupState::Done => return None,
                SetupState::Failed => "set-up failed",
            };
            Some(format!("{what}: {message}"))
        });
        Self {
            id: cluster.id.to_string(),
            short: cluster.id.short(),
            tone,
            word,
            nodes: cluster.plan.nodes,
            message: kept(cluster).or_else(|| cluster.message.clone()),
            setups: setups.collect(),
            left,
        }
    }
}

/// Somebody asked to keep it.
fn kept(cluster: &Cluster) -> Option<String> {
    let until = cluster.held_until.filter(|_| cluster.released_at.is_none())?;
    Some(format!("kept until {}: portcullis clusters kubeconfig {}", until.strftime("%Y-%m-%d %H:%M UTC"), cluster.id))
}
