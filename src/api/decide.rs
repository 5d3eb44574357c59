//! `POST /v1/decide` and `POST /v1/decide/batch`; `POST /v1/explain`.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Request, State},
    response::Response,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Shared,
    answer::{self, Answer},
    call,
    held::Asker,
    management::{Caller, Operation, decisions},
    openapi::{DecisionProblems, ManagementProblems},
    problem::Problem,
    question::{BatchMessage, QuestionMessage, read},
    recorded::{Record, read as read_record},
};
use crate::{
    auth::CredentialReader,
    decision::{AskingGateway, Decision, Subject, SubjectKind},
    policy::replay::Case,
    types::{DataRevision, PresentedCredential},
};

/// May this caller do this?
///
/// Every well-formed question is answered with 200; `allow` says what was decided.
#[utoipa::path(
    post, path = "/v1/decide", operation_id = "decide", tag = "decisions", request_body = QuestionMessage,
    responses((status = 200, description = "The decision", body = Answer), DecisionProblems),
    security((), ("bearer" = [])),
)]
pub(super) async fn one(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    const FACE: &str = "/v1/decide";
    let Received { credential, body } = receive(&shared, FACE, request).await?;
    let message = QuestionMessage::read(&body, &shared.bounds)?;
    wait(&shared, message.min_revision()).await?;
    let turn = if message.explains() { Some(shared.point.explaining_turn().await) } else { None };
    let gateway = shared.gateway(FACE, &credential)?;
    let error_to = message.asking();
    let question = message.into_question(
        Asker::at_the_gate(FACE, gateway.as_ref(), shared.channel),
        &shared.bounds,
        &shared.credentials,
    )?;
    let decision = match &turn {
        Some(turn) => shared.point.explain(turn, &question).await,
        None => shared.point.decide(&question).await,
    };
    Ok(answer::response(&[&decision], &Answer::telling(&decision, error_to)))
}

/// A decision of the log, to be explained.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedMessage {
    /// As its answer named it.
    #[schema(value_type = String)]
    decision_id: Uuid,
}

/// Whether a decision of the log is to be explained: a question has no such member.
#[derive(Deserialize)]
struct MaybeRecorded {
    decision_id: Option<IgnoredAny>,
}

/// What is to be explained.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, clippy::large_enum_variant, reason = "the description of what is asked")]
pub(super) enum ExplainMessage<'a> {
    Question(QuestionMessage<'a>),
    Recorded(RecordedMessage),
}

/// What the rules of now say to a question that was decided before.
#[derive(Serialize)]
struct ExplainedAgain<'a> {
    #[serde(flatten)]
    answer: Answer<'a>,
    /// The decision as it was recorded.
    recorded: &'a RawValue,
}

/// The decision about a question of the caller's own tenant, and why
///
/// Of a decision of the log: what the rules and the data of now say to its question at the moment of then, and the record.
#[utoipa::path(
    post, path = "/v1/explain", operation_id = "explain", tag = "decisions", request_body = ExplainMessage,
    responses((status = 200, description = "The decision, explained", body = Answer), ManagementProblems),
)]
pub(super) async fn explain(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let body = call::body(request, &shared.bounds).await?;
    if let Ok(MaybeRecorded { decision_id: Some(_) }) = read(&body, &shared.bounds) {
        let RecordedMessage { decision_id } = read(&body, &shared.bounds)?;
        return explain_recorded(&caller, &shared, decision_id).await;
    }
    let message = QuestionMessage::read(&body, &shared.bounds)?;
    wait(&shared, message.min_revision()).await?;
    let turn = shared.point.explaining_turn().await;
    let operator = caller.may(Operation::Explain).await?;
    // As a gateway of that tenant would ask: another's tokens are unknown to it.
    let Subject { kind, token_id, user_id, tenant } = operator.subject().clone();
    // The `jti` of a session is the issuer's word, and could be the id of a token.
    let id = match kind {
        SubjectKind::Token(_) => token_id,
        SubjectKind::Session => user_id,
    };
    let asking = AskingGateway { id: id.unwrap_or_default(), tenant };
    let error_to = message.asking();
    let mut question =
        message.into_question(Asker::wondering(Some(&asking)), &shared.bounds, &shared.credentials)?;
    question.explain = true;
    let decision = shared.point.explain(&turn, &question).await;
    Ok(call::json(&Answer::telling(&decision, error_to)))
}

