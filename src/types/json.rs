//! JSON objects that are read as nothing else. Serde would also take `["acme", "u1"]` for a user, its
//! fields by position: a mistake that must not pass as data, and not as a question.

use std::{collections::BTreeSet, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// A `T` written as an object.
pub struct JsonObject<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(JsonObjectVisitor(PhantomData))
    }
}

struct JsonObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for JsonObjectVisitor<T> {
    type Value = JsonObject<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<JsonObject<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(JsonObject)
    }
}

/// A list of `T`, each written as an object, for `#[serde(deserialize_with = …)]`.
///
/// # Errors
/// Those of reading a `T`, and an item that is not an object.
pub fn json_objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<JsonObject<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

/// A JSON text that has one reading. `None` for what is no JSON, is nested deeper than `deepest` levels, or has a
/// member twice at any level: of two readers one would take the first and the other the last.
pub fn one_reading(json: &[u8], deepest: usize) -> Option<serde_json::Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    OneReading { levels: deepest }.deserialize(&mut deserializer).ok()?;
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

/// Characters of an unknown member's name that a message may repeat.
const LONGEST_NAME: usize = 64;

/// A reader's message without the value that it found: that value may be a credential. (serde writes
/// it as `string "…"`, or in backticks after `integer`, `floating point` or `unknown variant`.) The name of an unknown
/// member stays, since it says where the mistake is, but no more of it than a name has.
pub fn without_values(message: &str) -> String {
    if let Some((before, _, after)) = named(message, "unknown variant `") {
        return [before, "another value", after].concat();
    }
    if let Some((before, name, after)) = named(message, "unknown field `") {
        let shown: String = name.chars().take(LONGEST_NAME).collect();
        let more = if shown.len() < name.len() { "…" } else { "" };
        return [before, "unknown field `", &shown, more, "`", after].concat();
    }
    let found = message.find("string \"").zip(message.rfind('"'));
    if let Some((begin, end)) = found.filter(|(begin, end)| end > &(begin + 7)) {
        return [&message[..begin], "another value", &message[end + 1..]].concat();
    }
    for kind in ["integer `", "floating point `"] {
        if let Some((before, rest)) = message.split_once(kind) {
            let after = rest.split_once('`').map_or("", |(_, after)| after);
            return [before, "another value", after].concat();
        }
    }
    message.to_owned()
}

/// What stands before `kind`, in the backticks behind it, and after them. What is found there may have backticks of its own,
/// so it ends where serde's own words begin for the last time.
fn named<'m>(message: &'m str, kind: &str) -> Option<(&'m str, &'m str, &'m str)> {
    let (before, rest) = message.split_once(kind)?;
    let end = ["`, expected ", "`, there are no "].iter().filter_map(|words| rest.rfind(words)).max();
    // Words that are not serde's: nothing says where it ends.
    let end = end.unwrap_or(rest.len());
    Some((before, rest.get(..end)?, rest.get(end + 1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn a_message_does_not_repeat_the_value() {
        for (message, expected) in [
            ("invalid type: string \"rgt_x\", expected a map", "invalid type: another value, expected a map"),
            ("invalid type: string \"a\"b\", expected u64", "invalid type: another value, expected u64"),
            (
                "invalid type: integer `123`, expected a string",
                "invalid type: another value, expected a string",
            ),
            ("missing field `path`", "missing field `path`"),
            ("unknown variant `rgt_x`, expected `2.0`", "another value, expected `2.0`"),
            ("unknown variant `a`, expected `b`, expected `c` or `d`", "another value, expected `c` or `d`"),
            ("unknown variant `rgt_x`", "another value"),
            ("unknown field `pth`, expected `path`", "unknown field `pth`, expected `path`"),
            ("unknown field `a`, there are no fields", "unknown field `a`, there are no fields"),
        ] {
            assert_eq!(without_values(message), expected);
        }
        let long = format!("unknown field `{}`, expected `path`", "ä".repeat(65));
        let cut = format!("unknown field `{}…`, expected `path`", "ä".repeat(64));
        assert_eq!(without_values(&long), cut);
    }
}
