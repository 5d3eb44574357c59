//! A query as Lua tells it: decoded, and a table of names. It is written as a query again, for the one reader of queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::api::problem::Problem;

const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Adds what stands behind the `?` to a target that has none yet. A value is a text, `true` for a name without `=`, or a list
/// of these for a name that came more than once.
///
/// # Errors
/// [`Problem::Malformed`] for anything else.
pub(super) fn add(target: &mut String, query: Option<&Value>) -> Result<(), Problem> {
    let malformed = || Problem::Malformed("the query is not a table of names and values".to_owned());
    let pairs = match query {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(pairs)) => pairs,
        // Lua's empty table.
        Some(Value::Array(items)) if items.is_empty() => return Ok(()),
        Some(_) => return Err(malformed()),
    };
    let mut between = '?';
    for (name, value) in pairs {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            target.push(between);
            between = '&';
            target.extend(utf8_percent_encode(name, &PLAIN));
            match value {
                Value::Bool(true) => {}
                Value::String(text) => {
                    target.push('=');
                    target.extend(utf8_percent_encode(text, &PLAIN));
                }
                _ => return Err(malformed()),
            }
        }
    }
    Ok(())
}

/// How many names and values there are, those that came twice counted twice.
pub(super) fn length(query: Option<&Value>) -> usize {
    let Some(Value::Object(pairs)) = query else { return 0 };
    pairs.values().map(|value| value.as_array().map_or(1, Vec::len)).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{add, length};

    #[test]
    fn a_table_becomes_a_query() {
        let query = |value: serde_json::Value| {
            let mut target = "/a".to_owned();
            add(&mut target, Some(&value)).ok().map(|()| target)
        };
        for (table, expected) in [
            (json!({}), "/a"),
            (json!([]), "/a"),
            (json!(null), "/a"),
            (json!({"a": "1", "b": true, "c": ["x", true, ""]}), "/a?a=1&b&c=x&c&c="),
            (json!({"a&b": "c=d e#?+%"}), "/a?a%26b=c%3Dd%20e%23%3F%2B%25"),
        ] {
            assert_eq!(query(table.clone()).as_deref(), Some(expected), "{table}");
        }
        for wrong in [json!("a=1"), json!(["a"]), json!({"a": 1}), json!({"a": false}), json!({"a": [["x"]]})]
        {
            assert_eq!(query(wrong.clone()), None, "{wrong}");
        }
        assert_eq!(length(Some(&json!({"a": "1", "c": ["x", true]}))), 3);
    }
}
