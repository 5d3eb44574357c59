//! Upstream credentials: given, listed, removed. Their values come in and never go out.

mod message;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};

pub(super) use self::message::{CredentialAnswer, WrittenCredential, one_of};
use self::message::{CredentialList, CredentialListQuery, CredentialMessage};
use super::{
    super::{
        Shared, call,
        openapi::{CredentialProblems, ManagementProblems, NamedHolderSchema},
        problem::Problem,
    },
    Caller, Operation, Operator, holder,
    message::{Removed, removed, sent_secret},
    page::{self, Page},
    path::Named,
};
use crate::{
    decision::{About, Document, ManagedHolder, SubjectKind, facts::CredentialState},
    store::{
        AsOf, StoreError,
        upstreams::{CredentialFilter, CredentialKey, CredentialRow},
    },
    types::{Holder, HolderKind},
    upstream::{CredentialError, check_given_form, cursor, read_cursor},
};

/// List credentials, by upstream and holder; never a value
///
/// A session sees its own user's and those of their tokens, unless `all` or `user_id` asks for others. What the caller
/// could not read one by one is left out, so that a page may be shorter than `limit` while `next` says that there is more.
#[utoipa::path(
    get, path = "/v1/credentials", operation_id = "list_credentials", tag = "credentials",
    params(CredentialListQuery),
    responses((status = 200, description = "A page", body = CredentialList), ManagementProblems),
)]
pub(in crate::api) async fn list(caller: Caller) -> Result<Response, Problem> {
    let query: CredentialListQuery = page::parameters(caller.uri())?;
    let length = page::length(query.limit)?;
    let own = (caller.subject().kind == SubjectKind::Session && !query.all)
        .then(|| caller.subject().user_id.as_deref().map(str::to_owned))
        .flatten();
    let after = query.after.as_deref().map(read_cursor);
    if after == Some(None) {
        return Err(Problem::Invalid("after: it is no `next` of a page of credentials".to_owned()));
    }
    let upstream_id = page::id("upstream_id", query.upstream_id)?;
    let kind = holder::kind(query.holder.as_deref())?;
    let holder_id = page::id("holder_id", query.holder_id)?;
    let user_id = page::id("user_id", query.user_id)?.or(own);
    let state = match query.state.as_deref().map(CredentialState::from_name) {
        Some(None) => {
            let text = "state: it must be active, orphaned, needs_reauth or needs_update";
            return Err(Problem::Invalid(text.to_owned()));
        }
        state => state.flatten(),
    };
    let search = page::id("search", query.search)?;
    // The list is asked about as what all its credentials have in common.
    let common = ManagedHolder { kind, id: holder_id.as_deref(), user_id: user_id.as_deref() };
    let about = About { upstream: upstream_id.as_deref(), holder: Some(common), token: None };
    let operator = caller.may_with(Operation::ListCredentials, about, Document::Null).await?;
    let filter = CredentialFilter {
        tenant: operator.tenant().clone(),
        upstream_id,
        holder: kind,
        holder_id,
        user_id,
        state,
        search,
        after: after.flatten(),
        limit: length + 1,
    };
    let AsOf { revision, value } = operator.management()?.store.list_credentials(&filter).await?;
    let weight = |row: &CredentialRow| row.header_names.iter().map(String::len).sum();
    let Page { rows, next } = page::cut(value, length, |row| cursor(&row.key), weight);
    let sees = |row: &CredentialRow| {
        let held = holder::managed(&row.key.holder, row.user_id.as_deref());
        operator.sees_credential(&row.key.upstream_id, held)
    };
    let rows = page::visible(rows, sees).await;
    let credentials = rows.iter().map(|row| CredentialAnswer::new(row, &operator)).collect();
    Ok(call::answer(StatusCode::OK, &CredentialList { credentials, next, revision }))
}

/// Show what is known of a credential; never its value
#[utoipa::path(
    get, path = "/v1/upstreams/{id}/credentials/{holder}/{holder_id}", operation_id = "read_credential",
    tag = "credentials",
    params(
        ("id" = String, Path, description = "The upstream's id"),
        ("holder" = inline(NamedHolderSchema), Path, description = "`user` or `token`"),
        ("holder_id" = String, Path, description = "The user's or the token's id"),
    ),
    responses((status = 200, description = "The credential without its value", body = WrittenCredential), ManagementProblems),
)]
pub(in crate::api) async fn read(
    caller: Caller,
    Named(path): Named<(String, String, String)>,
) -> Result<Response, Problem> {
    show(&caller, place(path)?).await
}

/// Show what is known of the shared credential; never its value
#[utoipa::path(
    get, path = "/v1/upstreams/{id}/credentials/shared", operation_id = "read_shared_credential", tag = "credentials",
    params(("id" = String, Path, description = "The upstream's id")),
    responses((status = 200, description = "The credential without its value", body = WrittenCredential), ManagementProblems),
)]
pub(in crate::api) async fn read_shared(
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    show(&caller, (id, Holder::Shared)).await
}

