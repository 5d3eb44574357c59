//! A deny, said as an MCP client expects it: a JSON-RPC error response (JSON-RPC 2.0 section 5; MCP 2025-11-25, "Base
//! protocol" and "Streamable HTTP").
//!
//! **For:** gateways that answer their client themselves, and faces whose answer is what the client gets.
//!
//! **Must never know:** why a message is denied. It only wraps what was decided.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::decision::{Decision, InvalidMcp, Mcp, OwnReason, Reason};

/// The body is no JSON.
const PARSE_ERROR: i32 = -32_700;
/// It is JSON, and no message.
const INVALID_REQUEST: i32 = -32_600;
/// Denied, whatever the reason. Of the codes that JSON-RPC leaves to servers, -32000 to -32002 and -32042 already mean
/// something else to MCP's own libraries and specification (closed, timed out, no such resource, elicitation).
const DENIED: i32 = -32_003;

/// The id of a request, as it was written: a number that is too large for us goes back as it came.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct RequestId<'a>(Cow<'a, RawValue>);

impl<'a> RequestId<'a> {
    /// Takes the text of a JSON string or number.
    pub fn new(id: &'a RawValue) -> Self {
        Self(Cow::Borrowed(id))
    }
}

/// To whom an error is said: the requests among the messages of one body.
#[derive(Clone, Debug)]
pub enum Asking<'a> {
    /// A single message, and its id if it is a request.
    One(Option<RequestId<'a>>),
    /// A batch, and the ids of the requests in it.
    Batch(Vec<RequestId<'a>>),
}

/// The error response, or a list of them. A body without a request gets one without an id, since the HTTP response
/// that refuses it has a body too.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ErrorMessage<'a> {
    One(ErrorResponse<'a>),
    Batch(Vec<ErrorResponse<'a>>),
}

#[derive(Serialize)]
pub(super) struct ErrorResponse<'a> {
    jsonrpc: &'static str,
    id: Option<RequestId<'a>>,
    error: ErrorObject<'a>,
}

#[derive(Clone, Serialize)]
struct ErrorObject<'a> {
    code: i32,
    message: &'a str,
    data: ErrorData<'a>,
}

#[derive(Clone, Serialize)]
struct ErrorData<'a> {
    status: u16,
    reason: &'a str,
    decision_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_url: Option<&'a str>,
}

impl<'a> ErrorMessage<'a> {
    /// The error of a denied request.
    pub fn new(decision: &'a Decision, asking: Asking<'a>) -> Self {
        Self::with_code(decision, asking, DENIED)
    }

    fn with_code(decision: &'a Decision, asking: Asking<'a>, code: i32) -> Self {
        let message = match decision.message.as_str() {
            "" => "denied",
            message => message,
        };
        let error = ErrorObject {
            code,
            message,
            data: ErrorData {
                status: decision.status,
                reason: decision.reasons.first.as_str(),
                decision_id: decision.id,
                connect_url: decision.connect_url.as_deref(),
            },
        };
        let response = |id| ErrorResponse { jsonrpc: "2.0", id, error: error.clone() };
        match asking {
            Asking::One(id) => Self::One(response(id)),
            Asking::Batch(ids) if ids.is_empty() => Self::One(response(None)),
            Asking::Batch(ids) => Self::Batch(ids.into_iter().map(|id| response(Some(id))).collect()),
        }
    }
}

/// The JSON-RPC error for a denied request, as the body of the HTTP response to it. `body` is that of the request: it
/// says which ids the error is about, and there is none if it cannot be read.
pub(super) fn error_body(decision: &Decision, body: &[u8]) -> Vec<u8> {
    let read = Mcp::read_body(body);
    let is_malformed = decision.reasons.first == Reason::Own(OwnReason::McpMalformed);
    let code = match &read {
        Err(InvalidMcp::Json) if is_malformed => PARSE_ERROR,
        _ if is_malformed => INVALID_REQUEST,
        _ => DENIED,
    };
    let asking = read.ok().and_then(|_| asking(body)).unwrap_or(Asking::One(None));
    // A structure of texts and numbers always serialises; an empty body is no allow either.
    serde_json::to_vec(&ErrorMessage::with_code(decision, asking, code)).unwrap_or_default()
}

/// What of a message says whether it waits for an answer.
#[derive(Deserialize)]
struct Ided<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<serde::de::IgnoredAny>,
}

