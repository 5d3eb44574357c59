//! The answer as it is on the wire.

use serde::{Serialize, Serializer, ser::SerializeSeq};
use uuid::Uuid;

use crate::decision::{Decision, Document, HeaderChanges, Reasons, Why};

/// An answer, borrowed from the decision. See section 3 of the contract for its fields.
#[derive(Serialize)]
pub struct Answer<'a> {
    allow: bool,
    status: u16,
    reason: &'a str,
    #[serde(serialize_with = "codes")]
    reasons: &'a Reasons,
    message: &'a str,
    decision_id: Uuid,
    subject: Option<SubjectMessage<'a>>,
    #[serde(serialize_with = "header_changes")]
    headers: &'a HeaderChanges,
    connection_key: Option<()>,
    rate_limit: Option<()>,
    challenge: Option<&'static str>,
    policy_revision: &'a str,
    data_revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationMessage<'a>>,
}

#[derive(Serialize)]
struct SubjectMessage<'a> {
    kind: &'static str,
    token_id: Option<&'a str>,
    user_id: Option<&'a str>,
    tenant: Option<&'a str>,
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
    #[derive(Serialize)]
    struct Changes<'a> {
        set: &'a std::collections::BTreeMap<String, String>,
        remove: &'a [std::borrow::Cow<'static, str>],
    }
    Changes { set: &changes.set, remove: &changes.remove }.serialize(serializer)
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
            connection_key: None,
            rate_limit: None,
            challenge: decision.challenge,
            policy_revision: decision.policy_revision.as_str(),
            data_revision: decision.data_revision.0,
            explanation: decision.explanation.as_ref().map(|explanation| ExplanationMessage {
                input: &explanation.input,
                result: &explanation.result,
                why: &explanation.why,
                fault: decision.fault.as_ref().map(ToString::to_string),
            }),
        }
    }
}
