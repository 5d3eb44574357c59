//! What an explanation must not show.
//!
//! The caller's own credential never reaches `input`. But other headers, the query, an MCP tool's
//! arguments and the gateway's context may hold secrets as well, which a rule may take apart and compare.
//! So their values are known by the names that they stand under, and masked wherever they turn up.

use std::{borrow::Cow, collections::BTreeSet};

use regorus::Value;

/// What stands in the place of a secret.
const HIDDEN: &str = "[masked]";
/// Parts of names under which secrets stand.
const PARTS: [&str; 14] = [
    "apikey",
    "authentic",
    "authoriz",
    "cookie",
    "credential",
    "csrf",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "signature",
    "token",
    "xsrf",
];
/// Words in names under which secrets stand: as parts of longer words they would be found everywhere.
const WORDS: [&str; 9] = ["auth", "code", "jwt", "key", "otp", "pin", "session", "sid", "sig"];
/// What is shorter is only compared as a whole: it would be found everywhere.
const SHORTEST_PART: usize = 8;
/// A value within a longer text that is shorter is no secret.
const SHORTEST_VALUE: usize = 4;
/// Words before credentials.
const SCHEMES: [&str; 8] =
    ["Bearer", "bearer", "Basic", "basic", "Digest", "digest", "Negotiate", "negotiate"];

/// The secrets of one input.
#[derive(Clone, Debug, Default)]
pub(in crate::decision) struct Mask {
    /// In lower case.
    secrets: BTreeSet<String>,
}

impl Mask {
    /// Finds what is secret in an input document.
    pub(in crate::decision) fn of(input: &Value) -> Self {
        let mut mask = Self::default();
        let request = &input["request"];
        for part in [&request["headers"], &request["query"], &input["mcp"]["params"], &input["context"]] {
            mask.gather(part, false);
        }
        mask.shapes(input);
        mask
    }

    /// The input with every secret masked.
    pub(in crate::decision) fn input(&self, input: &Value) -> Value {
        if self.secrets.is_empty() {
            return input.clone();
        }
        let mut shown = self.document(input);
        let query = &input["request"]["query"];
        let secret_in_query = |query: &Value| {
            query.as_object().is_ok_and(|query| query.iter().any(|(name, _)| hides(&text_of(name))))
        };
        if secret_in_query(query)
            && let Ok(raw) = input["request"]["raw_path"].as_string()
            && let Ok(input) = shown.as_object_mut()
            && let Some(request) = input.get_mut(&"request".into())
            && let Ok(request) = request.as_object_mut()
        {
            // As it was sent: percent-encoded in ways that cannot be compared.
            let path = raw.split('?').next().unwrap_or_default();
            request.insert("raw_path".into(), format!("{path}?{HIDDEN}").into());
        }
        shown
    }

    /// Any document with every secret masked.
    pub(in crate::decision) fn document(&self, value: &Value) -> Value {
        if self.secrets.is_empty() {
            return value.clone();
        }
        match value {
            Value::String(text) => Value::from(self.text(text).as_ref()),
            Value::Array(items) => items.iter().map(|item| self.document(item)).collect::<Vec<_>>().into(),
            Value::Set(items) => items.iter().map(|item| self.document(item)).collect::<BTreeSet<_>>().into(),
            Value::Object(fields) => {
                let mut shown = Value::new_object();
                for (name, value) in fields.iter() {
                    if let Ok(shown) = shown.as_object_mut() {
                        shown.insert(self.document(name), self.document(value));
                    }
                }
                shown
            }
            Value::Number(_) if self.secrets.contains(&value.to_string()) => HIDDEN.into(),
            other => other.clone(),
        }
    }

