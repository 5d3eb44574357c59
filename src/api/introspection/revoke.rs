//! `POST /v1/revoke`: a token ends.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    Received,
    error::{OauthError, OauthErrorMessage},
    introspect::TokenForm,
};
use crate::api::{Shared, management::Revoked, problem::Problem};

/// Revoke a token by presenting it (RFC 7009)
///
/// Asked by an authenticated gateway of the token's tenant, or of all. The answer is the same whether there is such a token or
/// not; the next decision of this process knows it.
#[utoipa::path(
    post, path = "/v1/revoke", operation_id = "revoke_presented_token", tag = "tokens",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token is good for nothing, if it ever was good for anything"),
        (status = 400, description = "The form is not as it should be, or the token is not one that its holder revokes", body = OauthErrorMessage),
        (status = 401, description = "No live gateway token came with the call", body = OauthErrorMessage),
        (status = 408, description = "The body did not arrive in time", body = OauthErrorMessage),
        (status = 413, description = "The token or the body is too large", body = OauthErrorMessage),
        (status = 415, description = "The body is not a form", body = OauthErrorMessage),
        (status = 431, description = "The header is too large", body = OauthErrorMessage),
        (status = 500, description = "The store failed", body = OauthErrorMessage),
        (status = 503, description = "It may still be good; `Retry-After` says when to try again", body = OauthErrorMessage),
    ),
)]
pub(in crate::api) async fn revoke(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, OauthError> {
    let Received { gateway, credential } = Received::of(&shared, "/v1/revoke", request).await?;
    let management = shared.management.as_ref().ok_or(Problem::StoreUnavailable)?;
    let revoked = match credential.token_hash() {
        Some(hash) => management.revoke_presented(*hash, gateway.tenant.as_ref()).await?,
        None => Revoked::Unknown,
    };
    // What another tenant's issuer signed, a gateway does not learn; and what is over is good for nothing.
    let is_session = shared.point.is_live_session(&credential, &gateway);
    match revoked {
        Revoked::NotByItself => Err(OauthError::UnsupportedTokenType(
            "an operator's or a gateway's own token is revoked by its id: DELETE /v1/tokens/{id}",
        )),
        Revoked::Unknown if is_session => Err(OauthError::UnsupportedTokenType(
            "a session ends at its issuer, or when its user is disabled",
        )),
        Revoked::Gone | Revoked::Unknown => {
            let no_store = HeaderValue::from_static("no-store");
            Ok((StatusCode::OK, [(header::CACHE_CONTROL, no_store)]).into_response())
        }
    }
}
