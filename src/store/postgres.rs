//! Postgres: how it is opened, and its transactions.

use std::{str::FromStr, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{
    Acquire, AssertSqlSafe, ConnectOptions as _, Connection, Executor, PgConnection, PgPool, Postgres, Row,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use super::{
    ConnectOptions, DataPosition, DatabaseFault, Hint, StoreError,
    database::{Database, FeedConnection, JsonSink, Purpose, RowSink, Transaction, transaction},
    dialect::Dialect,
    migrations, revision,
};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    // Its lock belongs to the connection; ours ends with the transaction.
    migrations.set_locking(false);
    migrations
});

/// What `take_data_revision` announces on.
const CHANNEL: &str = "regate_data";

/// How long somebody else that appends to the decision log is waited for: a batch takes milliseconds.
const APPENDING_WAITS: Duration = Duration::from_millis(500);

/// A Postgres database.
pub(super) struct PostgresDatabase {
    pool: PgPool,
    /// Leads to Postgres itself, whatever stands before it.
    direct: PgConnectOptions,
    acquire_timeout: Duration,
    begin_writing: String,
    begin_appending: String,
}

impl PostgresDatabase {
    /// Connects to `url`.
    pub(super) async fn connect(url: &str, options: ConnectOptions) -> Result<Self, StoreError> {
        let read = |url: &str| -> Result<PgConnectOptions, StoreError> {
            Ok(PgConnectOptions::from_str(url)?.application_name("regate").disable_statement_logging())
        };
        let connection = read(url)?;
        let direct = match &options.listener_url {
            None => connection.clone(),
            Some(url) => read(url.expose())?,
        };
        // A pool tries again and again and then only says that it waited. One try says what is wrong.
        let trying = PgConnection::connect_with(&connection);
        let first = match tokio::time::timeout(options.acquire_timeout, trying).await {
            Ok(first) => first.map_err(|error| at_address(error, &connection))?,
            Err(_) => return Err(at_address(sqlx::Error::PoolTimedOut, &connection)),
        };
        first.close().await?;
        let pool = PgPoolOptions::new()
            .acquire_timeout(options.acquire_timeout)
            .max_connections(options.max_connections)
            .connect_lazy_with(connection);
        // Whatever isolation the database has by default: two writers meet at the row of the revision. Who holds
        // a lock and does nothing is not waited for, so that whoever revokes a token learns that it is not revoked.
        let begin_waiting = |longest: Duration| {
            format!(
                "begin isolation level read committed; set local lock_timeout = {}",
                longest.as_millis().max(1)
            )
        };
        let acquire_timeout = options.acquire_timeout;
        let begin_writing = begin_waiting(acquire_timeout);
        let begin_appending = begin_waiting(APPENDING_WAITS.min(acquire_timeout));
        Ok(Self { pool, direct, acquire_timeout, begin_writing, begin_appending })
    }
}

