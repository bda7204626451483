//! A small S3 on loopback: objects, ranges, lists, uploads in parts. Every request must carry a Signature Version 4 that this file
//! computes for itself from the request as it arrived.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use url::Url;

pub const ACCESS_KEY: &str = "AKIATEST";
pub const SECRET_KEY: &str = "a secret of the test";

/// A running stand-in with one bucket.
pub struct S3 {
    address: String,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

struct Shared {
    bucket: String,
    state: Mutex<Objects>,
}

#[derive(Default)]
struct Objects {
    objects: BTreeMap<String, Bytes>,
    uploads: HashMap<String, BTreeMap<u32, Bytes>>,
    finished_uploads: usize,
    refused: usize,
}

impl S3 {
    pub async fn start(bucket: &str) -> Self {
        let shared = Arc::new(Shared { bucket: bucket.to_owned(), state: Mutex::default() });
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, _server: server }
    }

    pub fn url(&self) -> Url {
        Url::parse(&format!("http://{}", self.address)).unwrap()
    }

    /// Every key there is.
    pub fn keys(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Objects that came in parts.
    pub fn uploads_in_parts(&self) -> usize {
        self.shared.state.lock().unwrap().finished_uploads
    }

    /// Requests whose signature was wrong.
    pub fn refused(&self) -> usize {
        self.shared.state.lock().unwrap().refused
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut state = shared.state.lock().unwrap();
    if let Err(why) = verify(&head.method, &head.uri, &head.headers, &body) {
        state.refused += 1;
        let text = format!("<Error><Code>SignatureDoesNotMatch</Code><Message>{why}</Message></Error>");
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let path = decoded(head.uri.path());
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(head.uri.query().unwrap_or("").as_bytes()).into_owned().collect();
    let Some(below) = path.strip_prefix(&format!("/{}", shared.bucket)) else { return missing() };
    let key = below.trim_start_matches('/');
    match (head.method.as_str(), query.get("uploadId")) {
        ("GET", _) if key.is_empty() => list(&state, &query),
        ("GET" | "HEAD", _) => get(&state, key, &head.headers),
        ("PUT", Some(upload)) => {
            let number = query["partNumber"].parse().unwrap();
            state.uploads.get_mut(upload).unwrap().insert(number, body);
            ([("etag", format!("\"part{number}\""))], "").into_response()
        }
        ("PUT", None) => {
            state.objects.insert(key.to_owned(), body);
            ([("etag", "\"whole\"")], "").into_response()
        }
        ("POST", None) if query.contains_key("uploads") => {
            let id = format!("upload{}", state.uploads.len());
            state.uploads.insert(id.clone(), BTreeMap::new());
            let name = &shared.bucket;
            format!("<InitiateMultipartUploadResult><Bucket>{name}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>").into_response()
        }
        ("POST", Some(upload)) => {
            let parts = state.uploads.remove(upload).unwrap();
            state.finished_uploads += 1;
            state.objects.insert(key.to_owned(), parts.into_values().flatten().collect());
            "<CompleteMultipartUploadResult><ETag>\"all\"</ETag></CompleteMultipartUploadResult>".into_response()
        }
        ("DELETE", _) => {
            state.objects.remove(key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response()
}

fn get(state: &Objects, key: &str, headers: &HeaderMap) -> Response {
    let Some(object) = state.objects.get(key) else { return missing() };
    let whole = object.len();
    let range = headers.get("range").map(|range| range.to_str().unwrap().strip_prefix("bytes=").unwrap().to_owned());
    let (status, from) = match range.as_deref().and_then(|range| range.strip_prefix('-')) {
        Some(last) => (StatusCode::PARTIAL_CONTENT, whole.saturating_sub(last.parse().unwrap())),
        None => (StatusCode::OK, 0),
    };
    let mut response = Response::builder()
        .status(status)
        .header("etag", "\"whole\"")
        .header("last-modified", "Sat, 21 Nov 2026 10:00:00 GMT")
        .header("content-length", whole - from);
    if status == StatusCode::PARTIAL_CONTENT {
        response = response.header("content-range", format!("bytes {from}-{}/{whole}", whole - 1));
    }
    response.body(Body::from(object.slice(from..))).unwrap()
}

/// ListObjectsV2, two keys a page so that turning pages is part of every test.
fn list(state: &Objects, query: &BTreeMap<String, String>) -> Response {
    let prefix = query.get("prefix").map_or("", String::as_str);
    let after = query.get("continuation-token").cloned().unwrap_or_default();
    let mut folders = BTreeSet::new();
    let (mut text, mut on_page, mut last) = (String::new(), 0, String::new());
    let mut more = false;
    for (key, object) in state.objects.iter().filter(|(key, _)| key.starts_with(prefix) && **key > after) {
        if on_page == 2 {
            more = true;
            break;
        }
        (on_page, last) = (on_page + 1, key.clone());
        let below = &key[prefix.len()..];
        match below.split_once('/').filter(|_| query.contains_key("delimiter")) {
            Some((folder, _)) => {
                folders.insert(format!("{prefix}{folder}/"));
            }
            None => {
                text += &format!(
                    "<Contents><Key>{key}</Key><Size>{}</Size><ETag>\"whole\"</ETag>\
                     <LastModified>2026-11-21T10:00:00.000Z</LastModified></Contents>",
                    object.len()
                );
            }
        }
    }
    let folders: String =
        folders.iter().map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>")).collect();
    let next = if more { format!("<NextContinuationToken>{last}</NextContinuationToken>") } else { String::new() };
    format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{next}{text}{folders}</ListBucketResult>")
        .into_response()
}

/// Computes the signature anew from what arrived and compares.
fn verify(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let authorization = text("authorization");
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("no signature of version 4")?;
    let parts: HashMap<&str, &str> = rest.split(',').filter_map(|part| part.trim().split_once('=')).collect();
    let scope: Vec<&str> = parts["Credential"].split('/').collect();
    let [key, day, region, "s3", "aws4_request"] = scope[..] else { return Err("the scope is odd".into()) };
    if key != ACCESS_KEY || region != "eu-central-1" {
        return Err("another key or region".into());
    }
    let hash = text("x-amz-content-sha256");
    if hash != "UNSIGNED-PAYLOAD" && hash != hex::encode(Sha256::digest(body)) {
        return Err("the body is not what was signed".into());
    }
    let signed: Vec<&str> = parts["SignedHeaders"].split(';').collect();
    for must in ["host", "x-amz-content-sha256", "x-amz-date"] {
        if !signed.contains(&must) {
            return Err(format!("{must} is not signed"));
        }
    }
    let canonical_headers: String = signed.iter().map(|name| format!("{name}:{}\n", text(name).trim())).collect();
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    let mut query: Vec<String> = pairs.map(|(name, value)| format!("{}={}", escaped(&name), escaped(&value))).collect();
    query.sort_unstable();
    let canonical =
        [method.as_str(), uri.path(), &query.join("&"), &canonical_headers, parts["SignedHeaders"], &hash].join("\n");
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{day}/{region}/s3/aws4_request\n{}",
        text("x-amz-date"),
        hex::encode(Sha256::digest(canonical.as_bytes()))
    );
    let steps = [day, region, "s3", "aws4_request", &to_sign];
    let signature = steps.iter().fold(format!("AWS4{SECRET_KEY}").into_bytes(), |key, step| mac(&key, step));
    if hex::encode(signature) == parts["Signature"] { Ok(()) } else { Err("the signature is another".into()) }
}

/// As Signature Version 4 writes names and values.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A path with its escapes resolved.
fn decoded(path: &str) -> String {
    let escaped = path.replace('+', "%2B");
    url::form_urlencoded::parse(format!("p={escaped}").as_bytes()).next().unwrap().1.into_owned()
}
