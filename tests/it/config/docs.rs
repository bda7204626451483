//! The configuration's documentation is true: every example in it is read as the service reads it, and fits the JSON Schema.

use portcullis::config::{ServerConfig, ServerSource, gate, report, server, skips_path};
use serde_json::Value;

use super::{LIST, gate_with};

const DOCUMENT: &str = include_str!("../../../docs/configuration.md");

/// The document's fenced blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = DOCUMENT.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{language}") {
            let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push(body.join("\n") + "\n");
        }
    }
    found
}

fn fits(schema: &schemars::Schema, document: &Value) {
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    let problems: Vec<_> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

fn is_skip_list(text: &str) -> bool {
    text.lines().any(|line| line == "entries:")
}

#[test]
fn every_gate_in_the_document_is_a_good_one() {
    let all = blocks("yaml");
    let list = all.iter().find(|text| is_skip_list(text)).expect("the document shows a skip list");
    let gates: Vec<_> = all.iter().filter(|text| !is_skip_list(text)).collect();
    assert!(gates.len() >= 3, "the document shows gates");
    assert!(gates.iter().any(|text| skips_path(text).as_deref() == Some(LIST)), "the full example names the list");
    for text in gates {
        gate_with(text, Some(list)).unwrap_or_else(|problems| panic!("{problems}\nin\n{text}"));
        fits(&gate::schema(), &serde_saphyr::from_str(text).unwrap());
    }
    fits(&gate::skips_schema(), &serde_saphyr::from_str(list).unwrap());
}

#[test]
fn every_server_file_in_the_document_is_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let all = blocks("toml");
    assert!(all.len() >= 2, "the document shows server files");
    for text in all {
        fits(&server::schema(), &serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap());
        // The files that the examples name do not exist here.
        let text = text.lines().map(|line| match line.split_once("_file = ") {
            Some((key, _)) => format!("{key}_file = '{}'\n", secret.display()),
            None => format!("{line}\n"),
        });
        let text: String = text.collect();
        let source = ServerSource { file: Some(("document", &text)), environment: &[] };
        ServerConfig::parse(source).unwrap_or_else(|problems| panic!("{}\nin\n{text}", report(&problems)));
    }
}

/// The tables of keys name every key there is, and no other.
#[test]
fn every_key_is_documented() {
    let mut known = Vec::new();
    for schema in [gate::schema(), gate::skips_schema(), server::schema()] {
        collect_keys(schema.as_value(), &mut known);
    }
    for key in &known {
        assert!(DOCUMENT.contains(&format!("`{key}`")), "docs/configuration.md does not mention `{key}`");
    }
    let in_tables = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(key, _)| key);
    for key in in_tables {
        assert!(known.iter().any(|other| other == key), "docs/configuration.md explains `{key}`, which does not exist");
    }
}

fn collect_keys(schema: &Value, known: &mut Vec<String>) {
    match schema {
        Value::Object(all) => {
            if let Some(Value::Object(properties)) = all.get("properties") {
                known.extend(properties.keys().cloned());
            }
            all.values().for_each(|inner| collect_keys(inner, known));
        }
        Value::Array(all) => all.iter().for_each(|inner| collect_keys(inner, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::validator_for(gate::schema().as_value()).unwrap();
    for wrong in [
        "{}",
        "{suites: {smoke: {tiemout: 5m}}}",
        "{suites: {smoke: {flaky: maybe}}}",
        "{suites: {smoke: }, upgrade: {from: tag}}",
    ] {
        assert!(!validator.is_valid(&serde_saphyr::from_str(wrong).unwrap()), "{wrong}");
    }
    assert!(validator.is_valid(&serde_saphyr::from_str("{suites: {smoke: , custom: {procs: 3}}}").unwrap()));
}
