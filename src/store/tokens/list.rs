//! Listing tokens.

use serde_json::json;

use super::{TokenFilter, TokenRow};
use crate::{
    store::{
        StoreError,
        database::{Row, Transaction},
        dialect::Dialect,
        load::{self, Tenants, Unreadable},
        schema,
    },
    types::Timestamp,
};

/// See [`Store::list_tokens`](crate::store::Store::list_tokens).
pub(in crate::store) async fn list(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    filter: &TokenFilter,
) -> Result<Vec<TokenRow>, StoreError> {
    if let Some(after) = &filter.after {
        // Without its row there is no place to go on from, and an empty page would look like the end.
        let parameter = json!([{"id": after}]).to_string();
        if transaction.number(&schema::TOKENS.count_existing(dialect), &parameter).await? == 0 {
            return Err(StoreError::NotFound { what: "token" });
        }
    }
    let conditions = [
        ("t.tenant = r.tenant", filter.tenant.is_some()),
        ("t.kind = r.kind", filter.kind.is_some()),
        ("t.user_id = r.user_id", filter.user_id.is_some()),
        ("t.project_id = r.project_id", filter.project_id.is_some()),
        ("t.revoked_at is null", !filter.include_revoked),
        (
            "(t.created_at, t.id) > (select last.created_at, last.id from tokens as last where last.id = r.id)",
            filter.after.is_some(),
        ),
    ];
    let mut sql = format!(
        "select t.tenant, t.id, t.kind, t.name, t.prefix, t.user_id, t.project_id, t.scope_pull, \
         t.scope_push, t.allow_trigger, cast(t.projects as text), cast(t.tools as text), t.created_at, \
         t.expires_at, t.revoked_at, t.last_used_at \
         from {} cross join tokens as t where true",
        dialect.rows(schema::TOKENS.columns),
    );
    for (condition, _) in conditions.iter().filter(|(_, wanted)| *wanted) {
        sql.push_str(" and ");
        sql.push_str(condition);
    }
    sql.push_str(&format!(" order by t.created_at, t.id limit {}", filter.limit));
    let parameter = json!([{
        "tenant": filter.tenant,
        "kind": filter.kind,
        "user_id": filter.user_id,
        "project_id": filter.project_id,
        "id": filter.after,
    }])
    .to_string();

    let mut tenants = Tenants::default();
    let mut found = Vec::new();
    transaction
        .query(&sql, Some(&parameter), &mut |row| {
            let token = read(row, &mut tenants);
            found.push(token.map_err(|reason| StoreError::corrupt("tokens", reason.0))?);
            Ok(())
        })
        .await?;
    Ok(found)
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
        // An array of something else than names names no tool.
        tools: row.text(11)?.map(|json| serde_json::from_str(json).unwrap_or_default()),
        created_at: row.time(12)?.unwrap_or(Timestamp::from_unix_seconds(0)),
        expires_at: row.time(13)?,
        revoked_at: row.time(14)?,
        last_used_at: row.time(15)?,
        id,
    })
}
