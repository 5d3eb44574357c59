//! JSON that has one reading.

use serde_json::{Map, Value};

use crate::types::one_reading;

/// Levels of arrays and objects in a header or in claims.
const DEEPEST: usize = 32;

/// The members of an object. `None` for what is no JSON object, is nested too deep, or has a member twice at
/// any level (RFC 7515 section 4, RFC 7519 section 4).
pub(super) fn object(json: &[u8]) -> Option<Map<String, Value>> {
    match one_reading(json, DEEPEST)? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{DEEPEST, object};

    #[test]
    fn a_member_that_comes_twice_is_no_object_at_any_level() {
        assert_eq!(object(br#"{"a": [1, {"b": null}], "c": {"a": 1.5e3}}"#).unwrap().len(), 2);
        for json in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, "\u0061": 2}"#,
            r#"{"a": {"b": 1, "b": 2}}"#,
            r#"{"a": [{"b": 1, "b": 2}]}"#,
            r#"{"a": 1} "#.repeat(2).as_str(),
            "[]",
            "null",
            "",
            "{",
            "{\"a\": 1e999}",
            "{\"a\": \"\u{1}\"}",
        ] {
            assert!(object(json.as_bytes()).is_none(), "{json}");
        }
        assert!(object(b"{\"a\": \"\xff\"}").is_none());
    }

    #[test]
    fn what_is_nested_too_deep_is_refused_before_it_is_built() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(object(nested(DEEPEST - 1).as_bytes()).is_some());
        assert!(object(nested(DEEPEST).as_bytes()).is_none());
        assert!(object(nested(100_000).as_bytes()).is_none());
    }
}
