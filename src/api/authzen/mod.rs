//! OpenID AuthZEN Authorization API 1.0: single and several evaluations, searches, the metadata document.
//!
//! **For:** reading what a gateway names, strictly, and answering in AuthZEN's words. Who asks, the bounds and the
//! decision are those of every face; the rules are the bundle's, at an entrypoint of its own.
//!
//! **Must never know:** who may do what.

mod answer;
mod evaluation;
mod failure;
mod message;
mod metadata;
mod page;
mod schema;
mod search;

use std::{sync::Arc, time::Duration};

use axum::{extract::Request, http::HeaderName, middleware::Next, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::failure::Failure;
use super::{Shared, other_methods, problem::Problem};

pub use metadata::{BaseUrl, InvalidBaseUrl};

/// What the configuration says about this face.
#[derive(Clone, Debug)]
pub struct AuthzenOptions {
    /// Where gateways reach this process; `None` where each call says so itself.
    pub base_url: Option<BaseUrl>,
    /// The types of subjects that are users of the tenant, by their ids.
    pub user_types: Vec<String>,
    /// Whether every answer says why.
    pub reasons: bool,
    /// Whether every gateway carries out obligations, said or not.
    pub obligations: bool,
    /// Results in a page of a search, at most.
    pub page_results: usize,
    /// Evaluations for a page of a search, at most.
    pub page_evaluations: usize,
    /// Time for a page of a search: an evaluation that has begun is finished.
    pub page_time: Duration,
}

impl Default for AuthzenOptions {
    fn default() -> Self {
        Self {
            base_url: None,
            user_types: vec!["user".to_owned(), "identity".to_owned()],
            reasons: false,
            obligations: false,
            page_results: 1_000,
            page_evaluations: 10_000,
            page_time: Duration::from_millis(500),
        }
    }
}

/// The identifier of a request, which every answer repeats.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The routes of this face.
pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    // Here, and not in the router of all faces: it has to be below the layer.
    OpenApiRouter::new()
        .routes(other_methods(routes!(evaluation::one), method_not_allowed))
        .routes(other_methods(routes!(evaluation::several), method_not_allowed))
        .routes(other_methods(routes!(search::subjects), method_not_allowed))
        .routes(other_methods(routes!(search::resources), method_not_allowed))
        .routes(other_methods(routes!(search::actions), method_not_allowed))
        .routes(other_methods(routes!(metadata::show), method_not_allowed))
        .layer(axum::middleware::from_fn(repeat_request_id))
}

async fn method_not_allowed() -> Failure {
    Failure::Problem(Problem::MethodNotAllowed)
}

/// Section 10.1.3: the same identifier comes back, on errors too. How long it may be, the bound of the header says.
async fn repeat_request_id(request: Request, next: Next) -> Response {
    let sent = request.headers().get(&REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(sent) = sent {
        response.headers_mut().insert(REQUEST_ID, sent);
    }
    response
}
