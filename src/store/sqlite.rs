//! SQLite: how it is opened, and its transactions.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions as _, Connection, Row, Sqlite, SqlitePool, TypeInfo, ValueRef,
    migrate::Migrator,
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};
use tokio::time::{Instant, sleep};

use super::{
    ConnectOptions, DataPosition, DatabaseFault, Hint, StoreError,
    database::{Database, FeedConnection, JsonSink, Purpose, RowSink, Transaction, transaction},
    dialect::Dialect,
    migrations, revision,
};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How often is looked whether another connection wrote to the file. A look reads a number from shared memory.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A SQLite database in a file or in memory.
pub(super) struct SqliteDatabase {
    pool: SqlitePool,
    /// How a connection is opened beside the pool's; `None` in memory, where there is no second one.
    beside: Option<Beside>,
}

fn is_in_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

/// See [`sqlite_file`](super::sqlite_file).
pub(super) fn file(url: &str) -> Option<PathBuf> {
    let options = SqliteConnectOptions::from_str(url).ok().filter(|_| url.starts_with("sqlite:"))?;
    (!is_in_memory(url)).then(|| options.get_filename().to_owned())
}

/// What went wrong when the file was opened first, with its path, which is no secret.
fn cannot_be_opened(path: &Path, error: sqlx::Error) -> StoreError {
    let named = |fault| DatabaseFault(format!("{} cannot be opened: {fault}", path.display()));
    match StoreError::from(error) {
        StoreError::Unavailable(fault) => StoreError::Unavailable(named(fault)),
        StoreError::Failed(fault) => StoreError::Failed(named(fault)),
        other => other,
    }
}

