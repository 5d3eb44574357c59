//! `envoy.service.auth.v3.Authorization/Check`: Envoy asks over gRPC.
//!
//! A request that cannot be read, and one that is not allowed, is answered with a `denied_response`, which denies
//! whatever Envoy does about errors. What is wrong with the call itself (who asks, its size, data that is not loaded)
//! is a gRPC error: Envoy denies on errors where `failure_mode_allow` is false.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use envoy_types::{
    ext_authz::v3::pb::{Authorization, AuthorizationServer},
    pb::envoy::service::auth::v3::{CheckRequest, CheckResponse},
};
use tonic::{Status, codegen::Service};

use super::{
    super::{Shared, call, held::Asker, problem::Problem},
    grpc_answer,
    grpc_request::CheckedRequest,
};
use crate::{
    auth::CredentialReader,
    decision::{AskingGateway, Body, GatewayRefusal},
    types::{PresentedCredential, TenantId},
};

/// The path of the one method.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The routes of the service.
pub(super) fn routes(shared: Shared) -> Router {
    let limit = shared.bounds.body_bytes;
    let service = AuthorizationServer::new(Checks { shared: shared.clone() });
    let face = Face { shared, service: service.max_decoding_message_size(limit) };
    Router::new()
        .route(CHECK, post(check))
        .fallback(unimplemented)
        .method_not_allowed_fallback(unimplemented)
        .with_state(Arc::new(face))
}

struct Face {
    shared: Shared,
    service: AuthorizationServer<Checks>,
}

/// Receives a call as all other calls are received, within the same bounds: who may not ask may not make us read.
async fn check(State(face): State<Arc<Face>>, request: Request) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if !content_type.is_some_and(|value| value.starts_with(b"application/grpc")) {
        // As the gRPC protocol over HTTP/2 says.
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    match face.receive(request).await {
        // It has no errors of its own.
        Ok(request) => face.service.clone().call(request).await.into_response(),
        Err(problem) => {
            face.shared.point.refused(CHECK, &problem);
            status(&problem).into_http::<axum::body::Body>()
        }
    }
}

impl Face {
    async fn receive(&self, request: Request) -> Result<http::Request<axum::body::Body>, Problem> {
        call::check_header(request.headers(), &self.shared.bounds)?;
        // A gateway has a token. A user's session is none, whosever it is.
        let credential = call::presented(request.headers(), &CredentialReader::default());
        self.shared.point.gateway(&credential)?;
        let (mut parts, body) = request.into_parts();
        let body = call::body(Request::new(body), &self.shared.bounds).await?;
        if holds_more_than_one(&body) {
            return Err(Problem::Malformed("a call of Check has one message".to_owned()));
        }
        parts.extensions.insert(credential);
        Ok(http::Request::from_parts(parts, body.into()))
    }
}

/// Whether anything stands behind the first message: five bytes say how long it is. (tonic takes the first and goes on.)
fn holds_more_than_one(body: &[u8]) -> bool {
    match body {
        [_flag, a, b, c, d, message @ ..] => message.len() > u32::from_be_bytes([*a, *b, *c, *d]) as usize,
        _ => false,
    }
}

async fn unimplemented() -> Response {
    Status::unimplemented("there is envoy.service.auth.v3.Authorization/Check, and nothing else")
        .into_http::<axum::body::Body>()
}

struct Checks {
    shared: Shared,
}

