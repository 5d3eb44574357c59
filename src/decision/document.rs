//! Documents from JSON that somebody else wrote.

use std::collections::BTreeMap;

use regorus::Value;

use super::Document;

/// The document of a JSON value.
///
/// The engine's own reader is not used for what callers send: it takes an object with the one key
/// `$serde_json::private::Number` for a number of any size, and `1e999999999` written so keeps it
/// busy for ever. Here an object is an object, and a number is one that fits 64 bits.
///
/// The depth of `json` must be bounded before: this goes as deep as it does.
pub fn document(json: serde_json::Value) -> Document {
    match json {
        serde_json::Value::Array(items) => items.into_iter().map(document).collect::<Vec<_>>().into(),
        serde_json::Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (Value::from(name), document(value)));
            fields.collect::<BTreeMap<_, _>>().into()
        }
        scalar => self::scalar(&scalar),
    }
}

/// The same of fields that stay with whoever has them.
pub(super) fn object(fields: &serde_json::Map<String, serde_json::Value>) -> Document {
    let fields = fields.iter().map(|(name, value)| (Value::from(name.as_str()), shared(value)));
    fields.collect::<BTreeMap<_, _>>().into()
}

fn shared(json: &serde_json::Value) -> Document {
    match json {
        serde_json::Value::Array(items) => items.iter().map(shared).collect::<Vec<_>>().into(),
        serde_json::Value::Object(fields) => object(fields),
        scalar => self::scalar(scalar),
    }
}

fn scalar(json: &serde_json::Value) -> Document {
    match json {
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => {
            let whole = number.as_i64().map(Value::from).or_else(|| number.as_u64().map(Value::from));
            whole.or_else(|| number.as_f64().map(Value::from)).unwrap_or(Value::Undefined)
        }
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => Value::Null,
    }
}
