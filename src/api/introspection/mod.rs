//! RFC 7662 introspection and RFC 7009 revocation, for gateways that know only those.
//!
//! **For:** what a token is at this moment, and to end it, asked by whoever holds it: an authenticated gateway. A gateway
//! that decides by what it reads here has not asked the policy.
//!
//! **Must never know:** what a token may do. The credential is read as that of a question ([`introspect`](crate::decision::introspect)).

mod error;
mod form;
pub(super) mod introspect;
pub(super) mod revoke;

use std::sync::Arc;

use axum::{extract::Request, http::header};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{error::OauthError, form::Form};
use super::{Shared, call, other_methods, problem::Problem};
use crate::{
    auth::CredentialReader,
    decision::{AskingGateway, GatewayRefusal},
    types::PresentedCredential,
};

/// The routes of this face.
pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(other_methods(routes!(introspect::introspect), method_not_allowed))
        .routes(other_methods(routes!(revoke::revoke), method_not_allowed))
}

async fn method_not_allowed() -> OauthError {
    OauthError::Call(Problem::MethodNotAllowed)
}

/// A call that was received: who makes it, and about which credential.
struct Received {
    gateway: AskingGateway,
    credential: PresentedCredential,
}

impl Received {
    /// INVARIANT: who asks is an authenticated gateway, also where gateways need not authenticate for questions (RFC 7662
    /// section 2.1: else anybody could try tokens out).
    async fn of(shared: &Shared, face: &'static str, request: Request) -> Result<Self, OauthError> {
        call::check_header(request.headers(), &shared.bounds)?;
        let values = request.headers().get_all(header::AUTHORIZATION);
        // A value that is not ASCII is no credential; it must not vanish either.
        let texts: Vec<&str> = values.iter().map(|value| value.to_str().unwrap_or_default()).collect();
        let asker = CredentialReader::default().read_with_basic(&texts);
        // Before the body: who may not ask may not make us read.
        authenticated(shared, face, &asker)?;
        Form::check_type(request.headers())?;
        let body = call::body(request, &shared.bounds).await?;
        let form = Form::read(&body, shared.bounds.token_bytes)?;
        let credential = shared.credentials.read(Some(&form.token), []);
        // Whoever was revoked while the body came is gone.
        Ok(Self { gateway: authenticated(shared, face, &asker)?, credential })
    }
}

fn authenticated(
    shared: &Shared,
    face: &'static str,
    asker: &PresentedCredential,
) -> Result<AskingGateway, Problem> {
    let gateway = shared.point.gateway(asker).and_then(|gateway| gateway.ok_or(GatewayRefusal.into()));
    gateway.inspect_err(|problem| shared.point.refused(face, problem))
}
