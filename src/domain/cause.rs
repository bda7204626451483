//! Recognises failures that say nothing about the failed spec itself: the cluster was gone or broken underneath it.
//! Only wording that names Kubernetes' own parts counts; a suite's own service refusing connections is a failure.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// What really happened when a spec "failed".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    ApiUnreachable,
    NodesNotReady,
    DiskFull,
    DnsDead,
    ImageMissing,
}

/// A cause with the words for it, such as `API server 10.0.0.1:6443 unreachable: connection refused`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    pub cause: Cause,
    pub said: String,
}

impl Cause {
    /// Whether the cluster is to blame, and a fresh one may help. An image that cannot be pulled may be the change's own mistake.
    pub fn is_infrastructure(self) -> bool {
        match self {
            Cause::ApiUnreachable | Cause::NodesNotReady | Cause::DiskFull | Cause::DnsDead => true,
            Cause::ImageMissing => false,
        }
    }

    /// Whether one failure alone gives it away. A single spec may well break a node or fill a disk by itself.
    pub fn shows_in_one(self) -> bool {
        match self {
            Cause::ApiUnreachable => true,
            Cause::NodesNotReady | Cause::DiskFull | Cause::DnsDead | Cause::ImageMissing => false,
        }
    }
}

macro_rules! pattern {
    ($name:ident, $($part:literal),+ $(,)?) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(concat!($($part),+)).expect("the pattern is constant and compiles"));
    };
}

// client-go's and kubectl's words for an API server that does not answer, with a path only Kubernetes serves.
pattern!(
    API_UNREACHABLE,
    r#"https://(?P<server>[^\s"/]+)/(?:api/v1/(?:namespaces|nodes|pods|services|events|configmaps|secrets|"#,
    r#"serviceaccounts|endpoints|persistentvolume)|apis/[a-z0-9.-]+/v\d|api\?timeout=|version\?timeout=|openapi/v)"#,
    r#"[^\s"]*\\?"?:[^\n]{0,200}?(?P<why>connection refused|no route to host|network is unreachable|i/o timeout|"#,
    r#"TLS handshake timeout|connection reset by peer|client connection lost|\bEOF\b)"#,
    r#"|The connection to the server (?P<kubectl>\S+) was refused"#,
);
// What every spec after an aborted one says while a node is down.
pattern!(
    NODES_NOT_READY,
    r#"Not ready nodes(?:: \[?"?(?P<node>[a-z0-9][a-z0-9.-]{0,80}))?"#,
    r#"|client rate limiter Wait returned an error: .{0,80}would exceed context deadline"#,
);
// The kernel's, the kubelet's and the eviction manager's words.
pattern!(
    DISK_FULL,
    r"no space left on device|disk quota exceeded|[Tt]he node was low on resource: (?:ephemeral-storage|inodes)",
    r"|\bDiskPressure\b",
);
// A resolver that fails; a name that it does not know is an answer.
pattern!(
    DNS_DEAD,
    r"lookup [^\s:]+ on [^\s]+:53: (?:server misbehaving|[^\n]{0,80}(?:i/o timeout|connection refused))",
    r"|lookup [^\s:]+: Temporary failure in name resolution|no servers could be reached",
);
// The kubelet's words, with the image where it names one.
pattern!(
    IMAGE_MISSING,
    r#"(?:Back-off pulling|[Ff]ailed to (?:pull and unpack|pull|resolve)) image \\?"(?P<image>[^"\\\s]{1,200})\\?""#,
    r#"|\b(?:ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)\b"#,
);

