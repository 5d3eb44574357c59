//! The number of the last change. Triggers move it, whoever writes: see `migrations/*/0002_live_data.sql`.

use super::{
    StoreError,
    database::{Row, Transaction},
    dialect::Dialect,
};
use crate::types::DataRevision;

/// A value, and the revision of the moment at which it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsOf<T> {
    /// The revision. Whoever decides from it or a later one has seen what the value shows.
    pub revision: DataRevision,
    /// The value.
    pub value: T,
}

/// What a write of one row did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The revision that has it: a new one, or the current one when nothing changed that decisions see.
    pub revision: DataRevision,
    /// The row was not there before.
    pub created: bool,
    /// The row was not there before, or was another.
    pub changed: bool,
}

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

/// The position in a row of [`Dialect::position`].
pub(super) fn read(row: &dyn Row) -> Result<DataPosition, StoreError> {
    let revision = u64::try_from(row.number(0)?)
        .map_err(|_| StoreError::corrupt("data_revision", "another program left in_batch at 1"))?;
    let mark = row.text(1)?.unwrap_or_default().to_owned();
    Ok(DataPosition { revision: DataRevision(revision), mark })
}

/// There is no row.
pub(super) fn missing() -> StoreError {
    StoreError::corrupt("data_revision", "its one row is missing")
}

/// The position that the transaction sees.
pub(super) async fn position(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
) -> Result<DataPosition, StoreError> {
    let mut found = None;
    transaction
        .query(dialect.position(), None, &mut |row| {
            found = Some(read(row)?);
            Ok(())
        })
        .await?;
    found.ok_or_else(missing)
}

/// A text that is another when a table was made anew, or changed by something that fires no trigger.
///
/// INVARIANT: everything is loaded only where this was asked. In the middle of a restore the number of the last
/// change is there before the rows are, and nothing would note their coming; and where a trigger is switched off
/// nothing notes what changes.
///
/// # Errors
/// [`StoreError::Incomplete`] when the triggers that note changes are not all in force.
pub(super) async fn structure(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
) -> Result<String, StoreError> {
    let (sql, all) = dialect.structure();
    let mut found = None;
    transaction
        .query(sql, None, &mut |row| {
            found = Some((row.number(0)?, row.text(1)?.unwrap_or_default().to_owned()));
            Ok(())
        })
        .await?;
    match found {
        Some((present, text)) if present == all => Ok(text),
        Some(_) | None => Err(StoreError::Incomplete),
    }
}

/// The revision that the transaction sees.
pub(super) async fn current(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
) -> Result<DataRevision, StoreError> {
    Ok(position(transaction, dialect).await?.revision)
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
    current(transaction, dialect).await
}
