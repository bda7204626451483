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
        r#"https://[^\s"]+/(?:api/v1/(?:namespaces|nodes|pods|services|events|configmaps|secrets|serviceaccounts|"#,
        r#"endpoints|persistentvolume)|apis/[a-z0-9.-]+/v\d|api\?timeout=|version\?timeout=|openapi/v)[^\s"]*"#,
        r#"\\?"?:[^\n]{0,200}?(?:connection refused|no route to host|network is unreachable|i/o timeout|"#,
        r#"TLS handshake timeout|connection reset by peer|client connection lost|\bEOF\b)"#,
        r#"|The connection to the server \S+ was refused"#,
    ))
    .expect("the pattern is constant and compiles")
});

/// What every spec after an aborted one says while a node is down.
static NODES_NOT_READY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"Not ready nodes|client rate limiter Wait returned an error: .{0,80}would exceed context deadline")
        .expect("the pattern is constant and compiles")
});

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
        }
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
