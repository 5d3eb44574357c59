//! The answer as it is on the wire.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeSeq};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    call,
    json_rpc::{Asking, ErrorMessage},
};
use crate::decision::{Decision, Document, HeaderChanges, LimitState, RateLimit, Reasons, Why};
use axum::response::Response;

/// What was decided, and what the gateway must do with the request.
#[derive(Serialize, ToSchema)]
pub struct Answer<'a> {
    /// Whether the request may go on.
    allow: bool,
    /// What the gateway should answer to its client when `allow` is false; 200 when it is true.
    status: u16,
    reason: &'a str,
    /// Stable codes, the one that decided first.
    #[serde(serialize_with = "codes")]
    #[schema(value_type = Vec<String>)]
    reasons: &'a Reasons,
    /// May be shown to the caller.
    message: &'a str,
    #[schema(value_type = String)]
    decision_id: Uuid,
    /// Whose request it is; null for an anonymous caller and for a credential that is nobody's.
    subject: Option<SubjectMessage<'a>>,
    /// What the gateway must change about the request's headers: first remove, then set.
    #[serde(serialize_with = "header_changes")]
    #[schema(value_type = HeaderChangesMessage)]
    headers: &'a HeaderChanges,
    /// Identifies this caller's connection to the upstream; null without one.
    connection_key: Option<&'a str>,
    /// Where the caller gets the upstream credential that is missing, when that can help.
    connect_url: Option<&'a str>,
    /// How the limit stands that the policy named, the tightest if there are several; null where nothing was counted.
    rate_limit: Option<RateLimitMessage<'a>>,
    /// The value of the `WWW-Authenticate` header to send back, on a 401, and on a 403 that names the scopes that would do.
    challenge: Option<&'a str>,
    policy_revision: &'a str,
    data_revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    explanation: Option<ExplanationMessage<'a>>,
    /// The JSON-RPC error to send to an MCP client, or the list of them for a batch: of a deny, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    json_rpc_error: Option<ErrorMessage<'a>>,
}

#[derive(Serialize, ToSchema)]
struct SubjectMessage<'a> {
    kind: &'static str,
    token_id: Option<&'a str>,
    user_id: Option<&'a str>,
    tenant: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
struct RateLimitMessage<'a> {
    name: &'a str,
    /// So many calls in a window.
    limit: u32,
    /// So many more would be let through at this moment.
    remaining: u32,
    /// After so many seconds there is room for more than now.
    reset_seconds: u64,
}

impl<'a> From<(&'a RateLimit, LimitState)> for RateLimitMessage<'a> {
    fn from((limit, state): (&'a RateLimit, LimitState)) -> Self {
        Self {
            name: &limit.name,
            limit: limit.limit,
            remaining: state.remaining,
            reset_seconds: state.reset_seconds(),
        }
    }
}

#[derive(Serialize)]
struct ExplanationMessage<'a> {
    input: &'a Document,
    /// Left out when the rule is undefined.
    #[serde(skip_serializing_if = "is_undefined")]
    result: &'a Document,
    why: &'a Why,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

fn is_undefined(document: &&Document) -> bool {
    matches!(document, Document::Undefined)
}

fn codes<S: Serializer>(reasons: &&Reasons, serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(1 + reasons.rest.len()))?;
    for code in reasons.codes() {
        list.serialize_element(code)?;
    }
    list.end()
}

fn header_changes<S: Serializer>(changes: &&HeaderChanges, serializer: S) -> Result<S::Ok, S::Error> {
    let HeaderChanges { remove, pass, .. } = &**changes;
    HeaderChangesMessage { set: AllSet(changes), remove, pass: pass.as_deref() }.serialize(serializer)
}

/// Every header to set: what the policy asks for, and what goes on to the upstream.
struct AllSet<'a>(&'a HeaderChanges);

impl Serialize for AllSet<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.all_set())
    }
}

/// The answer to a call that asked for these decisions. One that carries an upstream credential is kept by no cache, and
/// is wiped when it has been sent.
pub(super) fn response(decisions: &[&Decision], message: &impl Serialize) -> Response {
    let secret: usize = decisions
        .iter()
        .flat_map(|decision| decision.headers.credential.values())
        .map(|value| value.expose().len())
        .sum();
    if secret == 0 { call::json(message) } else { call::secret(message, secret) }
}

#[derive(Serialize, ToSchema)]
struct HeaderChangesMessage<'a> {
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    set: AllSet<'a>,
    #[schema(value_type = Vec<String>)]
    remove: &'a [Cow<'static, str>],
    /// Left out unless the upstream says which of the caller's headers may pass: then those, and no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'a [String]>,
}

impl<'a> Answer<'a> {
    /// The answer about a decision, with the JSON-RPC error of a deny if one is asked for.
    pub fn telling(decision: &'a Decision, asking: Option<Asking<'a>>) -> Self {
        let asking = asking.filter(|_| !decision.allow);
        let json_rpc_error = asking.map(|asking| ErrorMessage::new(decision, asking));
        Self { json_rpc_error, ..Self::from(decision) }
    }
}

impl<'a> From<&'a Decision> for Answer<'a> {
    fn from(decision: &'a Decision) -> Self {
        Self {
            allow: decision.allow,
            status: decision.status,
            reason: decision.reasons.first.as_str(),
            reasons: &decision.reasons,
            message: decision.message.as_str(),
            decision_id: decision.id,
            subject: decision.subject.as_ref().map(|subject| SubjectMessage {
                kind: subject.kind.as_str(),
                token_id: subject.token_id.as_deref(),
                user_id: subject.user_id.as_deref(),
                tenant: subject.tenant.as_ref().map(|tenant| tenant.as_str()),
            }),
            headers: &decision.headers,
            connection_key: decision.connection_key.as_deref(),
            connect_url: decision.connect_url.as_deref(),
            rate_limit: decision.tightest_limit().map(RateLimitMessage::from),
            challenge: decision.challenge.as_deref(),
            policy_revision: decision.policy_revision.as_str(),
            data_revision: decision.data_revision.0,
            explanation: decision.explanation.as_ref().map(|explanation| ExplanationMessage {
                input: &explanation.input,
                result: &explanation.result,
                why: &explanation.why,
                fault: decision.fault.as_ref().map(ToString::to_string),
            }),
            json_rpc_error: None,
        }
    }
}
