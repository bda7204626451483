//! The configuration's documentation is true: every example in it is read as the service reads it, and fits the JSON Schema.

use std::collections::BTreeSet;

use portcullis::config::{ServerConfig, ServerSource, gate, report, server, skips_path};
use portcullis::domain::contract;
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

/// The document between a heading and the next one.
fn chapter(heading: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading}"));
    rest.split("\n## ").next().unwrap().split("\n### ").next().unwrap()
}

/// What the rows of a chapter's tables explain.
fn explained(chapter: &str) -> BTreeSet<String> {
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(key, _)| key.to_owned()).collect()
}

fn keys(schema: &Value) -> impl Iterator<Item = &String> {
    schema["properties"].as_object().unwrap_or_else(|| panic!("no keys: {schema}")).keys()
}

/// Every key is explained in the chapter that it belongs to, and no other key is.
#[test]
fn every_key_of_the_gate_and_the_skip_list_is_documented_in_its_place() {
    let (gate, list) = (gate::schema(), gate::skips_schema());
    let (gate, list) = (gate.as_value(), list.as_value());
    let of = |schema: &Value, named: &[&str]| -> BTreeSet<String> {
        named.iter().flat_map(|name| keys(&schema["$defs"][name]).cloned().collect::<Vec<_>>()).collect()
    };
    let mut of_gate = of(gate, &["Teams", "Commands", "Cluster", "SetupStep", "Upgrade"]);
    of_gate.extend(keys(gate).cloned());
    assert_eq!(explained(chapter("## The gate: `.github/portcullis.yaml`")), of_gate);

    let of_suite = of(gate, &["Suite", "Rerun", "Resources"]);
    assert_eq!(explained(chapter("### A suite")), of_suite);
    let phases = chapter("### A suite").lines().find(|line| line.starts_with("| `phases`")).unwrap();
    for key in of(gate, &["Phase"]) {
        assert!(phases.contains(&format!("`{key}`")), "the row of `phases` does not mention `{key}`");
    }

    let mut of_list = of(list, &["Skip", "SkipWhen"]);
    of_list.extend(keys(list).cloned());
    assert_eq!(explained(chapter("### The skip list")), of_list);
}

#[test]
fn the_variables_that_nobody_may_set_are_documented() {
    for name in contract::RESERVED {
        assert!(chapter("### A suite").contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_section_and_key_of_the_server_is_documented() {
    let schema = server::schema();
    let (mut sections, mut known) = (BTreeSet::new(), BTreeSet::new());
    for (section, schema) in schema.as_value()["properties"].as_object().unwrap() {
        let named = schema["additionalProperties"].as_object().map(|_| &schema["additionalProperties"]);
        let path = named.map_or(section.clone(), |_| format!("{section}.NAME"));
        known.extend(keys(named.unwrap_or(schema)).map(|key| format!("{path}.{key}")));
        sections.extend(named.is_none().then_some(section.as_str()));
    }
    let chapter = chapter("## The server file");
    assert_eq!(explained(chapter), known);
    let (_, list) = chapter.split_once("A section is a table of keys: ").unwrap();
    let listed: BTreeSet<_> = list.split(';').next().unwrap().split('`').skip(1).step_by(2).collect();
    assert_eq!(listed, sections);
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
