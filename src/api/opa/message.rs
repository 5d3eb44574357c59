//! The answer as it is on the wire: the members and their order as OPA's.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use uuid::Uuid;

use crate::{decision::Document, types::PolicyRevision};

/// What `/v1/data` answers.
#[derive(Serialize)]
pub(super) struct DataMessage<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Timers>,
    /// Left out when it is undefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Warning>,
    pub decision_id: Uuid,
}

/// Who answered.
#[derive(Serialize)]
pub(super) struct Provenance<'a> {
    version: &'static str,
    build_commit: &'static str,
    build_timestamp: &'static str,
    build_hostname: &'static str,
    /// The policy revision.
    revision: &'a str,
}

impl<'a> Provenance<'a> {
    pub fn of(revision: &'a PolicyRevision) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            build_commit: "",
            build_timestamp: "",
            build_hostname: "",
            revision: revision.as_str(),
        }
    }
}

/// Something that a client may not have meant.
#[derive(Serialize)]
pub(super) struct Warning {
    code: &'static str,
    message: &'static str,
}

impl Warning {
    /// OPA's own words about a question without input.
    pub const NO_INPUT: Self =
        Self { code: "api_usage_warning", message: "'input' key missing from the request" };
}

/// How long the steps took, in nanoseconds.
#[derive(Serialize)]
pub(super) struct Timers {
    #[serde(rename = "timer_rego_input_parse_ns")]
    input_parse: u64,
    #[serde(rename = "timer_rego_query_eval_ns")]
    query_eval: u64,
    #[serde(rename = "timer_server_handler_ns")]
    server_handler: u64,
}

/// Takes the times of a call, from its body to its answer.
pub(super) struct Stopwatch {
    begun: Instant,
    parsed: Duration,
}

impl Stopwatch {
    pub fn start() -> Self {
        Self { begun: Instant::now(), parsed: Duration::ZERO }
    }

    /// The input has been read.
    pub fn input_is_read(&mut self) {
        self.parsed = self.begun.elapsed();
    }

    pub fn stop(&self) -> Timers {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let all = self.begun.elapsed();
        Timers {
            input_parse: nanoseconds(self.parsed),
            query_eval: nanoseconds(all.saturating_sub(self.parsed)),
            server_handler: nanoseconds(all),
        }
    }
}

/// A message with the status 200 and OPA's line break at its end. `None` if it does not serialise: a value may have depths that
/// JSON has not.
pub(super) fn response(message: &impl Serialize, pretty: bool) -> Option<Response> {
    let body = if pretty { serde_json::to_vec_pretty(message) } else { serde_json::to_vec(message) };
    let mut body = body.ok()?;
    body.push(b'\n');
    let content_type = HeaderValue::from_static("application/json");
    Some(([(header::CONTENT_TYPE, content_type)], Body::from(body)).into_response())
}
