//! `GET /health` and `GET /ready`: the two paths that need no credential.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{DataState, Shared};
use crate::{feed::Reach, telemetry::Metrics};

const JSON: [(header::HeaderName, HeaderValue); 1] =
    [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];

/// The process is alive
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "process", security(()),
    responses((status = 200, description = "It is", body = serde_json::Value)),
)]
pub(super) async fn health() -> Response {
    (JSON, "{\"alive\":true}").into_response()
}

/// The process can decide
///
/// 200 with the state of its data, or 503 while everything is still being loaded, while the data is stale, and when the
/// process is about to end.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "process", security(()),
    responses(
        (status = 200, description = "It can", body = serde_json::Value),
        (status = 503, description = "It cannot yet, or not any more", body = serde_json::Value),
    ),
)]
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    #[derive(Serialize)]
    struct Ready<'a> {
        ready: bool,
        state: &'static str,
        policy_revision: &'a str,
        data_revision: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        data_age_seconds: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        feed: Option<FeedState>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        documents: Vec<DocumentState<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        policy: Option<PolicyState>,
    }
    /// Codes and numbers only: anybody may ask.
    #[derive(Serialize)]
    struct FeedState {
        problem: Option<&'static str>,
        notifications_missing: bool,
        rows_loaded: u64,
    }
    #[derive(Serialize)]
    struct DocumentState<'a> {
        path: &'a str,
        rows: u64,
        problem: Option<&'static str>,
    }
    #[derive(Serialize)]
    struct PolicyState {
        problem: Option<&'static str>,
        watching: bool,
    }
    let (state, age) = match shared.point.data_state() {
        DataState::Loading => ("loading", None),
        DataState::Current(age) => ("current", Some(age)),
        DataState::Stale(age) => ("stale", Some(age)),
    };
    let state = if shared.point.is_ending() { "ending" } else { state };
    let basis = shared.point.live().basis();
    let feed = shared.feed.as_ref().map(Reach::status);
    let ready = Ready {
        ready: state == "current",
        state,
        policy_revision: basis.bundle().revision().as_str(),
        data_revision: basis.snapshot().revision().0,
        data_age_seconds: age.map(|age| age.as_secs_f64()),
        feed: feed.map(|feed| FeedState {
            problem: feed.problem(),
            notifications_missing: feed.notifications_missing(),
            rows_loaded: feed.rows_loaded(),
        }),
        documents: feed.map_or_else(Vec::new, |feed| {
            let documents = feed.documents().iter();
            documents
                .map(|d| DocumentState { path: d.path(), rows: d.rows(), problem: d.problem() })
                .collect()
        }),
        policy: shared.policies.as_ref().map(|policies| {
            let state = policies.state();
            let problem = state.failure.as_ref().map(|failed| failed.failure.stage.as_str());
            PolicyState { problem, watching: state.watching }
        }),
    };
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, JSON, serde_json::to_vec(&ready).unwrap_or_default()).into_response()
}

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(Metrics::CONTENT_TYPE))], metrics.render())
        .into_response()
}
