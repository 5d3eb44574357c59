//! `/v1/credential-flows`: how a holder comes to a credential, by giving one or by consenting where the upstream's
//! authorization server asks for it.

mod message;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use self::message::{
    BeginMessage, BegunFlow, CancelledFlow, CompleteMessage, FlowAnswer, FlowList, FlowListQuery, begun_by,
};
use super::{
    super::{
        Shared, call,
        openapi::{FlowProblems, ManagementProblems},
        problem::Problem,
    },
    Caller, Operation, Operator,
    credentials::{CredentialAnswer, WrittenCredential},
    holder,
    message::sent_secret,
    page::{self, Page},
    path::Named,
};
use crate::{
    decision::{About, Document, ManagedHolder, Subject, SubjectKind},
    store::{
        AsOf, StoreError,
        upstreams::{CredentialKey, FlowFilter, FlowRow},
    },
    types::{DataRevision, Holder, check_id},
    upstream::{Begun, Completion, check_given_form},
};

/// List the flows that can still be completed, oldest first
///
/// A session sees its own user's and those of their tokens, unless `all` or `user_id` asks for others. A flow is seen by
/// whoever may read the credential that it leads to.
#[utoipa::path(
    get, path = "/v1/credential-flows", operation_id = "list_flows", tag = "credentials", params(FlowListQuery),
    responses((status = 200, description = "A page", body = FlowList), ManagementProblems),
)]
pub(in crate::api) async fn list(caller: Caller) -> Result<Response, Problem> {
    let query: FlowListQuery = page::parameters(caller.uri())?;
    let length = page::length(query.limit)?;
    let own = (caller.subject().kind == SubjectKind::Session && !query.all)
        .then(|| caller.subject().user_id.as_deref().map(str::to_owned))
        .flatten();
    let upstream_id = page::id("upstream_id", query.upstream_id)?;
    let kind = holder::kind(query.holder.as_deref())?;
    let holder_id = page::id("holder_id", query.holder_id)?;
    let user_id = page::id("user_id", query.user_id)?.or(own);
    let search = page::id("search", query.search)?;
    let after = page::id("after", query.after)?;
    let common = ManagedHolder { kind, id: holder_id.as_deref(), user_id: user_id.as_deref() };
    let about = About { upstream: upstream_id.as_deref(), holder: Some(common), token: None };
    let operator = caller.may_with(Operation::ListFlows, about, Document::Null).await?;
    let management = operator.management()?;
    let filter = FlowFilter {
        tenant: operator.tenant().clone(),
        upstream_id,
        holder: kind,
        holder_id,
        user_id,
        search,
        after,
        limit: length + 1,
        now: management.now(),
    };
    let flows = management.store.list_flows(&filter).await?;
    let Page { rows, next } = page::cut(flows, length, |row| row.flow.id.clone(), |_| 0);
    let sees = |row: &FlowRow| {
        let held = holder::managed(&row.flow.key.holder, row.user_id.as_deref());
        operator.sees_credential(&row.flow.key.upstream_id, held)
    };
    let rows = page::visible(rows, sees).await;
    let names = header_names(&operator, &rows).await?;
    let flows = rows.iter().map(|row| {
        let names = names.get(&row.flow.key.upstream_id).map(Vec::as_slice).unwrap_or_default();
        FlowAnswer::new(row, names, operator.subject())
    });
    Ok(call::answer(StatusCode::OK, &FlowList { flows: flows.collect(), next }))
}

