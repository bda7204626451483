//! Where the API lives, and which addresses belong to it: those alone are ever shown a token.

use std::fmt::Write;

use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use url::{Host, Url};

/// The API's root, such as `https://api.github.com` or `https://ghe.example/api/v3`.
#[derive(Debug, Clone)]
pub(super) struct Base {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end; empty for the host's root.
    path: String,
    url: Url,
}

impl Base {
    /// `None` unless the address is https, or plain http to this machine.
    pub(super) fn new(url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "https" => Scheme::HTTPS,
            "http" if is_loopback(url) => Scheme::HTTP,
            _ => return None,
        };
        let authority = url[url::Position::BeforeHost..url::Position::AfterPort].parse().ok()?;
        Some(Self { scheme, authority, path: url.path().trim_end_matches('/').to_owned(), url: url.clone() })
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Gives a request for a path of the API its full address. Other addresses stay as they are.
    pub(super) fn complete<B>(&self, mut request: Request<B>) -> Request<B> {
        if request.uri().authority().is_none() {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let full = Uri::builder()
                .scheme(self.scheme.clone())
                .authority(self.authority.clone())
                .path_and_query(format!("{}{path}", self.path))
                .build();
            *request.uri_mut() = full.expect("the parts were valid addresses before they were joined");
        }
        request
    }

    /// The full address of a path of the API.
    pub(super) fn locate(&self, path: &str) -> Option<Url> {
        self.url.join(&format!("{}{path}", self.path)).ok()
    }

    /// The API's path for an address at which GitHub keeps a repository that was renamed or moved, `None` for any other.
    pub(super) fn own_path(&self, url: &Url) -> Option<String> {
        let path = url[url::Position::BeforePath..url::Position::AfterQuery].strip_prefix(&self.path)?;
        let is_own = url.origin() == self.url.origin() && url.username().is_empty();
        let is_repository = path.starts_with("/repositories/") || path.starts_with("/repos/");
        (is_own && is_repository).then(|| path.to_owned())
    }

    /// Whether a download may be fetched from there: what came over TLS is not continued without.
    pub(super) fn may_lead_to(&self, url: &Url) -> bool {
        url.scheme() == "https" || (url.scheme() == "http" && !self.is_https())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Text as one segment of a path: nothing in it can end the segment.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("a string takes every write"),
        }
    }
    encoded
}

/// A file's path, encoded; `None` where it is empty or has empty or dotted parts.
pub(super) fn file_path(path: &str) -> Option<String> {
    let part = |part: &str| (!matches!(part, "" | "." | "..")).then(|| segment(part));
    path.split('/').map(part).collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Option<Base> {
        Base::new(&text.parse().unwrap())
    }

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in [
            "https://api.github.com",
            "https://ghe.example/api/v3/",
            "http://127.0.0.1:80",
            "http://[::1]:1/",
            "http://localhost:9",
        ] {
            assert!(base(good).is_some(), "{good}");
        }
        for bad in ["http://api.github.com", "http://10.0.0.1", "http://localhost.evil.example", "ftp://127.0.0.1"] {
            assert!(base(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn paths_are_completed_and_addresses_left_alone() {
        let base = base("https://ghe.example:8443/api/v3/").unwrap();
        let complete = |uri: &str| base.complete(Request::get(uri).body(()).unwrap()).uri().to_string();
        assert_eq!(complete("/repos/a/b?x=1"), "https://ghe.example:8443/api/v3/repos/a/b?x=1");
        assert_eq!(complete("https://codeload.example/a/b"), "https://codeload.example/a/b");
        assert_eq!(base.locate("/repos/a/b").unwrap().as_str(), "https://ghe.example:8443/api/v3/repos/a/b");
    }

    #[test]
    fn only_moved_repositories_of_the_same_api_are_our_own() {
        let base = base("https://ghe.example/api/v3").unwrap();
        let own = |text: &str| base.own_path(&url(text));
        assert_eq!(
            own("https://ghe.example/api/v3/repositories/7/pulls/1?a=b"),
            Some("/repositories/7/pulls/1?a=b".to_owned())
        );
        for foreign in [
            "https://ghe.example/_codeload/repos/a",
            "https://ghe.example:444/api/v3/repos/a/b",
            "http://ghe.example/api/v3/repos/a/b",
            "https://evil.example/api/v3/repos/a/b",
            "https://x@ghe.example/api/v3/repos/a/b",
            "https://ghe.example/api/v3/user",
        ] {
            assert_eq!(own(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn downloads_are_not_continued_without_tls() {
        let secure = base("https://api.github.com").unwrap();
        assert!(secure.may_lead_to(&url("https://codeload.github.com/x")));
        assert!(!secure.may_lead_to(&url("http://codeload.github.com/x")));
        assert!(!secure.may_lead_to(&url("file:///etc/passwd")));
        assert!(base("http://127.0.0.1:1").unwrap().may_lead_to(&url("http://127.0.0.1:2/x")));
    }

    #[test]
    fn names_cannot_leave_their_segment() {
        assert_eq!(segment("a/../b?c#d e"), "a%2F..%2Fb%3Fc%23d%20e");
        assert_eq!(segment("dependabot[bot]"), "dependabot%5Bbot%5D");
        assert_eq!(file_path(".github/ß.yaml").unwrap(), ".github/%C3%9F.yaml");
        for bad in ["", "/a", "a//b", "a/../b", "./a", "a/"] {
            assert_eq!(file_path(bad), None, "{bad}");
        }
    }
}
