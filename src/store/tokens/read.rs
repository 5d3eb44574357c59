//! Tokens as they may be shown: one, or a list.

use serde_json::json;

use super::{TokenFilter, TokenRow, TokenState, live};
use crate::{
    store::{
        StoreError,
        database::{Row, Transaction},
        dialect::Dialect,
        load::{self, Tenants, Unreadable},
        row, schema, time,
    },
    types::{TenantId, Timestamp},
};

/// What [`read`] reads.
const COLUMNS: &str = "t.tenant, t.id, t.kind, t.name, t.prefix, t.user_id, t.project_id, t.scope_pull, \
    t.scope_push, t.allow_trigger, cast(t.projects as text), cast(t.tools as text), t.created_at, t.expires_at, \
    t.revoked_at, t.last_used_at";

/// See [`Store::token`](crate::store::Store::token).
pub(in crate::store) async fn one(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    id: &str,
    tenant: Option<&TenantId>,
) -> Result<TokenRow, StoreError> {
    let sql = format!(
        "select {COLUMNS} from {} join tokens as t on t.id = r.id where {}",
        dialect.rows(schema::TOKENS.columns),
        live::own(tenant),
    );
    let key = json!({"id": id, "tenant": tenant});
    let found = row::read_all(transaction, "tokens", &sql, key, read).await?;
    found.into_iter().next().ok_or(StoreError::NotFound { what: "token" })
}

/// See [`Store::list_tokens`](crate::store::Store::list_tokens).
pub(in crate::store) async fn list(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    filter: &TokenFilter,
) -> Result<Vec<TokenRow>, StoreError> {
    let own = live::own(filter.tenant.as_ref());
    let rows = dialect.rows(schema::TOKENS.columns.iter().chain(&[schema::time("last_used_at")]));
    let parameter = json!({
        "tenant": filter.tenant,
        "kind": filter.kind,
        "user_id": filter.user_id,
        "project_id": filter.project_id,
        "sha256": filter.sha256.map(|hash| hash.to_string()),
        "expires_at": live::first_expiry_after(filter.now),
        "last_used_at": filter.unused_since.map(time::to_text),
        "id": filter.after,
    });
    if filter.after.is_some() {
        // Without its row there is no place to go on from, and an empty page would look like the end.
        let sql = format!("select count(*) from {rows} join tokens as t on t.id = r.id where {own}");
        if transaction.number(&sql, &row::one(parameter.clone())).await? == 0 {
            return Err(StoreError::NotFound { what: "token" });
        }
    }
    let is_live = live::is_live(dialect);
    let state = match filter.state {
        None => "true".to_owned(),
        Some(TokenState::Live) => is_live,
        Some(TokenState::Expired) => format!("t.revoked_at is null and not {is_live}"),
        Some(TokenState::Revoked) => "t.revoked_at is not null".to_owned(),
    };
    // One that was never used counts from when it was made: a new token is not one that nobody needs.
    let unused = format!(
        "coalesce(coalesce({}, {}) < r.last_used_at, true)",
        dialect.moment("t.last_used_at"),
        dialect.moment("t.created_at"),
    );
    let conditions = row::and_all(&[
        (own, true),
        ("t.kind = r.kind", filter.kind.is_some()),
        ("t.user_id = r.user_id", filter.user_id.is_some()),
        ("t.project_id = r.project_id", filter.project_id.is_some()),
        ("t.sha256 = r.sha256", filter.sha256.is_some()),
        ("t.revoked_at is null", !filter.include_revoked),
        (&state, filter.state.is_some()),
        (&unused, filter.unused_since.is_some()),
        (
            "(t.created_at, t.id) > (select last.created_at, last.id from tokens as last where last.id = r.id)",
            filter.after.is_some(),
        ),
    ]);
    let sql = format!(
        "select {COLUMNS} from {rows} cross join tokens as t where true{conditions} \
         order by t.created_at, t.id limit {}",
        filter.limit
    );
    row::read_all(transaction, "tokens", &sql, parameter, read).await
}

fn read(row: &dyn Row, tenants: &mut Tenants) -> Result<TokenRow, Unreadable> {
    let id = load::text(row, 1)?;
    Ok(TokenRow {
        tenant: tenants.read_optional(row, 0)?,
        kind: load::kind(row, 2, &id)?,
        name: load::text(row, 3)?,
        prefix: load::optional_text(row, 4)?,
        user_id: load::optional_text(row, 5)?,
        project_id: load::optional_text(row, 6)?,
        scope_pull: row.flag(7)?,
        scope_push: row.flag(8)?,
        allow_trigger: row.flag(9)?,
        projects: row.text(10)?.map(load::project_list),
        tools: row.text(11)?.map(load::tool_list),
        created_at: row.time(12)?.unwrap_or(Timestamp::from_unix_seconds(0)),
        expires_at: row.time(13)?,
        revoked_at: row.time(14)?,
        last_used_at: row.time(15)?,
        id,
    })
}
