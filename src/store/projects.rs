//! Projects, one at a time and in lists.

use serde_json::{Value, json};

use super::{
    StoreError, Written,
    conflicts::{self, Target},
    database::Transaction,
    dialect::Dialect,
    load, row,
    schema::{PROJECTS, text},
};
use crate::{
    decision::facts::Project,
    types::{DataRevision, TenantId},
};

/// Which projects to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFilter {
    /// Whose they are.
    pub tenant: TenantId,
    /// Only public ones, or only others.
    pub public: Option<bool>,
    /// Only those on which this user is a collaborator.
    pub member: Option<String>,
    /// Only those whose id comes after this one, in the order of the list. It need not exist.
    pub after: Option<String>,
    /// The most rows to give.
    pub limit: u32,
}

/// What a project is to be. `None` keeps what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectChange {
    /// For people; empty for a new project.
    pub name: Option<String>,
    /// Whether anyone may read it; not a new project.
    pub public: Option<bool>,
}

/// See [`Store::put_project`](super::Store::put_project).
pub(super) async fn put(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
    change: &ProjectChange,
) -> Result<Written, StoreError> {
    conflicts::refuse_missing(transaction, dialect, tenant, &[(Target::Tenant, tenant.as_str())]).await?;
    let ProjectChange { name, public } = change;
    let row = json!({"tenant": tenant, "id": id, "name": name, "public": public});
    row::put(transaction, dialect, &PROJECTS, row).await
}

/// See [`Store::project`](super::Store::project).
pub(super) async fn get(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
) -> Result<Project, StoreError> {
    let sql = format!(
        "select {} from {} join projects as t on t.tenant = r.tenant and t.id = r.id",
        load::PROJECT_COLUMNS,
        dialect.rows(PROJECTS.columns)
    );
    let found = row::read_all(transaction, "projects", &sql, key(tenant, id), load::project).await?;
    found.into_iter().next().ok_or(StoreError::NotFound { what: "project" })
}

/// See [`Store::list_projects`](super::Store::list_projects).
pub(super) async fn list(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    filter: &ProjectFilter,
) -> Result<Vec<Project>, StoreError> {
    let ProjectFilter { tenant, public, member, after, limit } = filter;
    let sql = format!(
        "select {} from {} join projects as t on t.tenant = r.tenant{} order by t.id limit {limit}",
        load::PROJECT_COLUMNS,
        dialect.rows(PROJECTS.columns.iter().chain(&[text("user_id")])),
        row::and_all(&[
            ("t.public = r.public", public.is_some()),
            (
                "exists (select 1 from collaborators as c where c.tenant = t.tenant \
                 and c.project_id = t.id and c.user_id = r.user_id)",
                member.is_some(),
            ),
            ("t.id > r.id", after.is_some()),
        ]),
    );
    let parameter = json!({"tenant": tenant, "public": public, "user_id": member, "id": after});
    row::read_all(transaction, "projects", &sql, parameter, load::project).await
}

/// See [`Store::remove_project`](super::Store::remove_project).
pub(super) async fn remove(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
) -> Result<DataRevision, StoreError> {
    row::remove(transaction, dialect, &PROJECTS, key(tenant, id), "project").await
}

fn key(tenant: &TenantId, id: &str) -> Value {
    json!({"tenant": tenant, "id": id})
}
