//! External authorization over HTTP, as Envoy's `http_service` asks: it sends the request's own method and, below a
//! prefix, its own path. Only exactly 200 allows.
//!
//! `x-regate-upstream` is always needed (an upstream's id, or `-`), and `x-regate-json-rpc-errors` may come beside it. Envoy has to
//! set them (`headers_to_add`, which replaces the client's): an Envoy that does not set the first lets nobody through, so
//! that no client finds it open.

use std::{sync::Arc, sync::LazyLock};

use axum::{
    extract::{Request, State},
    http::{HeaderName, Version, header},
    response::Response,
    routing::any,
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    api::{
        Shared, call,
        held::{Asked, Asker, HeldRequest},
        problem::Problem,
        sub_request::{self, Manner, Removal},
    },
    decision::Body,
};

/// What stands before the request's own path.
const PREFIX: &str = "/v1/ext-authz";

/// In which Envoy is told what to remove.
pub(crate) const HEADERS_TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

const UPSTREAM: HeaderName = HeaderName::from_static("x-regate-upstream");
const JSON_RPC_ERRORS: HeaderName = HeaderName::from_static("x-regate-json-rpc-errors");
const PARTIAL_BODY: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");

/// What Envoy adds to the message that asks. Rules see none of it.
static ENVOYS: [HeaderName; 8] = [
    UPSTREAM,
    JSON_RPC_ERRORS,
    PARTIAL_BODY,
    HeaderName::from_static("x-envoy-expected-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-internal"),
    HeaderName::from_static("x-envoy-attempt-count"),
    HeaderName::from_static("x-envoy-external-address"),
    HeaderName::from_static("x-forwarded-for"),
];

static NOT_THE_CALLERS: LazyLock<Vec<HeaderName>> = LazyLock::new(|| sub_request::not_the_callers(&ENVOYS));

/// The routes of this face.
pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .route("/v1/ext-authz", any(check))
        .route("/v1/ext-authz/", any(check))
        .route("/v1/ext-authz/{*path}", any(check))
}

async fn check(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let answered = decide(&shared, request).await;
    answered.unwrap_or_else(|problem| sub_request::refusal(&shared, PREFIX, problem))
}

async fn decide(shared: &Shared, mut request: Request) -> Result<Response, Problem> {
    call::check_header(request.headers(), &shared.bounds)?;
    // Before the body: who may not ask may not make us read.
    sub_request::gateway(request.headers(), shared)?;
    let invalid = |text: &str| Problem::Invalid(text.to_owned());
    let host = host(&request)?;
    let sent = std::mem::take(request.headers_mut());
    let uri = request.uri().clone();
    let method = request.method().clone();
    // As it came: undecoded, with its query.
    let target = uri.path_and_query().and_then(|all| all.as_str().strip_prefix(PREFIX)).unwrap_or_default();
    let upstream = sub_request::single(&sent, &UPSTREAM)?.filter(|id| !id.is_empty()).ok_or_else(|| {
        invalid(
            "x-regate-upstream is missing: Envoy has to set it (headers_to_add), to an upstream's id or to -",
        )
    })?;
    let json_rpc_errors = match sub_request::single(&sent, &JSON_RPC_ERRORS)? {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(invalid("x-regate-json-rpc-errors is true or false")),
    };
    let is_cut = match sub_request::single(&sent, &PARTIAL_BODY)? {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(invalid("x-envoy-auth-partial-body is true or false")),
    };
    let told = sub_request::body(request, shared).await?;
    let body = if is_cut { Body::Cut } else { told };
    // The body may have taken its time: who asks is made out anew.
    let gateway = sub_request::gateway(&sent, shared)?;
    let held = HeldRequest {
        method: method.as_str().into(),
        target: target.into(),
        host: host.map(Into::into),
        headers: HeldRequest::headers_of(&sent, &NOT_THE_CALLERS),
        // In what Envoy forwards here, the client's own words are not told from Envoy's.
        source_ip: None,
        body,
    };
    let asked = Asked { upstream: sub_request::upstream(upstream), ..Asked::default() };
    let carried = &shared.faces.ext_authz.headers;
    let manner = Manner { sent: &sent, carried, removal: Removal::Told, json_rpc_errors };
    let asker = Asker::at_the_gate(PREFIX, gateway.as_ref(), shared.channel).able(&manner);
    let question = held.sent_on()?.into_question(asked, asker, &shared.bounds, &shared.credentials)?;
    Ok(sub_request::answer(&shared.point.decide(&question).await, &question.body, &manner))
}

/// The host that the client named. A message that names two is nobody's.
fn host(request: &Request) -> Result<Option<String>, Problem> {
    let told = sub_request::single(request.headers(), &header::HOST)?;
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let is_old = matches!(request.version(), Version::HTTP_09 | Version::HTTP_10 | Version::HTTP_11);
    match (told, authority) {
        (_, Some(_)) if is_old => Err(Problem::Invalid("the request target is not a path".to_owned())),
        (Some(told), Some(authority)) if told != authority => {
            Err(Problem::Invalid("host says something else than :authority".to_owned()))
        }
        (told, authority) => Ok(authority.or(told).map(str::to_owned)),
    }
}
