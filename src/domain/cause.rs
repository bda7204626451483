//! Recognises failures that say nothing about the tested code: the cluster was gone or broken underneath it.
//! Only wording that names Kubernetes itself counts; a suite's own service refusing connections is a failure.

use std::sync::LazyLock;

use regex::Regex;

/// What really happened when a spec "failed".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    ApiUnreachable,
    NodesNotReady,
}

/// client-go's and kubectl's words for an API server that does not answer, with a path only Kubernetes serves.
static API_UNREACHABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"https://(?P<server>[^\s"/]+)/(?:api/v1/(?:namespaces|nodes|pods|services|events|configmaps|secrets|"#,
        r#"serviceaccounts|endpoints|persistentvolume)|apis/[a-z0-9.-]+/v\d|api\?timeout=|version\?timeout=|openapi/v)"#,
        r#"[^\s"]*\\?"?:[^\n]{0,200}?(?P<why>connection refused|no route to host|network is unreachable|i/o timeout|"#,
        r#"TLS handshake timeout|connection reset by peer|client connection lost|\bEOF\b)"#,
        r#"|The connection to the server (?P<kubectl>\S+) was refused"#,
    ))
    .expect("the pattern is constant and compiles")
});

/// What every spec after an aborted one says while a node is down.
static NODES_NOT_READY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"Not ready nodes|client rate limiter Wait returned an error: .{0,80}would exceed context deadline")
        .expect("the pattern is constant and compiles")
});

/// `API server 10.0.0.1:6443 unreachable: connection refused`, if that is what a failure's message says.
pub fn api_unreachable(message: &str) -> Option<String> {
    let found = API_UNREACHABLE.captures(message)?;
    let server = found.name("server").or_else(|| found.name("kubectl")).map_or("", |server| server.as_str());
    let why = found.name("why").map_or("connection refused", |why| why.as_str());
    Some(format!("API server {server} unreachable: {why}"))
}

/// The cause that a failure's message gives away, if any.
pub fn cause_of(message: &str) -> Option<Cause> {
    if API_UNREACHABLE.is_match(message) {
        return Some(Cause::ApiUnreachable);
    }
    NODES_NOT_READY.is_match(message).then_some(Cause::NodesNotReady)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_api_server_is_recognised_in_both_spellings() {
        for message in [
            r#"Get "https://127.0.0.1:1/api/v1/nodes?fieldSelector=x&resourceVersion=0": dial tcp 127.0.0.1:1: connect: connection refused"#,
            r#"Post "https://node:6443/apis/apps/v1/namespaces/a/statefulsets": EOF"#,
            "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?",
            r#"error: Get \"https://10.1.2.3:6443/api?timeout=32s\": net/http: TLS handshake timeout"#,
        ] {
            assert_eq!(cause_of(message), Some(Cause::ApiUnreachable), "{message}");
            assert!(api_unreachable(message).is_some_and(|text| text.starts_with("API server ")), "{message}");
        }
    }

    #[test]
    fn the_server_and_the_reason_are_named() {
        let said = api_unreachable("x\nThe connection to the server 10.0.0.1:6443 was refused - did you");
        assert_eq!(said.as_deref(), Some("API server 10.0.0.1:6443 unreachable: connection refused"));
        let said = api_unreachable(r#"Get "https://node:6443/api/v1/pods/x": dial tcp 10.1.1.1:6443: i/o timeout"#);
        assert_eq!(said.as_deref(), Some("API server node:6443 unreachable: i/o timeout"));
    }

    #[test]
    fn a_service_of_the_tested_code_is_not_the_api_server() {
        for message in [
            r#"Get "http://localhost:8080/api/v1/users": dial tcp: connect: connection refused"#,
            r#"Get "https://shop.example/api/v1/orders": EOF"#,
            "dial tcp 10.43.0.1:80: connect: connection refused",
            "expected 1 to equal 2",
        ] {
            assert_eq!(cause_of(message), None, "{message}");
        }
    }

    #[test]
    fn nodes_left_broken_are_recognised() {
        assert_eq!(cause_of("in AfterEach: Not ready nodes: [node-2]"), Some(Cause::NodesNotReady));
    }
}
