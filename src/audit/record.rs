//! What is recorded of one decision, in two forms: compact, as the spool keeps it, and as a JSON line, as the
//! database and everybody who reads the log have it.
//!
//! The JSON has the shape that `regate replay` reads: a `question`, a `decision`, a `time`, a `gateway`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::types::Timestamp;

/// A text that borrows from the question or the spool where it can.
pub type Text<'a> = Cow<'a, str>;

/// One decision: who was allowed what, when, by which rule. Holds no secret: see [`masked`](Self::masked).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord<'a> {
    /// The decision's id.
    pub id: Uuid,
    /// When it was made, in milliseconds since 1970.
    pub time_millis: i64,
    /// The tenant whose data decided, or would have.
    #[serde(borrow)]
    pub tenant: Text<'a>,
    /// By which way the question came, such as `/v1/decide`.
    pub face: Text<'a>,
    /// The gateway that asked, if it authenticated.
    pub gateway: Option<RecordedGateway<'a>>,
    /// What was asked.
    pub asked: RecordedQuestion<'a>,
    /// The project that it was about, if the path names one.
    pub project: Option<Text<'a>>,
    /// Whether it was allowed.
    pub allow: bool,
    /// What the gateway was to answer to its client.
    pub status: u16,
    /// Why, most important first.
    pub reasons: Vec<Text<'a>>,
    /// The text for the caller.
    pub message: Text<'a>,
    /// Whose request it was.
    pub subject: Option<RecordedSubject<'a>>,
    /// The limits that were counted, each with its name, its limit and what remained.
    pub limits: Vec<RecordedLimit<'a>>,
    /// The upstream whose credential went on or was missing, and whose credential it was.
    pub credential: Option<RecordedCredential<'a>>,
    /// The policy that decided.
    pub policy_revision: Text<'a>,
    /// The data that it decided from.
    pub data_revision: u64,
    /// How long it took from the question to the decision, in microseconds.
    pub latency_micros: u64,
    /// The trace that the question belongs to (W3C Trace Context), 32 hexadecimal digits.
    pub trace_id: Option<Text<'a>>,
    /// The members of the question whose value was masked, such as `request.query.token`.
    pub masked: Vec<Text<'a>>,
    /// The members of the question that were there and are not recorded, such as `context`.
    pub left_out: Vec<Text<'a>>,
}

/// The gateway that asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedGateway<'a> {
    /// The id of its token.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// The one tenant that it speaks for.
    pub tenant: Option<Text<'a>>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordedQuestion<'a> {
    /// May this request go on?
    #[serde(borrow)]
    Request(RecordedRequest<'a>),
    /// May this call of regate's own management API be made?
    Management {
        /// The call.
        #[serde(borrow)]
        request: RecordedRequest<'a>,
        /// Its name, such as `tokens.mint`.
        operation: Text<'a>,
    },
    /// May this subject do this to this resource (AuthZEN)?
    Evaluation {
        /// Type and id.
        #[serde(borrow)]
        subject: (Text<'a>, Text<'a>),
        /// Its name.
        action: Text<'a>,
        /// Type and id.
        resource: (Text<'a>, Text<'a>),
    },
}

/// A request as it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRequest<'a> {
    /// As the client sent it.
    #[serde(borrow)]
    pub method: Text<'a>,
    /// Path and query as the client sent them, what is secret masked.
    pub path: Text<'a>,
    /// The host that the client named.
    pub host: Option<Text<'a>>,
    /// The headers that the configuration says are recorded: name and value.
    pub headers: Vec<(Text<'a>, Text<'a>)>,
    /// The client's address.
    pub source_ip: Option<Text<'a>>,
    /// The upstream that the request would go to.
    pub upstream: Option<Text<'a>>,
    /// The MCP messages in it.
    pub mcp: Vec<RecordedMcp<'a>>,
}

/// An MCP message as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedMcp<'a> {
    /// The JSON-RPC method.
    #[serde(borrow)]
    pub method: Option<Text<'a>>,
    /// The tool that is called.
    pub tool: Option<Text<'a>>,
}

/// Whose request it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSubject<'a> {
    /// The kind of credential; of an AuthZEN evaluation the subject's type.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// The token.
    pub token_id: Option<Text<'a>>,
    /// Its user.
    pub user_id: Option<Text<'a>>,
    /// The tenant of the credential.
    pub tenant: Option<Text<'a>>,
}

/// A limit that was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLimit<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// So many in a window.
    pub limit: u32,
    /// So many more were left.
    pub remaining: u32,
    /// In so many seconds more is left than now.
    pub reset_seconds: u64,
}

/// Whose upstream credential it was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedCredential<'a> {
    /// The upstream.
    #[serde(borrow)]
    pub upstream: Text<'a>,
    /// The kind of its holder.
    pub holder: Text<'a>,
    /// The holder's id.
    pub holder_id: Option<Text<'a>>,
}

/// The form of the compact records that this version writes; another is not read as this one.
pub const COMPACT_FORM: u8 = 1;

/// A compact record is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Another version wrote it.
    #[error("the record is of the form {0}, which this version of regate does not know")]
    Form(u8),
    /// It does not follow its form.
    #[error("the record is damaged")]
    Damaged,
}

