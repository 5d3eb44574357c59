//! What a database must be able to do for this room: transactions that run a statement with one JSON
//! parameter, and rows read by position. `sqlite` and `postgres` implement it.

use async_trait::async_trait;
use sqlx::{ColumnIndex, Decode, Type};

use super::{Hint, StoreError, dialect::Dialect, revision::DataPosition, time::Moment};
use crate::types::Timestamp;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reads, all of them as of one moment.
    Read,
    /// Reads and writes.
    Write,
    /// The same, for the decision log: it waits for others' locks for a short time, and what it wrote survives the end
    /// of the machine, since nobody else has it any more.
    Append,
}

/// A database with a pool of connections.
#[async_trait]
pub(super) trait Database: Send + Sync {
    /// How its SQL differs.
    fn dialect(&self) -> Dialect;

    /// See [`Store::feed`](super::Store::feed).
    fn feed(&self, channels: &[String]) -> Box<dyn FeedConnection>;

    /// Begins a transaction; dropping it undoes it.
    async fn begin(&self, purpose: Purpose) -> Result<Box<dyn Transaction>, StoreError>;

    /// See [`Store::migrate`](super::Store::migrate).
    async fn migrate(&self) -> Result<Vec<String>, StoreError>;

    /// See [`Store::ping`](super::Store::ping).
    async fn ping(&self) -> Result<(), StoreError>;

    /// See [`Store::close`](super::Store::close).
    async fn close(&self);
}

/// A connection that is kept for reading changes as they come.
#[async_trait]
pub(super) trait FeedConnection: Send {
    /// How its SQL differs.
    fn dialect(&self) -> Dialect;

    /// The position of this moment, at the cost of one round trip.
    async fn position(&mut self) -> Result<DataPosition, StoreError>;

    /// Begins a transaction that reads, all of it as of one moment.
    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError>;

    /// Runs a query of the organisation's own, as of now, and hands over each row as a JSON object.
    async fn query_json(&mut self, sql: &str, each: &mut JsonSink<'_>) -> Result<(), StoreError>;

    /// See [`ChangeFeed::hint`](super::ChangeFeed::hint).
    async fn hint(&mut self) -> Result<Vec<Hint>, StoreError>;

    /// Throws the connection away: the next call makes another.
    fn disconnect(&mut self);
}

/// A function that takes a row as the text of a JSON object, and stops it with an error.
pub(super) type JsonSink<'a> = dyn FnMut(&str) -> Result<(), StoreError> + Send + 'a;

/// A function that takes each row of an answer, and stops it with an error.
pub(super) type RowSink<'a> = dyn FnMut(&dyn Row) -> Result<(), StoreError> + Send + 'a;

/// A transaction. In the statements `$1` is `parameter`.
#[async_trait]
pub(super) trait Transaction: Send {
    /// Runs a statement and gives the number of rows that it wrote.
    async fn execute(&mut self, sql: &str, parameter: Option<&str>) -> Result<u64, StoreError>;

    /// Runs a query and hands its rows to `each` as they arrive.
    async fn query(
        &mut self,
        sql: &str,
        parameter: Option<&str>,
        each: &mut RowSink<'_>,
    ) -> Result<(), StoreError>;

    /// Keeps what was written.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// A [`Transaction`] over one of sqlx's drivers. The text is the same for each and cannot be generic:
/// sqlx ties what a statement may bind and return to the driver's own types.
///
/// `persistent`: whether the connection keeps prepared statements. Where a pooler may stand between us and
/// the database, the next statement may meet another connection, which has not prepared it.
macro_rules! transaction {
    ($name:ident, $driver:ty, persistent: $persistent:literal) => {
        struct $name<'c>(::sqlx::Transaction<'c, $driver>);

        #[async_trait]
        impl Transaction for $name<'_> {
            async fn execute(&mut self, sql: &str, parameter: Option<&str>) -> Result<u64, StoreError> {
                let mut query = sqlx::query(AssertSqlSafe(sql)).persistent($persistent);
                if let Some(json) = parameter {
                    query = query.bind(json);
                }
                Ok(query.execute(&mut *self.0).await?.rows_affected())
            }

            async fn query(
                &mut self,
                sql: &str,
                parameter: Option<&str>,
                each: &mut RowSink<'_>,
            ) -> Result<(), StoreError> {
                let mut query = sqlx::query(AssertSqlSafe(sql)).persistent($persistent);
                if let Some(json) = parameter {
                    query = query.bind(json);
                }
                let mut rows = query.fetch(&mut *self.0);
                while let Some(row) = rows.try_next().await? {
                    each(&row)?;
                }
                Ok(())
            }

            async fn commit(self: Box<Self>) -> Result<(), StoreError> {
                Ok(self.0.commit().await?)
            }
        }
    };
}
pub(super) use transaction;

/// A row of an answer, read by position. Errors mean that the column has another type, which a
/// query of this room never causes, or text that is not UTF-8.
pub(super) trait Row {
    /// Text, or `None` for NULL.
    fn text(&self, column: usize) -> Result<Option<&str>, sqlx::Error>;

    /// A whole number.
    fn number(&self, column: usize) -> Result<i64, sqlx::Error>;

    /// A boolean.
    fn flag(&self, column: usize) -> Result<bool, sqlx::Error>;

    /// A time, or `None` for NULL; one that cannot be read is the beginning of 1970.
    fn time(&self, column: usize) -> Result<Option<Timestamp>, sqlx::Error>;
}

impl<R> Row for R
where
    R: sqlx::Row,
    usize: ColumnIndex<R>,
    for<'r> &'r str: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> bool: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Moment: Decode<'r, R::Database> + Type<R::Database>,
{
    fn text(&self, column: usize) -> Result<Option<&str>, sqlx::Error> {
        self.try_get(column)
    }

    fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.try_get(column)
    }

    fn flag(&self, column: usize) -> Result<bool, sqlx::Error> {
        self.try_get(column)
    }

    fn time(&self, column: usize) -> Result<Option<Timestamp>, sqlx::Error> {
        Ok(self.try_get::<Option<Moment>, _>(column)?.map(|moment| moment.0))
    }
}

impl dyn Transaction + '_ {
    /// The one number that a query gives.
    pub(super) async fn number(&mut self, sql: &str, parameter: &str) -> Result<i64, StoreError> {
        let mut found = 0;
        let mut each = |row: &dyn Row| {
            found = row.number(0)?;
            Ok(())
        };
        self.query(sql, Some(parameter), &mut each).await?;
        Ok(found)
    }

    /// The places in the parameter's array that a query gives, in order.
    pub(super) async fn places(&mut self, sql: &str, parameter: &str) -> Result<Vec<usize>, StoreError> {
        let mut found = Vec::new();
        let mut each = |row: &dyn Row| {
            found.extend(usize::try_from(row.number(0)?));
            Ok(())
        };
        self.query(sql, Some(parameter), &mut each).await?;
        found.sort_unstable();
        Ok(found)
    }
}
