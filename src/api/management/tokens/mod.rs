//! `/v1/tokens`: made, shown once, listed, changed, given the right to trigger, revoked.

mod message;
mod unshown;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use self::{
    message::{
        ChangeMessage, MintMessage, MintedMessage, TokenAnswer, TokenList, TokenListQuery, WrittenToken,
    },
    unshown::Unshown,
};
use super::{
    super::{
        Shared, call,
        openapi::{ConflictProblems, ManagementProblems},
        problem::Problem,
    },
    Caller, Operation, Operator,
    message::{Sent, sent},
    page::{self, Page},
    path::Named,
};
use crate::{
    auth,
    decision::{About, Document, ManagedToken},
    store::{AsOf, StoreError, TokenFilter, TokenRow},
    types::DataRevision,
};

/// What rules see of a row.
pub(super) fn managed(row: &TokenRow) -> ManagedToken<'_> {
    ManagedToken {
        id: Some(&row.id),
        kind: Some(row.kind),
        user_id: row.user_id.as_deref(),
        project_id: row.project_id.as_deref(),
    }
}

/// Make a token and show it, this once
///
/// Only its SHA-256 is stored. A session's token of kind `global` or `mcp` is its own user's unless `user_id` says
/// otherwise. The right to trigger is never given here.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "mint_token", tag = "tokens", request_body = MintMessage,
    responses((status = 201, description = "The token, which is not shown again", body = MintedMessage), ConflictProblems),
)]
pub(in crate::api) async fn mint(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let Sent { message, document } = sent::<MintMessage>(request, &shared.bounds).await?;
    let specification = message.specification(caller.subject());
    let about = ManagedToken {
        id: None,
        kind: Some(specification.kind),
        user_id: specification.user_id.as_deref(),
        project_id: specification.project_id.as_deref(),
    };
    let operator = caller.may_with(Operation::MintToken, about.into(), document).await?;
    let management = operator.management()?;
    let minted = management.with_random(|random| auth::mint(specification.kind, random));
    let (id, now) = (management.new_id(), management.now());
    let token = specification.into_new_token(id, minted.sha256, minted.prefix, management.limits, now)?;
    let unshown = Unshown::new(management, &token.id);
    let revision = match management.store.mint_token(&token, management.limits.live_tokens).await {
        Ok(revision) => revision,
        Err(error) => {
            // Anything else was said before the database was told to keep it.
            if !matches!(error, StoreError::Unavailable(_) | StoreError::Failed(_)) {
                unshown.settled();
            }
            return Err(match error {
                StoreError::UnknownReference { what } => {
                    Problem::Invalid(format!("{what}_id: there is no such {what}"))
                }
                error => error.into(),
            });
        }
    };
    let message = MintedMessage::new(&token, minted.token.expose(), revision);
    let mut response = call::answer(StatusCode::CREATED, &message);
    if let Ok(location) = HeaderValue::try_from(format!("/v1/tokens/{}", token.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    unshown.settled();
    Ok(response)
}

/// List tokens, oldest first; never a secret, never a hash
///
/// A session sees its own user's, unless `all`, `user_id` or `project_id` asks for others'. What the caller could not read one
/// by one is left out, so that a page may be shorter than `limit` while `next` says that there is more.
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "list_tokens", tag = "tokens", params(TokenListQuery),
    responses((status = 200, description = "A page", body = TokenList), ManagementProblems),
)]
pub(in crate::api) async fn list(caller: Caller) -> Result<Response, Problem> {
    let query: TokenListQuery = page::parameters(caller.uri())?;
    let length = page::length(query.limit)?;
    let filter = TokenFilter { limit: length + 1, ..query.filter(caller.subject())? };
    // The list is asked about as what all its tokens have in common: nothing may be learnt of those that are left
    // out, not even from where a page ends.
    let common = ManagedToken {
        id: None,
        kind: filter.kind,
        user_id: filter.user_id.as_deref(),
        project_id: filter.project_id.as_deref(),
    };
    let operator = caller.may_with(Operation::ListTokens, common.into(), Document::Null).await?;
    let management = operator.management()?;
    let now = management.now();
    let filter = query.as_of(filter, operator.tenant(), now);
    if let Some(after) = &filter.after {
        let last = management.store.token(after, Some(operator.tenant())).await.map_err(cursor)?;
        if !operator.sees(managed(&last.value)) {
            return Err(cursor(StoreError::NotFound { what: "token" }));
        }
    }
    let AsOf { revision, value } = management.store.list_tokens(&filter).await.map_err(cursor)?;
    let Page { rows, next } = page::cut(value, length, |row| row.id.clone(), weight);
    let rows = page::visible(rows, |row| operator.sees(managed(row))).await;
    let tokens = rows.iter().map(|row| TokenAnswer::new(row, now)).collect();
    Ok(call::answer(StatusCode::OK, &TokenList { tokens, next, revision }))
}

