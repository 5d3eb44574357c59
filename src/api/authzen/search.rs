//! `POST /access/v1/search/subject`, `…/resource` and `…/action`: who, what and which actions are permitted.
//!
//! The bundle names what is looked at; a result is what the same evaluation permits that the single call would ask.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{
    super::{Shared, call},
    answer::{Obligation, obligations},
    evaluation::{Call, read},
    failure::Failure,
    message::{Naming, Parts},
    page::{PageAsked, Tie},
    schema::{ActionSearchSchema, Failures, ResourceSearchSchema, SubjectSearchSchema},
};
use crate::decision::Searched;

/// A page of results.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthzenResults)]
pub(super) struct ResultsMessage {
    /// Where it goes on; not there when everything is here and nothing was said about pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PageMessage>,
    results: Vec<Found>,
}

/// Where a search goes on.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthzenPage)]
pub(super) struct PageMessage {
    /// Empty at the end.
    next_token: String,
    count: usize,
}

/// A subject or a resource, or an action.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthzenFound)]
pub(super) struct Found {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What has to be carried out. Whoever cannot carry one out must leave the result out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    obligations: Vec<Obligation>,
}

/// Which subjects may do this to this resource?
#[utoipa::path(
    post, path = "/access/v1/search/subject", operation_id = "authzen_search_subject", tag = "authzen",
    request_body = SubjectSearchSchema,
    responses((status = 200, description = "A page of results", body = ResultsMessage), Failures),
    security((), ("bearer" = [])),
)]
pub(in crate::api) async fn subjects(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Failure> {
    search(&shared, request, Searched::Subjects).await
}

/// Which resources may this subject do this to?
#[utoipa::path(
    post, path = "/access/v1/search/resource", operation_id = "authzen_search_resource", tag = "authzen",
    request_body = ResourceSearchSchema,
    responses((status = 200, description = "A page of results", body = ResultsMessage), Failures),
    security((), ("bearer" = [])),
)]
pub(in crate::api) async fn resources(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Failure> {
    search(&shared, request, Searched::Resources).await
}

/// What may this subject do to this resource?
#[utoipa::path(
    post, path = "/access/v1/search/action", operation_id = "authzen_search_action", tag = "authzen",
    request_body = ActionSearchSchema,
    responses((status = 200, description = "A page of results", body = ResultsMessage), Failures),
    security((), ("bearer" = [])),
)]
pub(in crate::api) async fn actions(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Failure> {
    search(&shared, request, Searched::Actions).await
}

async fn search(shared: &Shared, request: Request, searched: Searched) -> Result<Response, Failure> {
    let Call { mut message, credential } = read(shared, request).await?;
    let turn = shared.point.searching_turn().await;
    let gateway = shared.gateway(super::evaluation::FACE, &credential)?;
    let options = &shared.faces.authzen;
    let page = PageAsked::take(&mut message)?;
    let naming = |one| if searched == one { Naming::Searched } else { Naming::Named };
    let evaluation = {
        if searched == Searched::Actions {
            message.remove("action");
        }
        let parts = Parts::take(&mut message, naming(Searched::Subjects), naming(Searched::Resources))?;
        match searched {
            Searched::Actions => parts.searching(options, gateway.as_ref())?,
            Searched::Subjects | Searched::Resources => parts.evaluation(options, gateway.as_ref())?,
        }
    };
    let tie = Tie::new(&evaluation, searched, evaluation.tenant(shared.point.default_tenant()));
    let after = page.after(&tie)?;
    let limit = page.limit.unwrap_or(usize::MAX).min(options.page_results);
    // One policy and one snapshot for the whole page.
    let taken = shared.point.take();
    let begun = Instant::now();
    // One more than are looked at, to know whether that was all.
    let range = (after.as_deref(), options.page_evaluations.saturating_add(1));
    let candidates = shared.point.candidates_from(&turn, &taken, (&evaluation, searched), range)?;
    let (mut results, mut last, mut looked_at) = (Vec::new(), after.as_deref(), 0_usize);
    for candidate in candidates.iter().take(options.page_evaluations) {
        // The first is looked at whatever time it takes, so that a search comes to its end.
        if results.len() >= limit || (looked_at > 0 && begun.elapsed() >= options.page_time) {
            break;
        }
        let evaluation = evaluation.with(searched, candidate);
        let decision = shared.point.weigh_from(&taken, &evaluation);
        let obligations = obligations(&decision, evaluation.carries_out_headers)?;
        if decision.allow {
            let entity = |kind: &str| Found {
                r#type: Some(kind.to_owned()),
                id: Some(candidate.to_string()),
                name: None,
                obligations: Vec::new(),
            };
            let found = match searched {
                Searched::Subjects => entity(&evaluation.subject.kind),
                Searched::Resources => entity(&evaluation.resource.kind),
                Searched::Actions => {
                    let name = Some(candidate.to_string());
                    Found { r#type: None, id: None, name, obligations: Vec::new() }
                }
            };
            results.push(Found { obligations, ..found });
        }
        looked_at += 1;
        last = Some(candidate);
        // A search must not keep others from being heard.
        tokio::task::yield_now().await;
    }
    let more = looked_at < candidates.len();
    let next_token = if more { tie.token(last) } else { String::new() };
    let page = (more || page.said).then_some(PageMessage { next_token, count: results.len() });
    Ok(call::json(&ResultsMessage { page, results }))
}