/// Give a credential, in place of the one that is there; its value is never shown again
///
/// A token without the grant has it `orphaned`: it is active when the grant comes.
#[utoipa::path(
    put, path = "/v1/upstreams/{id}/credentials/{holder}/{holder_id}", operation_id = "put_credential",
    tag = "credentials", request_body = CredentialMessage,
    params(
        ("id" = String, Path, description = "The upstream's id"),
        ("holder" = inline(NamedHolderSchema), Path, description = "`user` or `token`"),
        ("holder_id" = String, Path, description = "The user's or the token's id"),
    ),
    responses(
        (status = 200, description = "The credential in place of another", body = WrittenCredential),
        (status = 201, description = "The credential, which is new", body = WrittenCredential),
        CredentialProblems,
    ),
)]
pub(in crate::api) async fn put(
    caller: Caller,
    Named(path): Named<(String, String, String)>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    give(&caller, place(path)?, sent_secret(request, &shared.bounds).await?).await
}

/// Give the shared credential, which goes on for everybody; its value is never shown again
#[utoipa::path(
    put, path = "/v1/upstreams/{id}/credentials/shared", operation_id = "put_shared_credential", tag = "credentials",
    request_body = CredentialMessage,
    params(("id" = String, Path, description = "The upstream's id")),
    responses(
        (status = 200, description = "The credential in place of another", body = WrittenCredential),
        (status = 201, description = "The credential, which is new", body = WrittenCredential),
        CredentialProblems,
    ),
)]
pub(in crate::api) async fn put_shared(
    caller: Caller,
    Named(id): Named<String>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    give(&caller, (id, Holder::Shared), sent_secret(request, &shared.bounds).await?).await
}

/// Remove a credential, and before it its flows: a late completion does not bring it back
#[utoipa::path(
    delete, path = "/v1/upstreams/{id}/credentials/{holder}/{holder_id}", operation_id = "remove_credential",
    tag = "credentials",
    params(
        ("id" = String, Path, description = "The upstream's id"),
        ("holder" = inline(NamedHolderSchema), Path, description = "`user` or `token`"),
        ("holder_id" = String, Path, description = "The user's or the token's id"),
    ),
    responses((status = 200, description = "It is gone", body = Removed), ManagementProblems),
)]
pub(in crate::api) async fn remove(
    caller: Caller,
    Named(path): Named<(String, String, String)>,
) -> Result<Response, Problem> {
    take(&caller, place(path)?).await
}

/// Remove the shared credential, and before it its flows
#[utoipa::path(
    delete, path = "/v1/upstreams/{id}/credentials/shared", operation_id = "remove_shared_credential",
    tag = "credentials",
    params(("id" = String, Path, description = "The upstream's id")),
    responses((status = 200, description = "It is gone", body = Removed), ManagementProblems),
)]
pub(in crate::api) async fn remove_shared(
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Problem> {
    take(&caller, (id, Holder::Shared)).await
}

/// The upstream and the holder that a path names.
fn place((upstream, kind, id): (String, String, String)) -> Result<(String, Holder), Problem> {
    match HolderKind::from_name(&kind) {
        Some(kind @ (HolderKind::User | HolderKind::Token)) => Ok((upstream, Holder::new(kind, &id))),
        // The shared credential has no holder with an id.
        Some(HolderKind::Shared) | None => Err(Problem::NotFound),
    }
}

/// Asks about a credential; gives who asks, and which it is.
async fn asked(
    caller: &Caller,
    operation: Operation,
    (upstream_id, holder): (String, Holder),
) -> Result<(Operator<'_>, CredentialKey), Problem> {
    let operator = holder::asked(caller, operation, &upstream_id, &holder).await?;
    let key = CredentialKey { tenant: operator.tenant().clone(), upstream_id, holder };
    Ok((operator, key))
}

async fn show(caller: &Caller, place: (String, Holder)) -> Result<Response, Problem> {
    let (operator, key) = asked(caller, Operation::ReadCredential, place).await?;
    let AsOf { revision, value } = operator.management()?.store.credential(&key).await?;
    let credential = CredentialAnswer::new(&value, &operator);
    Ok(call::answer(StatusCode::OK, &WrittenCredential { credential, revision }))
}

async fn give(
    caller: &Caller,
    place: (String, Holder),
    message: CredentialMessage,
) -> Result<Response, Problem> {
    let (operator, key) = asked(caller, Operation::PutCredential, place).await?;
    let management = operator.management()?;
    let now = management.now();
    let (given, expires_at) = message.read(now)?;
    check_given_form(&management.store.upstream(&key.tenant, &key.upstream_id).await?.value, &given)?;
    let written = match management.credentials.put(&key, given, expires_at, now).await {
        // They stand in the path: what the path names is not there.
        Err(CredentialError::Store(StoreError::UnknownReference { what })) => {
            return Err(Problem::NoSuch(what));
        }
        written => written?,
    };
    let AsOf { value, .. } = management.store.credential(&key).await?;
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    let credential = CredentialAnswer::new(&value, &operator);
    Ok(call::answer(status, &WrittenCredential { credential, revision: written.revision }))
}

async fn take(caller: &Caller, place: (String, Holder)) -> Result<Response, Problem> {
    let (operator, key) = asked(caller, Operation::RemoveCredential, place).await?;
    let revision = operator.management()?.store.remove_credential(&key).await?;
    Ok(removed(revision))
}