impl<'a> Ided<'a> {
    fn request(self) -> Option<RequestId<'a>> {
        self.method.and(self.id).map(RequestId::new)
    }
}

/// Of a body that can be read.
fn asking(body: &[u8]) -> Option<Asking<'_>> {
    let text = std::str::from_utf8(body).ok()?;
    if text.trim_start().starts_with('[') {
        let messages: Vec<Ided<'_>> = serde_json::from_str(text).ok()?;
        return Some(Asking::Batch(messages.into_iter().filter_map(Ided::request).collect()));
    }
    let message: Ided<'_> = serde_json::from_str(text).ok()?;
    Some(Asking::One(message.request()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::error_body;
    use crate::{
        decision::{Decision, HeaderChanges, Message, OwnReason, Reasons},
        types::{DataRevision, PolicyRevision, TenantId},
    };

    fn denied(reason: OwnReason) -> Decision {
        Decision {
            id: Uuid::nil(),
            allow: false,
            status: reason.status(),
            reasons: Reasons { first: reason.into(), rest: Vec::new() },
            message: Message::Policy(Arc::from("")),
            subject: None,
            tenant: TenantId::default_tenant(),
            limits: Vec::new(),
            messages: Vec::new(),
            headers: HeaderChanges {
                set: Default::default(),
                credential: Default::default(),
                remove: Vec::new(),
                pass: None,
            },
            connection_key: None,
            connect_url: Some("https://console.example/".to_owned()),
            credential: None,
            challenge: None,
            policy_revision: PolicyRevision::from_digest(&[0; 4]),
            data_revision: DataRevision(1),
            fault: None,
            evaluated: false,
            explanation: None,
        }
    }

    fn body(reason: OwnReason, body: &[u8]) -> Value {
        serde_json::from_slice(&error_body(&denied(reason), body)).unwrap()
    }

    #[test]
    fn the_code_says_what_was_wrong_with_the_body() {
        let code = |reason, text: &[u8]| body(reason, text)["error"]["code"].clone();
        for (text, expected) in [
            (&b"{"[..], -32_700),
            (b"", -32_700),
            (b"\xff", -32_700),
            (br#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, -32_700),
            (b"[]", -32_600),
            (b"1", -32_600),
            (br#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, -32_600),
            // Its headers said that it is something else.
            (br#"{"jsonrpc":"2.0","id":1,"method":"a"}"#, -32_600),
        ] {
            assert_eq!(code(OwnReason::McpMalformed, text), expected, "{text:?}");
            assert_eq!(code(OwnReason::TokenMissing, text), -32_003, "{text:?}");
        }
    }

    #[test]
    fn the_ids_are_those_of_the_requests() {
        let told = |text: &str| body(OwnReason::ToolNotListed, text.as_bytes());
        let one = told(r#" {"jsonrpc":"2.0","id":"a","method":"m","params":{"id":2}}"#);
        let data = json!({
            "status": 403, "reason": "token.tool_not_listed", "decision_id": Uuid::nil(),
            "connect_url": "https://console.example/",
        });
        assert_eq!(
            one,
            json!({"jsonrpc": "2.0", "id": "a", "error": {"code": -32003, "message": "denied", "data": data}})
        );
        let batch = told(
            r#" [{"jsonrpc":"2.0","id":1,"method":"m"},{"jsonrpc":"2.0","method":"n"},
                {"jsonrpc":"2.0","id":2,"result":{}},{"jsonrpc":"2.0","id":3,"method":"m"}]"#,
        );
        let ids: Vec<&Value> = batch.as_array().unwrap().iter().map(|error| &error["id"]).collect();
        assert_eq!(ids, [1, 3]);
        // A body that cannot be read has none, and neither has one without a request.
        for text in [
            r#"{"id":1,"method":"m"}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"m"},{"jsonrpc":"2.0","id":{},"method":"m"}]"#,
            r#"{"jsonrpc":"2.0","method":"n"}"#,
            r#"[{"jsonrpc":"2.0","method":"n"}]"#,
            "",
        ] {
            assert_eq!(told(text)["id"], Value::Null, "{text}");
        }
        let large = br#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"m"}"#;
        let told = error_body(&denied(OwnReason::ToolNotListed), large);
        assert!(String::from_utf8(told).unwrap().contains(r#""id":123456789012345678901234567890,"#));
    }
}
