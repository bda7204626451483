//! Files that a run left behind. What a suite wrote is hostile: it is served as text or as a download, never as a page,
//! and nothing outside the attempt's own folder can be reached.

use std::path::{Component, Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::errors::Trouble;

/// Files listed of one attempt.
const MAX_LISTED: usize = 500;
const MAX_DEPTH: usize = 8;

/// How a browser is to take a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// As plain text in the window.
    Text,
    /// As a file to be kept.
    Download,
}

/// Streams a file of ours, up to the length it has now: a log may be growing.
pub(super) async fn serve(path: &Path, shown: Shown, name: &str) -> Result<Response, Trouble> {
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Trouble::Missing("file")),
        Err(error) => return Err(error.into()),
    };
    let length = file.metadata().await?.len();
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), 64 << 10));
    Ok(response(body, length, shown, name))
}

/// A file's bytes with the headers that keep a browser from doing anything with them.
pub(super) fn response(body: Body, length: u64, shown: Shown, name: &str) -> Response {
    let mut response = Response::new(body);
    let (kind, disposition) = match shown {
        Shown::Text => ("text/plain; charset=utf-8", "inline".to_owned()),
        Shown::Download => ("application/octet-stream", format!("attachment; filename=\"{}\"", plain(name))),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// Whether a path is made of plain names only.
pub(super) fn is_plain(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    !path.contains('\0') && parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// A name that fits between the quotes of a header.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect()
}

/// Whether a file's text is worth a look in the browser.
pub(super) fn shown(path: &str) -> Shown {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "txt" | "log" | "json" | "xml" | "yaml" | "yml" | "md" | "csv" => Shown::Text,
        _ => Shown::Download,
    }
}

/// The file that `path` names within `root`: plain names only, and neither it nor a folder above it may be a link.
pub(super) async fn within(root: &Path, path: &str) -> Result<PathBuf, Trouble> {
    let missing = || Trouble::Missing("file");
    let mut found = root.to_owned();
    if path.contains('\0') {
        return Err(missing());
    }
    for part in Path::new(path).components() {
        let Component::Normal(name) = part else { return Err(missing()) };
        found.push(name);
        let kind = tokio::fs::symlink_metadata(&found).await.map_err(|_| missing())?.file_type();
        if !kind.is_file() && !kind.is_dir() {
            return Err(missing());
        }
    }
    let kind = tokio::fs::symlink_metadata(&found).await.map_err(|_| missing())?.file_type();
    if kind.is_file() { Ok(found) } else { Err(missing()) }
}

/// A file of a results folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Below the folder, with slashes.
    pub(super) path: String,
    pub(super) bytes: u64,
}

/// The files of a folder and the folders in it, by name; links and oddities are left out.
pub(super) fn list(root: &Path) -> Vec<Listed> {
    let mut found = Vec::new();
    walk(root, "", 0, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<Listed>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if found.len() >= MAX_LISTED {
            return;
        }
        let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
        let path = format!("{prefix}{name}");
        if kind.is_dir() && depth < MAX_DEPTH {
            walk(&entry.path(), &format!("{path}/"), depth + 1, found);
        } else if kind.is_file() {
            found.push(Listed { path, bytes: entry.metadata().map_or(0, |metadata| metadata.len()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_plain_files_below_the_folder_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("results");
        std::fs::create_dir_all(root.join("a")).unwrap();
        std::fs::write(root.join("a/report.xml"), "x").unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), root.join("link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("up")).unwrap();
        assert_eq!(within(&root, "a/report.xml").await.unwrap(), root.join("a/report.xml"));
        for bad in
            ["", "a", "../secret", "a/../../secret", "/etc/passwd", "link", "up/secret", "none", "a\0b", "./../secret"]
        {
            assert!(within(&root, bad).await.is_err(), "{bad}");
        }
        assert_eq!(list(&root), [Listed { path: "a/report.xml".into(), bytes: 1 }]);
    }

    #[test]
    fn what_a_browser_might_run_is_downloaded() {
        for path in ["x.html", "x.svg", "x.js", "x", "x.XHTML"] {
            assert_eq!(shown(path), Shown::Download, "{path}");
        }
        assert_eq!(shown("junit.XML"), Shown::Text);
        assert_eq!(plain("a\"\r\nb.xml"), "a___b.xml");
    }
}
