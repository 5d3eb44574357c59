//! Postgres: how it is opened, and its transactions.

use std::str::FromStr;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor, PgPool, Postgres,
    migrate::{Migrate, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    ConnectOptions, StoreError,
    database::{Database, Purpose, RowSink, Transaction, transaction},
    dialect::Dialect,
    migrations,
};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// A Postgres database.
pub(super) struct PostgresDatabase {
    pool: PgPool,
}

impl PostgresDatabase {
    /// Connects to `url`.
    pub(super) async fn connect(url: &str, options: ConnectOptions) -> Result<Self, StoreError> {
        let connection =
            PgConnectOptions::from_str(url)?.application_name("regate").disable_statement_logging();
        let pool = PgPoolOptions::new()
            .acquire_timeout(options.acquire_timeout)
            .max_connections(options.max_connections)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // Else a plan made while a table was empty is kept when it has a million rows,
                    // and each chunk of an import reads all of them.
                    connection.execute("set plan_cache_mode = force_custom_plan").await?;
                    Ok(())
                })
            })
            .connect_with(connection)
            .await?;
        Ok(Self { pool })
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn begin(&self, purpose: Purpose) -> Result<Box<dyn Transaction>, StoreError> {
        let transaction = match purpose {
            // All queries of the transaction see the database as of the first one.
            Purpose::Read => self.pool.begin_with("begin isolation level repeatable read, read only").await?,
            Purpose::Write => self.pool.begin().await?,
        };
        Ok(Box::new(PostgresTransaction(transaction)))
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let migrate = async {
            let mut connection = self.pool.acquire().await?;
            // The lock lives as long as its connection, and the migrator forgets it when it fails.
            connection.close_on_drop();
            // The migrator takes the same lock again, which does no harm. Taking it earlier makes
            // the list of what was applied this process's own.
            connection.lock().await?;
            migrations::apply(&MIGRATIONS, &mut *connection).await
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

transaction!(PostgresTransaction, Postgres);