#[tonic::async_trait]
impl Authorization for Checks {
    async fn check(
        &self,
        request: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, Status> {
        let (_, extensions, message) = request.into_parts();
        // It was good before the message was read, which may be a while ago by now.
        let credential = extensions.get().unwrap_or(&PresentedCredential::Malformed);
        let answered = match self.shared.point.gateway(credential) {
            Ok(gateway) => self.answer(&message, gateway).await,
            Err(problem) => Err(problem),
        };
        answered.map(tonic::Response::new).map_err(|problem| {
            self.shared.point.refused(CHECK, &problem);
            status(&problem)
        })
    }
}

impl Checks {
    /// The answer to a message of this gateway.
    ///
    /// # Errors
    /// [`Problem::Gateway`] for one that may not speak for the tenant that it names.
    async fn answer(
        &self,
        message: &CheckRequest,
        gateway: Option<AskingGateway>,
    ) -> Result<CheckResponse, Problem> {
        let Shared { bounds, channel, credentials, point, .. } = &self.shared;
        let CheckedRequest { held, asked, tenant, json_rpc_errors } =
            match CheckedRequest::read(message, bounds) {
                Ok(checked) => checked,
                Err(problem) => {
                    point.misdescribed(CHECK, &problem);
                    return Ok(grpc_answer::unread(&problem));
                }
            };
        let gateway = narrowed(gateway, tenant)?;
        let asker = Asker::at_the_gate(CHECK, gateway.as_ref(), *channel).able(&grpc_answer::Envoy);
        Ok(match held.sent_on().and_then(|held| held.into_question(asked, asker, bounds, credentials)) {
            Ok(question) => {
                let said = match &question.body {
                    Body::Whole(body) => body,
                    Body::Cut | Body::Untold | Body::Unseen => &[][..],
                };
                let json_rpc_to = json_rpc_errors.then_some(said);
                grpc_answer::decided(&point.decide(&question).await, json_rpc_to)
            }
            Err(problem) => grpc_answer::unread(&problem),
        })
    }
}

/// The gateway as one that speaks for the tenant alone that its route names.
///
/// INVARIANT: naming a tenant never widens: it needs a gateway that authenticated, and speaks for that tenant anyway.
fn narrowed(
    gateway: Option<AskingGateway>,
    tenant: Option<TenantId>,
) -> Result<Option<AskingGateway>, Problem> {
    let Some(tenant) = tenant else { return Ok(gateway) };
    match gateway {
        Some(gateway) if gateway.tenant.as_ref().is_none_or(|own| *own == tenant) => {
            Ok(Some(AskingGateway { tenant: Some(tenant), ..gateway }))
        }
        Some(_) | None => Err(Problem::Gateway(GatewayRefusal)),
    }
}

/// The gRPC status of a call that was not answered. Its text names no value of the message.
fn status(problem: &Problem) -> Status {
    let (code, status, _) = problem.kind();
    let text = format!("{code}: {problem}");
    match status {
        StatusCode::BAD_REQUEST => Status::invalid_argument(text),
        StatusCode::UNAUTHORIZED => Status::unauthenticated(text),
        StatusCode::REQUEST_TIMEOUT => Status::deadline_exceeded(text),
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            Status::resource_exhausted(text)
        }
        StatusCode::SERVICE_UNAVAILABLE => Status::unavailable(text),
        _ => Status::internal(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{AskingGateway, TenantId, narrowed};

    #[test]
    fn a_named_tenant_narrows_and_never_widens() {
        let tenant = |name: &str| TenantId::try_from(name).unwrap();
        let gateway = |own: Option<&str>| Some(AskingGateway { id: "g".into(), tenant: own.map(tenant) });
        let speaks_for = |own: Option<&str>, named: Option<&str>| {
            narrowed(gateway(own), named.map(tenant)).map(|gateway| gateway.unwrap().tenant).ok()
        };
        assert_eq!(speaks_for(None, None), Some(None));
        assert_eq!(speaks_for(None, Some("a")), Some(Some(tenant("a"))));
        assert_eq!(speaks_for(Some("a"), None), Some(Some(tenant("a"))));
        assert_eq!(speaks_for(Some("a"), Some("a")), Some(Some(tenant("a"))));
        assert_eq!(speaks_for(Some("a"), Some("b")), None);
        assert!(narrowed(None, Some(tenant("a"))).is_err());
        assert_eq!(narrowed(None, None).unwrap(), None);
    }
}
