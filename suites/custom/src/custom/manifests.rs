//! What the change under test declares: the objects in `deploy/**/*.yaml` of the workspace. Reads files only,
//! and carefully: a workspace is untrusted, so links are not followed, and sizes and counts are bounded.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

const FOLDER: &str = "deploy";
const FILE_LIMIT: u64 = 1024 * 1024;
const FILES_LIMIT: usize = 500;
const DEPTH_LIMIT: usize = 16;

/// One object as a manifest declares it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared {
    /// Path within the workspace, for messages.
    pub(super) file: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) object: Value,
}

/// The declared objects in the order of the files' names; nothing when there is no such folder.
///
/// # Errors
/// With the file's name, when a file cannot be read, is too large or is no YAML.
pub(super) fn read(workspace: &Path) -> Result<Option<Vec<Declared>>, String> {
    let folder = workspace.join(FOLDER);
    if !fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
        return Ok(None);
    }
    let mut files = Vec::new();
    collect(&folder, 0, &mut files)?;
    files.sort();
    let mut declared = Vec::new();
    for path in files {
        let file = path.strip_prefix(workspace).unwrap_or(&path).display().to_string();
        let text = read_bounded(&path).map_err(|error| format!("{file}: {error}"))?;
        for document in documents(&text).map_err(|error| format!("{file}: not YAML: {error}"))? {
            declared.extend(objects(document).into_iter().filter_map(|object| named(&file, object)));
        }
    }
    Ok(Some(declared))
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // Does not follow links, so a link is neither folder nor file here.
        let kind = entry.file_type().map_err(unreadable)?;
        let path = entry.path();
        if kind.is_dir() && depth < DEPTH_LIMIT {
            collect(&path, depth + 1, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            files.push(path);
        }
        if files.len() > FILES_LIMIT {
            return Err(format!("more than {FILES_LIMIT} files under {FOLDER}/"));
        }
    }
    Ok(())
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_LIMIT {
        return Err(format!("{size} bytes, more than {FILE_LIMIT} are not read"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

fn documents(text: &str) -> Result<Vec<Value>, String> {
    // The error's first line has the place; the rest is a drawing of the source.
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    serde_saphyr::from_multiple::<Value>(text).map_err(|error| first_line(error.to_string()))
}

/// A document is one object, or a `List` of them.
fn objects(document: Value) -> Vec<Value> {
    match document.get("kind").and_then(Value::as_str) {
        Some("List") => document["items"].as_array().cloned().unwrap_or_default(),
        Some(_) => vec![document],
        None => Vec::new(),
    }
}

fn named(file: &str, object: Value) -> Option<Declared> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let metadata = &object["metadata"];
    Some(Declared {
        file: file.to_owned(),
        kind: text(&object["kind"])?,
        namespace: text(&metadata["namespace"]).unwrap_or_else(|| "default".into()),
        name: text(&metadata["name"])?,
        object,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(files: &[(&str, &str)]) -> tempfile::TempDir {
        let workspace = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = workspace.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        workspace
    }

    fn names(workspace: &tempfile::TempDir) -> Vec<String> {
        let declared = read(workspace.path()).unwrap().unwrap();
        declared.iter().map(|one| format!("{} {}/{}", one.kind, one.namespace, one.name)).collect()
    }

    #[test]
    fn objects_of_all_documents_folders_and_lists_are_found() {
        let two = "---\nkind: Service\nmetadata: {name: web, namespace: shop}\n---\n---\nkind: Deployment\nmetadata:\n  name: web\n";
        let list = "kind: List\nitems:\n- {kind: DaemonSet, metadata: {name: agent}}\n";
        let found = workspace(&[
            ("deploy/20.yml", list),
            ("deploy/10/web.yaml", two),
            ("deploy/values.json", "{}"),
            ("deploy/kustomization.yaml", "resources: [web.yaml]\n"),
            ("elsewhere/web.yaml", "kind: Pod\nmetadata: {name: no}\n"),
        ]);
        assert_eq!(names(&found), ["Service shop/web", "Deployment default/web", "DaemonSet default/agent"]);
    }

    #[test]
    fn a_workspace_without_the_folder_declares_nothing() {
        assert_eq!(read(workspace(&[("README.md", "")]).path()), Ok(None));
    }

    #[test]
    fn broken_and_huge_files_are_named() {
        let broken = workspace(&[("deploy/web.yaml", "kind: [\n")]);
        assert!(read(broken.path()).unwrap_err().starts_with("deploy/web.yaml: not YAML: "));
        let huge = workspace(&[("deploy/web.yaml", &"#".repeat(2 * 1024 * 1024))]);
        assert!(read(huge.path()).unwrap_err().contains("more than 1048576"));
    }

    #[test]
    fn links_are_not_followed() {
        let outside = workspace(&[("secret.yaml", "kind: Pod\nmetadata: {name: outside}\n")]);
        let found = workspace(&[("deploy/web.yaml", "kind: Pod\nmetadata: {name: inside}\n")]);
        std::os::unix::fs::symlink(outside.path(), found.path().join("deploy/folder")).unwrap();
        let file = outside.path().join("secret.yaml");
        std::os::unix::fs::symlink(file, found.path().join("deploy/link.yaml")).unwrap();
        assert_eq!(names(&found), ["Pod default/inside"]);
    }
}
