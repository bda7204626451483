//! Lays the environment over the file: unknown keys and wrong types are found here, all of them, and every value keeps the
//! place it came from. What the values mean is checked afterwards.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::file::ServerFile;
use crate::config::position::Position;
use crate::config::problem::{ConfigError, did_you_mean, nearest, quoted};

/// `PORTCULLIS_<SECTION>__<KEY>`, `PORTCULLIS_SECRETS__<NAME>__<KEY>`. Variables without the double underscore belong to others,
/// such as those by which an orchestrator tells of a service of this name, unless they look like a slip of the pen.
const PREFIX: &str = "PORTCULLIS_";

/// Where a value was written.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    File { name: String, position: Position },
    Variable(String),
}

impl Origin {
    pub(super) fn problem(&self, message: impl Into<String>) -> ConfigError {
        match self {
            Origin::File { name, position } => ConfigError::at(name, *position, message),
            Origin::Variable(name) => ConfigError::whole(name, message),
        }
    }
}

/// The merged values and what was wrong with their shape.
pub(super) struct Layers {
    known: Map<String, Value>,
    values: Map<String, Value>,
    origins: Vec<Origin>,
    problems: Vec<ConfigError>,
    misread: Misread,
}

/// The merged file, where its values come from, and what was found on the way.
pub(super) struct Merged {
    pub(super) file: ServerFile,
    pub(super) origins: Vec<Origin>,
    pub(super) problems: Vec<ConfigError>,
    pub(super) misread: Misread,
}

/// What was written but not understood. It is no value, and yet it is not missing.
#[derive(Default)]
pub(super) struct Misread {
    is_everything: bool,
    /// Sections, and keys as `section.key`.
    names: BTreeSet<String>,
}

impl Misread {
    /// Whether `section.key` may be among it.
    pub(super) fn may_hold(&self, key: &str) -> bool {
        let section = key.split_once('.').map_or(key, |(section, _)| section);
        self.is_everything || self.names.contains(key) || self.names.contains(section)
    }
}

/// What a key holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    List,
}

impl Kind {
    /// From the key's JSON Schema.
    fn of(schema: &Value) -> Self {
        let is = |name: &str| {
            schema["type"] == name || schema["type"].as_array().is_some_and(|all| all.contains(&name.into()))
        };
        match (is("integer"), is("array")) {
            (true, _) => Kind::Number,
            (_, true) => Kind::List,
            (false, false) => Kind::Text,
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Kind::Text => "a text in quotes",
            Kind::Number => "a whole number",
            Kind::List => "a list of texts",
        }
    }

    fn of_toml(self, value: &DeValue<'_>) -> Option<Value> {
        match (self, value) {
            (Kind::Text, DeValue::String(text)) => Some(text.as_ref().into()),
            (Kind::Number, DeValue::Integer(number)) => {
                u64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::from)
            }
            (Kind::List, DeValue::Array(items)) => {
                items.iter().map(|item| item.get_ref().as_str().map(Value::from)).collect()
            }
            (Kind::Text | Kind::Number | Kind::List, _) => None,
        }
    }

    /// A list is separated by commas.
    fn of_variable(self, text: &str) -> Option<Value> {
        match self {
            Kind::Text => Some(text.into()),
            Kind::Number => text.trim().parse::<u64>().ok().map(Value::from),
            Kind::List => Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
        }
    }
}

impl Layers {
    pub(super) fn new() -> Self {
        let schema = super::schema();
        let sections = schema.get("properties").and_then(Value::as_object);
        let known = sections.expect("the sections are a struct's fields").clone();
        Self { known, values: Map::new(), origins: Vec::new(), problems: Vec::new(), misread: Misread::default() }
    }

