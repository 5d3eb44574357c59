//! `GET /health` and `GET /ready`: the two paths that need no credential.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::Shared;

const JSON: [(header::HeaderName, HeaderValue); 1] =
    [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];

/// `GET /health`: the process is alive.
pub(super) async fn health() -> Response {
    (JSON, "{\"alive\":true}").into_response()
}

/// `GET /ready`: the process can decide. The listener opens when the policy is compiled and all data
/// is loaded, so an answer at all means yes.
pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    #[derive(Serialize)]
    struct Ready<'a> {
        ready: bool,
        policy_revision: &'a str,
        data_revision: u64,
    }
    let basis = shared.point.live().basis();
    let ready = Ready {
        ready: true,
        policy_revision: basis.bundle().revision().as_str(),
        data_revision: basis.snapshot().revision().0,
    };
    (JSON, serde_json::to_vec(&ready).unwrap_or_default()).into_response()
}
