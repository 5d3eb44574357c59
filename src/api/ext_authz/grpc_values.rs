//! `google.protobuf.Struct`, in which Envoy keeps what other filters found out, from and to JSON.

use std::collections::HashMap;

use envoy_types::pb::google::protobuf::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Number, Value as Json};

use super::super::problem::Problem;

/// Numbers of this size and more are not whole in a double.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Structures by name, as JSON objects.
///
/// # Errors
/// [`Problem::TooDeep`] beyond `nesting` levels; [`Problem::Malformed`] for a number that JSON does not have.
pub(super) fn objects(
    structures: &HashMap<String, Struct>,
    nesting: usize,
) -> Result<Map<String, Json>, Problem> {
    let read = |(name, structure): (&String, &Struct)| {
        Ok((name.clone(), Json::Object(object(structure, Depth { left: nesting, limit: nesting })?)))
    };
    structures.iter().map(read).collect()
}

#[derive(Clone, Copy)]
struct Depth {
    left: usize,
    limit: usize,
}

impl Depth {
    fn below(self) -> Result<Self, Problem> {
        let left = self.left.checked_sub(1).ok_or(Problem::TooDeep(self.limit))?;
        Ok(Self { left, ..self })
    }
}

fn object(structure: &Struct, depth: Depth) -> Result<Map<String, Json>, Problem> {
    let depth = depth.below()?;
    structure.fields.iter().map(|(name, value)| Ok((name.clone(), json(value, depth)?))).collect()
}

fn json(value: &Value, depth: Depth) -> Result<Json, Problem> {
    Ok(match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(truth)) => Json::Bool(*truth),
        Some(Kind::NumberValue(number)) => Json::Number(number_of(*number)?),
        Some(Kind::StringValue(text)) => Json::from(text.as_str()),
        Some(Kind::ListValue(ListValue { values })) => {
            let depth = depth.below()?;
            Json::Array(values.iter().map(|value| json(value, depth)).collect::<Result<_, _>>()?)
        }
        Some(Kind::StructValue(structure)) => Json::Object(object(structure, depth)?),
    })
}

fn number_of(number: f64) -> Result<Number, Problem> {
    if number.fract() == 0.0 && number.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
        return Ok(Number::from(number as i64));
    }
    let text = || Problem::Malformed("metadata_context has a number that is none".to_owned());
    Number::from_f64(number).ok_or_else(text)
}

/// A structure of these members.
pub(super) fn structure<const N: usize>(members: [(&str, Option<Kind>); N]) -> Struct {
    let present = members.into_iter().filter_map(|(name, kind)| Some((name.to_owned(), kind?)));
    Struct { fields: present.map(|(name, kind)| (name, Value { kind: Some(kind) })).collect() }
}

/// A text.
pub(super) fn text(text: &str) -> Kind {
    Kind::StringValue(text.to_owned())
}

/// A list of texts.
pub(super) fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> Kind {
    let values = texts.map(|item| Value { kind: Some(text(item)) }).collect();
    Kind::ListValue(ListValue { values })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use envoy_types::pb::google::protobuf::value::Kind;

    use super::{objects, structure, text, texts};
    use crate::api::problem::Problem;

    #[test]
    fn what_envoy_keeps_is_read_as_json() {
        let inner = structure([("sub", Some(text("ann"))), ("n", Some(Kind::NumberValue(3.0)))]);
        let inner = structure([
            ("jwt", Some(Kind::StructValue(inner))),
            ("aud", Some(texts(["a", "b"].into_iter()))),
            ("half", Some(Kind::NumberValue(0.5))),
            ("none", None),
        ]);
        let read = objects(&HashMap::from([("f".to_owned(), inner)]), 8).unwrap();
        let expected = serde_json::json!(
            {"f": {"jwt": {"sub": "ann", "n": 3}, "aud": ["a", "b"], "half": 0.5}}
        );
        assert_eq!(serde_json::Value::Object(read), expected);
    }

    #[test]
    fn what_is_too_deep_or_no_number_is_refused() {
        let mut deep = structure([]);
        for _ in 0..9 {
            deep = structure([("a", Some(Kind::StructValue(deep)))]);
        }
        let refused = objects(&HashMap::from([("f".to_owned(), deep)]), 8);
        assert!(matches!(refused, Err(Problem::TooDeep(8))));
        let nan = structure([("a", Some(Kind::NumberValue(f64::NAN)))]);
        let refused = objects(&HashMap::from([("f".to_owned(), nan)]), 8);
        assert!(matches!(refused, Err(Problem::Malformed(_))));
    }
}
