//! What all calls have in common: their header, the credential in it, their body, a JSON answer.

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

use super::{bounds::HttpBounds, problem::Problem};
use crate::{auth::CredentialReader, types::PresentedCredential};

/// How much more than the bound of a body is read and thrown away, so that a client that is still
/// sending gets to see the answer.
const DRAIN_FACTOR: usize = 16;

/// Refuses a header that is too large.
pub(super) fn check_header(headers: &HeaderMap, bounds: &HttpBounds) -> Result<(), Problem> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > bounds.header_bytes {
        return Err(Problem::HeaderTooLarge(bounds.header_bytes));
    }
    Ok(())
}

/// The credential of the call itself.
pub(super) fn presented(headers: &HeaderMap, reader: &CredentialReader) -> PresentedCredential {
    let values = headers.get_all(header::AUTHORIZATION);
    // A value that is not ASCII is no credential; it must not vanish either.
    reader.read(None, values.iter().map(|value| value.to_str().unwrap_or_default()))
}

/// The whole body of a call, within its bounds.
pub(super) async fn body(request: Request, bounds: &HttpBounds) -> Result<Bytes, Problem> {
    let limit = bounds.body_bytes;
    let mut body = request.into_body();
    let reading = Limited::new(&mut body, limit).collect();
    match tokio::time::timeout(bounds.receive_time, reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            drain(body, bounds).await;
            Err(Problem::BodyTooLarge(limit))
        }
        Ok(Err(_)) | Err(_) => Err(Problem::BodyNotReceived),
    }
}

/// Reads on for a while without keeping anything.
async fn drain(body: Body, bounds: &HttpBounds) {
    let mut rest = Limited::new(body, bounds.body_bytes.saturating_mul(DRAIN_FACTOR));
    let reading = async { while let Some(Ok(_)) = rest.frame().await {} };
    let _ = tokio::time::timeout(bounds.receive_time, reading).await;
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

/// Bytes that the rest of a message takes, however it is answered, unless a policy is talkative.
const USUAL_BYTES: usize = 4 * 1024;

/// The same of a message that holds secrets of so many bytes in all: no cache keeps it, and what was written is wiped
/// when it has been sent. (The copies of the operating system and of TLS are not in our hands.)
pub(super) fn secret(message: &impl Serialize, secret: usize) -> Response {
    // Quotation marks and backslashes take two. A vector that grows would leave copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(USUAL_BYTES.saturating_add(secret.saturating_mul(2))));
    if serde_json::to_writer(&mut *body, message).is_err() {
        body.zeroize();
    }
    let content_type = HeaderValue::from_static("application/json");
    let cache_control = HeaderValue::from_static("no-store");
    let fields = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, cache_control)];
    (fields, Body::from(Bytes::from_owner(body))).into_response()
}

/// A message as an answer that no cache may keep: rights change.
pub(super) fn answer(status: StatusCode, message: &impl Serialize) -> Response {
    let mut response = json(message);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
