//! Which operation a path means, and the values of its parameters.
//! Parameters marked so in the description span slashes: `contents/{path}`, `commits/{ref}`.

use std::collections::BTreeMap;

use http::Method;
use percent_encoding::percent_decode_str;

use super::{Contract, Operation, Place};

/// A request's operation and path parameters, decoded.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) operation: &'static Operation,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Contract {
    /// Finds the operation for a path below the API's root, still percent-encoded.
    pub(crate) fn route(&'static self, method: &Method, path: &str) -> Option<Route> {
        let path = path.strip_prefix('/')?;
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        // HEAD is answered like GET, without the body.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.operations.iter().filter(|operation| operation.method == *method).find_map(|operation| {
            let template: Vec<&str> = operation.template[1..].split('/').collect();
            let mut parameters = BTreeMap::new();
            matches(operation, &template, &segments, &mut parameters).then_some(Route { operation, parameters })
        })
    }
}

/// How many segments of a template are literal.
pub(super) fn literals(template: &str) -> usize {
    template.split('/').filter(|segment| !segment.starts_with('{')).count()
}

fn matches(operation: &Operation, template: &[&str], path: &[&str], parameters: &mut BTreeMap<String, String>) -> bool {
    let Some((first, rest)) = template.split_first() else { return path.is_empty() };
    let Some(name) = first.strip_prefix('{').and_then(|name| name.strip_suffix('}')) else {
        return path
            .split_first()
            .is_some_and(|(segment, path)| segment == first && matches(operation, rest, path, parameters));
    };
    let spans = operation
        .parameters
        .iter()
        .any(|parameter| parameter.place == Place::Path && parameter.name == name && parameter.spans_slashes);
    // A repository's root is `contents/`, the one place where a parameter may be empty.
    let least = usize::from(!(spans && name == "path"));
    let most = if spans { path.len() } else { path.len().min(1) };
    for taken in (least..=most).rev() {
        if matches(operation, rest, &path[taken..], parameters) {
            let value = path[..taken].join("/");
            parameters.insert(name.to_owned(), percent_decode_str(&value).decode_utf8_lossy().into_owned());
            return true;
        }
    }
    false
}
