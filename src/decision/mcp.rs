//! MCP messages: the JSON-RPC messages in the body of a request to an MCP endpoint (MCP 2025-11-25, "Base protocol" and
//! "Streamable HTTP"; JSON-RPC 2.0).
//!
//! **For:** knowing which paths are MCP endpoints, and reading a body into messages that have one reading: what is judged
//! here is what somebody else carries out.
//!
//! **Must never know:** which method or tool is allowed: that is for rules.

use std::{borrow::Cow, ops::RangeInclusive};

use serde_json::{Map, Value as Json};
use thiserror::Error;

use super::{
    Document, document,
    path::{AmbiguousPath, PathRules, RequestPath},
    question::{Body, Headers, Mcp, Question},
    reason::OwnReason,
};
use crate::types::one_reading;

/// Levels of a body.
const NESTING: usize = 64;

/// A path at which MCP's Streamable HTTP transport is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpEndpoint(Vec<Option<String>>);

impl McpEndpoint {
    /// Reads a path from the configuration; a segment `*` stands for any one segment.
    ///
    /// # Errors
    /// [`AmbiguousPath`] when it is not a path that a question could have.
    pub fn read(text: &str, rules: PathRules) -> Result<Self, AmbiguousPath> {
        let path = RequestPath::read(text, rules)?;
        let segment = |segment: Cow<'_, str>| (segment != "*").then(|| segment.into_owned());
        Ok(Self(path.segments.into_iter().map(segment).collect()))
    }

    /// `/mcp`.
    pub fn usual() -> Self {
        Self(vec![Some("mcp".to_owned())])
    }

    /// Whether a path is this one.
    pub(super) fn is(&self, path: &RequestPath<'_>) -> bool {
        self.0.len() == path.segments.len()
            && self.0.iter().zip(&path.segments).all(|(own, segment)| match own {
                None => true,
                Some(own) => own == segment,
            })
    }
}

/// Why something is no MCP message. The text names no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidMcp {
    /// No JSON, nested too deep, or with a member twice.
    #[error("it is not JSON with one reading")]
    Json,
    /// Neither an object nor a list of them.
    #[error("it is neither a message nor a batch of messages")]
    NotAMessage,
    /// A batch of nothing, or of too many.
    #[error("a batch has 1 to 20 messages")]
    BatchLength,
    /// Not JSON-RPC 2.0.
    #[error("`jsonrpc` is not \"2.0\"")]
    Version,
    /// Neither request, notification nor response, or more than one of them.
    #[error("it is not a request, a notification or a response")]
    Kind,
    /// `method` is no text, or an empty one.
    #[error("`method` is not a text")]
    Method,
    /// `params` is no object. (JSON-RPC has lists too; MCP has none.)
    #[error("`params` is not an object")]
    Params,
    /// `id` is neither a text nor a number.
    #[error("`id` is neither a text nor a number")]
    Id,
    /// A member that differs from one of the protocol's in upper and lower case, or white space, or whose name is not
    /// ASCII: some readers take it for that.
    #[error("a member is spelt almost like one of the protocol's, or its name is not ASCII")]
    LookAlike,
    /// The headers say that the bytes are not JSON as they stand: whoever believes them reads something else.
    #[error("its headers say that it is compressed, or not UTF-8")]
    Encoded,
}

/// The messages of a request: those that the gateway read, or those in the body of a request to an MCP endpoint. None of
/// a request without a body, or whose body was not told. Whatever method and content type a body comes with, a server may
/// take it for a message; so it has to be one.
///
/// # Errors
/// The reason to deny.
pub(super) fn messages<'q>(
    question: &'q Question<'q>,
    method: &str,
    at_endpoint: bool,
) -> Result<Cow<'q, [Mcp<'q>]>, (OwnReason, Option<InvalidMcp>)> {
    if !question.mcp.is_empty() || !at_endpoint {
        return Ok(Cow::Borrowed(&question.mcp));
    }
    let malformed = |invalid| (OwnReason::McpMalformed, Some(invalid));
    match &question.body {
        Body::Untold | Body::Unseen => Ok(Cow::Borrowed(&[])),
        Body::Cut => Err((OwnReason::BodyIncomplete, None)),
        Body::Whole(bytes) if bytes.is_empty() && method != "POST" => Ok(Cow::Borrowed(&[])),
        Body::Whole(_) if is_encoded(&question.request.headers) => Err(malformed(InvalidMcp::Encoded)),
        Body::Whole(bytes) => Mcp::read_body(bytes).map(Cow::Owned).map_err(malformed),
    }
}

