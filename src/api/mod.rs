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
mod bounds;
mod call;
mod decide;
mod health;
mod management;
mod nesting;
mod point;
mod policies;
mod problem;
mod question;
mod server;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use crate::{auth::CredentialReader, feed::Reach, policy::Reloader, telemetry::Metrics};

pub use answer::Answer;
pub use bounds::HttpBounds;
pub use point::{DataState, DecisionPoint, GatewayAuthentication, NewIds, Taken};
pub use problem::Problem;
pub use question::{QuestionMessage, read as read_json};
pub use server::{Server, ServerError};

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Where every face's question goes.
    pub point: Arc<DecisionPoint>,
    /// What a message may cost.
    pub bounds: Arc<HttpBounds>,
    /// Who reads callers' credentials.
    pub credentials: CredentialReader,
    /// Where the data comes from, if it is followed.
    pub feed: Option<Reach>,
    /// The policy that decides, if it can be reloaded.
    pub policies: Option<Reloader>,
}

/// All routes.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/decide", post(decide::one))
        .route("/v1/decide/batch", post(decide::batch))
        .route("/v1/explain", post(decide::explain))
        .route("/v1/policies", get(policies::show))
        .route("/v1/policies/reload", post(policies::reload))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(shared)
}

/// The routes of the listener for metrics.
pub fn metrics_router(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(metrics)
}