async fn explain_recorded(caller: &Caller, shared: &Shared, id: Uuid) -> Result<Response, Problem> {
    let turn = shared.point.explaining_turn().await;
    let operator = caller.may(Operation::Explain).await?;
    // Whoever may ask why need not be one who may read what others were told.
    caller.may(Operation::ReadDecision).await?;
    let row = decisions::find(&operator, id).await?;
    let no_question = || Problem::Invalid("this decision was about no request of a gateway's".to_owned());
    let Record { question, recorded, time, gateway } =
        read_record(row.record.as_bytes(), &shared.bounds)?.ok_or_else(no_question)?;
    // As then: with the gateway that asked, if it authenticated. The record is of the operator's own tenant.
    let gateway = gateway.map(|gateway| AskingGateway { tenant: Some(operator.tenant().clone()), ..gateway });
    let reader = CredentialReader::default();
    let question = question.into_question(Asker::wondering(gateway.as_ref()), &shared.bounds, &reader)?;
    let decision = shared.point.explain_again(&turn, &mut Case { question, now: time, recorded })?;
    let recorded = serde_json::from_str(&row.record).map_err(|_| Problem::StoreFailed)?;
    Ok(call::json(&ExplainedAgain { answer: Answer::from(&decision), recorded }))
}

/// Several questions, answered from one policy and one state of the data
#[utoipa::path(
    post, path = "/v1/decide/batch", operation_id = "decide_batch", tag = "decisions", request_body = BatchMessage,
    responses((status = 200, description = "The decisions, in the same order", body = Answers), DecisionProblems),
    security((), ("bearer" = [])),
)]
pub(super) async fn batch(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    const FACE: &str = "/v1/decide/batch";
    let Received { credential, body } = receive(&shared, FACE, request).await?;
    let BatchMessage { requests } = read(&body, &shared.bounds)?;
    let limit = shared.bounds.batch_length;
    if requests.len() > limit {
        return Err(Problem::BatchTooLong { length: requests.len(), limit });
    }
    // Each message of a question is judged.
    let judged = requests.iter().map(QuestionMessage::judged).sum();
    if judged > limit {
        return Err(Problem::BatchTooLong { length: judged, limit });
    }
    wait(&shared, requests.iter().filter_map(QuestionMessage::min_revision).max()).await?;
    // One turn for all: what waits for its own in the middle would be answered from old data.
    let explains = requests.iter().any(QuestionMessage::explains);
    let turn = if explains { Some(shared.point.explaining_turn().await) } else { None };
    let gateway = shared.gateway(FACE, &credential)?;
    let asking: Vec<_> = requests.iter().map(QuestionMessage::asking).collect();
    let questions = requests
        .into_iter()
        .enumerate()
        .map(|(index, message)| {
            let asker = Asker::at_the_gate(FACE, gateway.as_ref(), shared.channel);
            message.into_question(asker, &shared.bounds, &shared.credentials).map_err(|problem| match problem
            {
                Problem::PartTooLong { part, limit } => {
                    Problem::PartTooLong { part: format!("requests[{index}].{part}").into(), limit }
                }
                other => other,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    // One policy and one snapshot for all.
    let taken = shared.point.take();
    let decisions = shared.point.decide_all(&taken, &questions, turn.as_ref()).await;
    let all: Vec<&Decision> = decisions.iter().collect();
    let told = decisions.iter().zip(asking).map(|(decision, asking)| Answer::telling(decision, asking));
    Ok(answer::response(&all, &Answers { decisions: told.collect() }))
}

/// The decisions, in the order of the questions.
#[derive(Serialize, ToSchema)]
struct Answers<'a> {
    decisions: Vec<Answer<'a>>,
}

/// What a gateway sent.
pub(super) struct Received {
    /// What it presented. It was good before the body was read, which may be a while ago by now: who asks
    /// is made out from it anew.
    pub credential: PresentedCredential,
    pub body: Bytes,
}

/// The body of a call of a gateway that may ask. `face`: the path of what it asks, for the log.
pub(super) async fn receive(
    shared: &Shared,
    face: &'static str,
    request: Request,
) -> Result<Received, Problem> {
    call::check_header(request.headers(), &shared.bounds)?;
    // Before the body: who may not ask may not make us read.
    // A gateway has a token. A user's session is none, whosever it is.
    let credential = call::presented(request.headers(), &CredentialReader::default());
    shared.gateway(face, &credential)?;
    Ok(Received { credential, body: call::body(request, &shared.bounds).await? })
}

async fn wait(shared: &Shared, wanted: Option<DataRevision>) -> Result<(), Problem> {
    match wanted {
        None => Ok(()),
        Some(wanted) => {
            Ok(shared.point.live().wait_for_revision(wanted, shared.bounds.revision_wait).await?)
        }
    }
}
