//! One row of a table: put, removed, read. What is the same for users, projects and collaborators.

use serde_json::Value;

use super::{
    StoreError, Written,
    database::{Row, Transaction},
    dialect::Dialect,
    load::{Tenants, Unreadable},
    revision,
    schema::Table,
};
use crate::types::DataRevision;

/// Makes the row, or brings it to what it is to be. What is null in it keeps what it has, or is the column's default.
pub(super) async fn put(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    table: &Table<'_>,
    row: Value,
) -> Result<Written, StoreError> {
    let columns = table.given(&row);
    let table = Table { name: table.name, columns: &columns };
    let parameter = one(row);
    // First the insert: of two at once, the second waits for the first, and is told that it did not make the row.
    let created = transaction.execute(&table.insert_missing(dialect), Some(&parameter)).await? > 0;
    let changed = created || transaction.execute(&table.upsert(dialect), Some(&parameter)).await? > 0;
    let revision = revision::end(transaction, dialect).await?;
    Ok(Written { revision, created, changed })
}

/// Removes the row of this key, and what refers to it; `what` is the word for it.
pub(super) async fn remove(
    transaction: &mut dyn Transaction,
    dialect: Dialect,
    table: &Table<'_>,
    key: Value,
    what: &'static str,
) -> Result<DataRevision, StoreError> {
    if transaction.execute(&table.delete(dialect), Some(&one(key))).await? == 0 {
        return Err(StoreError::NotFound { what });
    }
    revision::end(transaction, dialect).await
}

/// All rows that a query gives for the one row of the parameter, read by `read`.
pub(super) async fn read_all<T: Send>(
    transaction: &mut dyn Transaction,
    table: &'static str,
    sql: &str,
    parameter: Value,
    read: fn(&dyn Row, &mut Tenants) -> Result<T, Unreadable>,
) -> Result<Vec<T>, StoreError> {
    let mut tenants = Tenants::default();
    let mut found = Vec::new();
    transaction
        .query(sql, Some(&one(parameter)), &mut |row| {
            let value = read(row, &mut tenants);
            found.push(value.map_err(|reason| StoreError::corrupt(table, reason.0))?);
            Ok(())
        })
        .await?;
    Ok(found)
}

/// The conditions that are wanted, one after the other: ` and A and B`.
pub(super) fn and_all(conditions: &[(&str, bool)]) -> String {
    conditions
        .iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(condition, _)| format!(" and {condition}"))
        .collect()
}

/// One row with the columns of two.
pub(super) fn both(row: Value, more: Value) -> Value {
    match (row, more) {
        (Value::Object(mut row), Value::Object(more)) => {
            row.extend(more);
            Value::Object(row)
        }
        (row, _) => row,
    }
}

/// A parameter of one row.
pub(super) fn one(row: Value) -> String {
    Value::Array(vec![row]).to_string()
}
