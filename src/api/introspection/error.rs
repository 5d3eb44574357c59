//! Errors as OAuth's endpoints write them (RFC 6749 section 5.2).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::problem::{Problem, retold};
use crate::decision::NotKnown;

/// Why a call was not answered. None says that a token is good.
#[derive(Debug)]
pub(in crate::api) enum OauthError {
    /// `invalid_request`
    Invalid(&'static str),
    /// `invalid_request` with a body that is no form.
    NotAForm,
    /// `invalid_request` with a token that is too long.
    TooLarge,
    /// `unsupported_token_type` (RFC 7009 section 2.2.1)
    UnsupportedTokenType(&'static str),
    /// Anything that can go wrong with any call.
    Call(Problem),
}

impl From<Problem> for OauthError {
    fn from(problem: Problem) -> Self {
        Self::Call(problem)
    }
}

impl From<NotKnown> for OauthError {
    fn from(why: NotKnown) -> Self {
        match why {
            NotKnown::Stale => Self::Call(Problem::Stale),
            NotKnown::Keys => Self::Call(Problem::KeysUnavailable),
        }
    }
}

/// An error of OAuth (RFC 6749 section 5.2).
#[derive(Serialize, ToSchema)]
#[schema(as = OauthError)]
pub(in crate::api) struct OauthErrorMessage {
    /// `invalid_request`, `invalid_client`, `unsupported_token_type`, `temporarily_unavailable` or `server_error`.
    error: &'static str,
    error_description: String,
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let invalid = |status, text: &str| (status, "invalid_request", text.to_owned());
        let (status, error, text) = match &self {
            Self::Invalid(text) => invalid(StatusCode::BAD_REQUEST, text),
            Self::NotAForm => {
                let text = "the body has to be application/x-www-form-urlencoded, as it is";
                invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
            }
            Self::TooLarge => invalid(StatusCode::PAYLOAD_TOO_LARGE, "the token is too long"),
            Self::UnsupportedTokenType(text) => {
                (StatusCode::BAD_REQUEST, "unsupported_token_type", (*text).to_owned())
            }
            Self::Call(problem) => {
                let (_, status, _) = problem.kind();
                let error = match status {
                    StatusCode::UNAUTHORIZED => "invalid_client",
                    StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
                    status if status.is_client_error() => "invalid_request",
                    _ => "server_error",
                };
                (status, error, problem.to_string())
            }
        };
        // Two texts always serialise; an empty body says of no token that it is good.
        let message = OauthErrorMessage { error, error_description: text };
        let body = serde_json::to_vec(&message).unwrap_or_default();
        let response = match self {
            Self::Call(problem) => problem.into_response(),
            _ => status.into_response(),
        };
        let mut response = retold(response, "application/json", body);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            // Beside the challenge for a bearer: either way to say who asks is taken.
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"regate\""));
        }
        response
    }
}
