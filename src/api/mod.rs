//! HTTP in and out.
//!
//! **For:** reading questions off the wire, handing them to the one [`DecisionPoint`], writing the
//! answers; the bounds that protect the process from what is sent to it; problem documents.
//!
//! **Must never know:** a rule, SQL, where policies come from. It decides nothing: every face ends in
//! [`DecisionPoint::decide`].
//!
//! **To add one more** face: a module that brings its protocol's message to a
//! [`Question`](crate::decision::Question) and a [`Decision`](crate::decision::Decision) to its
//! protocol's answer, and a route in [`router`]; management call: see `management`.

mod answer;
mod authzen;
mod bounds;
mod call;
mod decide;
mod ext_authz;
mod forward_auth;
mod health;
mod held;
mod introspection;
mod json_rpc;
mod management;
mod mcp_message;
mod nesting;
mod observed;
mod opa;
mod openapi;
mod point;
mod policies;
mod problem;
mod question;
mod rate_headers;
mod recorded;
mod refusals;
mod server;
mod sub_request;
mod uses;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, handler::Handler, routing::get};
use utoipa::OpenApi;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use self::management::{
    collaborators, credentials, decisions, flows, grants, import, projects, tokens, upstreams, users,
};
use crate::{auth::CredentialReader, feed::Reach, policy::Reloader, telemetry::Metrics};

pub use answer::Answer;
pub use authzen::{AuthzenOptions, BaseUrl, InvalidBaseUrl};
pub use bounds::HttpBounds;
pub use ext_authz::ExtAuthzOptions;
pub use forward_auth::ForwardAuthOptions;
pub use held::{Asker, GATEWAY_HEADER};
pub use json_rpc::{Asking, RequestId};
pub use management::Management;
pub use observed::RequestObserver;
pub use opa::{DataPath, OpaOptions};
pub use point::{DataState, DecisionPoint, ExplainingTurn, GatewayAuthentication, NewIds, Taken};
pub use problem::Problem;
pub use question::{QuestionMessage, read as read_json};
pub use recorded::{NOT_A_TIME, Record, read as read_record};
pub use server::{
    BoundAddress, KeptContents, ListenAddress, ListenOptions, Server, ServerError, Tls, TlsError, TlsFiles,
};
pub use sub_request::CarriedHeaders;
pub use uses::TokenUses;

/// Who can read what is said on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Programs of this machine alone.
    Loopback,
    /// Whoever may open the socket's file, on this machine.
    Unix,
    /// The two ends alone.
    Tls,
    /// Whoever is on the way.
    Plain,
}

impl Channel {
    /// The channel of a listener at this address.
    pub fn at(address: &SocketAddr) -> Self {
        if address.ip().is_loopback() { Self::Loopback } else { Self::Plain }
    }
}

/// What the configuration says about the faces beside `/v1/decide`.
#[derive(Clone, Debug, Default)]
pub struct Faces {
    /// OpenID AuthZEN.
    pub authzen: AuthzenOptions,
    /// Envoy's external authorization.
    pub ext_authz: ExtAuthzOptions,
    /// Sub-requests of nginx, Traefik and Caddy.
    pub forward_auth: ForwardAuthOptions,
    /// OPA's REST API.
    pub opa: OpaOptions,
}

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Where every face's question goes.
    pub point: Arc<DecisionPoint>,
    /// What a message may cost.
    pub bounds: Arc<HttpBounds>,
    /// Who can read what is said.
    pub channel: Channel,
    /// How the faces beside `/v1/decide` answer.
    pub faces: Arc<Faces>,
    /// Who reads callers' credentials.
    pub credentials: CredentialReader,
    /// Where the data comes from, if it is followed.
    pub feed: Option<Reach>,
    /// The policy that decides, if it can be reloaded.
    pub policies: Option<Reloader>,
    /// What tokens and people are managed with, if they are.
    pub management: Option<Arc<Management>>,
}

/// All routes, and their description.
fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(openapi::Description::openapi())
        .routes(routes!(decide::one))
        .routes(routes!(decide::batch))
        .routes(routes!(decide::explain))
        .routes(routes!(policies::show))
        .routes(routes!(policies::reload))
        .routes(routes!(tokens::mint, tokens::list))
        .routes(routes!(tokens::read, tokens::change, tokens::revoke))
        .routes(routes!(tokens::grant_trigger, tokens::withdraw_trigger))
        .routes(routes!(users::list))
        .routes(routes!(users::read, users::put, users::remove))
        .routes(routes!(projects::list))
        .routes(routes!(projects::read, projects::put, projects::remove))
        .routes(routes!(collaborators::list))
        .routes(routes!(collaborators::read, collaborators::put, collaborators::remove))
        .routes(routes!(upstreams::list))
        .routes(routes!(upstreams::read, upstreams::put, upstreams::remove))
        .routes(routes!(upstreams::put_client_secret, upstreams::remove_client_secret))
        .routes(routes!(grants::of_token, grants::put_of_token))
        .routes(routes!(grants::of_upstream, grants::put_of_upstream))
        .routes(routes!(credentials::list))
        .routes(routes!(credentials::read_shared, credentials::put_shared, credentials::remove_shared))
        .routes(routes!(credentials::read, credentials::put, credentials::remove))
        .routes(routes!(flows::list, flows::begin))
        .routes(routes!(flows::complete, flows::cancel))
        .routes(routes!(decisions::list))
        .routes(routes!(decisions::read))
        .routes(routes!(import::import))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(openapi::document))
        .merge(authzen::routes())
        .merge(ext_authz::routes())
        .merge(forward_auth::routes())
        .merge(introspection::routes())
        .merge(opa::routes())
}

/// Routes that answer methods which they do not have in their face's own words.
fn other_methods<H, T>(
    (schemas, paths, methods): UtoipaMethodRouter<Arc<Shared>>,
    answer: H,
) -> UtoipaMethodRouter<Arc<Shared>>
where
    H: Handler<T, Arc<Shared>>,
    T: 'static,
{
    (schemas, paths, methods.fallback(answer))
}

/// The service of all routes.
pub fn router(shared: Shared) -> Router {
    let router: Router<Arc<Shared>> = routes().into();
    router
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(Arc::new(shared))
}

/// The service of the listener for gRPC.
pub fn grpc_router(shared: Shared) -> Router {
    ext_authz::grpc_routes(shared)
}

/// The OpenAPI document, as it is served at `/openapi.json`.
pub fn openapi_document() -> &'static str {
    openapi::text()
}

/// The routes of the listener for metrics.
pub fn metrics_router(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(metrics)
}
