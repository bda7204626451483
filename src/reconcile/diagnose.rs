//! What a cluster and its workloads looked like when something failed, gathered before the cluster goes: one archive per failure.
//! Bounded in time and size, and never in the way: what cannot be had is named in the archive, and nothing waits for it longer.

use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Context, chain};
use crate::domain::cluster::Cluster;
use crate::domain::ids::ClusterId;
use crate::domain::plan::RunView;
use crate::ports::{Audience, Clue};

/// What the whole of it may take: a dead API server must not hold a tear-down.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// What one source may take.
const ONE_SOURCE: Duration = Duration::from_secs(10);
/// Bytes of all clues together, before they are packed.
const MOST: usize = 16 << 20;

/// Gathers into `into`, unless that was done before. `why` is the first thing a reader sees.
pub(super) async fn gather(context: &Context, view: &RunView, cluster: ClusterId, why: &str, into: PathBuf) {
    if tokio::fs::try_exists(&into).await.unwrap_or(false) {
        return;
    }
    let begun = context.now();
    let mut clues = clues(context, view, cluster, why).await;
    // A suite may have put a secret into its cluster. What cannot be hidden for certain is not written.
    let mask = match context.vault.of_run(&*context.ports.executor, view).await {
        Ok(mask) => mask,
        Err(error) => {
            tracing::warn!(run.id = %view.run.id, error = chain(&error), "diagnostics were not written: secrets are not known");
            return;
        }
    };
    clues.iter_mut().for_each(|clue| clue.text = mask.text(std::mem::take(&mut clue.text)));
    let written = tokio::task::spawn_blocking(move || write(&into, &clues, begun.as_second())).await;
    match written {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(run.id = %view.run.id, error = chain(&error), "diagnostics were not written"),
        Err(error) => tracing::warn!(run.id = %view.run.id, error = chain(&error), "diagnostics were not written"),
    }
}

async fn clues(context: &Context, view: &RunView, cluster: ClusterId, why: &str) -> Vec<Clue> {
    let (from_api, from_nodes) = tokio::join!(
        in_time("the cluster's API", ONE_SOURCE, api(context, cluster)),
        in_time("the nodes' logs", ONE_SOURCE, context.ports.provider.diagnose(cluster)),
    );
    let mut clues = vec![summary(view, cluster, why)];
    match from_api {
        Ok(found) => clues.extend(found),
        Err(text) => clues.push(Clue { name: "cluster/unavailable.txt".into(), text }),
    }
    clues.push(match from_nodes {
        Ok(text) => Clue { name: "nodes.log".into(), text },
        Err(text) => Clue { name: "nodes-unavailable.txt".into(), text },
    });
    clues
}

async fn api(context: &Context, cluster: ClusterId) -> anyhow::Result<Vec<Clue>> {
    let Some(access) = context.ports.provider.access(cluster, Audience::Service).await? else {
        anyhow::bail!("the cluster has not written its credentials");
    };
    Ok(context.ports.kubernetes.diagnose(&access).await?)
}

/// What a source gave, or in words why it gave nothing.
async fn in_time<T, E>(what: &str, limit: Duration, asked: impl Future<Output = Result<T, E>>) -> Result<T, String>
where
    E: Into<anyhow::Error>,
{
    match tokio::time::timeout(limit, asked).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(format!("{what} could not be read: {}\n", chain(error.into().as_ref()))),
        Err(_) => Err(format!("{what} did not answer within {} s\n", limit.as_secs())),
    }
}

/// What is known without asking anybody: what failed, of which run, and what readiness and set-up waited for.
fn summary(view: &RunView, cluster: ClusterId, why: &str) -> Clue {
    let run = &view.run;
    let mut text = format!(
        "{why}\n\nrun        {}\nrepository {}\nhead       {}\nbase       {}\ncluster    {cluster}\n",
        run.id, run.repo, run.head, run.base
    );
    let said = |cluster: &Cluster| cluster.message.clone().unwrap_or_default();
    for cluster in &view.clusters {
        text += &format!("\ncluster {} is {:?} {}\n", cluster.id, cluster.state, said(cluster));
    }
    for setup in &view.setups {
        let message = setup.message.as_deref().unwrap_or_default();
        text += &format!("set-up of {:?} is {:?} {message}\n", setup.stage, setup.state);
    }
    Clue { name: "summary.txt".into(), text }
}

/// Written aside and renamed: an archive that is there is complete. Blocking.
fn write(into: &Path, clues: &[Clue], time: i64) -> std::io::Result<()> {
    if let Some(folder) = into.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let part = into.with_extension("part");
    let packed = GzEncoder::new(std::fs::File::create(&part)?, Compression::fast());
    let mut archive = tar::Builder::new(packed);
    let mut left = MOST;
    for Clue { name, text } in clues {
        let bytes = &text.as_bytes()[..text.len().min(left)];
        left -= bytes.len();
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        header.set_mtime(u64::try_from(time).unwrap_or(0));
        archive.append_data(&mut header, format!("diagnostics/{name}"), bytes)?;
    }
    archive.into_inner()?.finish()?.flush()?;
    std::fs::rename(part, into)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn an_archive_holds_every_clue_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("run/diagnostics.tar.gz");
        let clue = |name: &str, text: String| Clue { name: name.into(), text };
        let clues = [clue("summary.txt", "why".into()), clue("big", "x".repeat(MOST)), clue("late", "gone".into())];
        write(&into, &clues, 1_800_000_000).unwrap();
        let packed = std::fs::File::open(&into).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((entry.path().unwrap().display().to_string(), text.len()));
        }
        let expected = [("summary.txt", 3), ("big", MOST - 3), ("late", 0)];
        assert_eq!(found, expected.map(|(name, size)| (format!("diagnostics/{name}"), size)));
        assert_eq!(std::fs::read_dir(folder.path().join("run")).unwrap().count(), 1, "nothing half-written stays");
    }

    #[tokio::test]
    async fn a_source_that_never_answers_is_named_and_left() {
        let never = std::future::pending::<Result<(), anyhow::Error>>();
        assert_eq!(
            in_time("the API", Duration::from_millis(1), never).await,
            Err("the API did not answer within 0 s\n".to_owned())
        );
        let failed = async { Err::<(), _>(anyhow::anyhow!("refused")) };
        assert_eq!(
            in_time("the API", ONE_SOURCE, failed).await,
            Err("the API could not be read: refused\n".to_owned())
        );
    }
}