impl<'a> DecisionRecord<'a> {
    /// Appends the compact form.
    ///
    /// # Errors
    /// [`Unreadable::Damaged`], which no record of texts and numbers gives.
    pub fn write_compact(&self, into: &mut Vec<u8>) -> Result<(), Unreadable> {
        into.push(COMPACT_FORM);
        postcard::to_io(self, into).map(drop).map_err(|_| Unreadable::Damaged)
    }

    /// Reads the compact form.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read_compact(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        match bytes.split_first() {
            Some((&COMPACT_FORM, rest)) => match postcard::take_from_bytes(rest) {
                Ok((record, [])) => Ok(record),
                _ => Err(Unreadable::Damaged),
            },
            Some((form, _)) => Err(Unreadable::Form(*form)),
            None => Err(Unreadable::Damaged),
        }
    }

    /// The first reason.
    pub fn reason(&self) -> &str {
        self.reasons.first().map_or("", AsRef::as_ref)
    }

    /// When it was made.
    pub const fn time(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.time_millis)
    }

    /// The request, of a question that is about one.
    pub const fn request(&self) -> Option<&RecordedRequest<'a>> {
        match &self.asked {
            RecordedQuestion::Request(request) | RecordedQuestion::Management { request, .. } => {
                Some(request)
            }
            RecordedQuestion::Evaluation { .. } => None,
        }
    }

    /// The JSON form.
    pub fn to_json(&self) -> Value {
        let subject = self.subject.as_ref().map(|subject| {
            json!({
                "kind": subject.kind,
                "token_id": subject.token_id,
                "user_id": subject.user_id,
                "tenant": subject.tenant,
            })
        });
        let limits: Vec<Value> = self
            .limits
            .iter()
            .map(|limit| {
                json!({
                    "name": limit.name,
                    "limit": limit.limit,
                    "remaining": limit.remaining,
                    "reset_seconds": limit.reset_seconds,
                })
            })
            .collect();
        let credential = self.credential.as_ref().map(|credential| {
            json!({
                "upstream": credential.upstream,
                "holder": credential.holder,
                "holder_id": credential.holder_id,
            })
        });
        let mut record = json!({
            "time": self.time().to_string(),
            "tenant": self.tenant,
            "face": self.face,
            "gateway": self.gateway.as_ref().map(|gateway| json!({"id": gateway.id, "tenant": gateway.tenant})),
            "project": self.project,
            "latency_micros": self.latency_micros,
            "decision": {
                "decision_id": self.id,
                "allow": self.allow,
                "status": self.status,
                "reason": self.reason(),
                "reasons": self.reasons,
                "message": self.message,
                "subject": subject,
                "policy_revision": self.policy_revision,
                "data_revision": self.data_revision,
                "rate_limits": limits,
            },
            "masked": self.masked,
            "left_out": self.left_out,
        });
        if let Value::Object(record) = &mut record {
            if let Some(credential) = credential {
                record.insert("credential".to_owned(), credential);
            }
            if let Some(trace_id) = &self.trace_id {
                record.insert("trace_id".to_owned(), json!(trace_id));
            }
            match &self.asked {
                RecordedQuestion::Request(request) => {
                    record.insert("question".to_owned(), request.to_json());
                }
                // Under another name: no gateway asked this, and it cannot be asked again as if one had.
                RecordedQuestion::Management { request, operation } => {
                    record.insert("call".to_owned(), request.to_json());
                    record.insert("operation".to_owned(), json!(operation));
                }
                RecordedQuestion::Evaluation { subject, action, resource } => {
                    let entity = |(kind, id): &(Text<'_>, Text<'_>)| json!({"type": kind, "id": id});
                    let evaluation = json!({
                        "subject": entity(subject),
                        "action": {"name": action},
                        "resource": entity(resource),
                    });
                    record.insert("evaluation".to_owned(), evaluation);
                }
            }
        }
        record
    }
}

impl RecordedRequest<'_> {
    /// As `/v1/decide` takes it.
    fn to_json(&self) -> Value {
        let mut request = Map::new();
        request.insert("method".to_owned(), json!(self.method));
        request.insert("path".to_owned(), json!(self.path));
        if let Some(host) = &self.host {
            request.insert("host".to_owned(), json!(host));
        }
        if !self.headers.is_empty() {
            let headers: Map<String, Value> =
                self.headers.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
            request.insert("headers".to_owned(), Value::Object(headers));
        }
        if let Some(address) = &self.source_ip {
            request.insert("source_ip".to_owned(), json!(address));
        }
        let mut question = Map::new();
        question.insert("request".to_owned(), Value::Object(request));
        if let Some(upstream) = &self.upstream {
            question.insert("upstream".to_owned(), json!(upstream));
        }
        let message = |message: &RecordedMcp<'_>| {
            let params = message.tool.as_ref().map(|tool| json!({"name": tool}));
            json!({"method": message.method, "params": params.unwrap_or_else(|| json!({}))})
        };
        match self.mcp.as_slice() {
            [] => {}
            [one] => {
                question.insert("mcp".to_owned(), message(one));
            }
            several => {
                question.insert("mcp".to_owned(), several.iter().map(message).collect());
            }
        }
        Value::Object(question)
    }
}
