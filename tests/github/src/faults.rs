//! Faults that tests order for coming requests: errors, limits, silence, broken connections.
//! Chooses; the server carries them out.

use std::time::Duration;

use http::Method;

/// Which requests a fault hits.
#[derive(Debug, Clone)]
pub struct Match {
    method: Option<Method>,
    path: String,
}

impl Match {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self { method: None, path: "*".to_owned() }
    }

    /// Requests of any method whose path matches; `*` stands for anything, slashes too.
    #[must_use]
    pub fn path(path: &str) -> Self {
        Self { method: None, path: path.to_owned() }
    }

    /// GET requests whose path matches.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self { method: Some(Method::GET), path: path.to_owned() }
    }

    /// POST requests whose path matches.
    #[must_use]
    pub fn post(path: &str) -> Self {
        Self { method: Some(Method::POST), path: path.to_owned() }
    }

    /// PATCH requests whose path matches.
    #[must_use]
    pub fn delete(path: &str) -> Self {
        Self { method: Some(Method::DELETE), ..Self::path(path) }
    }

    #[must_use]
    pub fn patch(path: &str) -> Self {
        Self { method: Some(Method::PATCH), path: path.to_owned() }
    }

    fn hits(&self, method: &Method, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method) && glob(&self.path, path)
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    loop {
        if glob(rest, text) {
            return true;
        }
        let Some(next) = text.chars().next() else { return false };
        text = &text[next.len_utf8()..];
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// An error answer without anything having been done.
    Status(u16),
    /// The request is never answered; the connection stays open.
    Hang,
    /// The answer comes this much later.
    Delay(Duration),
    /// The connection breaks before anything is done.
    Disconnect,
    /// Everything is done, then the connection breaks before the answer is sent.
    LoseAnswer,
    /// The answer's body stops after so many bytes and the connection breaks.
    Truncate(usize),
    /// GitHub's primary limit: nothing remains until the reset. `status` is 403 or 429.
    PrimaryLimit { status: u16, reset_in: Duration },
    /// GitHub's secondary limit with `Retry-After`. `status` is 403 or 429.
    SecondaryLimit { status: u16, retry_after: Duration },
}

#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Ordered>);

#[derive(Debug)]
struct Ordered {
    hits: Match,
    left: u32,
    fault: Fault,
}

impl Faults {
    pub(crate) fn order(&mut self, hits: Match, times: u32, fault: Fault) {
        self.0.push(Ordered { hits, left: times, fault });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that hits this request, if any; the oldest order first.
    pub(crate) fn take(&mut self, method: &Method, path: &str) -> Option<Fault> {
        let ordered = self.0.iter_mut().find(|ordered| ordered.left > 0 && ordered.hits.hits(method, path))?;
        ordered.left -= 1;
        Some(ordered.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_span_anything() {
        assert!(glob("/repos/*/statuses/*", "/repos/acme/infra/statuses/abc"));
        assert!(!glob("/repos/*/statuses/*", "/repos/acme/infra/commits/abc"));
        assert!(glob("*", ""));
    }
}
