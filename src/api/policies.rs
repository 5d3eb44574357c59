//! `GET /v1/policies` and `POST /v1/policies/reload`: what decides, and what was refused last.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use serde::Serialize;

use super::{Shared, call, management::Operator, problem::Problem};
use crate::policy::{ActivePolicy, FailedActivation, PolicyState, Reloader};

/// `GET /v1/policies`
pub(super) async fn show(_: Operator, State(shared): State<Shared>) -> Result<Response, Problem> {
    let state = reloader(&shared)?.state();
    Ok(call::json(&StateMessage::from(&*state)))
}

/// `POST /v1/policies/reload`: the same once the files were read and tried, or why they do not decide.
pub(super) async fn reload(_: Operator, State(shared): State<Shared>) -> Result<Response, Problem> {
    let state = reloader(&shared)?.reload().await.ok_or(Problem::Ending)?;
    match &state.failure {
        None => Ok(call::json(&StateMessage::from(&*state))),
        Some(failed) => Err(Problem::NotActivated(Box::new(failed.failure.clone()))),
    }
}

/// A process that was put together without policies to reload (a benchmark) has no such calls.
fn reloader(shared: &Shared) -> Result<&Reloader, Problem> {
    shared.policies.as_ref().ok_or(Problem::NotFound)
}

#[derive(Serialize)]
struct StateMessage<'a> {
    active: ActiveMessage<'a>,
    failure: Option<FailureMessage<'a>>,
    attempts: u64,
    activations: u64,
    watching: bool,
}

#[derive(Serialize)]
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

#[derive(Serialize)]
struct FileMessage<'a> {
    name: &'a str,
    sha256: String,
}

#[derive(Serialize)]
struct EntrypointMessage<'a> {
    path: &'a str,
    present: bool,
}

#[derive(Serialize)]
struct TestsMessage {
    passed: usize,
    failed: usize,
    duration_seconds: f64,
    questions_asked_of_both_engines: usize,
}

#[derive(Serialize)]
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