/// Whether the headers say that a body is anything but UTF-8 as it stands (RFC 9110 sections 8.3.2 and 8.4).
fn is_encoded(headers: &Headers<'_>) -> bool {
    headers.iter().any(|(name, value)| match name {
        "content-encoding" => !value.trim().is_empty() && !value.trim().eq_ignore_ascii_case("identity"),
        "content-type" => value.to_ascii_lowercase().split(';').skip(1).any(|parameter| {
            let charset = parameter.trim().strip_prefix("charset").map(str::trim_start);
            let charset = charset.and_then(|rest| rest.strip_prefix('='));
            charset
                .is_some_and(|name| !matches!(name.trim().trim_matches('"'), "utf-8" | "utf8" | "us-ascii"))
        }),
        _ => false,
    })
}

impl Mcp<'_> {
    /// Messages in one batch. (MCP 2025-03-26 has batches; later versions have none.) Each may use up a budget of its own.
    pub const BATCH: RangeInclusive<usize> = 1..=20;

    /// Reads a body: one message, or a batch.
    ///
    /// # Errors
    /// [`InvalidMcp`].
    pub fn read_body(body: &[u8]) -> Result<Vec<Mcp<'static>>, InvalidMcp> {
        match one_reading(body, NESTING).ok_or(InvalidMcp::Json)? {
            Json::Array(messages) if Self::BATCH.contains(&messages.len()) => {
                messages.into_iter().map(read_message).collect()
            }
            Json::Array(_) => Err(InvalidMcp::BatchLength),
            message => Ok(vec![read_message(message)?]),
        }
    }
}

const MEMBERS: [&str; 6] = ["error", "id", "jsonrpc", "method", "params", "result"];
/// Those that say what is called, read or got.
const PARAMETERS: [&str; 3] = ["arguments", "name", "uri"];

/// The members of a message, each read, and not yet looked at together.
#[derive(Debug, Default)]
pub struct MessageMembers<'a> {
    /// `id`.
    pub id: MessageId,
    /// `method`.
    pub method: Option<Cow<'a, str>>,
    /// `params`. They have one reading: see [`one_reading`].
    pub params: Option<Json>,
    /// There is a `result`.
    pub result: bool,
    /// There is an `error`.
    pub error: bool,
}

/// What a message has for an `id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageId {
    /// Nothing.
    #[default]
    Absent,
    /// A text or a number.
    Given,
    /// `null`.
    Null,
    /// Anything else.
    Other,
}

impl<'a> MessageMembers<'a> {
    /// The message that they are.
    ///
    /// # Errors
    /// [`InvalidMcp`] when they are none.
    pub fn into_message(self) -> Result<Mcp<'a>, InvalidMcp> {
        match (self.method, self.result, self.error) {
            (Some(method), false, false) => {
                // MCP has no request whose id is null, and a notification has none at all.
                if !matches!(self.id, MessageId::Absent | MessageId::Given) {
                    return Err(InvalidMcp::Id);
                }
                if method.is_empty() {
                    return Err(InvalidMcp::Method);
                }
                let params = match self.params {
                    None => Document::Null,
                    Some(Json::Object(params)) if has_look_alike(&params, &PARAMETERS) => {
                        return Err(InvalidMcp::LookAlike);
                    }
                    Some(params @ Json::Object(_)) => document(params),
                    Some(_) => return Err(InvalidMcp::Params),
                };
                Ok(Mcp { method: Some(method), params })
            }
            (None, true, false) | (None, false, true) => match self.id {
                MessageId::Given => Ok(Mcp { method: None, params: Document::Null }),
                // An error about a message that could not be read has none: null in JSON-RPC 2.0 (section 5), absent in MCP.
                MessageId::Null | MessageId::Absent if self.error => {
                    Ok(Mcp { method: None, params: Document::Null })
                }
                MessageId::Absent => Err(InvalidMcp::Kind),
                MessageId::Null | MessageId::Other => Err(InvalidMcp::Id),
            },
            (Some(_), _, _) | (None, true, true) | (None, false, false) => Err(InvalidMcp::Kind),
        }
    }
}