impl SqliteDatabase {
    /// Opens `url`, making the file when it is missing.
    pub(super) async fn connect(url: &str, options: ConnectOptions) -> Result<Self, StoreError> {
        let connection = SqliteConnectOptions::from_str(url)?
            .create_if_missing(!options.read_only)
            .foreign_keys(true)
            // With WAL this survives a crash of the process; one of the machine may lose the last
            // transactions, never the file.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(options.acquire_timeout)
            // Rows come from another thread; handing them over in larger lots makes a load faster.
            .row_buffer_size(1_000)
            .disable_statement_logging();
        let connection = if options.read_only {
            // Not SQLite's own read-only mode: that would leave the files of the log behind when it closes.
            connection.pragma("query_only", "on")
        } else {
            // Readers and the one writer do not wait for each other.
            connection.journal_mode(SqliteJournalMode::Wal)
        };
        let pool = SqlitePoolOptions::new().acquire_timeout(options.acquire_timeout);
        let in_memory = is_in_memory(url);
        let (pool, beside) = if in_memory {
            // The data lives as long as a connection does: there is one, and it is never let go.
            (pool.min_connections(1).max_connections(1).idle_timeout(None).max_lifetime(None), None)
        } else {
            let file = Arc::new(DatabaseFile::new(connection.get_filename()));
            let options_beside = connection.clone().create_if_missing(false).pragma("query_only", "on");
            let beside = Beside { options: options_beside, file: Arc::clone(&file) };
            let pool = pool.max_connections(options.max_connections).before_acquire(move |_, held| {
                let is_it = file.is_where_it_was(held.age);
                Box::pin(async move { Ok(is_it) })
            });
            (pool, Some(beside))
        };
        let begun = Instant::now();
        loop {
            // The first makes the file. No later one does: a file that is gone is not an empty store.
            if !in_memory {
                match connection.connect().await {
                    Ok(first) => first.close().await?,
                    Err(error) if is_busy(&error) && begun.elapsed() < options.acquire_timeout => {
                        sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                    Err(error) => return Err(cannot_be_opened(connection.get_filename(), error)),
                }
            }
            let later = connection.clone().create_if_missing(in_memory);
            match pool.clone().connect_with(later).await {
                Ok(pool) => return Ok(Self { pool, beside }),
                // Turning a new file to WAL takes a lock for which SQLite does not wait by itself.
                Err(error) if is_busy(&error) && begun.elapsed() < options.acquire_timeout => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The file that connections were opened on: another may stand in its place by now (a backup was put back), and
/// an open connection would go on reading the old one.
struct DatabaseFile {
    path: PathBuf,
    seen: Mutex<Seen>,
}

/// Which file it was, and since when.
struct Seen {
    /// Device and number on it; `None` when there was no file.
    identity: Option<(u64, u64)>,
    since: Instant,
}

impl DatabaseFile {
    fn new(path: &Path) -> Self {
        let seen = Seen { identity: None, since: Instant::now() };
        Self { path: path.to_owned(), seen: Mutex::new(seen) }
    }

    /// Whether a connection of this age was opened on the file that is there now.
    fn is_where_it_was(&self, age: Duration) -> bool {
        let identity = fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.identity != identity {
            *seen = Seen { identity, since: Instant::now() };
        }
        identity.is_some() && age <= seen.since.elapsed()
    }
}

/// As a connection is opened: see `connect`. It says so again, because it may have appended last.
const BEGIN_WRITING: &str = "pragma synchronous = normal; begin immediate";
/// The commit waits until the disk has it.
const BEGIN_APPENDING: &str = "pragma synchronous = full; begin immediate";

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
            Purpose::Write => self.pool.begin_with(BEGIN_WRITING).await?,
            Purpose::Append => self.pool.begin_with(BEGIN_APPENDING).await?,
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

    fn feed(&self, _channels: &[String]) -> Box<dyn FeedConnection> {
        Box::new(SqliteFeed { pool: self.pool.clone(), beside: self.beside.clone(), watch: None })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

transaction!(SqliteTransaction, Sqlite, persistent: true);

/// How a connection of its own is opened, and on which file.
#[derive(Clone)]
struct Beside {
    options: SqliteConnectOptions,
    file: Arc<DatabaseFile>,
}

/// A connection that is asked whether another one wrote.
struct Watch {
    connection: SqliteConnection,
    opened: Instant,
    /// What SQLite's `data_version` was last: another number after each commit of another connection.
    version: i64,
}

impl Watch {
    async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("pragma data_version").fetch_one(connection).await
    }
}

/// Reads through the pool: there is no connection to lose, and one in memory has no second.
struct SqliteFeed {
    pool: SqlitePool,
    beside: Option<Beside>,
    watch: Option<Watch>,
}

impl SqliteFeed {
    /// Waits until another connection wrote, of this process or of another one.
    ///
    /// The watching connection is out of `self` while it is asked: one whose answer nobody waited for is not used again.
    async fn changed(&mut self) -> Result<(), sqlx::Error> {
        let Some(Beside { options, file }) = &self.beside else { return std::future::pending().await };
        loop {
            let held = self.watch.take().filter(|watch| file.is_where_it_was(watch.opened.elapsed()));
            let Some(mut watch) = held else {
                let opened = Instant::now();
                let mut connection = options.connect().await?;
                let version = Watch::version(&mut connection).await?;
                self.watch = Some(Watch { connection, opened, version });
                // What was written before nobody has watched.
                return Ok(());
            };
            let version = Watch::version(&mut watch.connection).await?;
            let changed = version != watch.version;
            watch.version = version;
            self.watch = Some(watch);
            if changed {
                return Ok(());
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
}

#[async_trait]
impl FeedConnection for SqliteFeed {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn position(&mut self) -> Result<DataPosition, StoreError> {
        let row = sqlx::query(Dialect::Sqlite.position()).fetch_optional(&self.pool).await?;
        revision::read(&row.ok_or_else(revision::missing)?)
    }

    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        Ok(Box::new(SqliteTransaction(self.pool.begin().await?)))
    }

    async fn query_json(&mut self, sql: &str, each: &mut JsonSink<'_>) -> Result<(), StoreError> {
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            each(&json_object(&row)?.to_string())?;
        }
        Ok(())
    }

    async fn hint(&mut self) -> Result<Vec<Hint>, StoreError> {
        match self.changed().await {
            Ok(()) => Ok(vec![Hint::Data]),
            // No hint is lost that matters: whoever waits asks at an interval as well, and is told what is wrong.
            Err(_) => std::future::pending().await,
        }
    }

    fn disconnect(&mut self) {
        self.watch = None;
    }
}

/// A row by the names of its columns. A blob is refused: JSON has nothing for it.
fn json_object(row: &SqliteRow) -> Result<serde_json::Value, StoreError> {
    let mut object = serde_json::Map::new();
    for (place, column) in row.columns().iter().enumerate() {
        let value = row.try_get_raw(place)?;
        let json = match (value.is_null(), value.type_info().name()) {
            (true, _) => serde_json::Value::Null,
            (_, "BOOLEAN") => row.try_get::<bool, _>(place)?.into(),
            (_, "INTEGER") => row.try_get::<i64, _>(place)?.into(),
            (_, "REAL") => row.try_get::<f64, _>(place)?.into(),
            (_, "BLOB") => {
                let reason = format!("the column {} is a blob", column.name());
                return Err(StoreError::corrupt("a document", reason));
            }
            _ => row.try_get_unchecked::<String, _>(place)?.into(),
        };
        object.insert(column.name().to_owned(), json);
    }
    Ok(object.into())
}
