//! JSON that has one reading: no member twice, not nested deeper than a rule would look.

use std::{collections::BTreeSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Levels of arrays and objects in a header or in claims.
const DEEPEST: usize = 32;

/// The members of an object. `None` for what is no JSON object, is nested too deep, or has a member twice at
/// any level: of two readers one would take the first and the other the last (RFC 7515 section 4, RFC 7519
/// section 4).
pub(super) fn object(json: &[u8]) -> Option<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    OneReading { levels: DEEPEST }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    serde_json::from_slice(json).ok()
}

/// Goes through a value and keeps nothing.
#[derive(Clone, Copy)]
struct OneReading {
    levels: usize,
}

impl OneReading {
    fn within<E: Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for OneReading {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneReading {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let within = self.within()?;
        while items.next_element_seed(within)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let within = self.within()?;
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member comes twice"));
            }
            members.next_value_seed(within)?;
        }
        Ok(())
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
