//! GitHub's published REST description: which operations exist and what they take and give.
//! Read once, never changed; it knows nothing of the stand-in's state.

pub(crate) mod check;
mod route;

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::{Arc, LazyLock, Mutex};

use flate2::read::GzDecoder;
use http::Method;
use jsonschema::{Draft, Registry, Resource, Validator};
use serde_json::{Map, Value, json};

pub(crate) use route::Route;

const DESCRIPTION: &[u8] = include_bytes!("../../data/rest-openapi.json.gz");
const URI: &str = "https://stand-in.invalid/openapi.json";

/// The description, decompressed at first use.
pub(crate) static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::read);

pub(crate) struct Contract {
    operations: Vec<Operation>,
    registry: Registry<'static>,
    permissions: Vec<String>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// One method on one path.
#[derive(Debug)]
pub(crate) struct Operation {
    /// GitHub's `operationId`.
    pub(crate) id: String,
    pub(crate) method: Method,
    /// Path with `{parameters}`.
    pub(crate) template: String,
    pub(crate) documentation: String,
    parameters: Vec<Parameter>,
    /// Where the body's schema stands in the description.
    body: Option<Body>,
    /// Where the schema of each status's JSON answer stands; `None` for answers without JSON.
    responses: BTreeMap<u16, Option<String>>,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    place: Place,
    required: bool,
    schema: String,
    kind: String,
    spans_slashes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Query,
}

#[derive(Debug)]
struct Body {
    required: bool,
    schema: String,
}

impl Contract {
    /// Where the description lists the permissions of Apps.
    pub(crate) const PERMISSIONS: &str = "/components/schemas/app-permissions";

    /// Whether a value is as the schema at a JSON pointer wants it.
    pub(crate) fn fits(&'static self, pointer: &str, value: &Value) -> bool {
        self.validator(pointer).is_valid(value)
    }

    /// Whether Apps have a permission of this name.
    pub(crate) fn has_permission(&self, name: &str) -> bool {
        self.permissions.iter().any(|known| known == name)
    }

    fn read() -> Self {
        let mut text = String::new();
        GzDecoder::new(DESCRIPTION).read_to_string(&mut text).expect("the vendored description decompresses");
        let mut description: Value = serde_json::from_str(&text).expect("the vendored description is JSON");
        let operations = operations(&description);
        let listed = description.pointer(Self::PERMISSIONS).and_then(|schema| schema["properties"].as_object());
        let permissions = listed.expect("the description lists permissions").keys().cloned().collect();
        relax(&mut description);
        to_json_schema(&mut description);
        // Draft 7 reads `$ref` like OpenAPI 3.0: whatever stands beside it is ignored.
        let registry = Registry::new()
            .draft(Draft::Draft7)
            .add(URI, Resource::from_contents(description))
            .and_then(jsonschema::RegistryBuilder::prepare)
            .expect("the description's references resolve");
        Self { operations, registry, permissions, validators: Mutex::default() }
    }

