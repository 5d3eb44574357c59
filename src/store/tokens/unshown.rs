//! Tokens that were stored and never shown: nobody knows them.

use crate::store::{
    StoreError,
    database::Transaction,
    dialect::Dialect,
    revision,
    row::one,
    schema::{Table, key},
};

const ROW: Table<'static> = Table { name: "tokens", columns: &[key("id")] };

/// See [`Store::remove_unshown_token`](crate::store::Store::remove_unshown_token).
pub(in crate::store) async fn remove(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    id: &str,
) -> Result<bool, StoreError> {
    let row = one(serde_json::json!({"id": id}));
    let removed = transaction.execute(&ROW.delete(dialect), Some(&row)).await? > 0;
    revision::end(transaction, dialect).await?;
    Ok(removed)
}
