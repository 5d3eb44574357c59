//! What the policy gave, read strictly: anything that is not clearly an allow is a deny.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderName, HeaderValue};
use regorus::Value;
use thiserror::Error;

use super::{Document, challenge::is_scope, rate_limit::RateLimit};

/// The policy's result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub allow: bool,
    pub reasons: Vec<Arc<str>>,
    pub message: Option<Arc<str>>,
    pub status: Option<u16>,
    pub set: Vec<(String, String)>,
    pub remove: Vec<String>,
    /// Of a deny: what the caller's credential would have to have (RFC 6749 section 3.3).
    pub scopes: Vec<Arc<str>>,
    /// How often the caller may, whether this is an allow or a deny.
    pub limits: Vec<RateLimit>,
}

/// Why a result is not one. The text names the field, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidVerdict {
    /// The rule is undefined for this input.
    #[error("the entrypoint is undefined for this input")]
    Undefined,
    /// Neither an object nor a boolean.
    #[error("the entrypoint's result is neither an object nor a boolean")]
    NotAnObject,
    /// No boolean `allow`.
    #[error("the result has no boolean `allow`")]
    NoAllow,
    /// `reasons` is not a list of texts.
    #[error("`reasons` is not a list or set of texts")]
    Reasons,
    /// `message` is not a text.
    #[error("`message` is not a text")]
    Message,
    /// `status` is not one that a deny may have.
    #[error("`status` is not 400, 401, 403, 429 or 503 (or 200 beside an allow)")]
    Status,
    /// `headers` is not as the contract says.
    #[error("`headers` is not {{\"set\": {{name: value}}, \"remove\": [name]}} with valid names and values")]
    Headers,
    /// `scopes` is not a list of scopes.
    #[error("`scopes` is not a list or set of scopes (RFC 6749 section 3.3)")]
    Scopes,
    /// The messages of one batch want the same header to have different values.
    #[error("the messages of one batch want different headers")]
    MessagesDiffer,
    /// `rate_limit` is not one. To ignore it would be to fail open.
    #[error(
        "`rate_limit` is not {{\"name\", \"key\", \"limit\", \"window_seconds\"}} with texts, 1 to 1000000 calls and 1 to \
         86400 seconds"
    )]
    RateLimit,
}

/// The statuses that a deny may have.
const DENY_STATUSES: [u16; 5] = [400, 401, 403, 429, 503];

impl Verdict {
    /// Reads a result.
    pub(super) fn read(result: &Document) -> Result<Self, InvalidVerdict> {
        let object = match result {
            Value::Undefined => return Err(InvalidVerdict::Undefined),
            Value::Bool(allow) => return Ok(Self { allow: *allow, ..Self::default() }),
            Value::Object(object) => object,
            _ => return Err(InvalidVerdict::NotAnObject),
        };
        // One pass over the few keys that there are costs less than a lookup for each possible one.
        let mut verdict = Self::default();
        let mut allow = None;
        for (key, value) in object.iter() {
            let Value::String(key) = key else { continue };
            match key.as_ref() {
                "allow" => match value {
                    Value::Bool(value) => allow = Some(*value),
                    _ => return Err(InvalidVerdict::NoAllow),
                },
                "reasons" => verdict.reasons = texts(value).ok_or(InvalidVerdict::Reasons)?,
                "message" => verdict.message = Some(text(value).ok_or(InvalidVerdict::Message)?),
                "status" => {
                    let status = value.as_u16().map_err(|_| InvalidVerdict::Status)?;
                    verdict.status = Some(status);
                }
                "scopes" => {
                    let scopes = texts(value).ok_or(InvalidVerdict::Scopes)?;
                    if !scopes.iter().all(|scope| is_scope(scope)) {
                        return Err(InvalidVerdict::Scopes);
                    }
                    verdict.scopes = scopes;
                }
                "headers" => (verdict.set, verdict.remove) = headers(value).ok_or(InvalidVerdict::Headers)?,
                "rate_limit" => {
                    verdict.limits = vec![RateLimit::read(value).ok_or(InvalidVerdict::RateLimit)?]
                }
                // Other keys are the policy's own: an OPA bundle may well answer more than we read.
                _ => {}
            }
        }
        verdict.allow = allow.ok_or(InvalidVerdict::NoAllow)?;
        // An allow that also says 403 does not know what it wants.
        let known = |status| if verdict.allow { status == 200 } else { DENY_STATUSES.contains(&status) };
        if !verdict.status.is_none_or(known) {
            return Err(InvalidVerdict::Status);
        }
        Ok(verdict)
    }

    /// How long its texts are together.
    pub(super) fn text_bytes(&self) -> usize {
        // Taken apart, so that whoever adds a text has to think of this.
        let Self { allow: _, reasons, message, status: _, set, remove, scopes, limits } = self;
        let texts = reasons.iter().chain(message).chain(scopes).map(|text| text.len());
        let headers = set.iter().map(|(name, value)| name.len() + value.len());
        let limits = limits.iter().map(|limit| limit.name.len() + limit.key.len());
        texts.chain(headers).chain(remove.iter().map(String::len)).chain(limits).sum()
    }

