//! Problems on the wire.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{Problem, Unauthenticated};

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: String,
    code: &'a str,
    allow: bool,
    #[serde(flatten)]
    more: More<'a>,
}

/// What some problems say beyond the words.
#[derive(Default, Serialize)]
struct More<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Refused<'a>>,
}

/// A place in an import document, and what is wrong there.
#[derive(Serialize)]
struct Refused<'a> {
    place: &'a str,
    problem: &'a str,
}

impl<'a> From<&'a Problem> for More<'a> {
    fn from(problem: &'a Problem) -> Self {
        match problem {
            Problem::ManagementDenied { reason, .. } => Self { reason: Some(reason), ..Self::default() },
            Problem::Unauthenticated(Unauthenticated::Session(reason)) => {
                Self { reason: Some(reason), ..Self::default() }
            }
            Problem::NotActivated(failure) => Self {
                reason: None,
                stage: Some(failure.stage.as_str()),
                file: failure.place.as_ref().map(|place| place.file.as_str()),
                line: failure.place.as_ref().and_then(|place| place.line),
                column: failure.place.as_ref().and_then(|place| place.column),
                problems: Vec::new(),
            },
            Problem::ImportRefused(problems) => Self {
                problems: problems
                    .shown()
                    .iter()
                    .map(|problem| Refused { place: &problem.place, problem: &problem.text })
                    .collect(),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}

impl Problem {
    /// The problem document, as JSON.
    pub(in crate::api) fn document(&self) -> String {
        let (code, status, title) = self.kind();
        let document = Document {
            r#type: format!("urn:regate:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: self.to_string(),
            code,
            allow: false,
            more: More::from(self),
        };
        // A structure of texts always serialises; if it ever did not, this still denies.
        serde_json::to_string(&document).unwrap_or_else(|_| "{\"allow\":false}".to_owned())
    }
}

/// The same answer with another body, for a protocol that has its own words for errors. What a problem says in headers (a
/// challenge, when to try again, that the connection ends) is as true there.
pub(in crate::api) fn retold(
    mut response: Response,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    *response.body_mut() = body.into();
    response
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (_, status, _) = self.kind();
        let body = self.document();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        let headers = response.headers_mut();
        match self {
            // RFC 6750 section 3.1: no error code where no credential came.
            Self::Gateway(_) | Self::Unauthenticated(Unauthenticated::Absent) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Unauthenticated(Unauthenticated::Token | Unauthenticated::Session(_)) => {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::Revision(_)
            | Self::NotLoaded
            | Self::Stale
            | Self::KeysUnavailable
            | Self::Ending
            | Self::Unrecorded
            | Self::StoreUnavailable
            | Self::StoreBusy
            | Self::ExchangesBusy => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::TooManyCalls(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            // The rest of the message may still be on its way: nothing after it can be understood.
            Self::BodyTooLarge(_) | Self::HeaderTooLarge(_) | Self::BodyNotReceived | Self::Form(_) => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Malformed(_)
            | Self::TooDeep(_)
            | Self::PartTooLong { .. }
            | Self::BatchTooLong { .. }
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::ManagementDenied { .. }
            | Self::Invalid(_)
            | Self::Unbelieved
            | Self::NoSuch(_)
            | Self::NotLive { .. }
            | Self::TooManyTokens { .. }
            | Self::WrongHolder { .. }
            | Self::NotGranted
            | Self::NoKey
            | Self::FlowOver(_)
            | Self::FlowNotYours
            | Self::NotExchanged(_)
            | Self::WrongIssuer
            | Self::ImportRefused(_)
            | Self::Rejected(_)
            | Self::StoreFailed
            | Self::NotActivated(_) => {}
        }
        response
    }
}
