//! What can go wrong with the engine, in one type that becomes either port's. Here is decided what is worth asking again.

use anyhow::anyhow;
use bollard::errors::Error as Bollard;

use crate::ports::{ExecutorError, ProviderError};

const ENGINE: &str = "Docker";

#[derive(Debug)]
pub(super) enum EngineError {
    /// No answer at all.
    Unreachable(anyhow::Error),
    /// An answer that is an error: HTTP status and the engine's words.
    Answered { what: String, status: u16, message: String },
    /// What was asked for cannot be made. Text for people.
    Refused(String),
    /// Anything else.
    Failed { what: String, source: anyhow::Error },
}

impl EngineError {
    pub(super) fn new(what: impl Into<String>, error: Bollard) -> Self {
        let what = what.into();
        match error {
            Bollard::DockerResponseServerError { status_code, message } => {
                Self::Answered { what, status: status_code, message }
            }
            Bollard::SocketNotFoundError(_)
            | Bollard::HyperLegacyError { .. }
            | Bollard::HyperResponseError { .. }
            | Bollard::RequestTimeoutError
            | Bollard::IOError { .. } => Self::Unreachable(anyhow::Error::new(error).context(what)),
            other => Self::Failed { what, source: other.into() },
        }
    }

    /// There is no such object.
    pub(super) fn is_missing(&self) -> bool {
        self.status() == Some(404)
    }

    /// The object is in no state for that, for example killed already or being removed.
    pub(super) fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// The host does not let containers have every capability.
    pub(super) fn is_capability_refusal(&self) -> bool {
        matches!(self, Self::Answered { message, .. } if message.contains("unable to apply caps"))
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Unreachable(_) | Self::Refused(_) | Self::Failed { .. } => None,
        }
    }
}

/// Folds the four into the three that both ports have: a bad request (400) is final, every other answer may pass.
macro_rules! into_port {
    ($port:ident) => {
        impl From<EngineError> for $port {
            fn from(error: EngineError) -> Self {
                match error {
                    EngineError::Unreachable(source) => $port::Unreachable { engine: ENGINE, source },
                    EngineError::Refused(text) => $port::Refused(text),
                    EngineError::Answered { what, status: 400, message } => {
                        $port::Refused(format!("{ENGINE} refuses {what}: {message}"))
                    }
                    EngineError::Answered { what, status, message } => {
                        $port::Failed { what, source: anyhow!("{ENGINE} answered {status}: {message}") }
                    }
                    EngineError::Failed { what, source } => $port::Failed { what, source },
                }
            }
        }
    };
}

into_port!(ProviderError);
into_port!(ExecutorError);

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status_code: u16, message: &str) -> EngineError {
        EngineError::new("creating x", Bollard::DockerResponseServerError { status_code, message: message.into() })
    }

    #[test]
    fn only_what_cannot_pass_is_refused() {
        assert!(
            matches!(ProviderError::from(answered(400, "bad flag")), ProviderError::Refused(text) if text.contains("bad flag"))
        );
        assert!(matches!(ExecutorError::from(answered(500, "oops")), ExecutorError::Failed { .. }));
        assert!(matches!(
            ProviderError::from(EngineError::new("x", Bollard::SocketNotFoundError("/s".into()))),
            ProviderError::Unreachable { .. }
        ));
    }

    #[test]
    fn answers_are_told_apart() {
        assert!(answered(404, "").is_missing() && answered(409, "").is_conflict());
        assert!(answered(500, "OCI: unable to apply caps: operation not permitted").is_capability_refusal());
        assert!(!answered(500, "no space left").is_capability_refusal());
    }
}
