//! Revoking a token.

use serde_json::json;

use super::Revocation;
use crate::{
    store::{StoreError, database::Transaction, dialect::Dialect, revision, schema, time},
    types::{TenantId, Timestamp},
};

/// See [`Store::revoke_token`](crate::store::Store::revoke_token).
pub(in crate::store) async fn revoke(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    id: &str,
    tenant: Option<&TenantId>,
    now: Timestamp,
) -> Result<Revocation, StoreError> {
    let rows = dialect.rows(schema::TOKENS.columns);
    let own = if tenant.is_some() { "t.tenant = r.tenant" } else { "true" };
    let parameter = json!([{"id": id, "tenant": tenant, "revoked_at": time::to_text(now)}]).to_string();

    // The update comes first: of two at once, the second waits, and finds nothing left to do.
    let update = format!(
        "update tokens as t set revoked_at = r.revoked_at from {rows} \
         where t.id = r.id and {own} and t.revoked_at is null"
    );
    let changed = transaction.execute(&update, Some(&parameter)).await? > 0;

    let mut revoked_at = None;
    let select = format!("select t.revoked_at from {rows} join tokens as t on t.id = r.id where {own}");
    transaction
        .query(&select, Some(&parameter), &mut |row| {
            revoked_at = row.time(0)?;
            Ok(())
        })
        .await?;
    let revoked_at = revoked_at.ok_or(StoreError::NotFound { what: "token" })?;
    let revision = revision::end(transaction, dialect).await?;
    Ok(Revocation { revision, revoked_at, changed })
}
