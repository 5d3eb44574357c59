//! The right to trigger: granted and withdrawn by a call of its own.

use serde_json::json;

use super::live;
use crate::{
    store::{StoreError, Written, database::Transaction, dialect::Dialect, revision, row, schema},
    types::{TenantId, Timestamp, TokenKind},
};

/// See [`Store::set_trigger`](crate::store::Store::set_trigger).
pub(in crate::store) async fn set(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    id: &str,
    tenant: Option<&TenantId>,
    allowed: bool,
    now: Timestamp,
) -> Result<Written, StoreError> {
    let standing = live::hold(transaction, dialect, id, tenant, now).await?;
    if allowed {
        if standing.kind != TokenKind::Mcp {
            return Err(StoreError::WrongKind { wanted: TokenKind::Mcp, kind: standing.kind });
        }
        standing.refuse_dead(now)?;
    }
    let sql = format!(
        "update tokens as t set allow_trigger = r.allow_trigger from {} \
         where t.id = r.id and t.allow_trigger <> r.allow_trigger",
        dialect.rows(schema::TOKENS.columns)
    );
    let parameter = row::one(json!({"id": id, "allow_trigger": allowed}));
    let changed = transaction.execute(&sql, Some(&parameter)).await? > 0;
    let revision = revision::end(transaction, dialect).await?;
    Ok(Written { revision, created: false, changed })
}
