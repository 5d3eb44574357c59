//! `/v1/projects/{id}/collaborators`: who works on a project, as what.

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
    message::{Removed, Sent, removed, sent, written_status},
    page::{self, Page},
    path::Named,
};
use crate::{
    decision::{
        About,
        facts::{Collaborator, ProjectRole},
    },
    store::{AsOf, CollaboratorFilter, StoreError},
    types::DataRevision,
};

/// What a collaborator is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CollaboratorMessage {
    role: ProjectRole,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CollaboratorAnswer<'a> {
    project_id: &'a str,
    user_id: &'a str,
    tenant: &'a str,
    role: ProjectRole,
}

impl<'a> From<&'a Collaborator> for CollaboratorAnswer<'a> {
    fn from(row: &'a Collaborator) -> Self {
        let Collaborator { tenant, project_id, user_id, role } = row;
        Self { project_id, user_id, tenant: tenant.as_str(), role: *role }
    }
}

/// One collaborator.
#[derive(Serialize, ToSchema)]
pub(super) struct WrittenCollaborator<'a> {
    #[serde(flatten)]
    collaborator: CollaboratorAnswer<'a>,
    /// Whether this call changed anything.
    changed: bool,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// A page of collaborators.
#[derive(Serialize, ToSchema)]
pub(super) struct CollaboratorList<'a> {
    collaborators: Vec<CollaboratorAnswer<'a>>,
    /// Where the next page begins: its `after`; null at the end.
    next: Option<String>,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// Which collaborators to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CollaboratorListQuery {
    /// Only those with this role.
    #[param(inline)]
    role: Option<ProjectRole>,
    /// Rows of the page, 100 unless said otherwise.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// List a project's collaborators, by user
#[utoipa::path(
    get, path = "/v1/projects/{id}/collaborators", operation_id = "list_collaborators", tag = "collaborators",
    params(("id" = String, Path, description = "The project's id"), CollaboratorListQuery),
    responses((status = 200, description = "A page", body = CollaboratorList), ManagementProblems),
)]
pub(in crate::api) async fn list(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ListCollaborators).await?;
    let query: CollaboratorListQuery = page::parameters(caller.uri())?;
    let length = page::length(query.limit)?;
    let filter = CollaboratorFilter {
        tenant: operator.tenant().clone(),
        project_id: id,
        role: query.role,
        after: page::id("after", query.after)?,
        limit: length + 1,
    };
    let AsOf { revision, value } = operator.management()?.store.list_collaborators(&filter).await?;
    let Page { rows, next } = page::cut(value, length, |row| row.user_id.clone(), |_| 0);
    let path = caller.uri().path();
    let sees = |row: &Collaborator| operator.sees_row(path, &row.user_id, Operation::ReadCollaborator);
    let rows = page::visible(rows, sees).await;
    let collaborators = rows.iter().map(CollaboratorAnswer::from).collect();
    Ok(call::answer(StatusCode::OK, &CollaboratorList { collaborators, next, revision }))
}

/// Show one collaborator
#[utoipa::path(
    get, path = "/v1/projects/{id}/collaborators/{user_id}", operation_id = "read_collaborator", tag = "collaborators",
    params(
        ("id" = String, Path, description = "The project's id"),
        ("user_id" = String, Path, description = "The user's id"),
    ),
    responses((status = 200, description = "The collaborator", body = WrittenCollaborator), ManagementProblems),
)]
pub(in crate::api) async fn read(
    caller: Caller,
    Named((id, user_id)): Named<(String, String)>,
) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ReadCollaborator).await?;
    let store = &operator.management()?.store;
    let AsOf { revision, value } = store.collaborator(operator.tenant(), &id, &user_id).await?;
    let collaborator = CollaboratorAnswer::from(&value);
    Ok(call::answer(StatusCode::OK, &WrittenCollaborator { collaborator, changed: false, revision }))
}

/// Add a collaborator, or change their role; harmless when repeated
#[utoipa::path(
    put, path = "/v1/projects/{id}/collaborators/{user_id}", operation_id = "put_collaborator", tag = "collaborators",
    request_body = CollaboratorMessage,
    params(
        ("id" = String, Path, description = "The project's id"),
        ("user_id" = String, Path, description = "The user's id"),
    ),
    responses(
        (status = 200, description = "The collaborator, who was there", body = WrittenCollaborator),
        (status = 201, description = "The collaborator, who is new", body = WrittenCollaborator),
        ManagementProblems,
    ),
)]
pub(in crate::api) async fn put(
    caller: Caller,
    Named((project_id, user_id)): Named<(String, String)>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let Sent { message: CollaboratorMessage { role }, document } =
        sent::<CollaboratorMessage>(request, &shared.bounds).await?;
    let operator = caller.may_with(Operation::PutCollaborator, About::default(), document).await?;
    let row = Collaborator { tenant: operator.tenant().clone(), project_id, user_id, role };
    let written = match operator.management()?.store.put_collaborator(&row).await {
        // They stand in the path: what the path names is not there.
        Err(StoreError::UnknownReference { what }) => return Err(Problem::NoSuch(what)),
        written => written?,
    };
    let message = WrittenCollaborator {
        collaborator: CollaboratorAnswer::from(&row),
        changed: written.changed,
        revision: written.revision,
    };
    Ok(call::answer(written_status(&written), &message))
}

/// Remove a collaborator
#[utoipa::path(
    delete, path = "/v1/projects/{id}/collaborators/{user_id}", operation_id = "remove_collaborator",
    tag = "collaborators",
    params(
        ("id" = String, Path, description = "The project's id"),
        ("user_id" = String, Path, description = "The user's id"),
    ),
    responses((status = 200, description = "They are none any more", body = Removed), ManagementProblems),
)]
pub(in crate::api) async fn remove(
    caller: Caller,
    Named((id, user_id)): Named<(String, String)>,
) -> Result<Response, Problem> {
    let operator = caller.may(Operation::RemoveCollaborator).await?;
    let store = &operator.management()?.store;
    let revision = store.remove_collaborator(operator.tenant(), &id, &user_id).await?;
    Ok(removed(revision))
}
