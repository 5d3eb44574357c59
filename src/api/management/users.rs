//! `/v1/users`: who belongs to the tenant.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{Shared, call, openapi::ManagementProblems, problem::Problem},
    Caller, Operation,
    message::{Sent, sent, written_status},
    page::{self, Page},
    path::Named,
};
use crate::{
    decision::{About, facts::User},
    store::{AsOf, UserChange, UserFilter},
    types::{DataRevision, UserRole},
};

/// What a user is to be. What is left out stays as it is, or is the usual.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserMessage {
    /// `user` for a new user when left out.
    role: Option<UserRole>,
    /// A disabled user's credentials are worth nothing. `false` for a new user when left out.
    disabled: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct UserAnswer<'a> {
    id: &'a str,
    tenant: &'a str,
    role: UserRole,
    disabled: bool,
}

impl<'a> From<&'a User> for UserAnswer<'a> {
    fn from(user: &'a User) -> Self {
        Self { id: &user.id, tenant: user.tenant.as_str(), role: user.role, disabled: user.disabled }
    }
}

/// One user.
#[derive(Serialize, ToSchema)]
pub(super) struct WrittenUser<'a> {
    #[serde(flatten)]
    user: UserAnswer<'a>,
    /// Whether this call changed anything.
    changed: bool,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// A page of users.
#[derive(Serialize, ToSchema)]
pub(super) struct UserList<'a> {
    users: Vec<UserAnswer<'a>>,
    /// Where the next page begins: its `after`; null at the end.
    next: Option<String>,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// Which users to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UserListQuery {
    /// Only those with this role.
    #[param(inline)]
    role: Option<UserRole>,
    /// Only disabled ones, or only others.
    disabled: Option<bool>,
    /// Rows of the page, 100 unless said otherwise.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// List users, by id
#[utoipa::path(
    get, path = "/v1/users", operation_id = "list_users", tag = "users", params(UserListQuery),
    responses((status = 200, description = "A page", body = UserList), ManagementProblems),
)]
pub(in crate::api) async fn list(caller: Caller) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ListUsers).await?;
    let query: UserListQuery = page::parameters(caller.uri())?;
    let length = page::length(query.limit)?;
    let filter = UserFilter {
        tenant: operator.tenant().clone(),
        role: query.role,
        disabled: query.disabled,
        after: page::id("after", query.after)?,
        limit: length + 1,
    };
    let AsOf { revision, value } = operator.management()?.store.list_users(&filter).await?;
    let Page { rows, next } = page::cut(value, length, |user| user.id.clone(), |_| 0);
    let sees = |user: &User| operator.sees_row("/v1/users", &user.id, Operation::ReadUser);
    let rows = page::visible(rows, sees).await;
    Ok(call::answer(
        StatusCode::OK,
        &UserList { users: rows.iter().map(UserAnswer::from).collect(), next, revision },
    ))
}

/// Show one user
#[utoipa::path(
    get, path = "/v1/users/{id}", operation_id = "read_user", tag = "users",
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "The user", body = WrittenUser), ManagementProblems),
)]
pub(in crate::api) async fn read(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ReadUser).await?;
    let AsOf { revision, value } = operator.management()?.store.user(operator.tenant(), &id).await?;
    Ok(call::answer(
        StatusCode::OK,
        &WrittenUser { user: UserAnswer::from(&value), changed: false, revision },
    ))
}

/// Add a user, or change one; harmless when repeated
#[utoipa::path(
    put, path = "/v1/users/{id}", operation_id = "put_user", tag = "users", request_body = UserMessage,
    params(("id" = String, Path, description = "The user's id")),
    responses(
        (status = 200, description = "The user, who was there", body = WrittenUser),
        (status = 201, description = "The user, who is new", body = WrittenUser),
        ManagementProblems,
    ),
)]
pub(in crate::api) async fn put(
    caller: Caller,
    Named(id): Named<String>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let Sent { message: UserMessage { role, disabled }, document } =
        sent::<UserMessage>(request, &shared.bounds).await?;
    let operator = caller.may_with(Operation::PutUser, About::default(), document).await?;
    let store = &operator.management()?.store;
    let written = store.put_user(operator.tenant(), &id, &UserChange { role, disabled }).await?;
    let AsOf { value, .. } = store.user(operator.tenant(), &id).await?;
    let message =
        WrittenUser { user: UserAnswer::from(&value), changed: written.changed, revision: written.revision };
    Ok(call::answer(written_status(&written), &message))
}

/// Remove a user, with their tokens and memberships
#[utoipa::path(
    delete, path = "/v1/users/{id}", operation_id = "remove_user", tag = "users",
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "They are gone", body = super::message::Removed), ManagementProblems),
)]
pub(in crate::api) async fn remove(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may(Operation::RemoveUser).await?;
    let revision = operator.management()?.store.remove_user(operator.tenant(), &id).await?;
    Ok(super::message::removed(revision))
}
