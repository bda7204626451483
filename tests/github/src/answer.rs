//! Writes a finished answer with the headers every answer of GitHub's has.

use axum::body::Body as HttpBody;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::limits::Bucket;
use crate::reply::{Body, Reply};

/// An answer before it is written.
pub(crate) struct Finished {
    pub(crate) reply: Reply,
    pub(crate) bucket: Bucket,
    pub(crate) if_none_match: String,
    pub(crate) is_read: bool,
}

/// An answer with nothing but a status, for what never reaches the API.
pub(crate) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = status;
    response
}

/// Whether the caller has this very answer already.
pub(crate) fn is_unchanged(finished: &Finished) -> bool {
    match etag(finished) {
        Some(tag) => finished.if_none_match.split(',').any(|known| weak(known.trim()) == weak(&tag)),
        None => false,
    }
}

fn weak(tag: &str) -> &str {
    tag.trim_start_matches("W/")
}

fn etag(finished: &Finished) -> Option<String> {
    if !finished.is_read || finished.reply.status != StatusCode::OK {
        return None;
    }
    let bytes = match &finished.reply.body {
        Body::Empty => return None,
        Body::Json(body) => Bytes::from(body.to_string()),
        Body::Raw { bytes, .. } => bytes.clone(),
    };
    Some(format!("W/\"{}\"", hex::encode(Sha256::digest(&bytes))))
}

/// Writes the answer; `keep` cuts its body short and breaks the connection.
pub(crate) fn write(finished: Finished, keep: Option<usize>) -> Response {
    let tag = etag(&finished);
    let unchanged = is_unchanged(&finished);
    let Finished { reply, bucket, .. } = finished;
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = if unchanged { StatusCode::NOT_MODIFIED } else { reply.status };
    let (media_type, bytes) = match reply.body {
        Body::Empty => (None, Bytes::new()),
        Body::Json(body) => (Some("application/json; charset=utf-8"), Bytes::from(body.to_string())),
        Body::Raw { media_type, bytes } => (Some(media_type), bytes),
    };
    let headers = response.headers_mut();
    let mut put = |name: &str, value: &str| {
        let name = HeaderName::try_from(name).expect("header names are constants");
        headers.insert(name, HeaderValue::try_from(value).expect("header values are printable"));
    };
    put("x-github-request-id", &uuid::Uuid::now_v7().simple().to_string().to_uppercase());
    put("x-github-media-type", "github.v3; format=json");
    put("x-ratelimit-limit", &bucket.limit.to_string());
    put("x-ratelimit-remaining", &bucket.remaining().to_string());
    put("x-ratelimit-used", &bucket.used.to_string());
    put("x-ratelimit-reset", &bucket.reset.as_second().to_string());
    put("x-ratelimit-resource", "core");
    for (name, value) in reply.headers {
        put(name, &value);
    }
    if let Some(tag) = tag {
        put("etag", &tag);
    }
    if !unchanged {
        if let Some(media_type) = media_type {
            put(header::CONTENT_TYPE.as_str(), media_type);
        }
        *response.body_mut() = match keep {
            Some(keep) if keep < bytes.len() => {
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                broken_off(bytes.slice(..keep))
            }
            Some(_) | None => HttpBody::from(bytes),
        };
    }
    response
}

fn broken_off(start: Bytes) -> HttpBody {
    let cut = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut off as ordered");
    HttpBody::from_stream(futures_util::stream::iter([Ok(start), Err(cut)]))
}
