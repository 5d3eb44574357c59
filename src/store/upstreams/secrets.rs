//! What regate shows to upstreams' authorization servers, sealed. No decision sees it.

use serde_json::json;

use super::{holding, sealed};
use crate::{
    store::{
        StoreError,
        database::Transaction,
        dialect::Dialect,
        revision, row,
        schema::{Table, key, text},
    },
    types::{Sealed, TenantId},
};

/// The table.
pub(super) const CLIENT_SECRETS: Table<'static> = Table {
    name: "upstream_client_secrets",
    columns: &[key("tenant"), key("upstream_id"), text("key_id"), text("sealed")],
};

/// See [`UpstreamStore::put_client_secret`](super::UpstreamStore::put_client_secret).
pub(in crate::store) async fn put(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    upstream_id: &str,
    secret: Option<&Sealed>,
) -> Result<(), StoreError> {
    let parameter = row::one(json!({
        "tenant": tenant, "upstream_id": upstream_id,
        "key_id": secret.map(|secret| secret.key.to_string()), "sealed": secret.map(sealed::to_text),
    }));
    if holding::upstreams(transaction, dialect, &parameter).await?.is_empty() {
        return Err(StoreError::NotFound { what: "upstream" });
    }
    let sql = match secret {
        Some(_) => CLIENT_SECRETS.upsert(dialect),
        None => CLIENT_SECRETS.delete(dialect),
    };
    transaction.execute(&sql, Some(&parameter)).await?;
    revision::end(transaction, dialect).await?;
    Ok(())
}

/// See [`UpstreamStore::client_secret`](super::UpstreamStore::client_secret).
pub(in crate::store) async fn get(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    tenant: &TenantId,
    upstream_id: &str,
) -> Result<Option<Sealed>, StoreError> {
    let sql = format!(
        "select t.key_id, t.sealed from {} join upstream_client_secrets as t \
         on t.tenant = r.tenant and t.upstream_id = r.upstream_id",
        dialect.rows(CLIENT_SECRETS.columns)
    );
    let parameter = json!({"tenant": tenant, "upstream_id": upstream_id});
    let read = |row: &dyn crate::store::database::Row, _: &mut _| sealed::read(row, 0);
    let found = row::read_all(transaction, CLIENT_SECRETS.name, &sql, parameter, read).await?;
    Ok(found.into_iter().next())
}
