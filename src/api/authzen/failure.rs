//! Errors of a call: a status, and a message as the body (section 10.1.2). None of them is a decision, and none can be
//! taken for one.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::super::problem::{Problem, retold};
use crate::decision::NoCandidates;

/// Why a call was not answered with a decision.
#[derive(Debug)]
pub(super) enum Failure {
    /// As on every face.
    Problem(Problem),
    /// The data is older than it may be: no decision is made from it.
    Stale,
    /// The rules that name what a search looks at failed. The log says how.
    Candidates,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<NoCandidates> for Failure {
    fn from(reason: NoCandidates) -> Self {
        match reason {
            NoCandidates::Stale => Self::Stale,
            NoCandidates::Failed(_) | NoCandidates::Form => {
                tracing::warn!(fault = %reason, "the policy names nothing that a search could look at");
                Self::Candidates
            }
        }
    }
}

impl Failure {
    pub fn malformed(text: impl Into<String>) -> Self {
        Self::Problem(Problem::Malformed(text.into()))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (response, message) = match self {
            Self::Problem(problem) => {
                let message = problem.to_string();
                (problem.into_response(), message)
            }
            Self::Stale => {
                let again = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
                let response = (StatusCode::SERVICE_UNAVAILABLE, again).into_response();
                (response, "the data is not current; try again later".to_owned())
            }
            Self::Candidates => {
                let response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
                (response, "the policy could not say what the search has to look at".to_owned())
            }
        };
        retold(response, "text/plain; charset=utf-8", message)
    }
}
