//! What a write would run into: references that lead nowhere, ids and hashes that are taken. The
//! constraints refuse such a write as well; this says which row and why, before anything is written.

use serde_json::json;

use super::{
    StoreError,
    database::Transaction,
    dialect::Dialect,
    schema::{self, Column, Kind, Update},
};
use crate::types::TenantId;

/// What a row can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    /// A tenant.
    Tenant,
    /// A user of the row's tenant.
    User,
    /// A project of the row's tenant.
    Project,
    /// A token of the row's tenant.
    Token,
    /// An upstream of the row's tenant.
    Upstream,
}

impl Target {
    /// Every target.
    pub(super) const ALL: [Self; 5] = [Self::Tenant, Self::User, Self::Project, Self::Token, Self::Upstream];

    /// In a sentence.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Project => "project",
            Self::Token => "token",
            Self::Upstream => "upstream",
        }
    }

    /// Its table, which is also its list in an import document.
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Tenant => schema::TENANTS.name,
            Self::User => schema::USERS.name,
            Self::Project => schema::PROJECTS.name,
            Self::Token => schema::TOKENS.name,
            Self::Upstream => schema::UPSTREAMS.name,
        }
    }
}

const REFERENCE: [Column; 2] = [
    Column { name: "tenant", kind: Kind::Text, update: Update::Key },
    Column { name: "id", kind: Kind::Text, update: Update::Key },
];

const TOKEN: [Column; 3] =
    [REFERENCE[0], REFERENCE[1], Column { name: "sha256", kind: Kind::Text, update: Update::Replace }];

/// Which of the references in `parameter` (a JSON array of `tenant` and `id`) lead nowhere, by place.
pub(super) async fn missing(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    target: Target,
    parameter: &str,
) -> Result<Vec<usize>, StoreError> {
    let rows = dialect.rows(&REFERENCE);
    let table = target.table();
    let same = match target {
        Target::Tenant => "t.id = r.id",
        Target::User | Target::Project | Target::Token | Target::Upstream => {
            "t.tenant = r.tenant and t.id = r.id"
        }
    };
    let sql = format!("select r.i from {rows} where not exists (select 1 from {table} as t where {same})");
    transaction.places(&sql, parameter).await
}

/// Refuses the first of these references that leads nowhere within the tenant.
///
/// # Errors
/// [`StoreError::UnknownReference`].
pub(super) async fn refuse_missing(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    references: &[(Target, &str)],
) -> Result<(), StoreError> {
    for (target, id) in references {
        let parameter = json!([{"tenant": tenant, "id": id}]).to_string();
        if !missing(transaction, dialect, *target, &parameter).await?.is_empty() {
            return Err(StoreError::UnknownReference { what: target.noun() });
        }
    }
    Ok(())
}

/// Which of the tokens in `parameter` have an id that a token of another tenant has, by place.
pub(super) async fn of_another_tenant(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    parameter: &str,
) -> Result<Vec<usize>, StoreError> {
    let rows = dialect.rows(&TOKEN);
    let sql = format!(
        "select r.i from {rows} join tokens as t on t.id = r.id where t.tenant is distinct from r.tenant"
    );
    transaction.places(&sql, parameter).await
}

/// Which of the tokens in `parameter` have a hash that a token of another id has, by place.
pub(super) async fn taken_hashes(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    parameter: &str,
) -> Result<Vec<usize>, StoreError> {
    let rows = dialect.rows(&TOKEN);
    let sql = format!("select r.i from {rows} join tokens as t on t.sha256 = r.sha256 where t.id <> r.id");
    transaction.places(&sql, parameter).await
}
