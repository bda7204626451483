//! `portcullis clusters`: what exists, and the way into one that somebody holds. Changes nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use super::{engine, out};
use crate::app;
use crate::config::ServerConfig;
use crate::config::server::Local;
use crate::domain::cluster::Cluster;
use crate::ports::{Audience, ClusterProvider};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service's configuration, for its store and its Docker engine: without it, those of a service started in this folder.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Clusters that are not destroyed yet, oldest first.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the kubeconfig of a cluster. It opens that cluster whole: keep it to yourself.
    Kubeconfig {
        /// The cluster's id, long or short.
        cluster: String,
    },
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match ServerConfig::load_local(args.config.as_deref()) {
        Ok(config) => config,
        Err(problems) => return super::refuse(&problems),
    };
    match engine::block_on(obey(&config, args)) {
        Ok(text) => {
            if text.is_empty() {
                out::problem("no clusters");
            }
            out::text(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            out::problem(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn obey(config: &Local, args: &Args) -> anyhow::Result<String> {
    let reached = app::reach(config).await;
    let (store, docker) = reached.map_err(|error| match args.config {
        Some(_) => error,
        None => anyhow::anyhow!("{error:#}; `--config FILE` names the service's configuration"),
    })?;
    let clusters = store.open_clusters().await?;
    match &args.what {
        What::List { json: true } => Ok(format!("{}\n", json!(clusters.iter().map(as_json).collect::<Vec<_>>()))),
        What::List { json: false } => Ok(clusters.iter().map(line).collect()),
        What::Kubeconfig { cluster } => {
            let wanted = |known: &&Cluster| known.id.to_string() == *cluster || known.id.short() == *cluster;
            let Some(found) = clusters.iter().find(wanted) else { bail!("there is no cluster {cluster} (any more)") };
            let access = docker.access(found.id, Audience::Service).await.context("the cluster cannot be asked")?;
            Ok(access.context("the cluster has not written its credentials yet")?.kubeconfig)
        }
    }
}

fn state(cluster: &Cluster) -> String {
    format!("{:?}", cluster.state).to_lowercase()
}

fn line(cluster: &Cluster) -> String {
    let held = cluster.held_until.map(|until| format!("  kept until {until:.0}")).unwrap_or_default();
    format!("{}  {:10}  run {}{held}\n", cluster.id, state(cluster), cluster.run)
}

fn as_json(cluster: &Cluster) -> serde_json::Value {
    json!({
        "id": cluster.id.to_string(), "state": cluster.state, "run": cluster.run.to_string(),
        "created_at": cluster.created_at, "held_until": cluster.held_until, "expires_at": cluster.expires_at,
    })
}
