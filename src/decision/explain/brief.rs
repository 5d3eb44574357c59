//! Values as an explanation shows them: masked, and cut short.

use regorus::Value;
use serde_json::{Map, Value as Json, json};

use super::mask::Mask;

/// Characters of a text.
const TEXT: usize = 200;
/// Entries of an array, a set or an object.
const ENTRIES: usize = 10;
/// Levels of arrays and objects.
const DEPTH: usize = 4;

/// The value, in short.
pub(super) fn brief(value: &Value, mask: &Mask) -> Json {
    shorten(value, mask, DEPTH)
}

fn shorten(value: &Value, mask: &Mask, depth: usize) -> Json {
    match value {
        Value::String(text) => Json::String(cut(&mask.text(text))),
        Value::Array(items) => list(items.len(), items.iter(), mask, depth),
        Value::Set(items) => list(items.len(), items.iter(), mask, depth),
        Value::Object(fields) => {
            if depth == 0 && !fields.is_empty() {
                return json!(format!("{{… {} entries}}", fields.len()));
            }
            let mut short = Map::new();
            for (name, value) in fields.iter().take(ENTRIES) {
                let name = match name {
                    Value::String(text) => cut(&mask.text(text)),
                    other => shorten(other, mask, 0).to_string(),
                };
                short.insert(name, shorten(value, mask, depth.saturating_sub(1)));
            }
            if fields.len() > ENTRIES {
                short.insert("…".to_owned(), json!(format!("{} more", fields.len() - ENTRIES)));
            }
            Json::Object(short)
        }
        Value::Undefined => Json::Null,
        Value::Number(_) => mask.number(value).unwrap_or_else(Mask::hidden),
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

fn list<'a>(length: usize, items: impl Iterator<Item = &'a Value>, mask: &Mask, depth: usize) -> Json {
    if depth == 0 && length > 0 {
        return json!(format!("[… {length} entries]"));
    }
    let mut short: Vec<Json> =
        items.take(ENTRIES).map(|item| shorten(item, mask, depth.saturating_sub(1))).collect();
    if length > ENTRIES {
        short.push(json!(format!("… {} more", length - ENTRIES)));
    }
    Json::Array(short)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
