//! The reference of all keys, made from the sections themselves: their doc comments, types and defaults.
//!
//! **Must never know:** a key. What a section does not say of its keys does not stand on the page.

use std::{fmt::Write as _, time::Duration};

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde::Serializer;
use serde_json::{Map, Value};

use super::{Configuration, PREFIX, audit::Retention};

/// The schema of a configuration file, for editors (JSON Schema, draft 2020-12).
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Configuration>();
    schema.insert("title".to_owned(), "The configuration of regate".into());
    // That of the type is for whoever changes it.
    schema.remove("description");
    schema
}

/// One key of a section.
pub struct Key<'a> {
    /// The section it stands in.
    pub section: &'a str,
    /// Its name there.
    pub name: &'a str,
    schema: &'a Map<String, Value>,
}

/// All sections in their order, each with its schema.
pub fn sections(schema: &Schema) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().filter_map(|(name, section)| Some((name, section.as_object()?)))
}

/// Whether a section may be there several times.
pub fn is_repeated(section: &Map<String, Value>) -> bool {
    section.get("type").is_some_and(|kind| kind == "array")
}

/// The keys of a section, in their order.
pub fn keys<'a>(name: &'a str, section: &'a Map<String, Value>) -> impl Iterator<Item = Key<'a>> {
    let section = section.get("items").and_then(Value::as_object).unwrap_or(section);
    let properties = section.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .filter_map(move |(key, schema)| Some(Key { section: name, name: key, schema: schema.as_object()? }))
}

impl Key<'_> {
    /// What it is where nobody says anything.
    pub fn default(&self) -> Option<&Value> {
        self.schema.get("default").filter(|value| !value.is_null())
    }

    /// The least and the most that it may be.
    pub fn range(&self) -> [Option<&Value>; 2] {
        // The types of the code have a least number of their own, which says nothing.
        let least =
            self.schema.get("minimum").filter(|least| least.as_f64() != Some(0.0) || self.has_type("number"));
        [least, self.schema.get("maximum")]
    }

    /// The variable that is this key.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}__{}", self.section, self.name).to_uppercase()
    }

    fn has_type(&self, name: &str) -> bool {
        match self.schema.get("type") {
            Some(Value::Array(types)) => types.iter().any(|kind| kind == name),
            Some(kind) => kind == name,
            None => false,
        }
    }

    /// The words that it may be, each with what it means.
    fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        let words = self.schema.get("oneOf").and_then(Value::as_array);
        words
            .into_iter()
            .flatten()
            .filter_map(|word| Some((word.get("const")?.as_str()?, word.get("description")?.as_str()?)))
    }

    fn kind(&self) -> String {
        let unit = if self.name.ends_with("_bytes") { "bytes" } else { "number" };
        let kind = match self.schema.get("format").and_then(Value::as_str) {
            Some("path") => "path",
            Some("duration") => "time",
            _ if self.words().next().is_some() => "word",
            _ if self.has_type("array") => "list of texts",
            _ if self.has_type("boolean") => "`true` or `false`",
            _ if self.has_type("integer") && self.has_type("string") => "number or word",
            _ if self.has_type("integer") => unit,
            _ if self.has_type("number") => "number",
            _ => "text",
        };
        match self.range() {
            [Some(least), Some(most)] => format!("{kind}, {least} to {most}"),
            [Some(least), None] => format!("{kind}, at least {least}"),
            _ => kind.to_owned(),
        }
    }

    fn row(&self, page: &mut String, has_variable: bool, is_required: bool) {
        let mut text = description(self.schema);
        for (word, meaning) in self.words() {
            let _ = write!(
                text,
                " `{word}`: {}{}",
                first_lower(meaning),
                if meaning.ends_with('.') { "" } else { "." }
            );
        }
        let default = match self.default() {
            Some(value) => format!("`{value}`"),
            None if is_required => "required".to_owned(),
            None => "-".to_owned(),
        };
        let variable = if has_variable { format!("<br>`{}`", self.variable()) } else { String::new() };
        let cells = [format!("`{}`{variable}", self.name), self.kind(), default, text];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
}

fn description(schema: &Map<String, Value>) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn first_lower(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// What stands above the tables.
const INTRODUCTION: &str = include_str!("reference.md");

/// The page `docs/configuration.md`.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let schema = schema();
    for (name, section) in sections(&schema) {
        let repeated = is_repeated(section);
        let described = section.get("items").and_then(Value::as_object).unwrap_or(section);
        let _ = write!(
            page,
            "\n## {name}\n\n{}\n\n| key | type | default | what |\n|---|---|---|---|\n",
            description(section)
        );
        let required = described.get("required").and_then(Value::as_array);
        for key in keys(name, section) {
            let is_required = required.is_some_and(|names| names.iter().any(|name| name == key.name));
            key.row(&mut page, !repeated, is_required);
        }
    }
    let _ = write!(
        page,
        "\n## A whole file\n\nEvery key with its default. What stands behind `#` has none.\n\n```toml\n{}```\n",
        whole_file(&schema)
    );
    page
}

