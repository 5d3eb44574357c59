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
const PARTS: [&str; 17] = [
    "accesskey",
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
    "sessionid",
    "signature",
    "signingkey",
    "token",
    "xsrf",
];
/// Words in names under which secrets stand: as parts of longer words they would be found everywhere.
const WORDS: [&str; 11] =
    ["auth", "code", "jwt", "key", "otp", "pass", "pin", "pwd", "session", "sid", "sig"];
/// What is shorter is only compared as a whole: it would be found everywhere.
const SHORTEST_PART: usize = 8;
/// A value within a longer text that is shorter is no secret.
const SHORTEST_VALUE: usize = 4;
/// More secrets, or more bytes of them, are not looked for: everything is hidden.
const MOST_SECRETS: usize = 64;
const MOST_BYTES: usize = 16 * 1024;
/// Words before credentials.
const SCHEMES: [&str; 8] =
    ["Bearer", "bearer", "Basic", "basic", "Digest", "digest", "Negotiate", "negotiate"];

/// The secrets of one input.
#[derive(Clone, Debug, Default)]
pub(in crate::decision) struct Mask {
    /// In lower case.
    secrets: BTreeSet<String>,
    /// All of them, with something between that is in no text.
    joined: String,
    /// There are more than are looked for: nothing of the input is shown.
    everything: bool,
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
        // Every text that is shown is compared with every secret, and whoever asks chooses how many there are.
        let bytes: usize = mask.secrets.iter().map(String::len).sum();
        mask.everything = mask.secrets.len() > MOST_SECRETS || bytes > MOST_BYTES;
        mask.joined = mask.secrets.iter().flat_map(|secret| [secret.as_str(), "\u{0}"]).collect();
        mask
    }

    /// Whether there is anything to hide.
    pub(super) fn is_needed(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// What stands in a secret's place.
    pub(super) fn hidden() -> serde_json::Value {
        HIDDEN.into()
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
            Value::Number(_) => match self.number(value) {
                Some(_) => value.clone(),
                None => HIDDEN.into(),
            },
            other => other.clone(),
        }
    }

    /// A number, if it is no secret and not so large that to write it down would take long.
    pub(super) fn number(&self, value: &Value) -> Option<serde_json::Value> {
        let whole = value.as_i64().ok().map(|number| number.to_string());
        let whole = whole.or_else(|| value.as_u64().ok().map(|number| number.to_string()));
        match whole {
            Some(text) if self.everything || self.secrets.contains(&text) => None,
            Some(text) => serde_json::from_str(&text).ok(),
            None => {
                let number =
                    value.as_f64().ok().filter(|number| number.is_finite() && number.abs() < 1e15)?;
                let hidden = self.everything || self.secrets.contains(&number.to_string());
                serde_json::Number::from_f64(number).filter(|_| !hidden).map(Into::into)
            }
        }
    }

    /// A text with every secret in it masked.
    pub(super) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.secrets.is_empty() || text.is_empty() {
            return Cow::Borrowed(text);
        }
        if self.everything {
            return Cow::Borrowed(HIDDEN);
        }
        let lower = text.to_lowercase();
        let hidden = self.secrets.contains(&lower)
            || (lower.len() >= SHORTEST_PART && self.joined.contains(&lower))
            || self
                .secrets
                .iter()
                .any(|secret| secret.len() >= SHORTEST_PART && lower.contains(secret.as_str()));
        if hidden { Cow::Borrowed(HIDDEN) } else { Cow::Borrowed(text) }
    }

    fn gather(&mut self, value: &Value, secret: bool) {
        match value {
            Value::String(text) if secret => self.add(text),
            Value::Number(_) if secret => {
                let text = value.as_i64().map(|number| number.to_string());
                self.add(
                    &text.or_else(|_| value.as_f64().map(|number| number.to_string())).unwrap_or_default(),
                );
            }
            Value::Array(items) => items.iter().for_each(|item| self.gather(item, secret)),
            Value::Object(fields) => {
                for (name, value) in fields.iter() {
                    if secret {
                        self.add(&text_of(name));
                    }
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
        if self.secrets.len() > MOST_SECRETS {
            return;
        }
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
pub fn hides(name: &str) -> bool {
    // `accessKey` is two words, as `access-key` is.
    let mut spaced = String::new();
    let mut before = ' ';
    for character in name.chars() {
        if character.is_uppercase() && before.is_lowercase() {
            spaced.push(' ');
        }
        before = character;
        spaced.extend(character.to_lowercase());
    }
    let mut words = spaced.split(|character: char| !character.is_alphanumeric());
    let joined: String = spaced.chars().filter(|character| character.is_alphanumeric()).collect();
    let is_word =
        |word: &str| WORDS.contains(&word) || word.strip_suffix('s').is_some_and(|one| WORDS.contains(&one));
    PARTS.iter().any(|part| joined.contains(part)) || words.any(is_word)
}

/// A token of regate's, a JWT, or the value of an `Authorization` header.
fn looks_like_a_credential(text: &str) -> bool {
    let lower = text.trim_start().to_lowercase();
    lower.starts_with("rgt_")
        || ["bearer ", "basic ", "digest ", "negotiate "].iter().any(|scheme| lower.starts_with(scheme))
        || (text.starts_with("eyJ") && text.matches('.').count() == 2)
        // https://user:password@host
        || text.split_once("://").is_some_and(|(_, rest)| {
            rest.split(['/', '?']).next().is_some_and(|authority| authority.contains('@'))
        })
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
        assert!(mask.number(&Document::from(123_456)).is_none());
        assert_eq!(mask.number(&Document::from(12)), Some(12.into()));
        for text in ["SESSION=5UP3R; THEME=DARK", "session=5up3r", "5up3r", "dark", "k3y", "123456"] {
            assert_eq!(mask.text(text), "[masked]", "{text}");
        }
        for text in ["a", "GET", "blue", "session", "cats", "global", ""] {
            assert_eq!(mask.text(text), text);
        }
    }

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
        for name in
            ["accessKey", "signing_key", "X-Pass", "pwd", "sessionid", "PIN", "authToken", "otp-code", "JWT"]
        {
            assert!(super::hides(name), "{name}");
        }
        for name in ["monkey", "shipping", "accept", "author", "keyboard", "x-team", "passenger", "project"] {
            assert!(!super::hides(name), "{name}");
        }
        assert!(super::looks_like_a_credential("https://u:hunter2@h/"));
        assert!(!super::looks_like_a_credential("https://h/@alice"));
    }

    #[test]
    fn too_many_secrets_hide_everything() {
        let many: Vec<String> = (0..100).map(|number| format!("\"s{number}\"")).collect();
        let json =
            format!(r#"{{"request": {{"method": "GET"}}, "context": {{"tokens": [{}]}}}}"#, many.join(","));
        let mask = Mask::of(&Document::from_json_str(&json).unwrap());
        assert_eq!(mask.text("GET"), "[masked]");
        assert!(mask.number(&Document::from(1)).is_none());
    }
}
