//! What a spec is and how it can end. Holds no spec and no cluster code.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::cluster::Fixture;

/// Result of a spec, or of a step of one.
pub(crate) type SpecResult<T = ()> = Result<T, NotPassed>;

/// One spec: a name that is its identity over time, and its body.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) order: Order,
    /// One try may take this long; the waits inside have shorter limits with better messages.
    pub(crate) limit: Duration,
    pub(crate) body: Box<dyn Fn(Fixture) -> LocalBoxFuture<'static, SpecResult>>,
}

/// Whether a spec may share the cluster with others while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Alone, before the parallel ones, in the order of the suite.
    Serial,
    /// Keeps to its own namespace.
    Parallel,
}

impl Spec {
    pub(crate) fn parallel<F>(name: &'static str, body: fn(Fixture) -> F) -> Self
    where
        F: Future<Output = SpecResult> + 'static,
    {
        Self::new(name, Order::Parallel, body)
    }

    pub(crate) fn serial<F>(name: &'static str, body: fn(Fixture) -> F) -> Self
    where
        F: Future<Output = SpecResult> + 'static,
    {
        Self::new(name, Order::Serial, body)
    }

    fn new<F>(name: &'static str, order: Order, body: fn(Fixture) -> F) -> Self
    where
        F: Future<Output = SpecResult> + 'static,
    {
        Self { name, order, limit: Duration::from_secs(300), body: Box::new(move |fixture| Box::pin(body(fixture))) }
    }
}

/// Why a spec, or a step of it, did not pass. The first line of each text is the message in the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotPassed {
    /// The cluster is not as the spec expects.
    Failed(String),
    /// The spec could not be carried out: the API refused or could not be reached.
    Errored(String),
    /// The spec does not apply here.
    Skipped(String),
}

impl NotPassed {
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }
}

/// Names the step in which the API let a spec down.
pub(crate) trait While<T> {
    /// `step` reads after "while": `creating pod web`.
    fn while_(self, step: &str) -> SpecResult<T>;
}

impl<T> While<T> for Result<T, kube::Error> {
    fn while_(self, step: &str) -> SpecResult<T> {
        self.map_err(|error| NotPassed::Errored(format!("while {step}: {}", api_error(&error))))
    }
}

/// The API's own words where it answered, otherwise the whole chain down to the socket.
pub(crate) fn api_error(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({} {})", status.message, status.code, status.reason);
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
