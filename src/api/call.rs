//! What all calls have in common: their header, the credential in it, a JSON answer.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{bounds::HttpBounds, problem::Problem};
use crate::{auth, types::PresentedCredential};

/// Refuses a header that is too large.
pub(super) fn check_header(headers: &HeaderMap, bounds: &HttpBounds) -> Result<(), Problem> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > bounds.header_bytes {
        return Err(Problem::HeaderTooLarge(bounds.header_bytes));
    }
    Ok(())
}

/// The credential of the call itself.
pub(super) fn presented(headers: &HeaderMap) -> PresentedCredential {
    let values = headers.get_all(header::AUTHORIZATION);
    // A value that is not ASCII is no credential; it must not vanish either.
    auth::present(None, values.iter().map(|value| value.to_str().unwrap_or_default()))
}

/// A message as the answer, with the status 200.
pub(super) fn json(message: &impl Serialize) -> Response {
    let mut body = Vec::with_capacity(768);
    // A structure of texts and numbers always serialises; an empty body is no allow either.
    if serde_json::to_writer(&mut body, message).is_err() {
        body.clear();
    }
    let content_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}