/// The error, and where it was met: an address is no secret, and most often what is wrong.
fn at_address(error: sqlx::Error, options: &PgConnectOptions) -> StoreError {
    match StoreError::from(error) {
        StoreError::Unavailable(DatabaseFault(reason)) => {
            let (host, port) = (options.get_host(), options.get_port());
            StoreError::Unavailable(DatabaseFault(format!("{host}:{port}: {reason}")))
        }
        other => other,
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
            Purpose::Read => self.pool.begin_with(BEGIN_READING).await?,
            Purpose::Write => self.pool.begin_with(AssertSqlSafe(self.begin_writing.clone())).await?,
            Purpose::Append => self.pool.begin_with(AssertSqlSafe(self.begin_appending.clone())).await?,
        };
        Ok(Box::new(PostgresTransaction(transaction)))
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let migrate = async {
            // A connection of its own, and to Postgres itself where it is known how.
            let connecting = PgConnection::connect_with(&self.direct);
            let connection = tokio::time::timeout(self.acquire_timeout, connecting).await;
            let mut connection = connection.map_err(|_| sqlx::Error::PoolTimedOut)??;
            // All of it in one transaction, from the lock to the end: a pooler that stands in between gives
            // the next transaction to another connection, which does not hold the lock. Each migration
            // becomes a savepoint.
            let mut transaction = Connection::begin(&mut connection).await?;
            transaction.execute(FORGET_STATEMENTS).await?;
            transaction.execute(LOCK_OUT_OTHER_MIGRATORS).await?;
            let applied = migrations::apply(&MIGRATIONS, &mut *transaction).await?;
            transaction.execute(FORGET_STATEMENTS).await?;
            transaction.commit().await?;
            connection.close().await?;
            Ok(applied)
        };
        migrate.await.map_err(migrations::failed)
    }

    fn feed(&self, channels: &[String]) -> Box<dyn FeedConnection> {
        let mut own = vec![CHANNEL.to_owned()];
        own.extend_from_slice(channels);
        let (options, connect_timeout) = (self.direct.clone(), self.acquire_timeout);
        Box::new(PostgresFeed { options, connect_timeout, channels: own, session: None })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::raw_sql("select 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

transaction!(PostgresTransaction, Postgres, persistent: false);

/// The migrator gives its statements names, which a pooler's connection may know from the one before.
const FORGET_STATEMENTS: &str = "deallocate all";

/// Until the transaction ends.
const LOCK_OUT_OTHER_MIGRATORS: &str = "select pg_advisory_xact_lock(hashtext('regate migrate'))";

/// All queries of the transaction see the database as of the first one.
const BEGIN_READING: &str = "begin isolation level repeatable read, read only";

/// A setting that a session of ours has from its start.
const DIRECT: &str = "regate.direct";
/// What PgBouncer answers to a setting that it does not know.
const PROTOCOL_VIOLATION: &str = "08P01";

/// The connection that listens. It also reads what changed: a connection that delivers no notification
/// because it is dead is thereby found to be.
struct PostgresFeed {
    options: PgConnectOptions,
    connect_timeout: Duration,
    channels: Vec<String>,
    session: Option<PgListener>,
}

impl PostgresFeed {
    async fn session(&mut self) -> Result<&mut PgListener, StoreError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        Ok(self.session.insert(session))
    }

    /// A connection that listens, if it leads to Postgres itself. A pooler would have another of its
    /// connections listen each time, for ever, and hand what that hears to whoever is given it next: none of
    /// them expects it, and a statement of theirs fails for it.
    async fn connect(&self) -> Result<PgListener, StoreError> {
        let marked = self.options.clone().options([(DIRECT, "yes")]);
        let mut session = match self.open(marked).await {
            // A pooler that takes no settings at the start, or not this one.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(PROTOCOL_VIOLATION) => {
                return Ok(self.open(self.options.clone()).await?);
            }
            opened => opened?,
        };
        let sql = format!("select current_setting('{DIRECT}', true)");
        let row = session.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        // One that throws them away leaves it unset.
        if row.try_get::<Option<String>, _>(0)?.as_deref() == Some("yes") {
            session.listen_all(self.channels.iter().map(String::as_str)).await?;
        }
        Ok(session)
    }

    async fn open(&self, options: PgConnectOptions) -> Result<PgListener, sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(self.connect_timeout);
        let mut session = PgListener::connect_with(&pool.connect_with(options).await?).await?;
        session.eager_reconnect(false);
        Ok(session)
    }
}

#[async_trait]
impl FeedConnection for PostgresFeed {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn position(&mut self) -> Result<DataPosition, StoreError> {
        // As text, without preparing a statement: one round trip.
        let asked = format!("begin read only; {PATIENCE}; {}; commit", Dialect::Postgres.position());
        let session = self.session().await?;
        let mut rows = session.fetch(sqlx::raw_sql(AssertSqlSafe(asked)));
        let row = rows.try_next().await?.ok_or_else(revision::missing)?;
        let position = revision::read(&row)?;
        while rows.try_next().await?.is_some() {}
        Ok(position)
    }

    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        let mut transaction = self.session().await?.begin().await?;
        let sql = format!("set transaction isolation level repeatable read, read only; {PATIENCE}");
        transaction.execute(AssertSqlSafe(sql)).await?;
        Ok(Box::new(PostgresTransaction(transaction)))
    }

    async fn query_json(&mut self, sql: &str, each: &mut JsonSink<'_>) -> Result<(), StoreError> {
        let sql = format!(
            "select cast(to_jsonb(answer) as text) from ({}\n) as answer",
            sql.trim().trim_end_matches(';')
        );
        let mut transaction = self.begin().await?;
        transaction.query(&sql, None, &mut |row| each(row.text(0)?.unwrap_or("{}"))).await?;
        transaction.commit().await
    }

    async fn hint(&mut self) -> Result<Vec<Hint>, StoreError> {
        let Some(session) = &mut self.session else { return std::future::pending().await };
        let Some(first) = session.try_recv().await? else {
            self.session = None;
            return Err(sqlx::Error::WorkerCrashed.into());
        };
        let mut hints = Vec::new();
        let mut next = Some(first);
        while let Some(notification) = next {
            let hint = match notification.channel() {
                CHANNEL => Hint::Data,
                other => Hint::Channel(other.to_owned()),
            };
            if !hints.contains(&hint) {
                hints.push(hint);
            }
            next = session.next_buffered();
        }
        Ok(hints)
    }

    fn disconnect(&mut self) {
        self.session = None;
    }
}

/// Who holds a table locked (a migration) is not waited for: the data only grows older. And what we gave up
/// waiting for, the database gives up as well, soon after our connection is gone.
const PATIENCE: &str = "set local lock_timeout = '2s'; set local client_connection_check_interval = '1s'";