    /// A text with every secret in it masked.
    pub(super) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.secrets.is_empty() || text.is_empty() {
            return Cow::Borrowed(text);
        }
        let lower = text.to_lowercase();
        let hidden = self.secrets.iter().any(|secret| {
            *secret == lower
                || (secret.len() >= SHORTEST_PART && lower.contains(secret.as_str()))
                || (lower.len() >= SHORTEST_PART && secret.contains(&lower))
        });
        if hidden { Cow::Borrowed(HIDDEN) } else { Cow::Borrowed(text) }
    }

    fn gather(&mut self, value: &Value, secret: bool) {
        match value {
            Value::String(text) if secret => self.add(text),
            Value::Number(_) if secret => self.add(&value.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.gather(item, secret)),
            Value::Object(fields) => {
                for (name, value) in fields.iter() {
                    self.gather(value, secret || hides(&text_of(name)));
                }
            }
            _ => {}
        }
    }

    /// Texts that are credentials by their form, wherever they stand.
    fn shapes(&mut self, value: &Value) {
        match value {
            Value::String(text) if looks_like_a_credential(text) => self.add(text),
            Value::Array(items) => items.iter().for_each(|item| self.shapes(item)),
            Value::Object(fields) => fields.iter().for_each(|(_, value)| self.shapes(value)),
            _ => {}
        }
    }

    /// Adds a text, and what a rule would take out of it: the values of cookies, what follows a scheme.
    fn add(&mut self, text: &str) {
        let parts = text.split([';', ',', '&', ' ']).map(|part| match part.split_once('=') {
            Some((_, value)) if !value.is_empty() => value,
            _ => part,
        });
        let taken = parts.filter(|part| part.len() >= SHORTEST_VALUE && !SCHEMES.contains(part));
        let all = taken.chain([text]).filter(|text| !text.is_empty());
        self.secrets.extend(all.map(str::to_lowercase));
    }
}

fn text_of(name: &Value) -> Cow<'_, str> {
    match name {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Whether what stands under this name is a secret.
fn hides(name: &str) -> bool {
    let lower = name.to_lowercase();
    let mut words = lower.split(|character: char| !character.is_alphanumeric());
    let joined: String = lower.chars().filter(|character| character.is_alphanumeric()).collect();
    PARTS.iter().any(|part| joined.contains(part)) || words.any(|word| WORDS.contains(&word))
}

/// A token of regate's, a JWT, or the value of an `Authorization` header.
fn looks_like_a_credential(text: &str) -> bool {
    let lower = text.trim_start().to_lowercase();
    lower.starts_with("rgt_")
        || ["bearer ", "basic ", "digest ", "negotiate "].iter().any(|scheme| lower.starts_with(scheme))
        || (text.starts_with("eyJ") && text.matches('.').count() == 2)
}

#[cfg(test)]
mod tests {
    use super::Mask;
    use crate::decision::Document;

    fn input() -> Document {
        let json = r#"{"request": {"method": "GET", "raw_path": "/a?api_key=abc%31def&page=2", "path": ["a"],
            "headers": {"cookie": "session=5up3r; theme=dark", "x-api-key": "K3Y", "accept": "*/*", "x-team": "blue"},
            "query": {"api_key": ["abc1def"], "page": ["2"]}},
            "token": {"id": "t1", "kind": "global"}, "context": {"note": "rgt_global_abcdef", "keyword": "seen"},
            "mcp": {"params": {"arguments": {"password": 123456, "q": "cats"}}}}"#;
        Document::from_json_str(json).unwrap()
    }

    #[test]
    fn secrets_are_masked_and_nothing_else() {
        let input = input();
        insta::assert_json_snapshot!(Mask::of(&input).input(&input));
    }

    #[test]
    fn what_a_rule_makes_of_a_secret_is_masked_too() {
        let mask = Mask::of(&input());
        for text in ["SESSION=5UP3R; THEME=DARK", "session=5up3r", "5up3r", "dark", "k3y", "123456"] {
            assert_eq!(mask.text(text), "[masked]", "{text}");
        }
        for text in ["a", "GET", "blue", "session", "cats", "global", ""] {
            assert_eq!(mask.text(text), text);
        }
    }
}
