//! `/v1/projects`: what people work on.

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
    decision::{About, SubjectKind, facts::Project},
    store::{AsOf, ProjectChange, ProjectFilter},
    types::{DataRevision, check_label},
};

/// What a project is to be. What is left out stays as it is, or is the usual.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectMessage {
    /// For people. Empty for a new project when left out.
    #[schema(max_length = 256)]
    name: Option<String>,
    /// Anyone may read it. `false` for a new project when left out.
    public: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProjectAnswer<'a> {
    id: &'a str,
    tenant: &'a str,
    name: &'a str,
    public: bool,
}

impl<'a> From<&'a Project> for ProjectAnswer<'a> {
    fn from(project: &'a Project) -> Self {
        let Project { tenant, id, name, public } = project;
        Self { id, tenant: tenant.as_str(), name, public: *public }
    }
}

/// One project.
#[derive(Serialize, ToSchema)]
pub(super) struct WrittenProject<'a> {
    #[serde(flatten)]
    project: ProjectAnswer<'a>,
    /// Whether this call changed anything.
    changed: bool,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// A page of projects.
#[derive(Serialize, ToSchema)]
pub(super) struct ProjectList<'a> {
    projects: Vec<ProjectAnswer<'a>>,
    /// Where the next page begins: its `after`; null at the end.
    next: Option<String>,
    #[schema(value_type = u64)]
    revision: DataRevision,
}

/// Which projects to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProjectListQuery {
    /// Of a session: all that it may read, not its own user's alone.
    #[serde(default)]
    all: bool,
    /// Only public ones, or only others.
    public: Option<bool>,
    /// Only those on which this user is a collaborator.
    user_id: Option<String>,
    /// Rows of the page, 100 unless said otherwise.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// List projects, by id
///
/// A session sees those on which its user is a collaborator, unless `all`, `public` or `user_id` asks for others. What the caller
/// could not read one by one is left out, so that a page may be shorter than `limit` while `next` says that there is more.
#[utoipa::path(
    get, path = "/v1/projects", operation_id = "list_projects", tag = "projects", params(ProjectListQuery),
    responses((status = 200, description = "A page", body = ProjectList), ManagementProblems),
)]
pub(in crate::api) async fn list(caller: Caller) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ListProjects).await?;
    let query: ProjectListQuery = page::parameters(caller.uri())?;
    let length = page::length(query.limit)?;
    // What is public is everybody's to see; of what is not, a session sees its own.
    let own = match (operator.subject().kind, query.public) {
        (SubjectKind::Session, None | Some(false)) if !query.all => operator.user_id().map(str::to_owned),
        _ => None,
    };
    let filter = ProjectFilter {
        tenant: operator.tenant().clone(),
        public: query.public,
        member: page::id("user_id", query.user_id)?.or(own),
        after: page::id("after", query.after)?,
        limit: length + 1,
    };
    let AsOf { revision, value } = operator.management()?.store.list_projects(&filter).await?;
    let Page { rows, next } = page::cut(value, length, |project| project.id.clone(), |_| 0);
    let sees = |project: &Project| operator.sees_row("/v1/projects", &project.id, Operation::ReadProject);
    let rows = page::visible(rows, sees).await;
    let projects = rows.iter().map(ProjectAnswer::from).collect();
    Ok(call::answer(StatusCode::OK, &ProjectList { projects, next, revision }))
}

/// Show one project
#[utoipa::path(
    get, path = "/v1/projects/{id}", operation_id = "read_project", tag = "projects",
    params(("id" = String, Path, description = "The project's id")),
    responses((status = 200, description = "The project", body = WrittenProject), ManagementProblems),
)]
pub(in crate::api) async fn read(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may(Operation::ReadProject).await?;
    let AsOf { revision, value } = operator.management()?.store.project(operator.tenant(), &id).await?;
    let message = WrittenProject { project: ProjectAnswer::from(&value), changed: false, revision };
    Ok(call::answer(StatusCode::OK, &message))
}

/// Add a project, or change one; harmless when repeated
#[utoipa::path(
    put, path = "/v1/projects/{id}", operation_id = "put_project", tag = "projects", request_body = ProjectMessage,
    params(("id" = String, Path, description = "The project's id")),
    responses(
        (status = 200, description = "The project, which was there", body = WrittenProject),
        (status = 201, description = "The project, which is new", body = WrittenProject),
        ManagementProblems,
    ),
)]
pub(in crate::api) async fn put(
    caller: Caller,
    Named(id): Named<String>,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let Sent { message: ProjectMessage { name, public }, document } =
        sent::<ProjectMessage>(request, &shared.bounds).await?;
    let operator = caller.may_with(Operation::PutProject, About::default(), document).await?;
    if let Some(Err(error)) = name.as_deref().map(check_label) {
        return Err(Problem::Invalid(format!("name: {error}")));
    }
    let store = &operator.management()?.store;
    let written = store.put_project(operator.tenant(), &id, &ProjectChange { name, public }).await?;
    let AsOf { value, .. } = store.project(operator.tenant(), &id).await?;
    let message = WrittenProject {
        project: ProjectAnswer::from(&value),
        changed: written.changed,
        revision: written.revision,
    };
    Ok(call::answer(written_status(&written), &message))
}

/// Remove a project, with its collaborators and its own tokens
#[utoipa::path(
    delete, path = "/v1/projects/{id}", operation_id = "remove_project", tag = "projects",
    params(("id" = String, Path, description = "The project's id")),
    responses((status = 200, description = "It is gone", body = Removed), ManagementProblems),
)]
pub(in crate::api) async fn remove(caller: Caller, Named(id): Named<String>) -> Result<Response, Problem> {
    let operator = caller.may(Operation::RemoveProject).await?;
    let revision = operator.management()?.store.remove_project(operator.tenant(), &id).await?;
    Ok(removed(revision))
}
