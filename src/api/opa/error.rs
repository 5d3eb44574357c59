//! Errors as OPA writes them: `{"code", "message"}`, indented, and no result. A client that reads `result` denies.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::super::problem::{Problem, retold};

/// Why there is no answer, with one of OPA's own codes.
#[derive(Debug)]
pub(super) enum OpaError {
    /// `invalid_parameter`.
    Invalid(String),
    /// `undefined_document`: of `/v0/data` alone.
    Undefined(String),
    /// `resource_not_found`.
    NotFound(&'static str),
    /// `invalid_operation`.
    ReadOnly,
    /// `internal_error` of a rule that could not be evaluated.
    Evaluation,
    /// What went wrong with the call before the rule was asked.
    Call(Problem),
}

impl From<Problem> for OpaError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Malformed(_) | Problem::TooDeep(_) | Problem::PartTooLong { .. } => {
                Self::Invalid(format!("body contains malformed input document: {problem}"))
            }
            problem => Self::Call(problem),
        }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    code: &'static str,
    message: &'a str,
}

impl OpaError {
    fn parts(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Invalid(text) => (StatusCode::BAD_REQUEST, "invalid_parameter", text.clone()),
            Self::Undefined(text) => (StatusCode::NOT_FOUND, "undefined_document", text.clone()),
            Self::NotFound(text) => (StatusCode::NOT_FOUND, "resource_not_found", (*text).to_owned()),
            Self::ReadOnly => {
                let text =
                    "data is read by GET and POST, and written through regate's own API or your own tables";
                (StatusCode::METHOD_NOT_ALLOWED, "invalid_operation", text.to_owned())
            }
            // OPA's own words.
            Self::Evaluation => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "error(s) occurred while evaluating query".to_owned(),
            ),
            Self::Call(problem) => {
                let (_, status, _) = problem.kind();
                let code = match status {
                    StatusCode::UNAUTHORIZED => "unauthorized",
                    status if status.is_client_error() => "invalid_parameter",
                    _ => "internal_error",
                };
                (status, code, problem.to_string())
            }
        }
    }
}

impl IntoResponse for OpaError {
    fn into_response(self) -> Response {
        let (status, code, text) = self.parts();
        // Two texts always serialise.
        let mut body = serde_json::to_vec_pretty(&Message { code, message: &text }).unwrap_or_default();
        body.push(b'\n');
        let response = match self {
            Self::Call(problem) => problem.into_response(),
            _ => status.into_response(),
        };
        let mut response = retold(response, "application/json", body);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        response
    }
}