/// The headers whose values the upstreams of these flows want.
async fn header_names(
    operator: &Operator<'_>,
    rows: &[FlowRow],
) -> Result<BTreeMap<String, Vec<String>>, Problem> {
    let mut names = BTreeMap::new();
    for row in rows {
        let id = &row.flow.key.upstream_id;
        if names.contains_key(id) {
            continue;
        }
        match operator.management()?.store.upstream(operator.tenant(), id).await {
            Ok(AsOf { value, .. }) => names.insert(id.clone(), value.value_headers.unwrap_or_default()),
            // It was removed since, and the flow with it.
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(names)
}

/// Begin a flow, which can be completed for 15 minutes
#[utoipa::path(
    post, path = "/v1/credential-flows", operation_id = "begin_flow", tag = "credentials", request_body = BeginMessage,
    responses((status = 201, description = "The flow", body = BegunFlow), FlowProblems),
)]
pub(in crate::api) async fn begin(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let message: BeginMessage = sent_secret(request, &shared.bounds).await?;
    check_id(&message.upstream_id).map_err(|error| Problem::Invalid(format!("upstream_id: {error}")))?;
    let holder = match (message.holder, caller.subject()) {
        (Some(holder), _) => holder.read()?,
        (None, Subject { kind: SubjectKind::Session, user_id: Some(user_id), .. }) => {
            Holder::User(user_id.as_ref().to_owned())
        }
        (None, _) => return Err(Problem::Invalid("holder: say whose credential it is to be".to_owned())),
    };
    let operator = holder::asked(&caller, Operation::BeginFlow, &message.upstream_id, &holder).await?;
    let management = operator.management()?;
    let key = CredentialKey { tenant: operator.tenant().clone(), upstream_id: message.upstream_id, holder };
    let beginner = begun_by(operator.subject());
    let begun = management.credentials.begin(&key, beginner, message.redirect_uri, management.now()).await?;
    let Begun { flow, authorization_url, header_names } = &begun;
    let message = BegunFlow {
        flow: FlowAnswer::new(flow, header_names, operator.subject()),
        authorization_url: authorization_url.as_deref(),
    };
    let mut response = call::answer(StatusCode::CREATED, &message);
    if let Ok(location) = HeaderValue::try_from(format!("/v1/credential-flows/{}", flow.flow.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Complete a flow, once, by whoever began it
#[utoipa::path(
    post, path = "/v1/credential-flows/{id}", operation_id = "complete_flow", tag = "credentials",
    request_body = CompleteMessage,
    params(("id" = String, Path, description = "The flow's id")),
    responses((status = 200, description = "The credential that it gave", body = WrittenCredential), FlowProblems),
)]
pub(in crate::api) async fn complete(
    caller: Caller,
    Named(id): Named<String>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let message: CompleteMessage = sent_secret(request, &shared.bounds).await?;
    let (operator, row) = asked(&caller, Operation::CompleteFlow, &id).await?;
    let with = message.read()?;
    let management = operator.management()?;
    let by = begun_by(operator.subject());
    // To everybody else there is nothing to be known of it.
    if let (Completion::Given(given), true, None) = (&with, row.flow.begun_by == by, &row.flow.state_sha256) {
        let upstream = management.store.upstream(operator.tenant(), &row.flow.key.upstream_id).await?.value;
        check_given_form(&upstream, given)?;
    }
    let completed = management.credentials.complete(operator.tenant(), &id, &by, with, management.now());
    let (key, written) = completed.await?;
    let AsOf { value, .. } = management.store.credential(&key).await?;
    let revision: DataRevision = written.revision;
    let credential = CredentialAnswer::new(&value, &operator);
    Ok(call::answer(StatusCode::OK, &WrittenCredential { credential, revision }))
}

/// Cancel a flow: it cannot be completed any more
#[utoipa::path(
    delete, path = "/v1/credential-flows/{id}", operation_id = "cancel_flow", tag = "credentials",
    params(("id" = String, Path, description = "The flow's id")),
    responses((status = 200, description = "It is gone", body = CancelledFlow), ManagementProblems),
)]
pub(in crate::api) async fn cancel(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let (operator, _) = asked(&caller, Operation::CancelFlow, &id).await?;
    operator.management()?.store.remove_flow(operator.tenant(), &id).await?;
    Ok(call::answer(StatusCode::OK, &CancelledFlow { id: &id }))
}

/// Asks about a flow, before it is looked for and with what was found. Its id cannot be guessed: who has somebody
/// else's is told that it is not theirs.
async fn asked<'a>(
    caller: &'a Caller,
    operation: Operation,
    id: &str,
) -> Result<(Operator<'a>, FlowRow), Problem> {
    let operator = caller.may(operation).await?;
    let row = operator.management()?.store.flow(operator.tenant(), id).await?;
    let held = holder::managed(&row.flow.key.holder, row.user_id.as_deref());
    let about = About { upstream: Some(&row.flow.key.upstream_id), holder: Some(held), token: None };
    operator.may_now(operation, about).await?;
    Ok((operator, row))
}
