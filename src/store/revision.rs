//! The number of the last change.

use super::{StoreError, database::Transaction};
use crate::types::DataRevision;

/// The revision that the transaction sees.
pub(super) async fn current(transaction: &mut dyn Transaction) -> Result<DataRevision, StoreError> {
    read(transaction, "select revision from data_revision").await
}

/// Moves the revision on, and gives the new one. The last statement of its transaction: from here on
/// other writers wait.
pub(super) async fn advance(transaction: &mut dyn Transaction) -> Result<DataRevision, StoreError> {
    read(transaction, "update data_revision set revision = revision + 1 returning revision").await
}

async fn read(transaction: &mut dyn Transaction, sql: &str) -> Result<DataRevision, StoreError> {
    let mut found = None;
    transaction
        .query(sql, None, &mut |row| {
            found = Some(row.number(0)?);
            Ok(())
        })
        .await?;
    let number = found.and_then(|number| u64::try_from(number).ok());
    number.map(DataRevision).ok_or_else(|| StoreError::corrupt("data_revision", "its one row is missing"))
}
