//! `POST /v1/decide` and `POST /v1/decide/batch`.

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;

use super::{
    Shared,
    answer::Answer,
    call,
    problem::Problem,
    question::{BatchMessage, QuestionMessage, read},
};
use crate::{
    decision::Decision,
    types::{DataRevision, PresentedCredential},
};

/// How much more than the bound of a body is read and thrown away, so that a client that is still
/// sending gets to see the answer.
const DRAIN_FACTOR: usize = 16;

/// `POST /v1/decide`
pub(super) async fn one(State(shared): State<Shared>, request: Request) -> Result<Response, Problem> {
    let Received { credential, body } = receive(&shared, request).await?;
    let message = QuestionMessage::read(&body, &shared.bounds)?;
    wait(&shared, message.min_revision()).await?;
    let gateway = shared.point.gateway(&credential)?;
    let question = message.into_question(gateway.as_ref(), &shared.bounds)?;
    let decision = shared.point.decide(&question);
    Ok(call::json(&Answer::from(&decision)))
}

/// `POST /v1/decide/batch`
pub(super) async fn batch(State(shared): State<Shared>, request: Request) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Answers<'a> {
        decisions: Vec<Answer<'a>>,
    }
    let Received { credential, body } = receive(&shared, request).await?;
    let BatchMessage { requests } = read(&body, &shared.bounds)?;
    let limit = shared.bounds.batch_length;
    if requests.len() > limit {
        return Err(Problem::BatchTooLong { length: requests.len(), limit });
    }
    wait(&shared, requests.iter().filter_map(QuestionMessage::min_revision).max()).await?;
    let gateway = shared.point.gateway(&credential)?;
    let questions = requests
        .into_iter()
        .enumerate()
        .map(|(index, message)| {
            message.into_question(gateway.as_ref(), &shared.bounds).map_err(|problem| match problem {
                Problem::PartTooLong { part, limit } => {
                    Problem::PartTooLong { part: format!("requests[{index}].{part}").into(), limit }
                }
                other => other,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    // One policy and one snapshot for all.
    let taken = shared.point.take();
    let mut decisions: Vec<Decision> = Vec::with_capacity(questions.len());
    for question in &questions {
        decisions.push(shared.point.decide_from(&taken, question));
        // A batch of questions that each use up their budget must not keep others from being heard.
        tokio::task::consume_budget().await;
    }
    Ok(call::json(&Answers { decisions: decisions.iter().map(Answer::from).collect() }))
}

/// What a gateway sent.
struct Received {
    /// What it presented. It was good before the body was read, which may be a while ago by now: who asks
    /// is made out from it anew.
    credential: PresentedCredential,
    body: Bytes,
}

async fn receive(shared: &Shared, request: Request) -> Result<Received, Problem> {
    call::check_header(request.headers(), &shared.bounds)?;
    // Before the body: who may not ask may not make us read.
    let credential = call::presented(request.headers());
    shared.point.gateway(&credential)?;
    let limit = shared.bounds.body_bytes;
    let mut body = request.into_body();
    let reading = Limited::new(&mut body, limit).collect();
    let read = tokio::time::timeout(shared.bounds.receive_time, reading).await;
    match read {
        Ok(Ok(collected)) => Ok(Received { credential, body: collected.to_bytes() }),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            drain(shared, body).await;
            Err(Problem::BodyTooLarge(limit))
        }
        Ok(Err(_)) | Err(_) => Err(Problem::BodyNotReceived),
    }
}

/// Reads on for a while without keeping anything.
async fn drain(shared: &Shared, body: Body) {
    let mut rest = Limited::new(body, shared.bounds.body_bytes.saturating_mul(DRAIN_FACTOR));
    let reading = async { while let Some(Ok(_)) = rest.frame().await {} };
    let _ = tokio::time::timeout(shared.bounds.receive_time, reading).await;
}

async fn wait(shared: &Shared, wanted: Option<DataRevision>) -> Result<(), Problem> {
    match wanted {
        None => Ok(()),
        Some(wanted) => {
            Ok(shared.point.live().wait_for_revision(wanted, shared.bounds.revision_wait).await?)
        }
    }
}
