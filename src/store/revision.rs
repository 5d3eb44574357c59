//! The number of the last change. Triggers move it, whoever writes: see `migrations/*/0002_live_data.sql`.

use super::{
    StoreError,
    database::{Row, Transaction},
    dialect::Dialect,
};
use crate::types::DataRevision;

/// Where in the history of changes some data stands: a revision, and a mark that tells this history
/// from another one in which the numbers are the same (an older dump that was put back, and written to).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPosition {
    /// The revision.
    pub revision: DataRevision,
    mark: String,
}

impl DataPosition {
    /// The mark.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }
}

/// Asks for the position.
pub(super) const POSITION: &str = "select revision, cast(mark as text) from data_revision";

/// The position in a row of [`POSITION`].
pub(super) fn read(row: &dyn Row) -> Result<DataPosition, StoreError> {
    let revision =
        u64::try_from(row.number(0)?).map_err(|error| StoreError::corrupt("data_revision", error))?;
    let mark = row.text(1)?.unwrap_or_default().to_owned();
    Ok(DataPosition { revision: DataRevision(revision), mark })
}

/// There is no row.
pub(super) fn missing() -> StoreError {
    StoreError::corrupt("data_revision", "its one row is missing")
}

/// The position that the transaction sees.
pub(super) async fn position(transaction: &mut dyn Transaction) -> Result<DataPosition, StoreError> {
    let mut found = None;
    transaction
        .query(POSITION, None, &mut |row| {
            found = Some(read(row)?);
            Ok(())
        })
        .await?;
    found.ok_or_else(missing)
}

/// The position that the transaction sees, if the rows that it sees are those of that position.
///
/// INVARIANT: rows become data only from here. In the middle of a restore the number of the last change is
/// there before the rows are, and nothing would note their coming.
pub(super) async fn whole_position(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
) -> Result<DataPosition, StoreError> {
    let position = position(transaction).await?;
    if let Some((sql, all)) = dialect.noting_triggers() {
        let mut present = 0;
        transaction
            .query(sql, None, &mut |row| {
                present = row.number(0)?;
                Ok(())
            })
            .await?;
        if present != all {
            return Err(StoreError::Incomplete);
        }
    }
    Ok(position)
}

/// The revision that the transaction sees.
pub(super) async fn current(transaction: &mut dyn Transaction) -> Result<DataRevision, StoreError> {
    Ok(position(transaction).await?.revision)
}

/// Begins what is to be one revision.
pub(super) async fn begin(transaction: &mut dyn Transaction, dialect: Dialect) -> Result<(), StoreError> {
    if let Some(sql) = dialect.begin_revision() {
        transaction.execute(sql, None).await?;
    }
    Ok(())
}

/// Takes the revision for all that the transaction changed, and gives it; or the one that is, when it
/// changed nothing that decisions see. The last thing before the commit: from here on other writers wait.
pub(super) async fn end(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
) -> Result<DataRevision, StoreError> {
    for sql in dialect.end_revision() {
        transaction.execute(sql, None).await?;
    }
    current(transaction).await
}
