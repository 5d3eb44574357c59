//! Who may make a call of regate's own management API.
//!
//! **To add one more** call: a handler that takes [`Operator`] as an argument, and its route. There is no other
//! way to the credential of such a call, and none around the bundle's decision.

use std::borrow::Cow;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::{Shared, call, problem::Problem};
use crate::decision::{Decision, Document, Headers, OwnReason, Question, Reason, Request, Subject};

/// The caller of a management call that the bundle allowed. What it may see and change is its own tenant's.
#[derive(Clone, Debug)]
pub(super) struct Operator(pub Subject);

impl FromRequestParts<Shared> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        authorise(shared, parts).map(Self)
    }
}

/// Asks the bundle, at its management entrypoint, whether the call may be made.
fn authorise(shared: &Shared, parts: &Parts) -> Result<Subject, Problem> {
    call::check_header(&parts.headers, &shared.bounds)?;
    if !shared.point.live().is_loaded() {
        return Err(Problem::NotLoaded);
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    if target.len() > shared.bounds.path_bytes {
        return Err(Problem::PartTooLong { part: "the path".into(), limit: shared.bounds.path_bytes });
    }
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let question = Question {
        credential: call::presented(&parts.headers, &shared.credentials),
        request: Request {
            method: Cow::Borrowed(parts.method.as_str()),
            target: Cow::Borrowed(target),
            host: host.map(Cow::Borrowed),
            headers: headers(&parts.headers),
            source_ip: None,
        },
        upstream: None,
        mcp: None,
        context: Document::new_object(),
        gateway: None,
        explain: false,
    };
    permitted(shared.point.manage(&question))
}

fn headers(headers: &HeaderMap) -> Headers<'_> {
    let fields = headers.iter().filter(|(name, _)| !Headers::is_credential(name.as_str()));
    Headers::new(
        fields
            .map(|(name, value)| (name.as_str().into(), String::from_utf8_lossy(value.as_bytes())))
            .collect(),
    )
}

fn permitted(decision: Decision) -> Result<Subject, Problem> {
    match (decision.allow, decision.subject) {
        (true, Some(subject)) => Ok(subject),
        _ => Err(match decision.reasons.first {
            Reason::Own(OwnReason::DataStale) => Problem::Stale,
            Reason::Own(OwnReason::SessionKeysUnavailable) => Problem::KeysUnavailable,
            // One text for all: whoever guesses learns nothing.
            Reason::Own(own) if own.status() == 401 || own == OwnReason::AmbiguousCredential => {
                Problem::Unauthenticated
            }
            reason => Problem::ManagementDenied {
                reason: reason.as_str().to_owned(),
                message: decision.message.as_str().to_owned(),
            },
        }),
    }
}