    /// What allows two messages of one batch. The first one's reasons stay. What one of them is to be sent on with, the
    /// other is sent on with as well, so they must want the same.
    pub(super) fn and(mut self, other: Self) -> Result<Self, InvalidVerdict> {
        let sorted = |set: &[(String, String)]| set.iter().cloned().collect::<BTreeMap<_, _>>();
        if sorted(&self.set) != sorted(&other.set) {
            return Err(InvalidVerdict::MessagesDiffer);
        }
        self.remove.extend(other.remove);
        RateLimit::gather(&mut self.limits, other.limits);
        Ok(self)
    }
}

fn text(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::String(text) => Some(Arc::clone(text)),
        _ => None,
    }
}

fn texts(value: &Value) -> Option<Vec<Arc<str>>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Set(items) => items.iter().map(text).collect(),
        _ => None,
    }
}

type HeaderChanges = (Vec<(String, String)>, Vec<String>);

fn headers(value: &Value) -> Option<HeaderChanges> {
    let Value::Object(object) = value else { return None };
    let mut changes = HeaderChanges::default();
    for (key, value) in object.iter() {
        match text(key)?.as_ref() {
            "set" => {
                let Value::Object(set) = value else { return None };
                for (name, value) in set.iter() {
                    let name = header_name(&text(name)?)?;
                    let value = text(value)?;
                    HeaderValue::from_str(&value).ok()?;
                    changes.0.push((name, value.to_string()));
                }
            }
            "remove" => {
                changes.1 = texts(value)?.iter().map(|name| header_name(name)).collect::<Option<_>>()?
            }
            _ => return None,
        }
    }
    Some(changes)
}

/// The name in lower case, if it is one.
fn header_name(name: &str) -> Option<String> {
    HeaderName::from_bytes(name.as_bytes()).ok().map(|name| name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{InvalidVerdict as E, Verdict};
    use crate::decision::Document;

    fn read(json: &str) -> Result<Verdict, E> {
        Verdict::read(&Document::from_json_str(json).unwrap())
    }

    #[test]
    fn reads_a_boolean_and_an_object() {
        assert!(read("true").unwrap().allow);
        assert!(!read("false").unwrap().allow);
        let verdict = read(
            r#"{"allow": true, "reasons": ["a.b", "c.d"], "message": "m", "extra": [1],
                "headers": {"set": {"X-User": "u1"}, "remove": ["Cookie"]}}"#,
        )
        .unwrap();
        assert!(verdict.allow);
        assert_eq!(verdict.reasons.iter().map(|r| r.as_ref()).collect::<Vec<_>>(), ["a.b", "c.d"]);
        assert_eq!(verdict.message.as_deref(), Some("m"));
        assert_eq!(verdict.set, [("x-user".to_owned(), "u1".to_owned())]);
        assert_eq!(verdict.remove, ["cookie"]);
    }

    #[test]
    fn what_is_not_clearly_a_result_is_an_error() {
        assert_eq!(Verdict::read(&Document::Undefined), Err(E::Undefined));
        let cases = [
            ("null", E::NotAnObject),
            ("1", E::NotAnObject),
            (r#""true""#, E::NotAnObject),
            ("[true]", E::NotAnObject),
            ("{}", E::NoAllow),
            (r#"{"allow": "true"}"#, E::NoAllow),
            (r#"{"allow": 1}"#, E::NoAllow),
            (r#"{"allow": null}"#, E::NoAllow),
            (r#"{"allow": true, "reasons": "a"}"#, E::Reasons),
            (r#"{"allow": true, "reasons": [1]}"#, E::Reasons),
            (r#"{"allow": true, "message": 1}"#, E::Message),
            (r#"{"allow": false, "status": 200}"#, E::Status),
            (r#"{"allow": false, "status": 500}"#, E::Status),
            (r#"{"allow": true, "status": 403}"#, E::Status),
            (r#"{"allow": false, "status": "403"}"#, E::Status),
            (
                r#"{"allow": true, "rate_limit": {"name": "n", "key": "k", "limit": 0, "window_seconds": 60}}"#,
                E::RateLimit,
            ),
            (r#"{"allow": true, "headers": {"set": {"a b": "c"}}}"#, E::Headers),
            (r#"{"allow": true, "headers": {"set": {"a": "b\r\nc: d"}}}"#, E::Headers),
            (r#"{"allow": true, "headers": {"remove": "a"}}"#, E::Headers),
            (r#"{"allow": true, "headers": {"sett": {}}}"#, E::Headers),
        ];
        for (json, expected) in cases {
            assert_eq!(read(json), Err(expected), "{json}");
        }
    }
}
