//! OPA's REST API: what its clients and the plugins of gateways ask.
//!
//! **For:** `/v1/data` and `/v0/data`, which give the value of a rule over an input that the client made up; and two paths
//! below them for the OPA plugins of APISIX and Kong, which bring the request that the gateway holds and get a decision.
//!
//! **Must never know:** a rule. The first has nothing of a caller in it; the others end in
//! [`DecisionPoint::decide`](super::DecisionPoint::decide) like every face.
//!
//! **To add one more** gateway's plugin: a file in `plugin` that reads its input and writes its answer, and two routes.

mod data;
mod error;
mod message;
mod parameters;
mod path;
mod plugin;

use std::sync::Arc;

use axum::{
    middleware::from_fn,
    routing::{MethodRouter, any, get, post},
};
use utoipa_axum::router::OpenApiRouter;

pub use self::path::DataPath;
use super::Shared;

/// What the configuration says about this face.
#[derive(Clone, Debug, Default)]
pub struct OpaOptions {
    paths: Vec<DataPath>,
    /// The headers that APISIX sets on the way to the upstream, as it spells them.
    apisix_headers: Vec<String>,
}

impl OpaOptions {
    /// The rules that may be asked; and the headers that the `send_headers_upstream` of APISIX's plugin names, spelt as there:
    /// it can change no other.
    pub fn new(paths: Vec<DataPath>, apisix_headers: Vec<String>) -> Self {
        Self { paths, apisix_headers }
    }
}

/// The routes of this face. They are OPA's, and described by OPA: the document of regate's own API does not have them.
pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    let read = || get(data::get_v1).post(data::post_v1).fallback(data::read_only);
    let plain = || post(data::post_v0).fallback(data::read_only);
    let router = OpenApiRouter::new()
        .route("/v1/data", read())
        .route("/v1/data/", read())
        .route("/v1/data/{*path}", read().layer(from_fn(data::misdirected)))
        .route("/v0/data", plain())
        .route("/v0/data/", plain())
        .route("/v0/data/{*path}", plain().layer(from_fn(data::misdirected)));
    let absent = ["/v1/query", "/v1/compile", "/v1/compile/{*path}", "/v1/config", "/v1/status"];
    let router = absent.into_iter().fold(router, |router, path| router.route(path, any(data::absent)));
    let asked = |handler: MethodRouter<Arc<Shared>>| handler.fallback(data::read_only);
    router
        .route("/v1/data/regate/apisix", asked(post(plugin::apisix)))
        .route("/v1/data/regate/apisix/{upstream}", asked(post(plugin::apisix_upstream)))
        .route("/v1/data/regate/kong", asked(post(plugin::kong)))
        .route("/v1/data/regate/kong/{upstream}", asked(post(plugin::kong_upstream)))
}
