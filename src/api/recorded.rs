//! A recorded decision as JSON: a question with the answer that it had; or a question alone.
//!
//! The types here hold the caller's credential: none of them has `Debug`.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, de::IgnoredAny};

use super::{HttpBounds, Problem, QuestionMessage, read_json};
use crate::{
    decision::{AskingGateway, SubjectKind},
    policy::replay::Recorded,
    store::read_time,
    types::{DataRevision, JsonObject, TenantId, Timestamp},
};

/// What a line says.
pub struct Record<'a> {
    /// The question, not yet checked against the bounds.
    pub question: QuestionMessage<'a>,
    /// The answer.
    pub recorded: Option<Recorded>,
    /// When it was decided.
    pub time: Option<Timestamp>,
    /// The gateway that asked.
    pub gateway: Option<AskingGateway>,
}

/// A record, of which other members are passed over: a log may say more.
#[derive(Deserialize)]
struct RecordMessage<'a> {
    #[serde(borrow, default)]
    question: Option<JsonObject<QuestionMessage<'a>>>,
    #[serde(borrow, default)]
    decision: Option<JsonObject<DecisionMessage<'a>>>,
    #[serde(borrow, default)]
    time: Option<Text<'a>>,
    #[serde(default)]
    gateway: Option<JsonObject<GatewayMessage>>,
    /// What stands in place of a question, when no gateway asked one.
    #[serde(default)]
    call: Option<IgnoredAny>,
    #[serde(default)]
    evaluation: Option<IgnoredAny>,
    #[serde(default)]
    unreadable: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct DecisionMessage<'a> {
    allow: bool,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
    #[serde(borrow, default)]
    subject: Option<JsonObject<SubjectMessage<'a>>>,
    #[serde(borrow, default)]
    decision_id: Option<Text<'a>>,
    #[serde(default)]
    data_revision: Option<DataRevision>,
}

#[derive(Deserialize)]
struct SubjectMessage<'a> {
    #[serde(borrow, default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    token_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct GatewayMessage {
    id: Arc<str>,
    #[serde(default)]
    tenant: Option<TenantId>,
}

/// A text that borrows from the line where it can.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What to say of a text that is no moment.
pub const NOT_A_TIME: &str =
    "it must be a time as in RFC 3339, with its offset, such as 2030-01-01T00:00:00Z";

/// Reads a line; `None` is the record of a decision that was no gateway's question. A question has no member
/// `question`, so the two shapes cannot be taken for each other.
///
/// # Errors
/// [`Problem`], which repeats no value.
pub fn read<'a>(line: &'a [u8], bounds: &HttpBounds) -> Result<Option<Record<'a>>, Problem> {
    let RecordMessage { question, decision, time, gateway, call, evaluation, unreadable } =
        read_json(line, bounds)?;
    let Some(JsonObject(question)) = question else {
        let of_another_kind = call.is_some() || evaluation.is_some() || unreadable.is_some();
        if of_another_kind && decision.is_some() {
            return Ok(None);
        }
        if decision.is_some() || time.is_some() {
            return Err(Problem::Malformed("the record has no `question`".to_owned()));
        }
        let question = QuestionMessage::read(line, bounds)?;
        return Ok(Some(Record { question, recorded: None, time: None, gateway: None }));
    };
    let time = time.map(|Text(time)| {
        let not_a_time = || Problem::Malformed(format!("time: {}", NOT_A_TIME));
        read_time(&time).ok_or_else(not_a_time)
    });
    Ok(Some(Record {
        question,
        recorded: decision.map(|JsonObject(decision)| decision.into()),
        time: time.transpose()?,
        gateway: gateway.map(|JsonObject(GatewayMessage { id, tenant })| AskingGateway { id, tenant }),
    }))
}

impl From<DecisionMessage<'_>> for Recorded {
    fn from(message: DecisionMessage<'_>) -> Self {
        let text = |text: Option<Text<'_>>| text.map(|Text(text)| text.into_owned());
        let subject = message.subject.map(|JsonObject(subject)| subject);
        let kind = subject.as_ref().and_then(|subject| subject.kind.as_ref());
        Self {
            by_session: kind.is_some_and(|Text(kind)| kind == SubjectKind::Session.as_str()),
            allow: message.allow,
            reason: message.reason.into_owned(),
            message: text(message.message).unwrap_or_default(),
            token_id: text(subject.and_then(|subject| subject.token_id)),
            decision_id: text(message.decision_id),
            data_revision: message.data_revision,
        }
    }
}
