//! Users, one at a time and in lists.

use serde_json::{Value, json};

use super::{
    StoreError, Written,
    conflicts::{self, Target},
    database::Transaction,
    dialect::Dialect,
    load, row,
    schema::USERS,
};
use crate::{
    decision::facts::{User, UserRole},
    types::{DataRevision, TenantId},
};

/// Which users to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFilter {
    /// Whose they are.
    pub tenant: TenantId,
    /// Only with this role.
    pub role: Option<UserRole>,
    /// Only disabled ones, or only others.
    pub disabled: Option<bool>,
    /// Only those whose id comes after this one, in the order of the list. It need not exist.
    pub after: Option<String>,
    /// The most rows to give.
    pub limit: u32,
}

/// What a user is to be. `None` keeps what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Its role; `user` for a new user.
    pub role: Option<UserRole>,
    /// Whether it is disabled; a new user is not.
    pub disabled: Option<bool>,
}

/// See [`Store::put_user`](super::Store::put_user).
pub(super) async fn put(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
    change: &UserChange,
) -> Result<Written, StoreError> {
    conflicts::refuse_missing(transaction, dialect, tenant, &[(Target::Tenant, tenant.as_str())]).await?;
    let UserChange { role, disabled } = change;
    let row = json!({"tenant": tenant, "id": id, "role": role, "disabled": disabled});
    row::put(transaction, dialect, &USERS, row).await
}

/// See [`Store::user`](super::Store::user).
pub(super) async fn get(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
) -> Result<User, StoreError> {
    let sql = format!(
        "select {} from {} join users as t on t.tenant = r.tenant and t.id = r.id",
        load::USER_COLUMNS,
        dialect.rows(USERS.columns)
    );
    let found = row::read_all(transaction, "users", &sql, key(tenant, id), load::user).await?;
    found.into_iter().next().ok_or(StoreError::NotFound { what: "user" })
}

/// See [`Store::list_users`](super::Store::list_users).
pub(super) async fn list(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    filter: &UserFilter,
) -> Result<Vec<User>, StoreError> {
    let UserFilter { tenant, role, disabled, after, limit } = filter;
    let sql = format!(
        "select {} from {} join users as t on t.tenant = r.tenant{} order by t.id limit {limit}",
        load::USER_COLUMNS,
        dialect.rows(USERS.columns),
        row::and_all(&[
            ("t.role = r.role", role.is_some()),
            ("t.disabled = r.disabled", disabled.is_some()),
            ("t.id > r.id", after.is_some()),
        ]),
    );
    let parameter = json!({"tenant": tenant, "role": role, "disabled": disabled, "id": after});
    row::read_all(transaction, "users", &sql, parameter, load::user).await
}

/// See [`Store::remove_user`](super::Store::remove_user).
pub(super) async fn remove(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    id: &str,
) -> Result<DataRevision, StoreError> {
    row::remove(transaction, dialect, &USERS, key(tenant, id), "user").await
}

fn key(tenant: &TenantId, id: &str) -> Value {
    json!({"tenant": tenant, "id": id})
}