/// Every key that has a default, with it, as a file.
fn whole_file(schema: &Schema) -> String {
    let mut sections: Vec<String> = Vec::new();
    for (name, section) in self::sections(schema).filter(|(_, section)| !is_repeated(section)) {
        let mut text = format!("[{name}]\n");
        for key in keys(name, section) {
            // JSON's texts, numbers, booleans and lists are TOML's as well.
            let _ = match key.default() {
                Some(value) => writeln!(text, "{} = {value}", key.name),
                None => writeln!(text, "# {} =", key.name),
            };
        }
        sections.push(text);
    }
    sections.join("\n")
}

pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string"})
}

/// A time such as `10s`.
pub(super) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "duration"})
}

pub(super) fn retention(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["integer", "string"]})
}

// The words of other rooms, which know no schemas.

fn one_of(words: &[(&str, &str)]) -> Schema {
    let words: Vec<Value> =
        words.iter().map(|(word, text)| serde_json::json!({"const": word, "description": text})).collect();
    json_schema!({"oneOf": words})
}

pub(super) fn engine(_: &mut SchemaGenerator) -> Schema {
    one_of(&[
        (
            "auto",
            "The virtual machine; the interpreter for a bundle that the machine cannot run as Rego says.",
        ),
        ("virtual_machine", "A bundle that the machine cannot run as Rego says is broken."),
        ("interpreter", "Slower by far."),
    ])
}

pub(super) fn rego_version(_: &mut SchemaGenerator) -> Schema {
    one_of(&[("v0", "As OPA before 1.0 read it."), ("v1", "Rego v1.")])
}

pub(super) fn log_format(_: &mut SchemaGenerator) -> Schema {
    one_of(&[("text", "For people."), ("json", "One JSON object a line.")])
}

pub(super) fn request_lines(_: &mut SchemaGenerator) -> Schema {
    one_of(&[
        ("none", "None."),
        ("refused", "Those that were answered with an error and with no decision, 20 a second at most."),
        ("all", "Every one. A line takes longer than a decision."),
    ])
}

// How defaults are written: as a file has them.

/// The longest unit in which it is a whole number.
pub(super) fn in_words<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    const UNITS: [(u128, &str); 4] =
        [(3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms")];
    let micros = time.as_micros();
    let unit = UNITS.iter().find(|(length, _)| micros >= *length && micros.is_multiple_of(*length));
    serializer.serialize_str(&match unit {
        Some((length, name)) => format!("{}{name}", micros / length),
        None if micros == 0 => "0s".to_owned(),
        None => format!("{micros}us"),
    })
}

pub(super) fn in_octal<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}

pub(super) fn days<S: Serializer>(retention: &Retention, serializer: S) -> Result<S::Ok, S::Error> {
    match retention {
        Retention::Days(days) => serializer.serialize_u32(*days),
        Retention::Forever => serializer.serialize_str("forever"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::{Key, is_repeated, keys, schema, sections};
    use crate::cli::{Configuration, ConfigurationError};

    /// Every key that is there once.
    fn each(look: impl Fn(&Key<'_>)) {
        let schema = schema();
        let mut count = 0;
        for (name, section) in sections(&schema).filter(|(_, section)| !is_repeated(section)) {
            for key in keys(name, section) {
                look(&key);
                count += 1;
            }
        }
        assert!(count > 80, "{count}");
    }

    fn with_line(key: &Key<'_>, value: &str) -> Result<(), ConfigurationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regate.toml");
        fs::write(&path, format!("[{}]\n{} = {value}", key.section, key.name)).unwrap();
        Configuration::read(Some(&path), std::iter::empty())?.faces().map(drop)
    }

    #[test]
    fn every_key_is_described_and_can_be_set_by_its_variable() {
        each(|key| {
            assert!(super::description(key.schema).len() > 10, "{} has no doc comment", key.variable());
            let value = match key.default() {
                Some(Value::Array(values)) if !values.is_empty() => {
                    values.iter().map(|value| value.as_str().unwrap()).collect::<Vec<_>>().join(",")
                }
                Some(Value::String(text)) => text.clone(),
                Some(value) if !value.is_array() => value.to_string(),
                _ => "x-a".to_owned(),
            };
            let read = Configuration::read(None, std::iter::once((key.variable(), value)));
            // Another error is about the value, which was found.
            assert!(!matches!(read, Err(ConfigurationError::Invalid(_))), "{}: {read:?}", key.variable());
        });
    }

    #[test]
    fn the_limits_of_the_page_are_those_of_the_program() {
        each(|key| {
            let name = format!("{}.{}", key.section, key.name);
            let [least, most] = key.range();
            for (end, step) in [(least, -1), (most, 1)] {
                let Some(end) = end else { continue };
                let beyond = match end.as_i64() {
                    Some(number) if end.is_i64() || end.is_u64() => (number + step).to_string(),
                    _ => format!("{:?}", end.as_f64().unwrap() + f64::from(i32::try_from(step).unwrap())),
                };
                let said = with_line(key, &beyond).map_err(|error| error.to_string()).unwrap_err();
                assert!(said.contains(&name), "{name} = {beyond}: {said}");
                let said =
                    with_line(key, &end.to_string()).err().map(|error| error.to_string()).unwrap_or_default();
                assert!(!said.contains(&format!("{name}: ")), "{name} = {end}: {said}");
            }
            for (word, _) in key.words() {
                assert!(with_line(key, &format!("{word:?}")).is_ok(), "{name} = {word}");
            }
        });
    }
}
