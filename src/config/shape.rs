//! Compares a YAML text with its JSON Schema and names every key that does not exist, every one that is missing, and every value of
//! the wrong kind, where the reader stops at the first. Asked only about a text that the reader has refused; decides nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::position::{At, Position};
use super::problem::{Problems, quoted, unknown_key};

/// A YAML value as far as its kind matters.
pub(super) enum Node {
    Mapping(Vec<(At<String>, At<Node>)>),
    List(Vec<At<Node>>),
    Text(String),
    /// A whole number, 0 or more.
    Number,
    Bool,
    /// A number of another kind.
    OtherNumber,
    /// As if the key were not there.
    Nothing,
}

/// Notes what about `node` is not as the schema has it.
pub(super) fn compare(node: &At<Node>, schema: &Value, problems: &mut Problems<'_>) {
    Shapes { known: &schema["$defs"], problems }.value("the file", node, schema);
}

struct Shapes<'s, 'p> {
    /// Schemas by name.
    known: &'s Value,
    problems: &'s mut Problems<'p>,
}

impl<'s> Shapes<'s, '_> {
    /// `name` is the key's that holds the value.
    fn value(&mut self, name: &str, node: &At<Node>, schema: &'s Value) {
        if let Node::Nothing = **node {
            return;
        }
        let mut kinds = Vec::new();
        self.alternatives(schema, &mut kinds);
        let schema = match (kinds.iter().find(|kind| fits(node, kind)), kinds.as_slice()) {
            (Some(fitting), _) => *fitting,
            (None, [only]) => return self.wrong_kind(name, node.position, only),
            // Which one was meant is not known: the reader says something of its own.
            (None, _) => return,
        };
        match &**node {
            Node::Mapping(entries) => self.mapping(node.position, entries, schema),
            Node::List(items) => items.iter().for_each(|item| self.value(name, item, &schema["items"])),
            Node::Text(text) => self.word(node.position, text, schema),
            Node::Number | Node::Bool | Node::OtherNumber | Node::Nothing => {}
        }
    }

    fn mapping(&mut self, position: Position, entries: &[(At<String>, At<Node>)], schema: &'s Value) {
        let none = Map::new();
        let keys = schema["properties"].as_object().unwrap_or(&none);
        for (key, value) in entries {
            match (schema["properties"].get(key.as_str()), &schema["additionalProperties"]) {
                (Some(schema), _) => self.value(key, value, schema),
                (None, any @ Value::Object(_)) => self.value(key, value, any),
                (None, _) => self.problems.add(key.position, unknown_key(key, keys.keys().map(String::as_str))),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for missing in required.filter(|name| !entries.iter().any(|(key, _)| key.as_str() == *name)) {
            self.problems.add(position, format!("{} is missing", quoted(missing)));
        }
    }

    /// Where only some words are allowed.
    fn word(&mut self, position: Position, text: &str, schema: &Value) {
        let one_of = schema["oneOf"].as_array().into_iter().flatten();
        let words: Vec<&str> = std::iter::once(schema)
            .chain(one_of)
            .flat_map(|choice| choice["enum"].as_array().into_iter().flatten().chain(choice.get("const")))
            .filter_map(Value::as_str)
            .collect();
        if !words.is_empty() && !words.contains(&text) {
            self.problems.add(position, format!("{} is not one of {}", quoted(text), words.join(", ")));
        }
    }

    fn wrong_kind(&mut self, name: &str, position: Position, schema: &Value) {
        let wanted = [
            ("integer", format!("{} must be a whole number, 0 or more", quoted(name))),
            ("boolean", format!("{} must be `true` or `false`", quoted(name))),
            ("object", "expected keys with values here".to_owned()),
            ("array", "expected a list here".to_owned()),
        ];
        let message = wanted.into_iter().find(|(kind, _)| is(schema, kind)).map(|(_, message)| message);
        self.problems.add(position, message.unwrap_or_else(|| "expected a text here".to_owned()));
    }

    /// What a schema allows, with references followed and without "or nothing".
    fn alternatives(&self, schema: &'s Value, into: &mut Vec<&'s Value>) {
        let named = schema["$ref"].as_str().and_then(|name| self.known.get(name.strip_prefix("#/$defs/")?));
        match (named, schema["anyOf"].as_array()) {
            (Some(named), _) => self.alternatives(named, into),
            (None, Some(any)) => any.iter().for_each(|one| self.alternatives(one, into)),
            (None, None) if schema["type"] == "null" => {}
            (None, None) => into.push(schema),
        }
    }
}

fn is(schema: &Value, kind: &str) -> bool {
    schema["type"] == kind || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
}

/// Whether the reader would take a value of this kind. Where a text is wanted it takes numbers as well.
fn fits(node: &Node, schema: &Value) -> bool {
    let is_anything = schema["type"].is_null() && !schema["oneOf"].is_array();
    match node {
        _ if is_anything => true,
        Node::Mapping(_) => is(schema, "object"),
        Node::List(_) => is(schema, "array"),
        Node::Text(_) => is(schema, "string") || schema["oneOf"].is_array(),
        Node::Number => is(schema, "integer") || is(schema, "string"),
        Node::Bool => is(schema, "boolean") || is(schema, "string"),
        Node::OtherNumber => is(schema, "string"),
        Node::Nothing => true,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfAnyKind)
    }
}

struct OfAnyKind;

impl<'de> Visitor<'de> for OfAnyKind {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Mapping(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(if number < 0 { Node::OtherNumber } else { Node::Number })
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::OtherNumber)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Bool)
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }
}
