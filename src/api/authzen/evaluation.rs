//! `POST /access/v1/evaluation` and `POST /access/v1/evaluations`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    super::{
        Shared, call,
        decide::{Received, receive},
        problem::Problem,
    },
    answer::DecisionMessage,
    failure::Failure,
    message::{self, Naming, Object, Parts},
    schema::{EvaluationSchema, EvaluationsSchema, Failures},
};
use crate::{
    decision::{AskingGateway, Evaluation},
    types::PresentedCredential,
};

/// How a list of evaluations is gone through (section 7.1.2.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

/// The decisions, in the order of the evaluations.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthzenDecisions)]
pub(super) struct DecisionsMessage {
    evaluations: Vec<DecisionMessage>,
}

/// What all calls of AuthZEN begin with, for the log.
pub(super) const FACE: &str = "/access/v1";

/// A call of whom may ask.
pub(super) struct Call {
    pub message: Object,
    /// Who asks is made out from it anew.
    pub credential: PresentedCredential,
}

/// A call that may ask: its message, and who asks.
struct Asked {
    message: Object,
    gateway: Option<AskingGateway>,
}

async fn asked(shared: &Shared, request: Request) -> Result<Asked, Failure> {
    let Call { message, credential } = read(shared, request).await?;
    Ok(Asked { message, gateway: shared.gateway(FACE, &credential)? })
}

/// Reads a call.
pub(super) async fn read(shared: &Shared, request: Request) -> Result<Call, Failure> {
    // Who may not ask is told so first.
    let content_type = message::check_content_type(request.headers());
    let Received { credential, body } = receive(shared, FACE, request).await?;
    content_type?;
    let message = message::object(&body, &shared.bounds)?;
    Ok(Call { message, credential })
}

/// May this subject do this to this resource?
///
/// A denial is a 200 as well: `decision` says what was decided.
#[utoipa::path(
    post, path = "/access/v1/evaluation", operation_id = "authzen_evaluation", tag = "authzen",
    request_body = EvaluationSchema,
    responses((status = 200, description = "The decision", body = DecisionMessage), Failures),
    security((), ("bearer" = [])),
)]
pub(in crate::api) async fn one(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Failure> {
    let Asked { mut message, gateway } = asked(&shared, request).await?;
    let evaluation = single(&shared, &mut message, gateway.as_ref())?;
    Ok(call::json(&decide(&shared, &evaluation, wants_reasons(&shared, &message)).await?))
}

/// Several evaluations, answered from one policy and one state of the data
///
/// Without a list of evaluations it is the single call.
#[utoipa::path(
    post, path = "/access/v1/evaluations", operation_id = "authzen_evaluations", tag = "authzen",
    request_body = EvaluationsSchema,
    responses(
        (status = 200, description = "The decisions, in the same order; or the one decision", body = DecisionsSchema),
        Failures,
    ),
    security((), ("bearer" = [])),
)]
pub(in crate::api) async fn several(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Failure> {
    let Asked { mut message, gateway } = asked(&shared, request).await?;
    let reasons = wants_reasons(&shared, &message);
    let semantic = semantic(&mut message)?;
    let items = match message.remove("evaluations") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Failure::malformed("evaluations: it has to be a list")),
    };
    if items.is_empty() {
        let evaluation = single(&shared, &mut message, gateway.as_ref())?;
        return Ok(call::json(&decide(&shared, &evaluation, reasons).await?));
    }
    let limit = shared.bounds.batch_length;
    if items.len() > limit {
        return Err(Problem::BatchTooLong { length: items.len(), limit }.into());
    }
    let defaults = Parts::take(&mut message, Naming::Named, Naming::Named)?;
    let taken = shared.point.take();
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        let parts = Parts::of_item(item, &defaults);
        read.push(parts.and_then(|parts| parts.evaluation(&shared.faces.authzen, gateway.as_ref())));
    }
    let mut undecided = Vec::with_capacity(read.len());
    let mut evaluated = Vec::with_capacity(read.len());
    for evaluation in &read {
        let permits = match evaluation {
            Ok(evaluation) => {
                let unrecorded = shared.point.evaluate_from(&taken, evaluation).await;
                let permits = unrecorded.allows();
                undecided.push(Ok(evaluation.carries_out_headers));
                evaluated.push(unrecorded);
                permits
            }
            Err(text) => {
                undecided.push(Err(text));
                false
            }
        };
        let ends = match semantic {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !permits,
            Semantic::PermitOnFirstPermit => permits,
        };
        if ends {
            break;
        }
        // A list that uses up its budget must not keep others from being heard.
        tokio::task::yield_now().await;
    }
    let mut decisions = shared.point.recorded(evaluated).await.into_iter();
    let answers = undecided.into_iter().map(|one| match (one, &mut decisions) {
        (Err(text), _) => Ok(DecisionMessage::refusal(text.clone())),
        (Ok(obliges), decisions) => match decisions.next() {
            Some(decision) => DecisionMessage::of(&decision, obliges, reasons),
            None => Ok(DecisionMessage::refusal(String::new())),
        },
    });
    Ok(call::json(&DecisionsMessage { evaluations: answers.collect::<Result<_, _>>()? }))
}

/// What the call with several evaluations answers.
#[derive(ToSchema)]
#[schema(as = AuthzenAnswer)]
#[serde(untagged)]
#[allow(dead_code, reason = "the description of what is answered")]
pub(super) enum DecisionsSchema {
    Several(DecisionsMessage),
    One(DecisionMessage),
}

fn wants_reasons(shared: &Shared, message: &Object) -> bool {
    shared.faces.authzen.reasons || message::asks_for_reasons(message)
}

fn single<'g>(
    shared: &Shared,
    message: &mut Object,
    gateway: Option<&'g AskingGateway>,
) -> Result<Evaluation<'g>, Failure> {
    let parts = Parts::take(message, Naming::Named, Naming::Named)?;
    Ok(parts.evaluation(&shared.faces.authzen, gateway)?)
}

async fn decide(
    shared: &Shared,
    evaluation: &Evaluation<'_>,
    reasons: bool,
) -> Result<DecisionMessage, Failure> {
    let evaluated = shared.point.evaluate_from(&shared.point.take(), evaluation).await;
    let decisions = shared.point.recorded(vec![evaluated]).await;
    let decision = decisions.first().ok_or(Problem::Unrecorded)?;
    DecisionMessage::of(decision, evaluation.carries_out_headers, reasons)
}

/// An order that is not known is refused: one that stops later or sooner than the asker thinks could permit.
fn semantic(message: &mut Object) -> Result<Semantic, Failure> {
    let options = message::member(message, "options")?.unwrap_or_default();
    match options.get("evaluations_semantic") {
        None | Some(Value::Null) => Ok(Semantic::ExecuteAll),
        Some(Value::String(name)) if name == "execute_all" => Ok(Semantic::ExecuteAll),
        Some(Value::String(name)) if name == "deny_on_first_deny" => Ok(Semantic::DenyOnFirstDeny),
        Some(Value::String(name)) if name == "permit_on_first_permit" => Ok(Semantic::PermitOnFirstPermit),
        Some(_) => Err(Failure::malformed(
            "options.evaluations_semantic: it has to be execute_all, deny_on_first_deny or permit_on_first_permit",
        )),
    }
}