/// Bytes that lists of a row bring into a page.
fn weight(row: &TokenRow) -> usize {
    let projects = row.projects.iter().flatten().map(|(project, _)| project.len());
    let tools = row.tools.iter().flatten().map(String::len);
    projects.chain(tools).sum()
}

/// Where a page cannot go on, the cursor is wrong.
fn cursor(error: StoreError) -> Problem {
    match error {
        StoreError::NotFound { .. } => Problem::Invalid("after: there is no such token".to_owned()),
        error => error.into(),
    }
}

/// Show one token
#[utoipa::path(
    get, path = "/v1/tokens/{id}", operation_id = "read_token", tag = "tokens",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token without its secret", body = WrittenToken), ManagementProblems),
)]
pub(in crate::api) async fn read(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ReadToken).await?;
    let found = find(&operator, &id).await?;
    operator.may_on(Operation::ReadToken, managed(&found.value), Document::Null).await?;
    show(&operator, &found.value, false, found.revision)
}

/// Change a live token's name, lists or expiry
///
/// What is left out stays; `null` takes a list or an expiry away.
#[utoipa::path(
    patch, path = "/v1/tokens/{id}", operation_id = "change_token", tag = "tokens", request_body = ChangeMessage,
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token as it is now", body = WrittenToken), ConflictProblems),
)]
pub(in crate::api) async fn change(
    caller: Caller,
    Named(id): Named<String>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let Sent { message, document } = sent::<ChangeMessage>(request, &shared.bounds).await?;
    let operator = caller.may_with(Operation::ChangeToken, About::default(), document.clone()).await?;
    let found = find(&operator, &id).await?;
    operator.may_on(Operation::ChangeToken, managed(&found.value), document).await?;
    let management = operator.management()?;
    let now = management.now();
    let change = message.change(found.value.kind, management.limits, now)?;
    let written = management.store.change_token(&id, Some(operator.tenant()), &change, now).await?;
    show_again(&operator, &id, written.changed, written.revision).await
}

/// Revoke a token; harmless when repeated
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", operation_id = "revoke_token", tag = "tokens",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token, revoked", body = WrittenToken), ManagementProblems),
)]
pub(in crate::api) async fn revoke(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may(Operation::RevokeToken).await?;
    let found = find(&operator, &id).await?;
    operator.may_on(Operation::RevokeToken, managed(&found.value), Document::Null).await?;
    let management = operator.management()?;
    let revoked = management.store.revoke_token(&id, Some(operator.tenant()), management.now()).await?;
    show_again(&operator, &id, revoked.changed, revoked.revision).await
}

/// Grant an MCP token the right to trigger; harmless when repeated
#[utoipa::path(
    put, path = "/v1/tokens/{id}/trigger", operation_id = "grant_trigger", tag = "tokens",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token as it is now", body = WrittenToken), ConflictProblems),
)]
pub(in crate::api) async fn grant_trigger(
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    set_trigger(caller, id, Operation::GrantTrigger, true).await
}

/// Withdraw the right to trigger; harmless when repeated
#[utoipa::path(
    delete, path = "/v1/tokens/{id}/trigger", operation_id = "withdraw_trigger", tag = "tokens",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token as it is now", body = WrittenToken), ConflictProblems),
)]
pub(in crate::api) async fn withdraw_trigger(
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    set_trigger(caller, id, Operation::WithdrawTrigger, false).await
}

async fn set_trigger(
    caller: Caller,
    id: String,
    operation: Operation,
    allowed: bool,
) -> Result<Response, Problem> {
    let operator = caller.may(operation).await?;
    let found = find(&operator, &id).await?;
    operator.may_on(operation, managed(&found.value), Document::Null).await?;
    let management = operator.management()?;
    let written =
        management.store.set_trigger(&id, Some(operator.tenant()), allowed, management.now()).await?;
    show_again(&operator, &id, written.changed, written.revision).await
}

pub(super) async fn find(operator: &Operator<'_>, id: &str) -> Result<AsOf<TokenRow>, Problem> {
    Ok(operator.management()?.store.token(id, Some(operator.tenant())).await?)
}

/// The token as it is after a write.
async fn show_again(
    operator: &Operator<'_>,
    id: &str,
    changed: bool,
    revision: DataRevision,
) -> Result<Response, Problem> {
    show(operator, &find(operator, id).await?.value, changed, revision)
}

fn show(
    operator: &Operator<'_>,
    row: &TokenRow,
    changed: bool,
    revision: DataRevision,
) -> Result<Response, Problem> {
    let token = TokenAnswer::new(row, operator.management()?.now());
    Ok(call::answer(StatusCode::OK, &WrittenToken { token, changed, revision }))
}
