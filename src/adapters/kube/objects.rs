//! Manifests as Kubernetes objects: YAML documents parsed within a budget, lists flattened, in the order they must be
//! applied. Texts come from a repository and are not to be trusted.

use kube::api::DynamicObject;
use kube::core::GroupVersionKind;
use serde_json::Value;

use crate::ports::{KubernetesError, Manifest};

/// One object with its place, for messages.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// `deploy/web.yaml: Deployment web`.
    pub(super) place: String,
    pub(super) gvk: GroupVersionKind,
    pub(super) object: DynamicObject,
}

/// What must be there before the rest can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wave {
    Namespaces,
    Definitions,
    Rest,
}

impl Object {
    pub(super) fn wave(&self) -> Wave {
        match (self.gvk.group.as_str(), self.gvk.kind.as_str()) {
            ("", "Namespace") => Wave::Namespaces,
            ("apiextensions.k8s.io", "CustomResourceDefinition") => Wave::Definitions,
            _ => Wave::Rest,
        }
    }

    /// Whether this is the definition of a kind.
    pub(super) fn defines(&self, kind: &GroupVersionKind) -> bool {
        let spec = &self.object.data["spec"];
        self.wave() == Wave::Definitions && spec["group"] == *kind.group && spec["names"]["kind"] == *kind.kind
    }

    pub(super) fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        self.object.metadata.namespace.as_deref().unwrap_or("default")
    }
}

/// Every object of the manifests, in file order within its wave.
pub(super) fn objects(manifests: &[Manifest]) -> Result<Vec<Object>, KubernetesError> {
    let mut objects = Vec::new();
    for manifest in manifests {
        let path = manifest.path.display();
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(&manifest.text, reading())
            .map_err(|error| KubernetesError::Rejected(format!("{path}: {}", first_line(&error.to_string()))))?;
        for (number, document) in (1..).zip(documents) {
            flatten(&format!("{path}: document {number}"), &path.to_string(), document, &mut objects)?;
        }
    }
    objects.sort_by_key(Object::wave);
    Ok(objects)
}

/// As kubectl reads YAML: `0644` is octal, `yes` is a boolean. Deep enough for the schemas of large definitions.
fn reading() -> serde_saphyr::Options {
    serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: 160 },
    }
}

fn flatten(place: &str, path: &str, document: Value, into: &mut Vec<Object>) -> Result<(), KubernetesError> {
    match document {
        Value::Null => Ok(()),
        Value::Object(mut map) if map.get("kind").and_then(Value::as_str) == Some("List") => {
            let Some(Value::Array(items)) = map.remove("items") else { return refuse(place, "a List without items") };
            items.into_iter().try_for_each(|item| flatten(place, path, item, into))
        }
        Value::Object(map) => {
            into.push(object(place, path, map)?);
            Ok(())
        }
        _ => refuse(place, "not a Kubernetes object"),
    }
}

fn object(place: &str, path: &str, map: serde_json::Map<String, Value>) -> Result<Object, KubernetesError> {
    let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version.is_empty() || kind.is_empty() {
        return refuse(place, "apiVersion or kind is missing");
    }
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let gvk = GroupVersionKind::gvk(group, version, &kind);
    let object: DynamicObject = match serde_json::from_value(Value::Object(map)) {
        Ok(object) => object,
        Err(error) => return refuse(place, &error.to_string()),
    };
    match object.metadata.name.as_deref() {
        Some(name) if !name.is_empty() => Ok(Object { place: format!("{path}: {kind} {name}"), gvk, object }),
        _ => refuse(place, &format!("{kind} without metadata.name")),
    }
}

fn refuse<T>(place: &str, why: &str) -> Result<T, KubernetesError> {
    Err(KubernetesError::Rejected(format!("{place}: {why}")))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Object>, String> {
        let manifest = Manifest { path: "deploy/x.yaml".into(), text: text.into() };
        objects(&[manifest]).map_err(|error| error.to_string())
    }

    #[test]
    fn namespaces_and_definitions_come_first_and_lists_are_flattened() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}\n\
            - {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x.y}}\n\
            ---\n# nothing\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
        let names: Vec<_> = parse(text).unwrap().into_iter().map(|object| object.place).collect();
        assert_eq!(
            names,
            [
                "deploy/x.yaml: Namespace shop",
                "deploy/x.yaml: CustomResourceDefinition x.y",
                "deploy/x.yaml: Deployment web"
            ]
        );
    }

    #[test]
    fn file_modes_are_octal_and_quoted_text_stays_text() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nmodes: [0644, '0644', 10, 0, 1e3]\n";
        let object = serde_json::to_value(&parse(text).unwrap()[0].object).unwrap();
        assert_eq!(object["modes"], serde_json::json!([420, "0644", 10, 0, 1e3]));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let refused = |text: &str| parse(text).unwrap_err();
        assert_eq!(
            refused("kind: Pod\nmetadata: {name: x}"),
            "deploy/x.yaml: document 1: apiVersion or kind is missing"
        );
        assert_eq!(refused("apiVersion: v1\nkind: Pod"), "deploy/x.yaml: document 1: Pod without metadata.name");
        assert_eq!(refused("[1, 2]"), "deploy/x.yaml: document 1: not a Kubernetes object");
        assert!(refused("a: [").starts_with("deploy/x.yaml: "));
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
            + &(b'b'..=b'i')
                .map(|c| {
                    format!("{0}: &{0} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n", c as char, (c - 1) as char)
                })
                .collect::<String>();
        assert!(refused(&bomb).starts_with("deploy/x.yaml"));
    }
}
