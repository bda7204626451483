//! Images: present, or pulled within a bounded time. An image that cannot be had is named; trying again would not help.

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::engine::{Engine, bounded};
use super::error::EngineError;
use super::limits;

/// What of an image matters for making containers of it.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// Paths that the image declares as volumes.
    pub(super) volumes: Vec<String>,
}

impl Engine {
    /// The image, pulled when it is not there. `role` says in messages what it is for, such as `node image`.
    pub(super) async fn image(&self, role: &str, name: &str) -> Result<Image, EngineError> {
        if let Some(image) = self.local_image(name).await? {
            return Ok(image);
        }
        self.pull(role, name).await?;
        let gone = || EngineError::Refused(format!("{role} {name} cannot be pulled: it is not there afterwards"));
        self.local_image(name).await?.ok_or_else(gone)
    }

    async fn local_image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        match bounded(format!("looking for image {name}"), limits::CALL, self.api().await?.inspect_image(name)).await {
            Ok(found) => {
                let mut volumes = found.config.and_then(|config| config.volumes).unwrap_or_default();
                volumes.sort();
                Ok(Some(Image { volumes }))
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(EngineError::Answered { status: 400, message, .. }) => {
                Err(EngineError::Refused(format!("image {name} is not a name that Docker knows: {message}")))
            }
            Err(error) => Err(error),
        }
    }

    async fn pull(&self, role: &str, name: &str) -> Result<(), EngineError> {
        tracing::info!(image = name, "pulling {role}");
        let mut options = CreateImageOptionsBuilder::new().from_image(name);
        if !has_tag(name) {
            options = options.tag("latest"); // Without one Docker pulls every tag there is.
        }
        let mut progress = self.api().await?.create_image(Some(options.build()), None, None);
        let all = async {
            while let Some(step) = progress.next().await {
                step?;
            }
            Ok(())
        };
        let cannot = |why: String| EngineError::Refused(format!("{role} {name} cannot be pulled: {why}"));
        match tokio::time::timeout(limits::PULL, all).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => match EngineError::new("pulling", error) {
                EngineError::Unreachable(source) => Err(EngineError::Unreachable(source)),
                EngineError::Answered { message, .. } => Err(cannot(message)),
                EngineError::Failed { source, .. } => Err(cannot(format!("{source:#}"))),
                EngineError::Refused(why) => Err(cannot(why)),
            },
            Err(_) => Err(cannot(format!("not done after {} s", limits::PULL.as_secs()))),
        }
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
