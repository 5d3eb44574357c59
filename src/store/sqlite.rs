//! SQLite: how it is opened, and its transactions.

use std::{str::FromStr, time::Duration};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Sqlite, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};

use super::{
    ConnectOptions, StoreError,
    database::{Database, Purpose, RowSink, Transaction, transaction},
    dialect::Dialect,
    migrations,
};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// A SQLite database in a file or in memory.
pub(super) struct SqliteDatabase {
    pool: SqlitePool,
}

impl SqliteDatabase {
    /// Opens `url`, making the file when it is missing.
    pub(super) async fn connect(url: &str, options: ConnectOptions) -> Result<Self, StoreError> {
        let connection = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .foreign_keys(true)
            // Readers and the one writer do not wait for each other.
            .journal_mode(SqliteJournalMode::Wal)
            // With WAL this survives a crash of the process; one of the machine may lose the last
            // transactions, never the file.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(options.acquire_timeout)
            // Rows come from another thread; handing them over in larger lots makes a load faster.
            .row_buffer_size(1_000)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().acquire_timeout(options.acquire_timeout);
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        let pool = if in_memory {
            // The data lives as long as a connection does: there is one, and it is never let go.
            pool.min_connections(1).max_connections(1).idle_timeout(None).max_lifetime(None)
        } else {
            pool.max_connections(options.max_connections)
        };
        let begun = Instant::now();
        loop {
            match pool.clone().connect_with(connection.clone()).await {
                Ok(pool) => return Ok(Self { pool }),
                // Turning a new file to WAL takes a lock for which SQLite does not wait by itself.
                Err(error) if is_busy(&error) && begun.elapsed() < options.acquire_timeout => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether another process holds a lock (SQLITE_BUSY, in any of its extended codes).
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

#[async_trait]
impl Database for SqliteDatabase {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn begin(&self, purpose: Purpose) -> Result<Box<dyn Transaction>, StoreError> {
        let transaction = match purpose {
            Purpose::Read => self.pool.begin().await?,
            // A transaction that reads first and asks for the write lock later is refused when
            // another one wrote in between, without waiting. So the lock comes first.
            Purpose::Write => self.pool.begin_with("begin immediate").await?,
        };
        Ok(Box::new(SqliteTransaction(transaction)))
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let migrate = async {
            // SQLite has no lock for migrators but its write lock. Each migration becomes a savepoint.
            let mut transaction = self.pool.begin_with("begin immediate").await?;
            let applied = migrations::apply(&MIGRATIONS, &mut *transaction).await?;
            transaction.commit().await?;
            Ok(applied)
        };
        migrate.await.map_err(migrations::failed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

transaction!(SqliteTransaction, Sqlite);