    /// The validator for the schema at a JSON pointer; compiling one takes a while, so they are kept.
    fn validator(&'static self, pointer: &str) -> Arc<Validator> {
        let mut known = self.validators.lock().expect("no holder panics");
        if let Some(validator) = known.get(pointer) {
            return Arc::clone(validator);
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft7)
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .build(&json!({ "$ref": format!("{URI}#{}", pointer.replace('{', "%7B").replace('}', "%7D")) }))
            .unwrap_or_else(|error| panic!("the schema at {pointer} compiles: {error}"));
        let validator = Arc::new(validator);
        known.insert(pointer.to_owned(), Arc::clone(&validator));
        validator
    }
}

fn operations(description: &Value) -> Vec<Operation> {
    let paths = description["paths"].as_object().expect("a description has paths");
    let mut operations: Vec<Operation> = paths
        .iter()
        .flat_map(|(template, item)| {
            let methods = item.as_object().expect("a path holds operations");
            methods.iter().map(|(method, operation)| operation_of(description, template, method, operation))
        })
        .collect();
    // The most specific template first: `commits/{ref}/status` before `commits/{ref}`, which spans slashes.
    operations.sort_by_key(|operation| std::cmp::Reverse(route::literals(&operation.template)));
    operations
}

fn operation_of(description: &Value, template: &str, method: &str, operation: &Value) -> Operation {
    let here = format!("/paths/{}/{method}", escape(template));
    let parameters = operation["parameters"].as_array().into_iter().flatten().enumerate();
    let parameters = parameters.filter_map(|(index, parameter)| {
        let (at, parameter) = follow(description, format!("{here}/parameters/{index}"), parameter);
        parameter_of(at, parameter)
    });
    let responses = operation["responses"].as_object().into_iter().flatten().filter_map(|(code, response)| {
        let (at, response) = follow(description, format!("{here}/responses/{code}"), response);
        Some((code.parse().ok()?, json_schema_at(&at, response)))
    });
    let body = json_schema_at(&format!("{here}/requestBody"), &operation["requestBody"])
        .map(|schema| Body { required: operation["requestBody"]["required"] == true, schema });
    Operation {
        id: operation["operationId"].as_str().expect("operations are named").to_owned(),
        method: method.to_ascii_uppercase().parse().expect("paths hold only methods"),
        template: template.to_owned(),
        documentation: operation["externalDocs"]["url"].as_str().unwrap_or("https://docs.github.com/rest").to_owned(),
        parameters: parameters.collect(),
        body,
        responses: responses.collect(),
    }
}

fn parameter_of(at: String, parameter: &Value) -> Option<Parameter> {
    let place = match parameter["in"].as_str()? {
        "path" => Place::Path,
        "query" => Place::Query,
        _ => return None,
    };
    Some(Parameter {
        name: parameter["name"].as_str()?.to_owned(),
        place,
        required: parameter["required"] == true,
        schema: format!("{at}/schema"),
        kind: parameter["schema"]["type"].as_str().unwrap_or("string").to_owned(),
        spans_slashes: parameter["x-multi-segment"] == true,
    })
}

fn json_schema_at(at: &str, holder: &Value) -> Option<String> {
    let content = holder["content"].as_object()?;
    content.contains_key("application/json").then(|| format!("{at}/content/application~1json/schema"))
}

/// The value itself, or what it refers to, with the pointer to it.
fn follow<'a>(description: &'a Value, at: String, value: &'a Value) -> (String, &'a Value) {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.trim_start_matches('#').to_owned();
            let target = description.pointer(&pointer).expect("the description's references resolve");
            (pointer, target)
        }
        None => (at, value),
    }
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// Lifts the one rule that GitHub's own answers break: a list of pull requests shows labels without a description as
/// `null`, as the description itself allows everywhere else.
fn relax(description: &mut Value) {
    let pointer = "/components/schemas/pull-request-simple/properties/labels/items/properties/description";
    let label = description.pointer_mut(pointer).expect("the description has the rule that is lifted");
    label["nullable"] = Value::Bool(true);
}

/// Turns what only OpenAPI 3.0 knows into what JSON Schema understands, everywhere.
fn to_json_schema(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(to_json_schema);
            allow_null(map);
            // Where a discriminator tells alternatives apart (contents, the two views of a user), GitHub's own
            // answers fit several of them, which a strict `oneOf` would refuse.
            if map.contains_key("discriminator")
                && let Some(alternatives) = map.remove("oneOf")
            {
                map.insert("anyOf".to_owned(), alternatives);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(to_json_schema),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Replaces `nullable: true`.
fn allow_null(map: &mut Map<String, Value>) {
    if map.get("nullable") != Some(&Value::Bool(true)) {
        return;
    }
    map.remove("nullable");
    if let Some(Value::String(kind)) = map.get("type").cloned() {
        map.insert("type".to_owned(), json!([kind, "null"]));
        if let Some(Value::Array(values)) = map.get_mut("enum") {
            values.push(Value::Null);
        }
    } else {
        let strict = Value::Object(std::mem::take(map));
        map.insert("anyOf".to_owned(), json!([{ "type": "null" }, strict]));
    }
}
