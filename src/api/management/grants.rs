//! Grants: which token may reach which upstream, from either side.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        Shared, call,
        openapi::{ConflictProblems, ManagementProblems},
        problem::Problem,
    },
    Caller, Operation, Operator,
    message::{Sent, sent},
    path::Named,
    tokens::{find, managed},
};
use crate::{
    auth::{self, TokenFormat},
    decision::{About, Document},
    store::{AsOf, StoreError, upstreams::UpstreamGrants},
    types::{DataRevision, check_id},
    upstream::{missing_tokens, missing_upstreams},
};

/// Upstreams that one token may have grants for.
const MOST_UPSTREAMS: usize = 1_000;
/// Tokens that one upstream may have grants for, as far as a call writes them.
const MOST_TOKENS: usize = 10_000;

/// All upstreams that a token may reach, beside those that are open to all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenGrantsMessage {
    /// Ids. One that stands there twice counts once.
    #[schema(max_items = 1000)]
    upstreams: Vec<String>,
}

/// The grants of a token.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenGrants<'a> {
    token_id: &'a str,
    /// Ids; those that are open to all are not among them.
    upstreams: Vec<String>,
    /// Whether this call changed anything.
    changed: bool,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// All tokens that may reach an upstream, and whether every one may.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamGrantsMessage {
    /// Ids. One that stands there twice counts once.
    #[schema(max_items = 10000)]
    tokens: Vec<String>,
    /// Every token of the tenant may reach it; left out, it stays as it is.
    allow_all: Option<bool>,
}

/// The grants for an upstream.
#[derive(Serialize, ToSchema)]
pub(super) struct UpstreamGrantsAnswer<'a> {
    upstream_id: &'a str,
    allow_all: bool,
    /// Ids of tokens that have a grant, whether or not every token may reach the upstream.
    tokens: Vec<String>,
    /// Whether this call changed anything.
    changed: bool,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// Show which upstreams a token has grants for
#[utoipa::path(
    get, path = "/v1/tokens/{id}/grants", operation_id = "read_token_grants", tag = "upstreams",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "Its grants", body = TokenGrants), ManagementProblems),
)]
pub(in crate::api) async fn of_token(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ReadTokenGrants).await?;
    let found = find(&operator, &id).await?;
    operator.may_on(Operation::ReadTokenGrants, managed(&found.value), Document::Null).await?;
    let store = &operator.management()?.store;
    let AsOf { revision, value } = store.token_grants(operator.tenant(), &id).await?;
    let message = TokenGrants { token_id: &id, upstreams: value, changed: false, revision };
    Ok(call::answer(StatusCode::OK, &message))
}

/// Bring all grants of a token to a list; harmless when repeated
///
/// Its credentials for upstreams that it may not reach any more are orphaned in the same moment, and those of upstreams
/// that it may reach again are active.
#[utoipa::path(
    put, path = "/v1/tokens/{id}/grants", operation_id = "put_token_grants", tag = "upstreams",
    request_body = TokenGrantsMessage,
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "Its grants as they are now", body = TokenGrants), ConflictProblems),
)]
pub(in crate::api) async fn put_of_token(
    caller: Caller,
    Named(id): Named<String>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let Sent { message, document } = sent::<TokenGrantsMessage>(request, &shared.bounds).await?;
    let operator = caller.may_with(Operation::PutTokenGrants, About::default(), document.clone()).await?;
    let found = find(&operator, &id).await?;
    operator.may_on(Operation::PutTokenGrants, managed(&found.value), document).await?;
    let upstreams = ids("upstreams", message.upstreams, MOST_UPSTREAMS)?;
    let management = operator.management()?;
    let (store, now) = (&management.store, management.now());
    let written = match store.set_token_grants(operator.tenant(), &id, &upstreams, now).await {
        Err(StoreError::UnknownReference { .. }) => {
            let missing = missing_upstreams(&**store, operator.tenant(), &upstreams).await?;
            return Err(unknown("upstreams", "upstream", &missing));
        }
        written => written?,
    };
    let AsOf { value, .. } = store.token_grants(operator.tenant(), &id).await?;
    let (changed, revision) = (written.changed, written.revision);
    Ok(call::answer(StatusCode::OK, &TokenGrants { token_id: &id, upstreams: value, changed, revision }))
}

