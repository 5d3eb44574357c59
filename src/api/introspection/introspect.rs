//! `POST /v1/introspect`: what a token is at this moment.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Received,
    error::{OauthError, OauthErrorMessage},
};
use crate::{
    api::{Shared, call},
    decision::{Document, Introspected, SubjectKind},
};

/// The parameters of both calls.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the description of what `form` reads")]
pub(in crate::api) struct TokenForm {
    /// The token, or a user's session.
    #[schema(min_length = 1)]
    token: String,
    /// Not looked at.
    token_type_hint: Option<String>,
}

/// Whether a token is good at this moment, and what it is (RFC 7662)
///
/// Asked by an authenticated gateway, by `Bearer` or as the password of `Basic`. This is no decision: no rule is asked.
#[utoipa::path(
    post, path = "/v1/introspect", operation_id = "introspect", tag = "decisions",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What it is; of anything that is not good, `active: false` alone", body = IntrospectionMessage),
        (status = 400, description = "The form is not as it should be", body = OauthErrorMessage),
        (status = 401, description = "No live gateway token came with the call", body = OauthErrorMessage),
        (status = 408, description = "The body did not arrive in time", body = OauthErrorMessage),
        (status = 413, description = "The token or the body is too large", body = OauthErrorMessage),
        (status = 415, description = "The body is not a form", body = OauthErrorMessage),
        (status = 431, description = "The header is too large", body = OauthErrorMessage),
        (status = 503, description = "It cannot be known now; `Retry-After` says when to try again", body = OauthErrorMessage),
    ),
)]
pub(in crate::api) async fn introspect(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, OauthError> {
    let Received { gateway, credential } = Received::of(&shared, "/v1/introspect", request).await?;
    let found = shared.point.introspect(credential, &gateway)?;
    let message = found.as_ref().map(IntrospectionMessage::from).unwrap_or_default();
    Ok(call::answer(StatusCode::OK, &message))
}

/// A token (RFC 7662 section 2.2). What follows `jti` are members of regate's own.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::api) struct IntrospectionMessage<'a> {
    active: bool,
    /// `pull`, `push` and `trigger` of a token; of a session what its claim `scope` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The token's id; of a session its claim `client_id`, or `azp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    /// `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// Unix seconds. Of a session alone, like `nbf`, `aud` and `iss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    iat: Option<&'a Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    nbf: Option<&'a Document>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    /// A text or a list of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    aud: Option<&'a Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    /// The token's id; of a session its claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    /// The token's kind, or `session`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    /// The one project of a project token.
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<&'a str>,
    /// The projects that the token is limited to: id → unix seconds or null. Left out where it is not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Option<i64>>>)]
    projects: Option<&'a Document>,
    /// The tools that the token is limited to. Left out where it is not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    tools: Option<&'a Document>,
    /// Of a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_trigger: Option<bool>,
}

impl<'a> From<&'a Introspected> for IntrospectionMessage<'a> {
    fn from(found: &'a Introspected) -> Self {
        let subject = &found.subject;
        let is_session = subject.kind == SubjectKind::Session;
        let claim = |name: &str| match &found.claims {
            Document::Object(claims) => claims.get(&name.into()),
            _ => None,
        };
        let text = |name: &str| match claim(name) {
            Some(Document::String(text)) => Some(text.as_ref()),
            _ => None,
        };
        let number = |name: &str| claim(name).filter(|claim| matches!(claim, Document::Number(_)));
        let scope = if is_session { text("scope").map(str::to_owned) } else { Some(found.scopes.join(" ")) };
        let limit = |list: &'a Document| Some(list).filter(|list| !matches!(list, Document::Null));
        let id = subject.token_id.as_deref();
        Self {
            active: true,
            scope: scope.filter(|scope| !scope.is_empty()),
            client_id: if is_session { text("client_id").or_else(|| text("azp")) } else { id },
            token_type: Some("Bearer"),
            exp: found.expires_at,
            iat: number("iat"),
            nbf: number("nbf"),
            sub: subject.user_id.as_deref(),
            aud: claim("aud").filter(|aud| is_audience(aud)),
            iss: text("iss"),
            jti: id,
            kind: Some(subject.kind.as_str()),
            tenant: subject.tenant.as_ref().map(|tenant| tenant.as_str()),
            project_id: found.project_id.as_deref(),
            projects: limit(&found.projects),
            tools: limit(&found.tools),
            allow_trigger: (!is_session).then_some(found.allow_trigger),
        }
    }
}

/// A text, or a list of texts (RFC 7519 section 4.1.3).
fn is_audience(claim: &Document) -> bool {
    match claim {
        Document::String(_) => true,
        Document::Array(list) => list.iter().all(|one| matches!(one, Document::String(_))),
        _ => false,
    }
}
