//! Envoy's external authorization, v3: over HTTP and over gRPC.

mod grpc;
mod grpc_answer;
mod grpc_request;
mod grpc_values;
mod http;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use super::{CarriedHeaders, Shared};

pub(super) use http::HEADERS_TO_REMOVE;

/// What the configuration says about this face.
#[derive(Clone, Debug, Default)]
pub struct ExtAuthzOptions {
    /// Over HTTP, the headers that Envoy takes over from an answer: its `allowed_upstream_headers`.
    pub headers: CarriedHeaders,
}

/// The routes of this face.
pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    http::routes()
}

/// The gRPC services, for the listener that speaks gRPC.
pub(super) fn grpc_routes(shared: Shared) -> axum::Router {
    grpc::routes(shared)
}