/// Show which tokens have grants for an upstream
#[utoipa::path(
    get, path = "/v1/upstreams/{id}/grants", operation_id = "read_upstream_grants", tag = "upstreams",
    params(("id" = String, Path, description = "The upstream's id")),
    responses((status = 200, description = "Its grants", body = UpstreamGrantsAnswer), ManagementProblems),
)]
pub(in crate::api) async fn of_upstream(
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    let about = About { upstream: Some(&id), ..About::default() };
    let operator = caller.may_with(Operation::ReadUpstreamGrants, about, Document::Null).await?;
    show(&operator, &id, None).await
}

/// Bring all grants for an upstream to a list; harmless when repeated
///
/// Credentials follow as they do when the grants of a token change.
#[utoipa::path(
    put, path = "/v1/upstreams/{id}/grants", operation_id = "put_upstream_grants", tag = "upstreams",
    request_body = UpstreamGrantsMessage,
    params(("id" = String, Path, description = "The upstream's id")),
    responses(
        (status = 200, description = "Its grants as they are now", body = UpstreamGrantsAnswer),
        ConflictProblems,
    ),
)]
pub(in crate::api) async fn put_of_upstream(
    caller: Caller,
    Named(id): Named<String>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let Sent { message, document } = sent::<UpstreamGrantsMessage>(request, &shared.bounds).await?;
    let about = About { upstream: Some(&id), ..About::default() };
    let operator = caller.may_with(Operation::PutUpstreamGrants, about, document).await?;
    let grants =
        UpstreamGrants { tokens: ids("tokens", message.tokens, MOST_TOKENS)?, allow_all: message.allow_all };
    let store = &operator.management()?.store;
    let written = match store.set_upstream_grants(operator.tenant(), &id, &grants).await {
        Err(StoreError::UnknownReference { .. }) => {
            let missing = missing_tokens(&**store, operator.tenant(), &grants.tokens).await?;
            return Err(unknown("tokens", "token", &missing));
        }
        written => written?,
    };
    show(&operator, &id, Some((written.changed, written.revision))).await
}

/// The grants for an upstream, and what was written of them.
async fn show(
    operator: &Operator<'_>,
    id: &str,
    written: Option<(bool, DataRevision)>,
) -> Result<Response, Problem> {
    let store = &operator.management()?.store;
    let upstream = store.upstream(operator.tenant(), id).await?.value;
    let AsOf { revision, value } = store.upstream_grants(operator.tenant(), id).await?;
    let (changed, revision) = written.unwrap_or((false, revision));
    let allow_all = upstream.allow_all;
    let message = UpstreamGrantsAnswer { upstream_id: id, allow_all, tokens: value, changed, revision };
    Ok(call::answer(StatusCode::OK, &message))
}

/// Ids that rows could have, each once.
fn ids(field: &str, ids: Vec<String>, most: usize) -> Result<BTreeSet<String>, Problem> {
    if ids.len() > most {
        return Err(Problem::Invalid(format!("{field}: at most {most} are taken")));
    }
    for (place, id) in ids.iter().enumerate() {
        check_id(id).map_err(|error| Problem::Invalid(format!("{field}[{place}]: {error}")))?;
    }
    Ok(ids.into_iter().collect())
}

/// What stands in the list and is not there is the caller's mistake; nothing was written.
fn unknown(field: &str, what: &str, missing: &[String]) -> Problem {
    // What looks like a token may be one, which is not repeated.
    let named = |id: &String| match auth::identify(id) {
        TokenFormat::Foreign => format!("{id:?}"),
        _ => "one that is no id but a token".to_owned(),
    };
    let missing: Vec<String> = missing.iter().map(named).collect();
    let missing = if missing.is_empty() { String::new() } else { format!(": {}", missing.join(", ")) };
    Problem::Invalid(format!("{field}: there is no such {what} among those of the tenant{missing}"))
}
