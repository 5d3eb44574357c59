//! The OpenAPI document: made from the handlers that are routed, so that a call that is not in it does not exist.
//!
//! **To add one more** call: `#[utoipa::path]` at its handler, and its line in [`super::router`].

mod schema;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::{
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        ContentBuilder, Ref, RefOr, ResponseBuilder,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

pub(super) use self::schema::{
    CredentialStateSchema, HolderKindSchema, ImportSchema, NamedHolderSchema, ProblemSchema,
    ProjectListSchema, TokenStateSchema,
};
use super::{Shared, call, management, problem::Problem};
use crate::auth::CredentialReader;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "regate",
        description = "A policy decision point for gateways: decisions, and the tokens and people that they are about.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemSchema)),
    modifiers(&Credentials),
    security(("bearer" = [])),
    tags(
        (name = "decisions", description = "What gateways ask"),
        (name = "authzen", description = "What gateways ask in the words of OpenID AuthZEN"),
        (name = "tokens", description = "Made, shown once, listed, changed, revoked"),
        (name = "users", description = "Who belongs to the tenant"),
        (name = "projects", description = "What people work on"),
        (name = "collaborators", description = "Who works on a project, as what"),
        (name = "upstreams", description = "What is behind the gateway, and which tokens may reach it"),
        (name = "credentials", description = "What goes on to upstreams, and how holders come to it; never shown"),
        (name = "import", description = "Many rows at once"),
        (name = "policies", description = "What decides"),
        (name = "process", description = "How the process is"),
    ),
)]
pub(super) struct Description;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// What a management call answers when it does not do what was asked.
pub(super) struct ManagementProblems;

/// What a management call answers that changes something which may be in another state.
pub(super) struct ConflictProblems;

/// What a management call answers that takes an upstream credential.
pub(super) type CredentialProblems = ConflictProblems;

/// What a management call answers that begins or completes a consent flow.
pub(super) struct FlowProblems;

/// What a gateway's call answers when it is not decided.
pub(super) struct DecisionProblems;

const BOUNDS: [(&str, &str); 6] = [
    ("400", "It is not as the call takes it; `detail` says where"),
    ("401", "No live credential came with the call"),
    ("408", "The body did not arrive in time"),
    ("413", "The body is too large"),
    ("431", "The header is too large"),
    ("503", "It cannot be answered now; `Retry-After` says when to try again"),
];

const MANAGEMENT: [(&str, &str); 3] = [
    ("403", "The caller may not make this call; `reason` says why"),
    ("404", "There is no such thing, or none that the caller may see"),
    ("500", "The store failed"),
];

const FLOW: [(&str, &str); 2] =
    [("410", "The flow has expired"), ("502", "The authorization server gave no token")];

const CONFLICT: [(&str, &str); 1] = [("409", "It does not go with what is there")];

fn problems<'a>(
    kinds: impl IntoIterator<Item = &'a (&'a str, &'a str)>,
) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let schema = Ref::from_schema_name(ProblemSchema::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = |description: &str| {
        let response = ResponseBuilder::new().description(description);
        RefOr::T(response.content("application/problem+json", content.clone()).build())
    };
    kinds.into_iter().map(|(status, description)| ((*status).to_owned(), response(description))).collect()
}

impl IntoResponses for ManagementProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problems(BOUNDS.iter().chain(&MANAGEMENT))
    }
}

impl IntoResponses for ConflictProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problems(BOUNDS.iter().chain(&MANAGEMENT).chain(&CONFLICT))
    }
}

impl IntoResponses for FlowProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problems(BOUNDS.iter().chain(&MANAGEMENT).chain(&CONFLICT).chain(&FLOW))
    }
}

impl IntoResponses for DecisionProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        problems(&BOUNDS)
    }
}

/// This document
///
/// For whoever may ask for decisions or manage: where gateways must authenticate, so must the reader.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "process",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value), DecisionProblems),
    security((), ("bearer" = [])),
)]
pub(super) async fn document(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    call::check_header(request.headers(), &shared.bounds)?;
    // A gateway, or who need not say that it is one; else somebody who manages.
    if shared.point.gateway(&call::presented(request.headers(), &CredentialReader::default())).is_err() {
        management::recognise(&request.into_parts().0, &shared)?;
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], text()).into_response())
}

/// The document. It is the same for all processes of one version.
pub(super) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        // A document made of texts always serialises.
        super::routes().into_openapi().to_json().unwrap_or_default()
    });
    &TEXT
}
