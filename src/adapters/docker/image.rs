//! Images: present, or pulled within a bounded time by a task of its own, because minutes of pulling must not hold up whoever watches
//! other containers. An image that cannot be had is named; asking again would not help.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard::Docker as Api;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::engine::{Engine, bounded};
use super::error::EngineError;
use super::limits;

/// Names of our own images begin so.
const OWN: &str = "portcullis/";

/// What of an image matters for making containers of it.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) name: String,
    /// What tells its content from another's of the same name.
    pub(super) id: String,
    /// Paths that the image declares as volumes.
    pub(super) volumes: Vec<String>,
}

/// Pulls under way, and failures that nobody has been told of yet.
#[derive(Default)]
pub(super) struct Pulls {
    tasks: TaskTracker,
    stop: CancellationToken,
    states: Arc<Mutex<HashMap<String, Pull>>>,
}

#[derive(Clone)]
enum Pull {
    /// The token is cancelled when the pull is over.
    UnderWay(CancellationToken),
    Failed(String),
}

impl Engine {
    /// The image; when it is not there, a pull of it is begun. `role` says in messages what it is for, such as `node image`.
    ///
    /// # Errors
    /// [`EngineError::Failed`] while it is being pulled, [`EngineError::Refused`] when it cannot be.
    pub(super) async fn image(&self, role: &str, name: &str) -> Result<Image, EngineError> {
        if let Some(image) = self.local_image(name).await? {
            return Ok(image);
        }
        let cannot = |why: String| EngineError::Refused(format!("{role} {name} cannot be pulled: {why}"));
        // What is not ours at any registry would be a stranger's under our name.
        if name.starts_with(OWN) {
            return Err(cannot(
                "it is built, not published: `make images` in Portcullis's source does that".to_owned(),
            ));
        }
        // A pull that failed since somebody last asked is told before another one begins.
        if let Some(why) = self.pulls.take_failure(name) {
            return Err(cannot(why));
        }
        let over = self.pulls.begin(self.api().await?, name);
        let waited = tokio::time::timeout(limits::PULL_PATIENCE, over.cancelled()).await;
        if let Some(why) = self.pulls.take_failure(name) {
            return Err(cannot(why));
        }
        match (waited, self.local_image(name).await?) {
            (_, Some(image)) => Ok(image),
            (Ok(()), None) => Err(cannot("it is not there afterwards".to_owned())),
            (Err(_), None) => {
                let source = anyhow::anyhow!("it is still being pulled");
                Err(EngineError::Failed { what: format!("starting from {role} {name}"), source })
            }
        }
    }

    /// The first of the images that is there; where none is, the last is pulled. `names` is never empty.
    ///
    /// # Errors
    /// As of [`Self::image`].
    pub(super) async fn first_image(&self, role: &str, names: &[String]) -> Result<Image, EngineError> {
        let Some((last, others)) = names.split_last() else {
            return Err(EngineError::Refused(format!("there is no {role} to choose from")));
        };
        for name in others {
            if let Some(image) = self.local_image(name).await? {
                return Ok(image);
            }
        }
        match self.image(role, last).await {
            Err(EngineError::Refused(why)) if !others.is_empty() => {
                Err(EngineError::Refused(format!("{why}; nor is there {}", others.join(" or "))))
            }
            other => other,
        }
    }

    async fn local_image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        match bounded(format!("looking for image {name}"), limits::CALL, self.api().await?.inspect_image(name)).await {
            Ok(found) => {
                let mut volumes = found.config.and_then(|config| config.volumes).unwrap_or_default();
                volumes.sort();
                Ok(Some(Image { name: name.to_owned(), id: found.id.unwrap_or_default(), volumes }))
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(EngineError::Answered { status: 400, message, .. }) => {
                Err(EngineError::Refused(format!("image {name} is not a name that Docker knows: {message}")))
            }
            Err(error) => Err(error),
        }
    }
}

impl Pulls {
    /// Begins a pull unless one is under way. The token is cancelled when it is over.
    fn begin(&self, api: &Api, name: &str) -> CancellationToken {
        let mut states = self.locked();
        if let Some(Pull::UnderWay(over)) = states.get(name) {
            return over.clone();
        }
        let over = CancellationToken::new();
        states.insert(name.to_owned(), Pull::UnderWay(over.clone()));
        drop(states);
        tracing::info!(image = name, "pulling");
        let (api, name, stop, states, done) =
            (api.clone(), name.to_owned(), self.stop.clone(), Arc::clone(&self.states), over.clone());
        self.tasks.spawn(async move {
            let pulled = tokio::select! {
                () = stop.cancelled() => Err("the service is stopping".to_owned()),
                pulled = pull(&api, &name) => pulled,
            };
            let mut states = states.lock().unwrap_or_else(PoisonError::into_inner);
            match pulled {
                Ok(()) => drop(states.remove(&name)),
                Err(why) => drop(states.insert(name, Pull::Failed(why))),
            }
            done.cancel();
        });
        over
    }

    /// Why the last pull failed. Told once: whoever asks after that begins a new one.
    fn take_failure(&self, name: &str) -> Option<String> {
        let mut states = self.locked();
        match states.get(name) {
            Some(Pull::Failed(why)) => {
                let why = why.clone();
                states.remove(name);
                Some(why)
            }
            Some(Pull::UnderWay(_)) | None => None,
        }
    }

    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Pull>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pulls {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn pull(api: &Api, name: &str) -> Result<(), String> {
    let mut options = CreateImageOptionsBuilder::new().from_image(name);
    if !has_tag(name) {
        options = options.tag("latest"); // Without one Docker pulls every tag there is.
    }
    let mut progress = api.create_image(Some(options.build()), None, None);
    let all = async {
        while let Some(step) = progress.next().await {
            step?;
        }
        Ok(())
    };
    match tokio::time::timeout(limits::PULL, all).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match EngineError::new("pulling", error) {
            EngineError::Answered { message, .. } => message,
            EngineError::Unreachable(source) | EngineError::Failed { source, .. } => format!("{source:#}"),
            EngineError::Refused(why) => why,
        }),
        Err(_) => Err(format!("not done after {} s", limits::PULL.as_secs())),
    }
}

/// Whether a reference says which version: a digest, or a colon after the last slash (one before it is a registry's port).
fn has_tag(name: &str) -> bool {
    name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert!(has_tag("busybox:1") && has_tag("r:5000/a/b:1") && has_tag("a@sha256:0"));
        assert!(!has_tag("busybox") && !has_tag("r:5000/a/b"));
    }
}
