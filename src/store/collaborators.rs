//! Collaborators: a user's role on a project.

use serde_json::{Value, json};

use super::{
    StoreError, Written,
    conflicts::{self, Target},
    database::Transaction,
    dialect::Dialect,
    load, projects, row,
    schema::COLLABORATORS,
};
use crate::{
    decision::facts::{Collaborator, ProjectRole},
    types::{DataRevision, TenantId},
};

/// Which collaborators of a project to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollaboratorFilter {
    /// The tenant of the project.
    pub tenant: TenantId,
    /// The project.
    pub project_id: String,
    /// Only with this role.
    pub role: Option<ProjectRole>,
    /// Only users whose id comes after this one, in the order of the list. It need not exist.
    pub after: Option<String>,
    /// The most rows to give.
    pub limit: u32,
}

/// See [`Store::put_collaborator`](super::Store::put_collaborator).
pub(super) async fn put(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    collaborator: &Collaborator,
) -> Result<Written, StoreError> {
    let Collaborator { tenant, project_id, user_id, role } = collaborator;
    let references = [(Target::Project, project_id.as_str()), (Target::User, user_id.as_str())];
    conflicts::refuse_missing(transaction, dialect, tenant, &references).await?;
    let row = json!({"tenant": tenant, "project_id": project_id, "user_id": user_id, "role": role});
    row::put(transaction, dialect, &COLLABORATORS, row).await
}

/// See [`Store::collaborator`](super::Store::collaborator).
pub(super) async fn get(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    project_id: &str,
    user_id: &str,
) -> Result<Collaborator, StoreError> {
    let sql = format!(
        "select {} from {} join collaborators as t \
         on t.tenant = r.tenant and t.project_id = r.project_id and t.user_id = r.user_id",
        load::COLLABORATOR_COLUMNS,
        dialect.rows(COLLABORATORS.columns)
    );
    let key = key(tenant, project_id, user_id);
    let found = row::read_all(transaction, "collaborators", &sql, key, load::collaborator).await?;
    found.into_iter().next().ok_or(StoreError::NotFound { what: "collaborator" })
}

/// See [`Store::list_collaborators`](super::Store::list_collaborators).
pub(super) async fn list(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    filter: &CollaboratorFilter,
) -> Result<Vec<Collaborator>, StoreError> {
    let CollaboratorFilter { tenant, project_id, role, after, limit } = filter;
    projects::get(transaction, dialect, tenant, project_id).await?;
    let sql = format!(
        "select {} from {} join collaborators as t \
         on t.tenant = r.tenant and t.project_id = r.project_id{} order by t.user_id limit {limit}",
        load::COLLABORATOR_COLUMNS,
        dialect.rows(COLLABORATORS.columns),
        row::and_all(&[("t.role = r.role", role.is_some()), ("t.user_id > r.user_id", after.is_some())]),
    );
    let parameter = json!({"tenant": tenant, "project_id": project_id, "role": role, "user_id": after});
    row::read_all(transaction, "collaborators", &sql, parameter, load::collaborator).await
}

/// See [`Store::remove_collaborator`](super::Store::remove_collaborator).
pub(super) async fn remove(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    project_id: &str,
    user_id: &str,
) -> Result<DataRevision, StoreError> {
    let key = key(tenant, project_id, user_id);
    row::remove(transaction, dialect, &COLLABORATORS, key, "collaborator").await
}

fn key(tenant: &TenantId, project_id: &str, user_id: &str) -> Value {
    json!({"tenant": tenant, "project_id": project_id, "user_id": user_id})
}