fn read_message(message: Json) -> Result<Mcp<'static>, InvalidMcp> {
    let Json::Object(mut message) = message else { return Err(InvalidMcp::NotAMessage) };
    if has_look_alike(&message, &MEMBERS) {
        return Err(InvalidMcp::LookAlike);
    }
    if message.get("jsonrpc").and_then(Json::as_str) != Some("2.0") {
        return Err(InvalidMcp::Version);
    }
    let id = match message.get("id") {
        None => MessageId::Absent,
        Some(Json::String(_) | Json::Number(_)) => MessageId::Given,
        Some(Json::Null) => MessageId::Null,
        Some(_) => MessageId::Other,
    };
    let method = match message.remove("method") {
        None => None,
        Some(Json::String(method)) => Some(method.into()),
        Some(_) => return Err(InvalidMcp::Method),
    };
    let params = message.remove("params");
    let (result, error) = (message.contains_key("result"), message.contains_key("error"));
    MessageMembers { id, method, params, result, error }.into_message()
}

fn has_look_alike(object: &Map<String, Json>, known: &[&str]) -> bool {
    object.keys().any(|key| {
        // A long s, fullwidth letters and characters without a width are parts of these words to some readers. The protocol
        // has no such name.
        if !key.is_ascii() {
            return true;
        }
        // Others trim.
        let folded: String =
            key.to_ascii_lowercase().chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        known.contains(&folded.as_str()) && !known.contains(&key.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::{InvalidMcp as E, Mcp, McpEndpoint};
    use crate::decision::path::{PathRules, RequestPath};

    #[test]
    fn reads_messages_and_batches() {
        let read = |json: &str| {
            let messages = Mcp::read_body(json.as_bytes()).unwrap();
            messages.into_iter().map(|m| m.method.map(String::from)).collect::<Vec<_>>()
        };
        assert_eq!(read(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), [Some("ping".to_owned())]);
        assert_eq!(read(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#), [None]);
        let batch =
            r#"[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":null,"error":{}}]"#;
        assert_eq!(read(batch), [Some("notifications/x".to_owned()), None]);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (json, expected) in [
            ("", E::Json),
            ("{", E::Json),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, E::Json),
            ("[]", E::BatchLength),
            ("1", E::NotAMessage),
            ("[[]]", E::NotAMessage),
            (r#"{"id":1,"method":"a"}"#, E::Version),
            (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, E::Version),
            (r#"{"jsonrpc":"2.0","id":1}"#, E::Kind),
            (r#"{"jsonrpc":"2.0","result":1}"#, E::Kind),
            (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, E::Kind),
            (r#"{"jsonrpc":"2.0","id":null,"result":1}"#, E::Id),
            (r#"{"jsonrpc":"2.0","id":true,"error":{}}"#, E::Id),
            (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, E::Method),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":null}"#, E::Params),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","result":1}"#, E::Kind),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, E::Method),
            (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, E::Method),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#, E::Params),
            (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, E::Id),
            (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, E::Id),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#, E::LookAlike),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}"#, E::LookAlike),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"," method":"a"}"#, E::LookAlike),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name\u0000":"a"}}"#, E::LookAlike),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"met\u{200b}hod\":\"a\"}", E::LookAlike),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"a","na\u200bme":"b"}}"#, E::LookAlike),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"a","\uff4eame":"b"}}"#, E::LookAlike),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#,
                E::LookAlike,
            ),
        ] {
            assert_eq!(Mcp::read_body(json.as_bytes()).map(|_| ()), Err(expected), "{json}");
        }
        let message = r#"{"jsonrpc":"2.0","method":"a"}"#;
        let many = format!("[{}]", [message; 21].join(","));
        assert_eq!(Mcp::read_body(many.as_bytes()).map(|_| ()), Err(E::BatchLength));
        // What lies within the parameters is the tool's own.
        let own = r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"arguments":{"größe":1,"Name":"b"}}}"#;
        assert!(Mcp::read_body(own.as_bytes()).is_ok());
    }

    #[test]
    fn a_star_is_any_one_segment() {
        let endpoint = McpEndpoint::read("/mcp/*", PathRules::default()).unwrap();
        let is = |target| endpoint.is(&RequestPath::read(target, PathRules::default()).unwrap());
        assert!(is("/mcp/github") && is("/mcp/github/?x=1"));
        assert!(!is("/mcp") && !is("/mcp/a/b") && !is("/api/a"));
    }
}