/// The cause that a failure's message gives away, if any, with its words.
pub fn blame(message: &str) -> Option<Blame> {
    let said = |cause, said: String| Some(Blame { cause, said });
    if let Some(found) = API_UNREACHABLE.captures(message) {
        let server = found.name("server").or_else(|| found.name("kubectl")).map_or("", |server| server.as_str());
        let why = found.name("why").map_or("connection refused", |why| why.as_str());
        return said(Cause::ApiUnreachable, format!("API server {server} unreachable: {why}"));
    }
    if let Some(found) = NODES_NOT_READY.captures(message) {
        let node = found.name("node").map(|node| node.as_str());
        let text = node.map_or("nodes were not ready".to_owned(), |node| format!("node {node} was not ready"));
        return said(Cause::NodesNotReady, text);
    }
    if DISK_FULL.is_match(message) {
        return said(Cause::DiskFull, "a disk was full".to_owned());
    }
    if DNS_DEAD.is_match(message) {
        return said(Cause::DnsDead, "the cluster's DNS did not answer".to_owned());
    }
    // The kubelet often gives its reason before the sentence that names the image.
    let image = IMAGE_MISSING.captures_iter(message).take(20).find_map(|found| found.name("image"));
    let image = image.map(|image| image.as_str());
    if image.is_none() && !IMAGE_MISSING.is_match(message) {
        return None;
    }
    let text = image.map_or("an image cannot be pulled".to_owned(), |image| format!("image {image} cannot be pulled"));
    said(Cause::ImageMissing, text)
}

/// The cause alone.
pub fn cause_of(message: &str) -> Option<Cause> {
    blame(message).map(|blame| blame.cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Option<(Cause, String)> {
        blame(message).map(|blame| (blame.cause, blame.said))
    }

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
        let (_, text) = said("x\nThe connection to the server 10.0.0.1:6443 was refused - did you").unwrap();
        assert_eq!(text, "API server 10.0.0.1:6443 unreachable: connection refused");
        let (_, text) = said(r#"Get "https://node:6443/api/v1/pods/x": dial tcp 10.1.1.1:6443: i/o timeout"#).unwrap();
        assert_eq!(text, "API server node:6443 unreachable: i/o timeout");
    }

    #[test]
    fn what_belongs_to_the_tested_code_is_not_the_cluster() {
        for message in [
            r#"Get "http://localhost:8080/api/v1/users": dial tcp: connect: connection refused"#,
            r#"Get "https://shop.example/api/v1/orders": EOF"#,
            "dial tcp 10.43.0.1:80: connect: connection refused",
            "dial tcp: lookup shop on 10.43.0.10:53: no such host",
            "the image editor is ready",
            "expected 1 to equal 2",
        ] {
            assert_eq!(said(message), None, "{message}");
        }
    }

    #[test]
    fn broken_parts_of_a_cluster_are_named() {
        for (message, cause, text) in [
            ("in AfterEach: Not ready nodes: [node-2]", Cause::NodesNotReady, "node node-2 was not ready"),
            (
                "client rate limiter Wait returned an error: rate: Wait(n=1) would exceed context deadline",
                Cause::NodesNotReady,
                "nodes were not ready",
            ),
            ("write /data/x: no space left on device", Cause::DiskFull, "a disk was full"),
            (
                "Pod was evicted: The node was low on resource: ephemeral-storage. Threshold",
                Cause::DiskFull,
                "a disk was full",
            ),
            (
                "lookup kubernetes.default.svc on 10.43.0.10:53: read udp 10.42.0.9:1->10.43.0.10:53: i/o timeout",
                Cause::DnsDead,
                "the cluster's DNS did not answer",
            ),
            (
                ";; connection timed out; no servers could be reached",
                Cause::DnsDead,
                "the cluster's DNS did not answer",
            ),
            (
                r#"Failed to pull image "registry.example/app:9": rpc error: code = NotFound"#,
                Cause::ImageMissing,
                "image registry.example/app:9 cannot be pulled",
            ),
            (
                r#"reason: ImagePullBackOff, message: Back-off pulling image "busybox:none""#,
                Cause::ImageMissing,
                "image busybox:none cannot be pulled",
            ),
            ("pod web-0: ErrImagePull", Cause::ImageMissing, "an image cannot be pulled"),
        ] {
            assert_eq!(said(message), Some((cause, text.to_owned())), "{message}");
        }
    }
}
