//! `GET /v1/policies` and `POST /v1/policies/reload`: what decides, and what was refused last.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Shared, call,
    management::{Caller, Operation},
    openapi::{ConflictProblems, ManagementProblems},
    problem::Problem,
};
use crate::policy::{ActivePolicy, FailedActivation, PolicyState, Reloader};

/// What decides, and what was refused last
#[utoipa::path(
    get, path = "/v1/policies", operation_id = "read_policies", tag = "policies",
    responses((status = 200, description = "The policy", body = StateMessage), ManagementProblems),
)]
pub(super) async fn show(caller: Caller, State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    caller.may(Operation::ReadPolicies).await?;
    let state = reloader(&shared)?.state();
    Ok(call::answer(StatusCode::OK, &StateMessage::from(&*state)))
}

/// Read the policy files and try them now
///
/// The same once they decide, or why they do not.
#[utoipa::path(
    post, path = "/v1/policies/reload", operation_id = "reload_policies", tag = "policies",
    responses((status = 200, description = "The files decide", body = StateMessage), ConflictProblems),
)]
pub(super) async fn reload(caller: Caller, State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    caller.may(Operation::ReloadPolicies).await?;
    let state = reloader(&shared)?.reload().await.ok_or(Problem::Ending)?;
    match &state.failure {
        None => Ok(call::answer(StatusCode::OK, &StateMessage::from(&*state))),
        Some(failed) => Err(Problem::NotActivated(Box::new(failed.failure.clone()))),
    }
}

/// A process that was put together without policies to reload (a benchmark) has no such calls.
fn reloader(shared: &Shared) -> Result<&Reloader, Problem> {
    shared.policies.as_ref().ok_or(Problem::NotFound)
}

#[derive(Serialize, ToSchema)]
struct StateMessage<'a> {
    active: ActiveMessage<'a>,
    failure: Option<FailureMessage<'a>>,
    attempts: u64,
    activations: u64,
    watching: bool,
}

#[derive(Serialize, ToSchema)]
struct ActiveMessage<'a> {
    revision: &'a str,
    since: String,
    source: &'a str,
    engine: &'static str,
    /// Why it is not the virtual machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_reason: Option<&'a str>,
    files: Vec<FileMessage<'a>>,
    entrypoints: BTreeMap<&'static str, EntrypointMessage<'a>>,
    tests: Option<TestsMessage>,
}

#[derive(Serialize, ToSchema)]
struct FileMessage<'a> {
    name: &'a str,
    sha256: String,
}

#[derive(Serialize, ToSchema)]
struct EntrypointMessage<'a> {
    path: &'a str,
    present: bool,
}

#[derive(Serialize, ToSchema)]
struct TestsMessage {
    passed: usize,
    failed: usize,
    duration_seconds: f64,
    questions_asked_of_both_engines: usize,
}

#[derive(Serialize, ToSchema)]
struct FailureMessage<'a> {
    at: String,
    stage: &'static str,
    message: String,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    revision: Option<&'a str>,
}

impl<'a> From<&'a PolicyState> for StateMessage<'a> {
    fn from(state: &'a PolicyState) -> Self {
        Self {
            active: ActiveMessage::from(&state.active),
            failure: state.failure.as_ref().map(FailureMessage::from),
            attempts: state.attempts,
            activations: state.activations,
            watching: state.watching,
        }
    }
}

impl<'a> From<&'a ActivePolicy> for ActiveMessage<'a> {
    fn from(active: &'a ActivePolicy) -> Self {
        let files = active.files.iter();
        let entrypoints = active.entrypoints.iter();
        Self {
            revision: active.revision.as_str(),
            since: active.since.to_string(),
            source: &active.source,
            engine: if active.interpreted.is_some() { "interpreter" } else { "virtual_machine" },
            engine_reason: active.interpreted.as_deref(),
            files: files.map(|f| FileMessage { name: &f.name, sha256: f.hex() }).collect(),
            entrypoints: entrypoints
                .map(|(name, path, present)| (*name, EntrypointMessage { path, present: *present }))
                .collect(),
            tests: active.tests.map(|tests| TestsMessage {
                passed: tests.passed,
                // One that fails is never active.
                failed: 0,
                duration_seconds: tests.duration.as_secs_f64(),
                questions_asked_of_both_engines: tests.questions,
            }),
        }
    }
}

impl<'a> From<&'a FailedActivation> for FailureMessage<'a> {
    fn from(failed: &'a FailedActivation) -> Self {
        let place = failed.failure.place.as_ref();
        Self {
            at: failed.at.to_string(),
            stage: failed.failure.stage.as_str(),
            message: failed.failure.without_lines(),
            file: place.map(|place| place.file.as_str()),
            line: place.and_then(|place| place.line),
            column: place.and_then(|place| place.column),
            revision: failed.revision.as_ref().map(|revision| revision.as_str()),
        }
    }
}