    /// Takes the file's values.
    pub(super) fn add_file(&mut self, name: &str, text: &str) {
        let places = Places { name, text };
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start);
                self.misread.is_everything = true;
                return self.problems.push(places.at(start).problem(error.message()));
            }
        };
        for (section, value) in &table {
            let origin = places.of(section);
            let name = section.get_ref();
            match (self.known.contains_key(name.as_ref()), value.get_ref()) {
                (true, DeValue::Table(keys)) if self.is_named(name) => self.add_named(name, keys, &places),
                (true, DeValue::Table(keys)) => self.add_section(&[name], keys, &places),
                (true, _) => {
                    self.misread.names.insert(name.to_string());
                    self.problems.push(origin.problem(format!("{} is a section: `[{name}]`", quoted(name))));
                }
                (false, _) => self.no_section(name, &origin),
            }
        }
    }

    /// Sections within a section, by names that people choose.
    fn add_named(&mut self, section: &str, tables: &DeTable<'_>, places: &Places<'_>) {
        for (name, value) in tables {
            match value.get_ref() {
                DeValue::Table(keys) if keys.is_empty() => {
                    self.problems.push(places.of(name).problem(format!("`[{section}.{}]` is empty", name.get_ref())));
                }
                DeValue::Table(keys) => self.add_section(&[section, name.get_ref()], keys, places),
                // The value is not quoted: it may be a secret.
                _ => self.problems.push(places.of(name).problem(format!("this is a section: `[{section}.NAME]`"))),
            }
        }
    }

    fn add_section(&mut self, section: &[&str], keys: &DeTable<'_>, places: &Places<'_>) {
        for (key, value) in keys {
            let Some(kind) = self.kind(section, key.get_ref(), &places.of(key)) else { continue };
            let origin = places.at(value.span().start);
            self.set(section, key.get_ref(), kind, kind.of_toml(value.get_ref()), origin);
        }
    }

    fn no_section(&mut self, name: &str, origin: &Origin) {
        let sections = || self.known.keys().map(String::as_str);
        let hint = did_you_mean(name, sections());
        self.misread.names.extend(nearest(name, sections()).map(str::to_owned));
        self.problems.push(origin.problem(format!("there is no section {}{hint}", quoted(name))));
    }

    /// Takes a variable's value, if it is one of ours. An empty one counts as absent.
    pub(super) fn add_variable(&mut self, name: &str, text: &str) {
        let Some(rest) = name.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else { return };
        let origin = Origin::Variable(name.to_owned());
        let Some((section, key)) = rest.split_once("__") else { return self.refuse_slip(&rest, &origin) };
        let (section, key) = (section.to_owned(), key.to_owned());
        if !self.known.contains_key(&section) {
            return self.no_section(&section, &origin);
        }
        let (path, key) = match key.split_once("__").filter(|_| self.is_named(&section)) {
            Some((name, key)) => (vec![section.as_str(), name], key),
            None if self.is_named(&section) => {
                let shown = section.to_ascii_uppercase();
                return self.problems.push(origin.problem(format!("must be `{PREFIX}{shown}__<NAME>__<KEY>`")));
            }
            None => (vec![section.as_str()], key.as_str()),
        };
        let Some(kind) = self.kind(&path, key, &origin) else { return };
        if !text.is_empty() {
            self.set(&path, key, kind, kind.of_variable(text), origin);
        }
    }

    /// A name with one underscore where two belong, which would be passed over without a word.
    fn refuse_slip(&mut self, rest: &str, origin: &Origin) {
        let meant = self.known.iter().find_map(|(section, schema)| {
            let key = rest.strip_prefix(section.as_str())?.strip_prefix('_')?;
            if self.is_named(section) {
                return Some((section, "<NAME>__<KEY>".to_owned()));
            }
            let keys = schema["properties"].as_object()?;
            Some((section, nearest(key, keys.keys().map(String::as_str))?.to_owned()))
        });
        let Some((section, key)) = meant else { return };
        let right = format!("{PREFIX}{}__{}", section.to_ascii_uppercase(), key.to_ascii_uppercase());
        self.misread.names.insert(format!("{section}.{key}"));
        self.problems.push(origin.problem(format!("two underscores separate section and key: `{right}`")));
    }

    /// Whether a section holds others by name, and no keys.
    fn is_named(&self, section: &str) -> bool {
        self.known.get(section).is_some_and(|section| section["additionalProperties"].is_object())
    }

    /// The kind of a known key; a problem for an unknown one.
    fn kind(&mut self, section: &[&str], key: &str, origin: &Origin) -> Option<Kind> {
        let schema = self.known.get(*section.first()?)?;
        let schema = if section.len() > 1 { schema.get("additionalProperties")? } else { schema };
        let keys = schema.get("properties")?.as_object()?;
        if let Some(schema) = keys.get(key) {
            return Some(Kind::of(schema));
        }
        let (section, keys) = (section.join("."), || keys.keys().map(String::as_str));
        let hint = did_you_mean(key, keys());
        self.misread.names.extend(nearest(key, keys()).map(|near| format!("{section}.{near}")));
        self.problems.push(origin.problem(format!("`[{section}]` has no key {}{hint}", quoted(key))));
        None
    }

    fn set(&mut self, section: &[&str], key: &str, kind: Kind, value: Option<Value>, origin: Origin) {
        // The value is not quoted: it may be a secret.
        let Some(value) = value else {
            let name = format!("{}.{key}", section.join("."));
            self.problems.push(origin.problem(format!("`{name}` must be {}", kind.wanted())));
            self.misread.names.insert(name);
            return;
        };
        self.origins.push(origin);
        let mut values = self.values.entry(section[0]).or_insert_with(|| json!({}));
        for name in &section[1..] {
            values = values.as_object_mut().expect("a section").entry(*name).or_insert_with(|| json!({}));
        }
        values[key] = json!({ "value": value, "origin": self.origins.len() - 1 });
    }

    pub(super) fn merged(self) -> Merged {
        let Self { values, origins, problems, misread, .. } = self;
        let file = serde_json::from_value(Value::Object(values));
        Merged { file: file.expect("only known keys of the right kind were taken"), origins, problems, misread }
    }
}

/// Finds lines and columns in a text.
struct Places<'a> {
    name: &'a str,
    text: &'a str,
}

impl Places<'_> {
    fn of(&self, key: &Spanned<DeString<'_>>) -> Origin {
        self.at(key.span().start)
    }

    fn at(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let position = Position { line, column: before[line_start..].chars().count() + 1 };
        Origin::File { name: self.name.to_owned(), position }
    }
}
