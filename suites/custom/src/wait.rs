//! Waiting on conditions by polling, with a limit and a message that says what was last seen.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::spec::{NotPassed, SpecResult, api_error};

const PAUSE: Duration = Duration::from_millis(200);

/// What one look at the cluster came to.
pub(crate) enum Seen<T> {
    Ready(T),
    /// Worth another look; the text says what is still missing.
    NotYet(String),
    /// Will not become ready any more; the text says why.
    Never(String),
}

/// Looks until `look` sees what it wants, `limit` is over, or it sees that this will never be.
///
/// An API error counts as "not yet", so that one lost connection does not fail a spec; when it is also the last
/// thing seen, the spec has errored rather than failed.
pub(crate) async fn until<T>(
    what: impl Display,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Seen<T>, kube::Error>,
) -> SpecResult<T> {
    let start = Instant::now();
    loop {
        // Bounded as well: an API server that accepts and then hangs must not outlive the limit by much.
        let patience = limit.saturating_sub(start.elapsed()).max(Duration::from_secs(2));
        let missing = match tokio::time::timeout(patience, look()).await {
            Ok(Ok(Seen::Ready(value))) => return Ok(value),
            Ok(Ok(Seen::Never(why))) => return Err(NotPassed::Failed(format!("{what}: {why}"))),
            Ok(Ok(Seen::NotYet(missing))) => NotPassed::Failed(missing),
            Ok(Err(error)) => NotPassed::Errored(api_error(&error)),
            Err(_) => NotPassed::Errored("the API server does not answer".into()),
        };
        if start.elapsed() >= limit {
            return Err(expired(&what, limit, missing));
        }
        sleep(PAUSE).await;
    }
}

fn expired(what: &impl Display, limit: Duration, missing: NotPassed) -> NotPassed {
    let text = |missing: String| format!("{what}: not within {}s: {missing}", limit.as_secs());
    match missing {
        NotPassed::Failed(missing) => NotPassed::Failed(text(missing)),
        NotPassed::Errored(missing) => NotPassed::Errored(text(missing)),
        NotPassed::Skipped(reason) => NotPassed::Skipped(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> kube::Error {
        kube::Error::Service("connection reset".into())
    }

    #[tokio::test]
    async fn an_error_on_the_way_is_forgiven() {
        let mut looks = 0;
        let seen = until("thing", Duration::from_secs(5), async || {
            looks += 1;
            if looks == 1 { Err(lost()) } else { Ok(Seen::Ready(looks)) }
        });
        assert_eq!(seen.await, Ok(2));
    }

    #[tokio::test]
    async fn what_can_never_be_ends_the_wait() {
        let seen = until("thing", Duration::from_secs(60), async || Ok(Seen::<()>::Never("it is gone".into())));
        assert_eq!(seen.await, Err(NotPassed::failed("thing: it is gone")));
    }

    #[tokio::test]
    async fn the_limit_tells_a_failure_from_an_error() {
        let failed = until("thing", Duration::ZERO, async || Ok(Seen::<()>::NotYet("0 of 2".into()))).await;
        assert_eq!(failed, Err(NotPassed::failed("thing: not within 0s: 0 of 2")));
        let errored = until("thing", Duration::ZERO, async || Err::<Seen<()>, _>(lost())).await;
        assert!(matches!(errored, Err(NotPassed::Errored(text)) if text.contains("connection reset")));
    }
}
